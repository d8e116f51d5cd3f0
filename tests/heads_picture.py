"""Makes ``docs/images/sheet.png``, heads from all sides: ``python -m tests.heads_picture [OUT [PHOTO …]]``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.job import Job
from core.photo import Photo

ROOT = Path(__file__).parents[1]
PHOTOS = (ROOT / "tests" / "data" / "astronaut.jpg", ROOT / "resources" / "sample_portrait.png")
SIDE = 256
YAWS = (-0.4, 0.4, 0.8)
EDITS = (("Smile", -1.0), ("Smile", 1.0), ("Beard", 1.0))
RELIEF = 0.4
"""Yaw of the normals."""


def row_of(engine: Engine, path: Path) -> Image.Image:
    """Photo; reconstruction; other views; edits; normals."""
    inversion = engine.invert(Photo.load(path), Job.quiet())
    pitch = inversion.camera.pitch
    wanted = [RenderRequest(inversion, LatentEdit.none, inversion.camera, 2 * SIDE)]
    wanted += [RenderRequest(inversion, LatentEdit.none, Camera(yaw, pitch), 2 * SIDE) for yaw in YAWS]
    for name, strength in EDITS:
        edit = LatentEdit.none.with_strength(name, strength)
        wanted.append(RenderRequest(inversion, edit, inversion.camera, 2 * SIDE))
    wanted.append(RenderRequest(inversion, LatentEdit.none, Camera(RELIEF, pitch), 2 * SIDE, "normals"))
    cells = [inversion.aligned.crop256, *(engine.render(request).pixels for request in wanted)]
    row = Image.new("RGB", (len(cells) * SIDE, SIDE))
    for number, cell in enumerate(cells):
        small = Image.fromarray(np.ascontiguousarray(cell)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        row.paste(small, (number * SIDE, 0))
    return row


def main() -> int:
    """Reconstruct, render, write.

    Returns:
        0.
    """
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "sheet.png"
    photos = [Path(name) for name in sys.argv[2:]] or list(PHOTOS)
    engine = Engine.open()
    rows = [row_of(engine, path) for path in photos]
    page = Image.new("RGB", (rows[0].width, len(rows) * SIDE))
    for number, row in enumerate(rows):
        page.paste(row, (0, number * SIDE))
    page.save(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
