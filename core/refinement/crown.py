"""The crown of a head whose photo ends below it: an arc that closes the outline.

Nothing says how such a head goes on but how its outline runs where the photo ends. From there it is closed by one
conic (a rational quadratic Bézier curve, e.g. Farin 2002, chapter 12), which leaves both ends as the outline arrives
there. Of all with these tangents it is the roundest: a circle's arc where both sides are alike, half a circle where
they run straight up. Refuses to know networks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours

__all__ = ["closing_arc"]

Array = NDArray[np.float64]

# Pixels of an outline that say how it runs where it ends, and the shortest that does.
RUN, SHORTEST = 18, 8
# Pixels upwards from an end within which the known must end.
JUST_ABOVE = 4
# The narrowest gap that is closed, as a share of the picture's width, and how much of it must be head.
GAP, HEAD = 0.02, 0.8
# How far both sides may lean outwards (radians, together) and still be taken for upright: beyond, nobody knows.
LEANING = 0.35


def closing_arc(matte: Array, sure: NDArray[np.bool_], highest: float, every: float) -> Array:
    """The arc over a head's outline that ends at the upper edge of what is known.

    Args:
        matte: Of the head.
        sure: Where it is known.
        highest: Row above which no head reaches: flatter than a conic, if it must.
        every: Pixels between two places.

    Returns:
        Places, outward normals and how far the nearer end is (N, 5), pixels, x and y; empty when nothing is cut off
        there, or its sides lean apart.

    Shape:
        matte (S, S) in 0..1, sure (S, S).
    """
    ends = _ends(matte, sure)
    if ends is None:
        return np.zeros((0, 5))
    (left, up_left), (right, up_right) = ends
    curve = _conic(left, up_left, right, up_right)
    if curve is None:
        return np.zeros((0, 5))
    base, top = min(left[1], right[1]), float(curve[:, 1].min())
    if top < highest < base:
        above = np.minimum(curve[:, 1] - base, 0.0)
        curve[:, 1] = np.where(curve[:, 1] < base, base + above * (base - highest) / (base - top), curve[:, 1])
    return _spaced(curve, every)


def _ends(matte: Array, sure: NDArray[np.bool_]) -> tuple[tuple[Array, Array], tuple[Array, Array]] | None:
    """Where the outline reaches the upper edge of the known, left and right, and the way it goes there (x, y)."""
    size = len(matte)
    found: list[tuple[Array, Array]] = []
    whole: list[Array] = find_contours(gaussian_filter(matte, 0.7), 0.5)  # type: ignore[no-untyped-call]  # scikit-image has no types
    for line in whole:
        for run in _runs(line, sure):
            if len(run) < SHORTEST:
                continue
            for end in (run[:RUN][::-1], run[-RUN:]):
                row, column = np.round(end[-1]).astype(int)
                if row < JUST_ABOVE or not sure[row - JUST_ABOVE, column]:
                    found.append((end[-1, ::-1], _way(end[:, ::-1])))
    if len(found) < 2:
        return None
    found.sort(key=lambda one: float(one[0][0]))
    left, right = found[0], found[-1]
    if right[0][0] - left[0][0] < GAP * size or left[1][1] >= 0.0 or right[1][1] >= 0.0:
        return None
    between = np.linspace(left[0], right[0], 33)[1:-1]
    rows, columns = np.clip(np.round(between[:, ::-1]).astype(int), 0, size - 1).T
    return (left, right) if float((matte[rows, columns] > 0.5).mean()) >= HEAD else None


def _runs(line: Array, sure: NDArray[np.bool_]) -> list[Array]:
    """The stretches of a line (N, 2), rows and columns, that lie where the picture is known."""
    rows, columns = np.round(line).astype(int).T
    within = sure[rows, columns]
    if within.all():
        return []
    if np.array_equal(line[0], line[-1]):  # A ring begins where nobody knows, so that no stretch is cut in two.
        start = int(np.flatnonzero(~within)[0])
        line, within = (np.concatenate((one[start:-1], one[: start + 1])) for one in (line, within))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], within, [False])).astype(np.int8)))
    return [line[first:last] for first, last in edges.reshape(-1, 2)]


def _way(stretch: Array) -> Array:
    """The direction (x, y), of length 1, in which a stretch (N, 2) ends: of the parabola nearest to it."""
    along = np.arange(len(stretch)) - (len(stretch) - 1.0)
    slope: Array = np.array([np.polyfit(along, stretch[:, axis], 2)[1] for axis in (0, 1)])
    return slope / max(1e-9, float(np.linalg.norm(slope)))


def _conic(left: Array, up_left: Array, right: Array, up_right: Array) -> Array | None:
    """The closing curve (257, 2); None where the sides lean apart, or cross before they meet."""
    chord = right - left
    width = float(np.linalg.norm(chord))
    lean = [math.atan2(float(way[0]) * sign, -float(way[1])) for way, sign in ((up_left, 1.0), (up_right, -1.0))]
    inwards = sum(lean)
    if inwards < -LEANING:
        return None
    least = 0.12
    if inwards < least:
        # Upright, as good as: both are turned alike until they meet far above.
        more = 0.5 * (least - inwards)
        up_left, up_right = (
            np.array([sign * math.sin(angle + more), -math.cos(angle + more)])
            for angle, sign in zip(lean, (1.0, -1.0), strict=True)
        )
    steps = np.linalg.solve(np.stack((up_left, -up_right), axis=1), chord)
    if (steps <= 0.0).any():
        return None
    apex, weight = left + steps[0] * up_left, width / float(steps.sum())
    t = np.linspace(0.0, 1.0, 257)[:, None]
    low, mid, high = (1.0 - t) ** 2, 2.0 * weight * t * (1.0 - t), t**2
    curve: Array = (low * left + mid * apex + high * right) / (low + mid + high)
    return curve


def _spaced(curve: Array, every: float) -> Array:
    """Places on a curve (N, 2) at equal distances, without its ends; outward normals; how far the nearer end is."""
    length = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))))
    count = max(1, round(float(length[-1]) / every))
    at = np.linspace(0.0, length[-1], count + 1)[1:-1]
    way = np.gradient(curve, axis=0)
    x, y, dx, dy = (np.interp(at, length, one) for one in (*curve.T, *way.T))
    size = np.maximum(1e-9, np.hypot(dx, dy))
    # From left to right, so outwards is to the left of the way.
    return np.stack((x, y, dy / size, -dx / size, np.minimum(at, length[-1] - at)), axis=1)
