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
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional

from core.refinement.edges import edge_of, matched, projected, unprojected
from core.refinement.process import Process, Ties

__all__ = ["Hairline"]

Array = NDArray[np.float64]

# Farthest match [pixels of a picture of 128], and least cosine between the edges' normals.
REACH, AGREEING = 9.0, 0.7
# Error of a match (world units): an edge of hair is frayed, what says where it is has pixels of 1.6 mm, and neighbours
# err together. At .003 photos gain most, and heads of the world, whose hairlines the latents know, lose a hundredth.
ERROR = 0.008
# Pixels from one point of an edge to the next, and of edges that are too short to be a hairline.
EVERY, SHORTEST = 2, 12
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
        pairs = matched(now, self.wanted, REACH, AGREEING)
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
    found = edge_of(-share, -0.5, EVERY, SHORTEST, soft=0.7)
    rows, columns = (np.clip(np.round(found[:, k]).astype(int), 0, side - 1) for k in (1, 0))
    kept: Array = found[(within[rows, columns] > 0.5) & ((found[:, 1] + 0.5) / side < lowest)]
    return kept
