"""Makes ``docs/images/edits.jpg``, every slider to both sides: ``python -m tests.edits_picture [PHOTO [OUT]]``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation.edits import trials
from core.frame import RenderRequest
from core.job import Job
from core.photo import Photo

ROOT = Path(__file__).parents[1]
SIDE, CAPTION, COLUMNS = 230, 24, 6
GROUND, INK = (24, 24, 26), (225, 225, 228)


def main() -> int:
    """Reconstruct, edit, write.

    Returns:
        0.
    """
    photo = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "astronaut.jpg"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images" / "edits.jpg"
    engine = Engine.open()
    inversion = engine.invert(Photo.load(photo), Job.quiet())
    shown = [("unedited", LatentEdit.none)]
    for name, strength in trials(engine.attributes, (1.0,)):
        shown.append((f"{name} {'+' if strength > 0 else '-'}1", LatentEdit.none.with_strength(name, strength)))
    rows = -(-len(shown) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + CAPTION)), GROUND)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for number, (caption, edit) in enumerate(shown):
        left, top = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + CAPTION)
        frame = engine.render(RenderRequest(inversion, edit, inversion.camera, 2 * SIDE))
        page.paste(Image.fromarray(frame.pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 8, top + SIDE + 4), caption, INK, font)
    page.save(target, quality=90)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
