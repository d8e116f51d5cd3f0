"""``python -m core evaluate SUITE``: suites on photos and of speed; importing this knows every suite.

Nothing heavy is imported before a suite starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import CameoError
from core.evaluation import world_commands as world_commands  # its suites register themselves
from core.evaluation.options import (
    RESULTS,
    LimitOption,
    OutOption,
    PackOption,
    PhotosArgument,
    QuickOption,
    Split,
    SplitOption,
    VggOption,
    _people,
    _perceptual,
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

__all__ = [
    "RESULTS",
    "LimitOption",
    "OutOption",
    "PhotosArgument",
    "QuickOption",
    "Split",
    "SplitOption",
    "_running",
    "_show",
    "app",
]

QUICK_PHOTOS = 2
TRUE_HEADS = 24  # people whose true changes the judges of edits see


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
    stride: Annotated[int, typer.Option(min=1, help="Every so many photos only, by name.")] = 1,
    quick: QuickOption = False,
    strengths: Annotated[str, typer.Option(help="What is tried to both sides; 1 is always.")] = "0.5,1,1.5,2",
    judge_heads: Annotated[int, typer.Option(min=0, help="World heads that judges learn from; 0: none.")] = 200,
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
        chosen = photos_in(folder, split.value)[::stride][: QUICK_PHOTOS if quick else limit]
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
        judges, truth = suite.Judges(networks, perceptual, probes), None
        if probes is None or people is None:
            notes.append("No classifiers of the world's labels: hair, beard and glasses have no judge.")
        else:
            from core.evaluation.truth_of_edits import true_changes

            truth = true_changes(people, judges, TRUE_HEADS, RESULTS / "probes", job.part(start, 0.25))
            start = 0.25
        opener = Opener(weights, device, threads, registry)
        summary = suite.evaluate(opener, chosen, out, stamp, settings, judges, job.part(start, 1.0), notes, truth)
    _show(summary, table, as_json)


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


def _numbers(text: str, always: float) -> tuple[float, ...]:
    """Positive numbers between commas, sorted, one of them always there."""
    try:
        found = {float(part) for part in text.split(",") if part.strip()} | {always}
    except ValueError:
        refuse(CameoError(f"“{text}” is no list of numbers.", hint="Write for example 0.5,1,2."))
    if not all(0.0 < number < 100.0 for number in found):
        refuse(CameoError(f"“{text}” are no strengths.", hint="Write positive numbers, for example 0.5,1,2."))
    return tuple(sorted(found))
