"""How cost grows with size, threads and resolution: measured here and drawn into ``docs/images``.

``python -m tests.bench.plots [--quick] [--out FOLDER]``; quick is once each at small sizes, to see that it runs.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import torch

from core.bench.timing import timed
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo
from tests.bench.chart import chart

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"
EDIT = LatentEdit.none.with_strength("Smile", 0.7)
SIZES, QUICK_SIZES = (96, 128, 192, 256, 384, 512), (96, 192)
RESOLUTIONS, QUICK_RESOLUTIONS = (64, 96, 128, 192, 256), (32, 64)
REPEATS = 7


def frame_ms(engine: Engine, inversion: Inversion, size: int, repeats: int) -> float:
    """Median of so many frames from cameras that nothing is kept for."""

    def one(number: int) -> float:
        view = Camera(0.3 + 0.01 * number, 0.1)
        return timed(lambda: engine.render(RenderRequest(inversion, EDIT, view, size)))[0]

    one(0)  # prepares the edit
    return statistics.median(one(number) for number in range(1, repeats + 1))


def main(arguments: list[str]) -> int:
    """Measure and draw."""
    quick = "--quick" in arguments
    out = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else ROOT / "docs" / "images"
    sizes, resolutions = (QUICK_SIZES, QUICK_RESOLUTIONS) if quick else (SIZES, RESOLUTIONS)
    repeats = 1 if quick else REPEATS
    cores = os.cpu_count() or 1
    engine = Engine.open()
    inversion = engine.invert(Photo.load(PHOTO), Job.quiet())
    frames: dict[int, list[tuple[float, float]]] = {}
    for threads in sorted({1, 2, cores} if cores > 1 else {1}):
        torch.set_num_threads(threads)
        frames[threads] = [(size, frame_ms(engine, inversion, size, repeats)) for size in sizes]
    torch.set_num_threads(cores)
    surfaces = [
        (resolution, timed(lambda at=resolution: engine.mesh(inversion, EDIT, at, Job.quiet()))[0])
        for resolution in resolutions
    ]
    by_size = {f"{threads} thread{'s' if threads > 1 else ''}": points for threads, points in frames.items()}
    chart(out / "cost_size.png", "A frame of an edited head", "pixels a side", "milliseconds", by_size)
    by_threads = {
        f"{size} px": [(threads, dict(points)[size]) for threads, points in frames.items()]
        for size in (sizes if quick else (128, 256, 512))
    }
    chart(out / "cost_threads.png", "The same by threads", "threads", "milliseconds", by_threads)
    surface = {"with normals, colours": surfaces}
    chart(out / "cost_resolution.png", "A surface", "grid points a side", "milliseconds", surface)
    for name, points in (*by_size.items(), *surface.items()):
        print(f"{name}: " + ", ".join(f"{x:g} {y:.0f} ms" for x, y in points))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
