"""``python -m core evaluate refine``: its options. Nothing heavy is imported before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import CameoError
from core.evaluation.commands import (
    RESULTS,
    LimitOption,
    OutOption,
    PhotosArgument,
    QuickOption,
    Split,
    SplitOption,
    _running,
    _show,
    app,
)
from core.evaluation.options import VggOption, _perceptual
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

__all__ = ["app"]

QUICK_PHOTOS = 1


@app.command("refine")
def refine(
    folder: PhotosArgument,
    out: OutOption = RESULTS / "refine",
    limit: LimitOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All photos instead of twelve fixed ones.")] = False,
    split: SplitOption = Split.all,
    methods: Annotated[str, typer.Option(help="What is compared; the papers' methods take long.")] = "",
    passes: Annotated[int | None, typer.Option(min=1, help="Shorten every method to so many passes.")] = None,
    quick: QuickOption = False,
    vgg: VggOption = None,
    weights: WeightsOption = "cameo-256",
    detector: DetectorOption = Detector.mediapipe,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    weights_folder: FolderOption = None,
) -> None:
    """Refine a folder of photos by several methods: likeness, identity from the sides, drift. Resumable."""
    from core.evaluation import refine as suite
    from core.evaluation.photos import photos_in
    from core.evaluation.tables import weights_stamp

    try:
        registry = registry_of(weights_folder)
        stamp = weights_stamp(registry, weights)
        found = photos_in(folder, split.value)
    except CameoError as error:
        refuse(error)
    chosen = found[:QUICK_PHOTOS] if quick else found if everything else suite.chosen_photos(found)
    named = tuple(part.strip() for part in methods.split(",") if part.strip()) or suite.COMPARED
    settings = suite.Settings.quick(detector.value) if quick else suite.Settings(named, passes, detector.value)
    perceptual = _perceptual(vgg)
    with _running(f"{len(chosen[:limit])} photos", out, as_json) as job:
        opener = Opener(weights, device, threads, registry)
        summary = suite.evaluate(opener, chosen[:limit], Path(out), stamp, settings, job, perceptual)
    _show(summary, suite.table, as_json)
