"""``python -m core evaluate SUITE``, of the suites whose truth the world draws: people, their views, their shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import CameoError
from core.evaluation.options import (
    RESULTS,
    OutOption,
    PackOption,
    PeopleOption,
    QuickOption,
    VggOption,
    _people,
    _perceptual,
    _remarks,
    _running,
    _show,
    app,
)
from core.terminal import (
    Detector,
    DetectorOption,
    DeviceOption,
    FolderOption,
    JsonOption,
    Opener,
    ThreadsOption,
    WeightsOption,
    refuse,
    registry_of,
)

if TYPE_CHECKING:
    from core.evaluation.shape import Subject
    from core.models.networks import Networks


def _method(name: str) -> str:
    """A method of refinement, or nothing."""
    from core.refinement.methods import method_of

    try:
        return name and method_of(name).name
    except CameoError as error:
        refuse(error)


def _folder_of(out: Path, suite: str, *marks: str) -> Path:
    """Where results go: unless a folder was named, each kind has its own, and none writes over another's."""
    return RESULTS / "-".join((suite, *filter(None, marks))) if out == RESULTS / suite else out


def _networks(weights: str, folder: Path | None, threads: int | None) -> tuple[str, Networks]:
    """The networks of some weights by themselves, without an engine, and their stamp."""
    import torch

    from core.evaluation.tables import weights_stamp
    from core.models.bundle import read_networks

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        registry = registry_of(folder)
        return weights_stamp(registry, weights), read_networks(registry.locate(weights).values())
    except CameoError as error:
        refuse(error)


@app.command("trajectories")
def trajectories(
    out: OutOption = RESULTS / "trajectories",
    people: PeopleOption = 40,
    frames: Annotated[int, typer.Option(min=2, help="Cameras around each.")] = 24,
    paper: Annotated[bool, typer.Option("--paper", help="As many as in the paper: 500 people, 250 cameras.")] = False,
    refine: Annotated[
        str, typer.Option(help="Refine each head for its frame first: fast, best, a method's name.")
    ] = "",
    own: Annotated[
        bool, typer.Option("--own", help="The generator's own colours instead of the photo's, as the papers compare.")
    ] = False,
    quick: QuickOption = False,
    vgg: VggOption = None,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Novel views of people of the world, whose every view is known: one frame in, all others as truth."""
    from core.evaluation import trajectories as suite
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
    except CameoError as error:
        refuse(error)
    settings = suite.Settings(people, frames, detector.value)
    if quick or paper:
        settings = suite.Settings.quick(detector.value) if quick else suite.Settings.paper(detector.value)
    settings = replace(settings, refine=_method(refine), layer="generator" if own else suite.Settings.layer)
    out = _folder_of(out, "trajectories", *([settings.refine] if refine else []), *(["own"] if own else []))
    drawn = _people(pack, needed=True)
    assert drawn is not None
    perceptual = _perceptual(vgg)
    with _running(f"{settings.people} people", out, as_json) as job:
        summary = suite.evaluate(
            Opener(weights, device, threads, registry),
            drawn,
            out,
            stamp,
            settings,
            job,
            perceptual=perceptual,
            notes=_remarks(perceptual),
        )
    _show(summary, suite.table, as_json)


@app.command("shape")
def shape(
    out: OutOption = RESULTS / "shape",
    heads: Annotated[int, typer.Option(min=1, help="How many heads of ICT-FaceKit.")] = 24,
    ict: Annotated[Path | None, typer.Option(help="ICT-FaceKit's model.npz.")] = None,
    scans: Annotated[
        Path | None, typer.Option(help="Folder of real scans instead: NAME.jpg, NAME.ply, NAME.txt.")
    ] = None,
    refine: Annotated[str, typer.Option(help="Refine each head for its photo first: best, pti, a method's name.")] = "",
    quick: QuickOption = False,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Shape in millimetres against heads whose geometry is known, as the NoW benchmark measures."""
    from core.evaluation import shape as suite
    from core.evaluation.tables import weights_stamp

    source = "ict" if scans is None else "scans"
    settings = suite.Settings(heads, source=source, detector=detector.value)
    if quick:
        settings = suite.Settings.quick(source, detector.value)
    settings = replace(settings, refine=_method(refine))
    out = _folder_of(out, "shape", settings.refine)
    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
        names, subject = _scans(scans, settings.heads) if scans is not None else _ict(ict, pack, settings.heads)
    except CameoError as error:
        refuse(error)
    opener = Opener(weights, device, threads, registry)
    with _running(f"{len(names)} heads", out, as_json) as job:
        summary = suite.evaluate(opener, names, subject, out, stamp, settings, job)
    _show(summary, suite.table, as_json)


def _scans(folder: Path, count: int) -> tuple[list[str], Callable[[str], Subject]]:
    from core.evaluation.shape import scanned

    names = sorted(path.stem for path in folder.glob("*.txt"))[:count]
    if not names:
        raise CameoError(f"There are no scans in {folder}.", hint="Each needs NAME.jpg, NAME.ply and NAME.txt.")
    return names, lambda name: scanned(folder, name)


def _ict(file: Path | None, pack: Path | None, count: int) -> tuple[list[str], Callable[[str], Subject]]:
    people = _people(pack, needed=True)
    assert people is not None
    from core.evaluation.ict import MODEL, IctHeads

    ict = IctHeads(people, file or MODEL)
    return [f"ict_{index:03d}" for index in range(count)], ict.subject


@app.command("ablation")
def ablation(
    out: OutOption = RESULTS / "ablation",
    people: PeopleOption = 12,
    frames: Annotated[int, typer.Option(min=2, help="Cameras around each.")] = 8,
    also: Annotated[list[str] | None, typer.Option(help="Other weights as rows of their own (repeatable).")] = None,
    quick: QuickOption = False,
    vgg: VggOption = None,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """What each part of the model is worth at novel views: one left out at a time, and other weights beside."""
    from core.evaluation import ablation as suite
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamps = {name: weights_stamp(registry, name) for name in (weights, *(also or ()))}
    except CameoError as error:
        refuse(error)
    settings = suite.Settings.quick(detector.value) if quick else suite.Settings(people, frames, detector.value)
    drawn = _people(pack, needed=True)
    assert drawn is not None
    perceptual = _perceptual(vgg)
    openers = {name: (stamp, Opener(name, device, threads, registry)) for name, stamp in stamps.items()}
    with _running("ablation", out, as_json) as job:
        summary = suite.evaluate(
            dict(openers), drawn, out, settings, job, perceptual=perceptual, notes=_remarks(perceptual)
        )
    _show(summary, suite.table, as_json)


@app.command("fairness")
def fairness(
    out: OutOption = RESULTS / "fairness",
    people: PeopleOption = 48,
    quick: QuickOption = False,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Likeness by perceived gender, age and skin tone, on people of the world. Goes on where it stopped."""
    from core.evaluation import fairness as suite
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
    except CameoError as error:
        refuse(error)
    settings = suite.Settings.quick(detector.value) if quick else suite.Settings(people, detector.value)
    drawn = _people(pack, suite.STREAM, needed=True)
    assert drawn is not None
    with _running(f"{settings.people} people", out, as_json) as job:
        opener = Opener(weights, device, threads, registry)
        summary = suite.evaluate(opener, drawn, out, stamp, settings, job)
    _show(summary, suite.table, as_json)


@app.command("attributes")
def attributes(
    out: OutOption = RESULTS / "attributes",
    heads: Annotated[int, typer.Option(min=1, help="How many heads.")] = 8,
    quick: QuickOption = False,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """What of the world's attributes the generator shows at all, before any direction is looked for."""
    from core.evaluation import attributes as suite

    stamp, networks = _networks(weights, weights_folder, threads)
    drawn = _people(pack, suite.STREAM, needed=True)
    assert drawn is not None
    with _running("attributes", out, as_json) as job:
        summary = suite.evaluate(networks.generator, drawn, out, stamp, 1 if quick else heads, job)
    _show(summary, suite.table, as_json)


@app.command("encoder")
def encoder(
    out: OutOption = RESULTS / "encoder",
    people: PeopleOption = 64,
    quick: QuickOption = False,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """What the encoder says by itself of people of the world: shape in millimetres, pose, latents."""
    from core.evaluation import encoding as suite

    stamp, networks = _networks(weights, weights_folder, threads)
    networks = networks.ready(networks.device)
    drawn = _people(pack, suite.STREAM, needed=True)
    assert drawn is not None
    with _running("encoder", out, as_json) as job:
        summary = suite.evaluate(networks, drawn, out, stamp, 1 if quick else people, job)
    _show(summary, suite.table, as_json)
