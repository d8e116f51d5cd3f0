"""A face in rough, for what is drawn at landmarks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.rendering import brows, lids, mouth, wrinkles

__all__ = ["numbers", "places"]


def numbers() -> NDArray[np.int64]:
    file = Path(__file__).resolve().parents[1] / "resources" / "landmark_vertices.json"
    return np.array([entry["mediapipe"] for entry in json.loads(file.read_text())["landmarks"]], np.int64)


def places() -> NDArray[np.float64]:
    """A face in rough: named points where they are needed, the others on an oval."""
    turn = np.linspace(0.0, 2.0 * np.pi, len(numbers()), endpoint=False)
    found = np.stack((0.5 + 0.25 * np.cos(turn), 0.5 + 0.3 * np.sin(turn)), axis=1)
    place = {int(number): i for i, number in enumerate(numbers())}
    for x, upper, lower, corners in zip((0.38, 0.62), lids.UPPER, lids.LOWER, wrinkles.CORNERS, strict=True):
        for line, height in ((upper, 0.43), (lower, 0.45)):
            for step, number in zip(np.linspace(-0.04, 0.04, len(line)), line, strict=True):
                found[place[number]] = (x + step, height)
        for number, step in zip(corners, (-0.05, 0.05), strict=True):
            found[place[number]] = (x + step, 0.44)
    for line, height in ((mouth.OVER, 0.66), (mouth.UNDER, 0.7)):
        for step, number in zip(np.linspace(-0.08, 0.08, len(line)), line, strict=True):
            found[place[number]] = (0.5 + step, height)
    for step, number in zip(np.linspace(-0.04, 0.04, len(wrinkles.NOSTRILS)), wrinkles.NOSTRILS, strict=True):
        found[place[number]] = (0.5 + step, 0.56 + 0.01 * (number % 2))
    for upper, lower, side in zip(brows.UPPER, brows.LOWER, (-1.0, 1.0), strict=True):
        for step, number in zip((0.06, 0.12, 0.18), upper, strict=True):
            found[place[number]] = (0.5 + side * step, 0.36)
        for step, number in zip((0.06, 0.12), lower, strict=False):
            found[place[number]] = (0.5 + side * step, 0.38)
    return found
