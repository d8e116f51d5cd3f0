"""Edges in a picture: where they lie, which of two pictures' belong together, and where in space.

What outlines (``core.refinement.contour``) and hairlines (``core.refinement.hairline``) share. Refuses to know heads.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from core.camera import HALF_FOV

__all__ = ["edge_of", "matched", "projected", "unprojected"]

Array = NDArray[np.float64]


def edge_of(values: Array, level: float, every: int, shortest: int, soft: float = 0.0) -> Array:
    """Where values (S, S) cross a level upwards: places and normals (N, 4), pixels, x and y.

    Args:
        values: The picture.
        level: What is crossed.
        every: Pixels from one place to the next.
        shortest: Lines of no more pixels are left out.
        soft: Pixels over which the line is smoothed; normals are in any case.
    """
    rise = np.gradient(gaussian_filter(values, 1.0))
    whole: list[Array] = find_contours(gaussian_filter(values, soft), level)  # type: ignore[no-untyped-call]  # scikit-image has no types
    lines = [line[::every] for line in whole if len(line) > shortest]
    if not lines:
        return np.zeros((0, 4))
    places = np.concatenate(lines)
    normals = np.stack([map_coordinates(part, places.T, order=1) for part in rise], axis=1)
    normals /= np.maximum(1e-9, np.linalg.norm(normals, axis=1, keepdims=True))
    found: Array = np.concatenate((places[:, ::-1], normals[:, ::-1]), axis=1)
    return found


def matched(one: Array, other: Array, reach: float, agreeing: float) -> NDArray[np.int64]:
    """Pairs of points of two edges (N, 4) and (M, 4), matched from either side: numbers (P, 2) in both."""
    there, back = _nearest(one, other, reach, agreeing), _nearest(other, one, reach, agreeing)
    return np.concatenate((there, back[:, ::-1]))


def _nearest(of: Array, to: Array, reach: float, agreeing: float) -> NDArray[np.int64]:
    """Pairs (of, to) of edge points: the nearest one whose normal agrees. Shape: (N, 4), (M, 4); returns (P, 2)."""
    count = min(24, len(to))
    away, index = cKDTree(to[:, :2]).query(of[:, :2], k=count, distance_upper_bound=reach)
    away, index = away.reshape(len(of), count), index.reshape(len(of), count)
    known = np.isfinite(away)
    agrees = (of[:, None, 2:] * to[np.where(known, index, 0), 2:]).sum(-1) > agreeing
    good = known & agrees
    some = good.any(1)
    return np.stack((np.flatnonzero(some), index[some, good[some].argmax(1)]), axis=1)


def unprojected(places: Array, depth: Array, axes: Array, side: int) -> Array:
    """World points (N, 3) of places (N, 2), pixels, at optical-axis depths (N,)."""
    uv = (places + 0.5) / side * 2.0 - 1.0
    local = np.stack((uv[:, 0], -uv[:, 1]), axis=1) * (math.tan(HALF_FOV) * depth)[:, None]
    points: Array = axes[2] + local @ axes[:2] - depth[:, None] * axes[2]
    return points


def projected(points: Array, axes: Array, side: int) -> tuple[Array, Array]:
    """Places (N, 2), pixels, and optical-axis depths (N,) of world points (N, 3)."""
    local = points @ axes.T
    depth = 1.0 - local[:, 2]
    uv = np.stack((local[:, 0], -local[:, 1]), axis=1) / (math.tan(HALF_FOV) * depth)[:, None]
    return (uv + 1.0) * 0.5 * side - 0.5, depth
