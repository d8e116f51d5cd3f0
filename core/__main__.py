"""``python -m core``: everything that the window can do, from a terminal.

Nothing heavy is imported before it is needed, so that a bad option or a bad photo is refused at once. Exit codes: 0 all
done, 2 wrong usage, 3 some photo failed, 130 interrupted. How it talks stands in ``core.terminal``.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.aside import RANK
from core.edit import LatentEdit
from core.errors import CameoError, Cancelled, InvalidEdit
from core.evaluation.refine_command import app as evaluate_app
from core.job import Job
from core.photo import Photo
from core.results import folder_names, report_failure
from core.terminal import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Detector,
    DetectorOption,
    DeviceOption,
    FolderOption,
    Interruption,
    JsonOption,
    Opener,
    ThreadsOption,
    WeightsOption,
    complain,
    interruptible,
    progress,
    refuse,
    registry_of,
    say,
    sentence,
)

if TYPE_CHECKING:
    from core.engine import Engine
    from core.report import Wishes

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cameo: a portrait photo becomes an editable 3D head.",
)
weights_app = typer.Typer(no_args_is_help=True, help="The weights that are installed.")
app.add_typer(weights_app, name="weights")
app.add_typer(evaluate_app, name="evaluate")

MeshFormat = StrEnum("MeshFormat", ["glb", "obj", "ply", "stl", "none"])
RefineMethod = StrEnum(
    "RefineMethod", ["fast", "best", "sg2", "sg2plus", "pti", "pti-split", "pti-appearance", "hfgi3d", "density"]
)
PolishedFirst = StrEnum("PolishedFirst", ["camera", "light"])
TurntableFormat = StrEnum("TurntableFormat", ["mp4", "webm", "gif", "none"])


# ----------------------------------------------------------------------------------------------------- reconstruct


@app.command()
def reconstruct(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of faces.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")],
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    face: Annotated[int, typer.Option(min=0, help="Which face of the photo; 0 is the largest.")] = 0,
    edit: Annotated[list[str] | None, typer.Option(metavar="NAME=STRENGTH", help="An edit, e.g. Smile=1.")] = None,
    views: Annotated[int, typer.Option(min=0, max=99, help="Views from left to right.")] = 5,
    mesh: Annotated[MeshFormat, typer.Option(help="File type of the mesh.")] = MeshFormat.glb,
    mesh_resolution: Annotated[int, typer.Option(min=16, max=512, help="Grid points a side.")] = 128,
    turntable: Annotated[TurntableFormat, typer.Option(help="File type of the turntable.")] = TurntableFormat.mp4,
    frames: Annotated[int, typer.Option(min=1, max=10_000, help="Pictures in the turntable.")] = 60,
    refine: Annotated[
        RefineMethod | None,
        typer.Option(help="Optimise the head for its photo: fast (under a minute), best (minutes)."),
    ] = None,
    from_mean: Annotated[
        bool,
        typer.Option("--from-mean", help="Begin with the mean head; for methods that move the shape."),
    ] = False,
    polish: Annotated[
        list[PolishedFirst] | None, typer.Option(help="Before the refinement, move the camera or the light a little.")
    ] = None,
    refine_passes: Annotated[
        int | None, typer.Option(min=1, help="Shorten the refinement to so many passes of the generator.")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Turn photos into heads: pictures, mesh, turntable and a report for each."""
    try:
        wanted = LatentEdit.parse(edit or [])
        registry = registry_of(weights_folder)
        registry.entry(weights)
    except CameoError as error:
        refuse(error)
    refinement = _refinement(refine, polish or [], from_mean=from_mean)
    opener = Opener(weights, device, threads, registry, wanted)

    def wishes() -> Wishes:
        from core.report import Wishes

        return Wishes(
            wanted,
            views,
            mesh.value,
            mesh_resolution,
            turntable.value,
            frames,
            face,
            detector.value,
            refinement,
            refine_passes,
        )

    failures = 0
    names = folder_names(photos)
    with interruptible() as interruption:
        for path, name in zip(photos, names, strict=True):
            report = _one_photo(path, out / name, weights, opener, wishes, interruption, as_json)
            failures += "error" in report
            _announce(path, out / name, report, as_json)
    if failures:
        raise typer.Exit(EXIT_FAILED)


def _one_photo(
    path: Path,
    folder: Path,
    weights: str,
    opener: Opener,
    wishes: Callable[[], Wishes],
    interruption: Interruption,
    as_json: bool,
) -> dict[str, Any]:
    """The report of one photo; whatever goes wrong with it stands in the report."""
    try:
        photo = Photo.load(path)
        engine = opener()
        from core.report import reconstruct

        with progress(path.name, shown=not as_json) as show:
            job = interruption.job = Job(path.name, on_report=show)
            return reconstruct(engine, photo, folder, wishes(), job)
    except (Cancelled, KeyboardInterrupt):
        complain("Interrupted; finished photos are complete, the others were left alone.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except InvalidEdit as error:
        refuse(error)
    except CameoError as error:
        return _failure(opener.engine, weights, error, folder)
    except Exception as error:
        logging.getLogger(__name__).debug("unexpected", exc_info=error)
        strange = CameoError(f"Something unexpected went wrong: {error!r}.", hint="Please report it with the photo.")
        return _failure(opener.engine, weights, strange, folder)
    finally:
        interruption.job = None


def _failure(engine: Engine | None, weights: str, error: CameoError, folder: Path) -> dict[str, Any]:
    return report_failure("" if engine is None else engine.device_name, weights, error, folder)


def _announce(path: Path, folder: Path, report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        line = {"photo": str(path), "folder": str(folder), **report}
        say(json.dumps(line, ensure_ascii=False, allow_nan=False))
        return
    if "error" in report:
        error = report["error"]
        complain(f"{path}: {error['message']} {error['hint']}".rstrip())
        return
    figures, seconds = report["metrics"], sum(report["seconds"].values())
    say(
        f"{path} -> {folder}  ({seconds:.1f} s; mae {figures['mae']:.3f}, "
        f"identity distance {figures['identity_distance']:.2f})"
    )
    for warning in report["warnings"]:
        complain(f"{path}: WARNING: {warning}")


# --------------------------------------------------------------------------------------------------------- weights


@weights_app.command("list")
def weights_list(as_json: JsonOption = False, weights_folder: FolderOption = None) -> None:
    """Show the weights that are installed."""
    try:
        entries = registry_of(weights_folder).list()
    except CameoError as error:
        refuse(error, EXIT_FAILED)
    for entry in entries:
        if as_json:
            line = {"name": entry.name, "purpose": entry.purpose, "licence": entry.licence, "bytes": entry.bytes}
            say(json.dumps(line, ensure_ascii=False))
        else:
            say(f"{entry.name:24} {entry.bytes / 1e6:7.1f} MB  {entry.purpose:10} {entry.licence}")


@weights_app.command("verify")
def weights_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="All of them by default.")] = None,
    weights_folder: FolderOption = None,
) -> None:
    """Compare the weights with their hashes."""
    registry = registry_of(weights_folder)
    failures = 0
    try:
        chosen = names or [entry.name for entry in registry.list()]
    except CameoError as error:
        refuse(error, EXIT_FAILED)
    for name in chosen:
        try:
            registry.verify(name)
            say(f"{name}: as it should be")
        except CameoError as error:
            failures += 1
            complain(f"{name}: {sentence(error)}")
    if failures:
        raise typer.Exit(EXIT_FAILED)


# ------------------------------------------------------------------------------------------------ training and world


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Once each at small sizes, to see that it runs.")] = False,
    person: Annotated[
        int, typer.Option("--head", min=0, help="Another head and other views in the released family: do bounds hold?")
    ] = 0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the library, fast twin beside slow twin; the first run fits a head for some minutes."""
    import torch

    from core.bench.rows import broken, document, table
    from core.bench.run import library_rows

    if threads is not None:
        torch.set_num_threads(max(1, threads))
    rows = []
    with progress("bench", shown=not as_json) as show:
        for row in library_rows(quick, Job("bench", on_report=show), person):
            rows.append(row)
            if not as_json:
                say(table([row]))
    if as_json:
        say(json.dumps(document(rows, torch.get_num_threads()), allow_nan=False))
    elif any(broken(row) for row in rows):
        raise typer.Exit(EXIT_FAILED)


def _refinement(refine: RefineMethod | None, polish: list[PolishedFirst], *, from_mean: bool) -> str | None:
    """The refinement's whole name, with what comes before it."""
    first = [*(["mean"] if from_mean else []), *dict.fromkeys(one.value for one in polish)]
    if refine is None:
        if first:
            refuse(CameoError("There is no refinement to begin.", hint="Add --refine fast, or another method."))
        return None
    if not first:
        return refine.value
    from core.refinement.methods import method_of

    try:
        return method_of("+".join((*first, refine.value))).name
    except CameoError as error:
        refuse(error)


@app.command()
def kernels(
    weights: WeightsOption = "cameo-256",
    device: DeviceOption = "auto",
    aside: Annotated[bool, typer.Option("--aside", help="Let every other process go first (Unix).")] = False,
    weights_folder: FolderOption = None,
) -> None:
    """Compile a model's layers for this machine, once, so that pictures come sooner; everything works without."""
    if aside and hasattr(os, "nice"):
        os.nice(RANK)
    # The window asks so when it closes: what is half made is then taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_INTERRUPTED))
    from core.capability import capability_of
    from core.fused import prepare
    from core.kernels import build
    from core.models.bundle import read_networks
    from core.rendering.folded import chains_of
    from core.tensors import choose_device

    try:
        paths = registry_of(weights_folder).locate(weights).values()
        networks = read_networks([path for path in paths if path.suffix == ".safetensors"])
    except CameoError as error:
        refuse(error)
    try:
        place = choose_device(device)
        networks = networks.ready(place)
    except (RuntimeError, AssertionError):
        refuse(CameoError(f"The device “{device}” cannot be used.", hint="Use --device auto or cpu."))
    if place.type != "cpu":
        # Into the compiler's own cache, from which the window takes it.
        if not capability_of(place).compiles or not prepare(place, chains_of(networks.generator.field)):
            hint = "Everything works without, somewhat slower. CAMEO_LOG=info says more."
            refuse(CameoError(f"The layers could not be compiled for “{place}”.", hint=hint), EXIT_FAILED)
        return
    failed = ""
    for chain in chains_of(networks.generator.field):
        try:
            say(str(build(chain)))
        except (OSError, RuntimeError) as error:  # the others are tried all the same: each keeps its own reason
            failed = failed or str(error).splitlines()[0]
    if failed:
        hint = "Everything works without, somewhat slower. On Debian or Ubuntu `sudo apt-get install g++` helps."
        refuse(CameoError(f"The layers could not be compiled: {failed}", hint=hint), EXIT_FAILED)


_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    """Train a stage of cameo-256, or resume it (train --help says more)."""
    from core.training.__main__ import main as training

    raise typer.Exit(training(context.args))


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def world(context: typer.Context) -> None:
    """Make and look at the synthetic world (world --help says more)."""
    from core.world.__main__ import main as world

    raise typer.Exit(world(context.args) or 0)


def main() -> None:
    """Entry point."""
    # Before torch is imported: waiting threads sleep. On busy cores spinning ones cost up to 20 times the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=os.environ.get("CAMEO_LOG", "WARNING").upper(), format="%(levelname)s: %(message)s")
    app()


if __name__ == "__main__":
    main()
