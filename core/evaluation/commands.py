"""``python -m core evaluate SUITE``: options of every suite, and where their results go.

Nothing heavy is imported before a suite starts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import CameoError, Cancelled
from core.job import Job
from core.terminal import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Detector,
    DetectorOption,
    DeviceOption,
    FolderOption,
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
)

if TYPE_CHECKING:
    from core.evaluation.people import People
    from core.evaluation.perceptual import Perceptual
    from core.evaluation.shape import Subject

app = typer.Typer(no_args_is_help=True, help="Measure a model.")

Split = StrEnum("Split", ["all", "validation"])

PhotosArgument = Annotated[Path, typer.Argument(help="Folder with photos.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many photos.")]
SplitOption = Annotated[Split, typer.Option("--split", help="All photos, or those kept from training for validation.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Few and small: to see that it runs, in CI.")]
VggOption = Annotated[
    Path | None, typer.Option("--vgg", help="VGG16's convolutions (npz) [default: where install-eval puts them].")
]
PackOption = Annotated[Path | None, typer.Option("--pack", help="The world's pack [default: runs/world/pack.npz].")]

PeopleOption = Annotated[int, typer.Option("--people", min=1, help="How many people of the world.")]

QUICK_PHOTOS = 2


RESULTS = Path("runs") / "evaluation"
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for tables and sheets.")]


@app.command("photos")
def photos(
    folder: PhotosArgument,
    out: OutOption = RESULTS / "photos",
    limit: LimitOption = None,
    split: SplitOption = Split.all,
    quick: QuickOption = False,
    floor_heads: Annotated[int, typer.Option(min=0, help="World heads for the floor of identity; 0: none.")] = 24,
    vgg: VggOption = None,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Reconstruct a folder of photos: likeness, identity around the head, contact sheets. Goes on where it stopped."""
    from core.evaluation import photos as suite
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
        chosen = suite.photos_in(folder, split.value)[: QUICK_PHOTOS if quick else limit]
    except CameoError as error:
        refuse(error)
    perceptual = _perceptual(vgg)
    settings = suite.Settings(detector.value, perceptual=perceptual is not None, floor_heads=floor_heads)
    if quick:
        settings = suite.Settings.quick(detector.value, perceptual=perceptual is not None)
    opener = Opener(weights, device, threads, registry)
    people = _people(pack) if settings.floor_heads and floor_heads else None
    with _running(f"{len(chosen)} photos", out, as_json) as job:
        summary = suite.evaluate(opener, chosen, out, stamp, settings, job, perceptual=perceptual, people=people)
    _show(summary, suite.table, as_json)


@app.command("edits")
def edits(
    folder: PhotosArgument,
    out: OutOption = RESULTS / "edits",
    limit: LimitOption = None,
    split: SplitOption = Split.all,
    quick: QuickOption = False,
    strengths: Annotated[str, typer.Option(help="What is tried to both sides; 1 is always.")] = "0.5,1,1.5,2",
    judge_heads: Annotated[int, typer.Option(min=0, help="World heads that judges learn from; 0: none.")] = 400,
    vgg: VggOption = None,
    pack: PackOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Edit a folder of photos: success by independent judges, identity, leakage, limits. Goes on where it stopped."""
    from core.evaluation import edits as suite
    from core.evaluation.edit_tables import table
    from core.evaluation.photos import photos_in
    from core.evaluation.scorers import ABSENT, Networks
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
        chosen = photos_in(folder, split.value)[: QUICK_PHOTOS if quick else limit]
    except CameoError as error:
        refuse(error)
    settings = suite.Settings((1.0,) if quick else _numbers(strengths, always=1.0), detector.value)
    networks = Networks.load()
    notes = [] if networks is not None else [ABSENT]
    perceptual = _perceptual(vgg) if judge_heads and not quick else None
    people = _people(pack, 1) if perceptual is not None else None
    with _running(f"{len(chosen)} photos", out, as_json) as job:
        probes, start = None, 0.0
        if perceptual is not None and people is not None:
            from core.evaluation.probes import probes as learnt

            start = 0.2
            probes = learnt(perceptual, people, judge_heads, RESULTS / "probes", job.part(0.0, start))
        if probes is None:
            notes.append("No classifiers of the world's labels: hair, beard and glasses have no judge.")
        summary = suite.evaluate(
            Opener(weights, device, threads, registry),
            chosen,
            out,
            stamp,
            settings,
            suite.Judges(networks, perceptual, probes),
            job.part(start, 1.0),
            notes,
        )
    _show(summary, table, as_json)


@app.command("trajectories")
def trajectories(
    out: OutOption = RESULTS / "trajectories",
    people: PeopleOption = 40,
    frames: Annotated[int, typer.Option(min=2, help="Cameras around each.")] = 24,
    paper: Annotated[bool, typer.Option("--paper", help="As many as in the paper: 500 people, 250 cameras.")] = False,
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


@app.command("speed")
def speed(
    photo: Annotated[Path | None, typer.Argument(help="A photo [default: the sample portrait].")] = None,
    out: OutOption = RESULTS / "speed",
    repeats: Annotated[int, typer.Option(min=1, help="How often each tier is done.")] = 7,
    quick: QuickOption = False,
    weights: WeightsOption = "cameo-256",
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Time every tier of the program on this machine: minimum and median."""
    from core.evaluation import speed as suite
    from core.evaluation.tables import weights_stamp
    from core.photo import Photo

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
        chosen = Photo.load(photo or suite.PHOTO)
    except CameoError as error:
        refuse(error)
    settings = suite.Settings.quick() if quick else suite.Settings(repeats)
    with _running("timing", out, as_json) as job:
        opener = Opener(weights, device, threads, registry)
        summary = suite.evaluate(opener, chosen, out, stamp, settings, job)
    _show(summary, suite.table, as_json)


@app.command("shape")
def shape(
    out: OutOption = RESULTS / "shape",
    heads: Annotated[int, typer.Option(min=1, help="How many heads of ICT-FaceKit.")] = 24,
    ict: Annotated[Path | None, typer.Option(help="ICT-FaceKit's model.npz.")] = None,
    scans: Annotated[
        Path | None, typer.Option(help="Folder of real scans instead: NAME.jpg, NAME.ply, NAME.txt.")
    ] = None,
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


# ------------------------------------------------------------------------------------------------- what suites share


def _remarks(perceptual: Perceptual | None) -> list[str]:
    from core.evaluation.perceptual import ABSENT

    return [] if perceptual is not None else [ABSENT]


def _numbers(text: str, always: float) -> tuple[float, ...]:
    """Positive numbers between commas, sorted, one of them always there."""
    try:
        found = {float(part) for part in text.split(",") if part.strip()} | {always}
    except ValueError:
        refuse(CameoError(f"“{text}” is no list of numbers.", hint="Write for example 0.5,1,2."))
    if not all(0.0 < number < 100.0 for number in found):
        refuse(CameoError(f"“{text}” are no strengths.", hint="Write positive numbers, for example 0.5,1,2."))
    return tuple(sorted(found))


@contextmanager
def _running(label: str, out: Path, as_json: bool) -> Iterator[Job]:
    """A job with a bar and Ctrl-C; its errors end the command with a sentence."""
    with interruptible() as interruption, progress(label, shown=not as_json) as show:
        job = interruption.job = Job("Evaluating", on_report=show)
        try:
            yield job
        except Cancelled:
            complain(f"Interrupted; the same command goes on from {out}.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except CameoError as error:
            refuse(error, EXIT_FAILED)


def _show(summary: dict[str, Any], table: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    say(json.dumps(summary, ensure_ascii=False) if as_json else table(summary))


def _perceptual(named: Path | None) -> Perceptual | None:
    """VGG16 if it is at hand; a file that was named must be there."""
    from core.evaluation.perceptual import ABSENT, Perceptual, vgg_file

    path = vgg_file(named)
    if path is None:
        if named is not None:
            refuse(CameoError(f"There is no file {named}.", hint="Leave out --vgg, or name VGG16's convolutions."))
        complain(ABSENT)
        return None
    return Perceptual(path)


def _people(pack: Path | None, stream: int = 0, *, needed: bool = False) -> People | None:
    """The world if it can be drawn here; without it a suite that can do so goes on and says what is left out."""
    try:
        from core.evaluation.people import PACK, People

        return People(pack or PACK, stream)
    except (CameoError, ImportError) as error:
        problem = (
            error
            if isinstance(error, CameoError)
            else CameoError("The package moderngl is not there, so no people can be drawn.", hint="Run `make install`.")
        )
        if needed or pack is not None:
            refuse(problem, EXIT_FAILED)
        complain(f"{problem.message} {problem.hint} What needs them is left out.")
        return None
