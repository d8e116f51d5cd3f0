"""A chart with logarithmic axes, drawn with Pillow: lines, points, their numbers. No more than the plots here need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["chart"]

SIZE = (900, 560)
LEFT, TOP, RIGHT, BOTTOM = 90, 70, 220, 70
COLOURS = ("#2f6fde", "#d9542b", "#2e9b57", "#8a56c2")
INK, FAINT, PAPER = "#20242a", "#dfe3e8", "#ffffff"

Series = Mapping[str, Sequence[tuple[float, float]]]


def chart(path: Path, title: str, across: str, up: str, series: Series) -> None:
    """Draw points (x, y), both above 0, and write a PNG.

    Args:
        path: The file.
        title: Above it.
        across: What x is, with its unit.
        up: What y is, with its unit.
        series: Name of each line -> its points.
    """
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    plain, large = ImageFont.load_default(15), ImageFont.load_default(20)
    xs, ys = ([point[axis] for points in series.values() for point in points] for axis in (0, 1))
    low_x, high_x = min(xs) / 1.1, max(xs) * 1.1
    low_y, high_y = min(ys) / 1.5, max(ys) * 1.5

    def place(x: float, y: float) -> tuple[float, float]:
        share_x = math.log(x / low_x) / math.log(high_x / low_x)
        share_y = math.log(y / low_y) / math.log(high_y / low_y)
        width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        return LEFT + share_x * width, SIZE[1] - BOTTOM - share_y * height

    for x in sorted(set(xs)):
        at = place(x, low_y)[0]
        draw.line((at, TOP, at, SIZE[1] - BOTTOM), FAINT)
        draw.text((at, SIZE[1] - BOTTOM + 8), f"{x:g}", INK, plain, anchor="ma")
    for y in _marks(low_y, high_y):
        at = place(low_x, y)[1]
        draw.line((LEFT, at, SIZE[0] - RIGHT, at), FAINT)
        draw.text((LEFT - 8, at), f"{y:g}", INK, plain, anchor="rm")
    draw.text((LEFT, 18), title, INK, large)
    draw.text((LEFT, 46), up, INK, plain)
    draw.text((SIZE[0] - RIGHT, SIZE[1] - 28), across, INK, plain, anchor="ra")
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = [place(x, y) for x, y in sorted(points)]
        if len(line) > 1:
            draw.line(line, colour, 3, joint="curve")
        for (x, y), (_, value) in zip(line, sorted(points), strict=True):
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), colour)
            above = number == 0
            draw.text((x, y - 8 if above else y + 8), f"{value:.0f}", colour, plain, anchor="mb" if above else "mt")
        draw.line((SIZE[0] - RIGHT + 16, TOP + 24 * number, SIZE[0] - RIGHT + 40, TOP + 24 * number), colour, 3)
        draw.text((SIZE[0] - RIGHT + 48, TOP + 24 * number), name, INK, plain, anchor="lm")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)


def _marks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]
