"""How long a job keeps the live view waiting: the longest time between two reports of anything the window runs.

A live frame is served inside a report, so this is what a hand may have to wait for on top of a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from core.bench.rows import Row, row
from core.bench.timing import peak_rss_mb
from core.camera import turntable_path
from core.edit import LatentEdit
from core.engine import Engine
from core.export import DEFAULT_FPS, turntable_aside
from core.job import Job
from core.photo import Photo

__all__ = ["longest_stretch", "stretch_row"]

PHOTO = Path(__file__).resolve().parents[2] / "resources" / "sample_portrait.png"
EDIT = LatentEdit.none.with_strength("Smile", 0.7)
FRAMES, SIZE = 6, 256
# Of a refinement: every step is like the one before.
PASSES = 6


def longest_stretch(work: Callable[[Job], object]) -> tuple[float, str]:
    """The longest time between two reports of a job [ms], begin and end included, and the stage that it was in."""
    last, longest, where, stage = time.perf_counter(), 0.0, "", "beginning"

    def mark() -> None:
        nonlocal last, longest, where, stage
        now = time.perf_counter()
        if now - last > longest:
            longest, where = now - last, stage
        last, stage = now, job.stage

    job = Job("bench", on_yield=mark)
    work(job)
    mark()
    return 1000.0 * longest, where


def stretch_row(engine: Engine, *, quick: bool = False) -> Row:
    """The row; every job twice, because first calls build what later ones use. A refined head is made anew by both."""
    photo = Photo.load(PHOTO)
    inversion = engine.invert(photo, Job.quiet())
    resolution = 64 if quick else 128

    def turntable(job: Job) -> None:
        with TemporaryDirectory() as folder:
            path = turntable_path(FRAMES, engine.limits)
            frames = engine.turntable(inversion, EDIT, path, SIZE, job)
            turntable_aside(frames, Path(folder) / "turntable.mp4", DEFAULT_FPS, job)

    jobs: dict[str, Callable[[Job], object]] = {
        "reconstruct": lambda job: engine.invert(photo, job),
        "mesh": lambda job: engine.mesh(inversion, EDIT, resolution, job),
        "turntable": turntable,
        "refine": lambda job: engine.refine(inversion, "fast", job, PASSES),
        "refine by PTI": lambda job: engine.refine(inversion, "pti", job, PASSES),
    }
    found = {name: min(longest_stretch(work) for _ in range(1 if quick else 2)) for name, work in jobs.items()}
    worst = max(found, key=lambda name: found[name][0])
    return row(
        "longest_stretch",
        found[worst][0],
        {} if quick else {"fast_ms": ("<=", 60.0)},
        peak_rss_mb=peak_rss_mb(),
        note="; ".join(f"{name} {ms:.0f} ms in “{stage}”" for name, (ms, stage) in found.items()),
    )
