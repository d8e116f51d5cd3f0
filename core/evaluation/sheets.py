"""Contact sheets: strips of pictures under one another, in pages on which a face is large enough to be looked at.

Figures are worth little that nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.export import write_picture

Pixels = NDArray[np.uint8]

CELL = 256
"""Side of one picture in pixels; an FFHQ crop shows a face at two thirds of that."""
# Strips a page and cells a row: viewers that shrink large pictures leave these as they are.
PAGE_STRIPS = 3
COLUMNS = 6
LINE = 12
DARK, LIGHT = (20, 20, 20), (235, 235, 235)
# Where the light of a relief comes from, in the camera's frame (x right, y up, z towards the viewer).
RELIEF_LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])


def relief(normals: Pixels, alpha: Pixels) -> Pixels:
    """Plain clay under one light, from a picture of normals: shows bumps and steps that colours hide.

    Shape:
        normals (S, S, 3) uint8 as the layer "normals" shows them, alpha (S, S) uint8; returns (S, S, 3).
    """
    directions = normals.astype(np.float64) / 127.5 - 1.0
    lit = 40.0 + 200.0 * np.clip(directions @ RELIEF_LIGHT, 0.0, 1.0)
    share = alpha.astype(np.float64) / 255.0
    grey = lit * share + 20.0 * (1.0 - share)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def tiled(cells: Sequence[Pixels], columns: int = COLUMNS) -> Pixels:
    """Square cells of one size in rows of so many, the last row filled up."""
    missing = -len(cells) % columns
    filled = [*cells, *(blank(cells[0].shape[0]) for _ in range(missing))]
    lines = [np.concatenate(filled[start : start + columns], axis=1) for start in range(0, len(filled), columns)]
    return np.concatenate(lines, axis=0)


def blank(size: int = CELL) -> Pixels:
    """An empty cell."""
    return np.full((size, size, 3), DARK[0], np.uint8)


def page(strips: Sequence[tuple[str, Path]], columns: Sequence[str]) -> Pixels:
    """Strips under one another, each with its caption; the first one says what its cells are, row by row."""
    pictures: list[Image.Image] = []
    for _, path in strips:
        with Image.open(path) as file:
            pictures.append(file.convert("RGB"))
    size = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    sheet = Image.new("RGB", size, DARK)
    draw = ImageDraw.Draw(sheet)
    y = 0
    for (caption, _), picture in zip(strips, pictures, strict=True):
        sheet.paste(picture, (0, y))
        _label(draw, 0, y, caption)
        y += picture.height
    for number, name in enumerate(columns):
        x, y = number % COLUMNS * CELL, number // COLUMNS * CELL
        _label(draw, x, y + CELL - LINE - 1, name)
    return np.asarray(sheet)


def _label(draw: ImageDraw.ImageDraw, x: int, y: int, text: str) -> None:
    draw.rectangle((x, y, x + 7 * len(text), y + LINE), fill=(0, 0, 0))
    draw.text((x + 2, y), text, fill=LIGHT)


def write_pages(strips: Sequence[tuple[str, Path]], columns: Sequence[str], out: Path, name: str = "sheet") -> int:
    """Write ``sheet.png``, ``sheet_2.png`` and so on.

    Returns:
        How many pages there are.

    Raises:
        ExportFailed: One cannot be written.
    """
    pages = [strips[start : start + PAGE_STRIPS] for start in range(0, len(strips), PAGE_STRIPS)]
    for number, rows in enumerate(pages, start=1):
        write_picture(page(rows, columns), out / (f"{name}.png" if number == 1 else f"{name}_{number}.png"))
    return len(pages)
