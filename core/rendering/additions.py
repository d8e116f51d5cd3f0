"""What a head's shape has beyond its field: parts that a photo shows and latents do not say.

A part says three things of any place: whether it has to do with it, where the field is to be asked instead (so that
its colours are those of what it is made of), and what the distance then is. Refuses to know photos and networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

__all__ = ["Addition", "Distances", "with_additions"]

Distances = Callable[[Tensor], Tensor]
"""Distances (1, N, 1) of points (1, N, 3)."""


class Addition(Protocol):
    """A part of a head."""

    def near(self, points: Tensor) -> Tensor:
        """Which of the points (N, 3) it may have to do with: indices (A,)."""

    def source(self, points: Tensor) -> Tensor:
        """Where to ask the field for places of the head. Shape: points (..., 3); returns the same."""

    def distance(self, points: Tensor, found: Tensor) -> Tensor:
        """Signed distances with the part in them.

        Args:
            points: Places of the head.
            found: What the field says of :meth:`source` of them.

        Shape:
            points (N, 3), found (N, 1); returns (N, 1).
        """


def with_additions(sdf: Distances, additions: tuple[Addition, ...]) -> Distances:
    """Distances with the parts, from those of a head without."""

    def whole(points: Tensor) -> Tensor:
        asked = points
        for one in additions:
            asked = one.source(asked)
        found = sdf(asked)[0]
        for one in additions:
            found = one.distance(points[0], found)
        return found[None]

    return whole if additions else sdf
