"""Contact sheets: everything on a page, and nothing too small to be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from core.evaluation import sheets
from core.export import write_picture


def test_strips_fill_pages(tmp_path: Path) -> None:
    strips = []
    for number in range(sheets.PAGE_STRIPS + 1):
        path = tmp_path / f"{number}.png"
        write_picture(np.full((sheets.CELL, 2 * sheets.CELL, 3), 10 * number, np.uint8), path)
        strips.append((f"strip {number}", path))
    assert sheets.write_pages(strips, ("a", "b"), tmp_path) == 2
    with Image.open(tmp_path / "sheet.png") as first, Image.open(tmp_path / "sheet_2.png") as second:
        assert first.size == (2 * sheets.CELL, sheets.PAGE_STRIPS * sheets.CELL)
        assert second.size == (2 * sheets.CELL, sheets.CELL)
        assert second.getpixel((300, 128)) == (10 * sheets.PAGE_STRIPS,) * 3


def test_no_strips_are_no_pages(tmp_path: Path) -> None:
    assert sheets.write_pages([], (), tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_relief_is_brighter_towards_its_light() -> None:
    def normal(x: float, y: float, z: float) -> np.ndarray:
        direction = np.array([x, y, z]) / np.linalg.norm([x, y, z])
        return np.broadcast_to(np.rint((direction + 1) * 127.5), (4, 4, 3)).astype(np.uint8)

    whole, none = np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)
    towards, away = (sheets.relief(normal(*side), whole)[0, 0, 0] for side in ((-1, 1, 1), (1, -1, 1)))
    assert towards > away
    assert (sheets.relief(normal(-1, 1, 1), none) == 20).all()
