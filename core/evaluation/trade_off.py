"""HFGI3D's figure B.2: what a method wins at the photo against what it costs elsewhere, while it optimises."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["trade_off"]

PSNR_SHOWN = (8.0, 32.0)
PALETTE = ((230, 90, 60), (70, 150, 230), (90, 190, 90), (190, 120, 220), (220, 180, 60), (120, 200, 200))


def trade_off(curves: dict[str, list[list[dict[str, float]]]], size: int = 640) -> NDArray[np.uint8]:
    """HFGI3D's figure B.2: what a method wins at the photo against what it costs elsewhere, while optimising.

    Three panels over the PSNR at the photo: the difference that the sides show when they are carried back to the photo
    (in place of IBRNet), identity from the sides, and drift of the shape. One line a method, the mean of its photos; a
    ring marks its end. A line that goes right and stays down wins both.
    """
    panels = (
        ("reprojection", 0.3, "sides carried back"),
        ("novel_identity", 0.9, "identity distance at yaw +-0.35"),
        ("shape_drift", 0.08, "shape drift, head sizes"),
    )
    picture = Image.new("RGB", (len(panels) * size, size), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    margin, (low, high) = 50, PSNR_SHOWN
    span = size - 2 * margin
    for panel, (figure, reach, words) in enumerate(panels):
        left = panel * size
        draw.rectangle((left + margin, margin, left + size - margin, size - margin), outline=(120, 120, 120))
        draw.text((left + margin, size - margin + 8), f"PSNR at the photo, {low:.0f} .. {high:.0f} dB", fill=(0, 0, 0))
        draw.text((left + margin, margin - 20), f"{words}, 0 .. {reach}", fill=(0, 0, 0))
        for number, (name, found) in enumerate(curves.items()):
            line = []
            for step in range(min(len(curve) for curve in found)):
                psnr, value = (_mean(curve[step].get(key, 0.0) for curve in found) for key in ("psnr", figure))
                x = left + margin + span * min(max((psnr - low) / (high - low), 0.0), 1.0)
                line.append((x, size - margin - span * min(value / reach, 1.0)))
            colour = PALETTE[number % len(PALETTE)]
            if len(line) > 1:
                draw.line(line, fill=colour, width=2)
            for x, y in line:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
            if line:
                x, y = line[-1]
                draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline=colour)
            draw.text((left + size - margin - 120, margin + 10 + 14 * number), name, fill=colour)
    return np.asarray(picture)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
