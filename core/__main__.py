"""``python -m core``: everything that the window can do, from a terminal.

The one place that prints. Nothing heavy is imported before it is needed, so that a bad option or a bad photo is refused
at once. Exit codes: 0 all done, 2 wrong usage, 3 some photo failed, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core.edit import LatentEdit
from core.errors import CameoError, Cancelled, InvalidEdit
from core.job import Job
from core.photo import Photo
from core.results import folder_names, report_failure
from core.weights import Registry

if TYPE_CHECKING:
    from core.engine import Engine
    from core.report import Wishes

EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED = 2, 3, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cameo: a portrait photo becomes an editable 3D head.",
)
weights_app = typer.Typer(no_args_is_help=True, help="The weights that are installed.")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a model.")
app.add_typer(weights_app, name="weights")
app.add_typer(evaluate_app, name="evaluate")

MeshFormat = StrEnum("MeshFormat", ["glb", "obj", "ply", "stl", "none"])
TurntableFormat = StrEnum("TurntableFormat", ["mp4", "webm", "gif", "none"])
Detector = StrEnum("Detector", ["mediapipe", "facexlib"])
Split = StrEnum("Split", ["all", "validation"])

WeightsOption = Annotated[str, typer.Option("--weights", help="Name of the weights (see: weights list).")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads [default: all cores].")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line a photo and nothing else.")]
FolderOption = Annotated[
    Path | None, typer.Option("--weights-folder", envvar="CAMEO_WEIGHTS", help="Another folder with weights.")
]


# -------------------------------------------------------------------------------------------------------- terminal


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _sentence(error: CameoError) -> str:
    return f"{error.message} {error.hint}".strip()


def _refuse(error: CameoError, code: int = EXIT_USAGE) -> NoReturn:
    _complain(f"Error: {_sentence(error)}")
    raise typer.Exit(code)


class _Interruption:
    """Ctrl-C asks the running job to stop at its next report; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.job: Job | None = None

    def __call__(self, number: int, frame: object) -> None:
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.job is None:
            raise KeyboardInterrupt
        self.job.cancel()


@contextmanager
def _interruptible() -> Iterator[_Interruption]:
    interruption = _Interruption()
    before = signal.signal(signal.SIGINT, interruption)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(label: str, *, shown: bool) -> Iterator[Callable[[float, str], None] | None]:
    """A bar on a terminal; nothing in a pipe."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=1.0, stage="")
        yield lambda fraction, stage: progress.update(task, completed=fraction, stage=stage)


# ----------------------------------------------------------------------------------------------------- reconstruct


class _Opener:
    """Opens the engine when the first good photo needs it."""

    def __init__(
        self, weights: str, device: str, threads: int | None, registry: Registry, edit: LatentEdit = LatentEdit.none
    ) -> None:
        self._arguments = (weights, device, threads, registry)
        self._edit = edit
        self.engine: Engine | None = None

    def __call__(self) -> Engine:
        if self.engine is None:
            from core.engine import Engine

            engine = Engine.open(*self._arguments)
            offered = {attribute.name for attribute in engine.attributes}
            for name, _ in self._edit.items():
                if name not in offered:
                    raise InvalidEdit(
                        f"The weights {engine.weights_name} cannot edit {name}.",
                        hint=f"They can edit {', '.join(sorted(offered)) or 'nothing'}.",
                    )
            self.engine = engine
        return self.engine


def _registry(folder: Path | None) -> Registry:
    return Registry() if folder is None else Registry(folder)


@app.command()
def reconstruct(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of faces.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")],
    weights: WeightsOption = "cameo-256",
    detector: Annotated[Detector, typer.Option(help="Who looks for faces.")] = Detector.mediapipe,
    face: Annotated[int, typer.Option(min=0, help="Which face of the photo; 0 is the largest.")] = 0,
    edit: Annotated[list[str] | None, typer.Option(metavar="NAME=STRENGTH", help="An edit, e.g. Smile=1.")] = None,
    views: Annotated[int, typer.Option(min=0, max=99, help="Views from left to right.")] = 5,
    mesh: Annotated[MeshFormat, typer.Option(help="File type of the mesh.")] = MeshFormat.glb,
    mesh_resolution: Annotated[int, typer.Option(min=16, max=512, help="Grid points a side.")] = 128,
    turntable: Annotated[TurntableFormat, typer.Option(help="File type of the turntable.")] = TurntableFormat.mp4,
    frames: Annotated[int, typer.Option(min=1, max=10_000, help="Pictures in the turntable.")] = 60,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Turn photos into heads: pictures, mesh, turntable and a report for each."""
    try:
        wanted = LatentEdit.parse(edit or [])
        registry = _registry(weights_folder)
        registry.entry(weights)
    except CameoError as error:
        _refuse(error)
    opener = _Opener(weights, device, threads, registry, wanted)

    def wishes() -> Wishes:
        from core.report import Wishes

        return Wishes(wanted, views, mesh.value, mesh_resolution, turntable.value, frames, face, detector.value)

    failures = 0
    names = folder_names(photos)
    with _interruptible() as interruption:
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
    opener: _Opener,
    wishes: Callable[[], Wishes],
    interruption: _Interruption,
    as_json: bool,
) -> dict[str, Any]:
    """The report of one photo; whatever goes wrong with it stands in the report."""
    try:
        photo = Photo.load(path)
        engine = opener()
        from core.report import reconstruct

        with _progress(path.name, shown=not as_json) as show:
            job = interruption.job = Job(path.name, on_report=show)
            return reconstruct(engine, photo, folder, wishes(), job)
    except (Cancelled, KeyboardInterrupt):
        _complain("Interrupted; finished photos are complete, the others were left alone.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except InvalidEdit as error:
        _refuse(error)
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
        _say(json.dumps(line, ensure_ascii=False, allow_nan=False))
        return
    if "error" in report:
        error = report["error"]
        _complain(f"{path}: {error['message']} {error['hint']}".rstrip())
        return
    figures, seconds = report["metrics"], sum(report["seconds"].values())
    _say(
        f"{path} -> {folder}  ({seconds:.1f} s; mae {figures['mae']:.3f}, "
        f"identity distance {figures['identity_distance']:.2f})"
    )
    for warning in report["warnings"]:
        _complain(f"{path}: WARNING: {warning}")


# --------------------------------------------------------------------------------------------------------- weights


@weights_app.command("list")
def weights_list(as_json: JsonOption = False, weights_folder: FolderOption = None) -> None:
    """Show the weights that are installed."""
    try:
        entries = _registry(weights_folder).list()
    except CameoError as error:
        _refuse(error, EXIT_FAILED)
    for entry in entries:
        if as_json:
            line = {"name": entry.name, "purpose": entry.purpose, "licence": entry.licence, "bytes": entry.bytes}
            _say(json.dumps(line, ensure_ascii=False))
        else:
            _say(f"{entry.name:24} {entry.bytes / 1e6:7.1f} MB  {entry.purpose:10} {entry.licence}")


@weights_app.command("verify")
def weights_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="All of them by default.")] = None,
    weights_folder: FolderOption = None,
) -> None:
    """Compare the weights with their hashes."""
    registry = _registry(weights_folder)
    failures = 0
    try:
        chosen = names or [entry.name for entry in registry.list()]
    except CameoError as error:
        _refuse(error, EXIT_FAILED)
    for name in chosen:
        try:
            registry.verify(name)
            _say(f"{name}: as it should be")
        except CameoError as error:
            failures += 1
            _complain(f"{name}: {_sentence(error)}")
    if failures:
        raise typer.Exit(EXIT_FAILED)


# -------------------------------------------------------------------------------------------------------- evaluate


@evaluate_app.command("photos")
def evaluate_photos(
    folder: Annotated[Path, typer.Argument(help="Folder with photos.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for table and sheet.")] = Path(
        "runs/evaluation"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photos.")] = None,
    split: Annotated[Split, typer.Option(help="All photos, or those kept from training for validation.")] = Split.all,
    weights: WeightsOption = "cameo-256",
    detector: Annotated[Detector, typer.Option(help="Who looks for faces.")] = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Reconstruct a folder of photos; write a table of figures and a contact sheet. Goes on where it stopped."""
    from core.evaluation import photos as protocol

    try:
        registry = _registry(weights_folder)
        registry.entry(weights)
        chosen = protocol.photos_in(folder, split.value)[:limit]
    except CameoError as error:
        _refuse(error)
    opener = _Opener(weights, device, threads, registry)
    with _interruptible() as interruption, _progress(f"{len(chosen)} photos", shown=not as_json) as show:
        job = interruption.job = Job("Evaluating", on_report=show)
        try:
            summary = protocol.evaluate(opener, chosen, out, weights, detector.value, job)
        except Cancelled:
            _complain(f"Interrupted; the same command goes on from {out}.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except CameoError as error:
            _refuse(error, EXIT_FAILED)
    _say(json.dumps(summary, ensure_ascii=False) if as_json else protocol.table(summary))


# ------------------------------------------------------------------------------------------------ training and world

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
