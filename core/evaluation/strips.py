"""Figures of a refined head that its kept pictures tell: PSNR, perceptual distance, and whether its views stand right.

They are read off the strip that every row keeps, so rows of an earlier run get them without being refined again.
"""

from __future__ import annotations

from math import hypot
from pathlib import Path

import numpy as np
from PIL import Image

from core.engine import Engine
from core.errors import FaceNotUsable, NoFaceFound
from core.evaluation.likeness import SIDE_YAW, SIZE, compare, perceptual_distance
from core.evaluation.perceptual import Perceptual
from core.evaluation.sheets import COLUMNS, Pixels
from core.evaluation.tables import Row
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo

__all__ = ["of_strip", "read_back"]

# Enlarged so far, a picture of a head is a photo that the program takes.
ENLARGED = 2


def read_back(path: Path, count: int) -> list[Pixels]:
    """The first cells of a strip that ``core.evaluation.sheets.tiled`` has laid out: each (S, S, 3)."""
    with Image.open(path) as file:
        whole = np.asarray(file.convert("RGB"))
    places = ((number // COLUMNS * SIZE, number % COLUMNS * SIZE) for number in range(count))
    return [whole[top : top + SIZE, left : left + SIZE] for top, left in places]


def of_strip(
    engine: Engine,
    inversion: Inversion,
    cells: list[Pixels],
    perceptual: Perceptual | None,
    detector: str,
    job: Job,
) -> Row:
    """Figures of a head's own colours.

    Args:
        engine: The model.
        inversion: The photo's, with the camera around which the cells were drawn.
        cells: The head from the left, from the photo's camera, and from the right, by the generator's own colours.
        perceptual: VGG16, or None to leave that distance out.
        detector: Who looks for faces.
        job: Where to report.

    Returns:
        ``psnr`` over the head [dB]; ``perceptual``, in place of the papers' LPIPS; ``pose``: how far the cameras that
        the program reads off the side views are from those that they were drawn from [rad], in place of HFGI3D's
        Deep3DFaceRecon (B.1.2). What cannot be had is left out.
    """
    left, front, right = cells[:3]
    aligned = inversion.aligned
    inside = aligned.matte256 > 0.5
    row: Row = {"psnr": compare(aligned.crop256, front, inside)["psnr"]}
    if perceptual is not None:
        row["perceptual"] = perceptual_distance(perceptual, aligned.crop256, front, inside)
    off = []
    for picture, turn in ((left, -SIDE_YAW), (right, SIDE_YAW)):
        large = np.asarray(Image.fromarray(picture).resize((ENLARGED * SIZE,) * 2, Image.Resampling.LANCZOS))
        try:
            seen = engine.invert(Photo.from_pixels(large), job.part(0.0, 0.1), 0, detector).camera
        except (NoFaceFound, FaceNotUsable):
            continue
        wanted = inversion.camera
        off.append(hypot(seen.yaw - wanted.yaw - turn, seen.pitch - wanted.pitch))
    if off:
        row["pose"] = sum(off) / len(off)
    return row
