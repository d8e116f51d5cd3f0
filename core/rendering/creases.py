"""Lines that age brings to a face where it has none yet: drawn along where skin folds, for whoever gets older.

What somebody has begun of wrinkles deepens (``wrinkles``); young and softly lit faces have begun none. Skin folds
across the pull of the muscles below it (Kraissl 1951), at the same places in everybody: across the forehead, upright
between the brows, in a fan from the outer corners of the eyes, below the eyes, from nose to mouth and down from its
corners.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import blurred

__all__ = ["carried", "creases_at"]

Array = NDArray[np.float64]

# MediaPipe's numbers, the head's right side first: brows and the top of the forehead from there to the left side, folds
# below the eyes and from the nose, corners of eyes and mouth, and what lies below those.
BROWS = (105, 66, 107, 9, 336, 296, 334)
TOP = (103, 67, 109, 10, 338, 297, 332)
BAGS = ((31, 228, 229, 230, 231, 232), (261, 448, 449, 450, 451, 452))
FOLDS = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))
BETWEEN = ((55, 107), (285, 336))
BRIDGE = (8, 9)
EYES = ((33, 133), (263, 362))
MOUTH = ((61, 204), (291, 424))
# Forehead lines: where between brows and top, and how deep; the fan beside an eye: slopes.
FOREHEAD = ((0.3, 0.7), (0.48, 1.0), (0.66, 0.8), (0.82, 0.45))
FAN = (-0.75, -0.3, 0.1, 0.5)
# Depth of each kind, of the deepest.
AT_BROWS, AT_EYES, BAG, FOLD, CORNER = 0.8, 0.6, 0.65, 1.0, 0.7
# Widths of a line and of the skin that bulges beside it (pictures' widths), and how far that is raised.
LINE, BULGE, RAISED = 0.0016, 0.006, 0.55
# How far lines stray from their way (pictures' widths), how uneven they are, and the seed of both.
STRAY, UNEVEN, SEED = 0.0025, 0.45, 11
# How far landmarks say how others move (pictures' widths).
NEAR = 0.01
# Points a line is drawn with, and how much larger than the map.
POINTS, LARGER = 24, 2


class _Line(NamedTuple):
    points: Array
    depth: float
    """Of it at the deepest."""


def creases_at(places: Array, size: int) -> Tensor:
    """How much darker (-) or lighter (+) each place of a face is for its lines, (1, 1, size, size), about -1..0.3.

    Args:
        places: MediaPipe's 468 landmarks in the picture (468, 2), unit picture coordinates, v down.
        size: Side of the map.
    """
    canvas = np.zeros((size * LARGER, size * LARGER), np.float32)
    for number, line in enumerate(_lines(places)):
        _draw(canvas, line, number)
    drawn = functional.avg_pool2d(torch.from_numpy(canvas)[None, None], LARGER)
    # A line one pixel wide loses depth to its blur, by as much as it is widened.
    thin, wide = (blurred(drawn, max(0.5, width * size)) * (width * size) * 2.5 for width in (LINE, BULGE))
    return RAISED * wide * LINE / BULGE - thin


def carried(marks: Tensor, old: Array, new: Array, numbers: NDArray[np.int64]) -> Array:
    """A detector's landmarks of a photo in an edited state: each moves as the model's own landmarks around it do.

    Shape:
        marks (468, 2), unit picture coordinates; old, new (L, 2), MediaPipe's numbers (L,); returns (468, 2).
    """
    places = marks.double().cpu().numpy()
    near = 1.0 / (((places[:, None] - places[numbers][None]) ** 2).sum(axis=2) + NEAR**2)
    moved: Array = places + (near / near.sum(axis=1, keepdims=True)) @ (new - old)
    return moved


def _lines(at: Array) -> list[_Line]:
    brows, top = at[list(BROWS)], at[list(TOP)]
    found = [_Line(brows + share * (top - brows), depth) for share, depth in FOREHEAD]
    for side in range(2):
        inner, outer = at[[BETWEEN[side][0], BRIDGE[0]]], at[[BETWEEN[side][1], BRIDGE[1]]]
        low, high = (pair[0] + 0.45 * (pair[1] - pair[0]) for pair in (inner, outer))
        found.append(_Line(np.stack((low, (low + high) / 2.0, high + 0.3 * (high - low))), AT_BROWS))
        corner, across = at[EYES[side][0]], at[EYES[side][0]] - at[EYES[side][1]]
        down = np.array([-across[1], across[0]]) * (1.0 if side else -1.0)
        for slope in FAN:
            way = across + slope * down
            found.append(
                _Line(np.stack([corner + share * way + 0.12 * slope * down for share in (0.2, 0.4, 0.62)]), AT_EYES)
            )
        found.append(_Line(at[list(BAGS[side])], BAG))
        found.append(_Line(at[list(FOLDS[side])], FOLD))
        start, end = at[MOUTH[side][0]], at[MOUTH[side][1]]
        found.append(_Line(np.stack([start + share * (end - start) for share in (0.15, 0.5, 0.85)]), CORNER))
    return found


def _draw(canvas: NDArray[np.float32], line: _Line, number: int) -> None:
    """A line that begins and ends softly, strays and is uneven; the same in everybody."""
    along = np.linspace(0.0, 1.0, POINTS)
    knots = np.linspace(0.0, 1.0, len(line.points))
    way = np.stack([_smooth(along, knots, line.points[:, axis]) for axis in range(2)], axis=1)
    stray, uneven = _unevenness(number)
    way = way + STRAY * stray
    depth = line.depth * np.sin(np.pi * along) ** 0.6 * np.clip(1.0 + UNEVEN * uneven, 0.1, 1.5)
    pixels = np.round(way * len(canvas) * 16.0).astype(np.int32)
    for start, end, value in zip(pixels[:-1], pixels[1:], depth[1:], strict=True):
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), float(value), 2, cv2.LINE_AA, 4)


def _smooth(at: Array, knots: Array, values: Array) -> Array:
    """Interpolated, and its corners rounded off."""
    found = np.interp(at, knots, values)
    padded = np.pad(found, 2, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0, mode="valid")


@cache
def _unevenness(number: int) -> tuple[Array, Array]:
    """How a line strays (POINTS, 2), and how deep it is along its way (POINTS,): slow noise."""
    random = np.random.default_rng(SEED + number)
    noise = random.normal(size=(POINTS + 4, 3))
    slow = np.stack([np.convolve(noise[:, axis], np.ones(5) / 5.0**0.5, mode="valid") for axis in range(3)], axis=1)
    return slow[:, :2], slow[:, 2]
