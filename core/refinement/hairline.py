"""Where hair meets skin in the photo, and where it does on the head: what brings a fringe to its own ends.

Latents know a few hairlines of the synthetic world. Where they put the hair's edge elsewhere than the photo, locks of
the photo lie on a bare forehead, or skin on hair. The parser finds the edge in the photo and in the generator's picture
alike; the two are matched like outlines, and the difference is one more thing for the deformation to follow. Edges at
the outline of the head are left to the outline. No colour takes part but in the parsing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import find_contours
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.refinement.process import Process, Ties

__all__ = ["Hairline", "edge_of", "level_lines", "matched", "unprojected"]

Array = NDArray[np.float64]

# Farthest match [pixels of a picture of 128], and least cosine between the edges' normals.
REACH, AGREEING = 9.0, 0.7
# Error of a match (world units): an edge of hair is frayed, what says where it is has pixels of 1.6 mm, and neighbours
# err together. At .003 photos gain most, and heads of the world, whose hairlines the latents know, lose a hundredth.
ERROR = 0.008
# Pixels within the head's outline from which on an edge is a hairline.
WITHIN = 5


@dataclass(frozen=True, eq=False)
class Hairline:
    """The edge of hair on an undeformed head, and in its photo.

    Shape:
        own (N, 4) and wanted (M, 4): places in pixels of ``side`` and normals, towards the skin; points (N, 3): where
        the undeformed head has ``own``, world units.
    """

    own: Array
    points: Array
    wanted: Array
    side: int

    def ties(self, axes: Array, process: Process | None) -> Ties | None:
        """What the edges say of a head under a deformation so far; None if they do not meet.

        Args:
            axes: Of the camera: right, up and towards it (3, 3).
            process: The deformation so far.
        """
        placed = self.points
        if process is not None:
            for _ in range(4):
                placed = self.points - process(placed) @ axes[:2]
        places, depth = projected(placed, axes, self.side)
        now = np.concatenate((places, self.own[:, 2:]), axis=1)
        first, second = matched(now, self.wanted, REACH, AGREEING), matched(self.wanted, now, REACH, AGREEING)
        pairs = np.concatenate((first, second[:, ::-1]))
        if not len(pairs):
            return None
        after = unprojected(self.wanted[pairs[:, 1], :2], depth[pairs[:, 0]], axes, self.side)
        # Every tie counts half: the two ways of matching say the same thing twice.
        return Ties(
            after,
            (self.points[pairs[:, 0]] - after) @ axes[:2].T,
            np.full(len(pairs), ERROR * math.sqrt(2.0)),
        )

    @classmethod
    def of(
        cls, own: Tensor, cover: Tensor, depth: Tensor, photo: Tensor, matte: Tensor, axes: Array, lowest: float
    ) -> Hairline | None:
        """The hairline of a head; None where one of the two has none.

        Args:
            own: What of the undeformed head is hair, in the photo's view.
            cover: Where it is, 0..1.
            depth: Along the optical axis, of its surface.
            photo: What of the photo is hair.
            matte: The photo's head.
            axes: Of the camera.
            lowest: Picture height below which hair hangs on shoulders and is left alone.

        Shape:
            all pictures (1, 1, any, any); axes (3, 3).
        """
        side = photo.shape[-1]
        mine, theirs = (_edges(hair, head, side, lowest) for hair, head in ((own, cover), (photo, matte)))
        if min(len(mine), len(theirs)) < 8:
            return None
        deep = functional.interpolate(depth, size=(side, side), mode="bilinear", align_corners=False)
        reached = map_coordinates(deep[0, 0].double().cpu().numpy(), mine[:, 1::-1].T, order=1)
        return cls(mine, unprojected(mine[:, :2], reached, axes, side), theirs, side)


def _edges(hair: Tensor, head: Tensor, side: int, lowest: float) -> Array:
    """Edges of hair well within a head (N, 4), pixels: x, y, and the normal towards the skin."""
    hair, head = (functional.interpolate(one, size=(side, side), mode="area") for one in (hair, head))
    solid = (head > 0.5).to(head)
    inner = -functional.max_pool2d(-functional.pad(solid, (WITHIN,) * 4, value=1.0), 2 * WITHIN + 1, 1)
    share, within = (one[0, 0].double().cpu().numpy() for one in (hair, inner))
    found = edge_of(-share, -0.5)
    rows, columns = (np.clip(np.round(found[:, k]).astype(int), 0, side - 1) for k in (1, 0))
    kept: Array = found[(within[rows, columns] > 0.5) & ((found[:, 1] + 0.5) / side < lowest)]
    return kept


def edge_of(values: Array, level: float, every: int = 2) -> Array:
    """Where values (S, S) cross a level upwards: places and normals (N, 4), pixels, x and y."""
    rise = np.gradient(gaussian_filter(values, 1.0))
    whole = level_lines(gaussian_filter(values, 0.7), level)
    lines = [line[::every] for line in whole if len(line) > 6 * every]
    if not lines:
        return np.zeros((0, 4))
    places = np.concatenate(lines)
    normals = np.stack([map_coordinates(part, places.T, order=1) for part in rise], axis=1)
    normals /= np.maximum(1e-9, np.linalg.norm(normals, axis=1, keepdims=True))
    found: Array = np.concatenate((places[:, ::-1], normals[:, ::-1]), axis=1)
    return found


def level_lines(values: Array, level: float) -> list[Array]:
    """Lines along which values (S, S) have a level: (N, 2) rows and columns each."""
    lines: list[Array] = find_contours(values, level)  # type: ignore[no-untyped-call]
    return lines


def matched(of: Array, to: Array, reach: float, agreeing: float) -> NDArray[np.int64]:
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
