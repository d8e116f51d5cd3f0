"""The outline that a photo asks for: its matte's, and beyond the canonical picture that of a person.

The canonical camera's picture often ends within the hair. Where the photo goes on, it says how the crown runs; where it
ends, nothing is said, and the latents' head goes on. Refuses to know heads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter
from torch import Tensor
from torch.nn import functional

from core.refinement.edges import edge_of

__all__ = ["AROUND", "EVERY", "MARGIN", "SIDE", "Around", "WantedOutline"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SIDE, EVERY = 128, 3
"""Side of the picture whose outlines are compared, and pixels between two places on one."""
MARGIN = 16
"""Pixels of SIDE around the picture that are looked at as well."""
AROUND = (SIDE + 2 * MARGIN) / SIDE
"""How many times as wide as the canonical camera's picture that is."""
# Width of a picture's border that cuts outlines off (pixels).
BORDER = 2
# Below the lowest landmark upright outlines are the neck's, down to NECK; the others are a collar's.
NECK, UPRIGHT = 0.12, 0.85
# The row of SIDE above which no head reaches: the scene ends there.
HIGHEST = -9.0


class Around(NamedTuple):
    """What a photo shows of a picture AROUND times as wide as the canonical camera's. Shape: (S, S) both."""

    person: NDArray[np.float32]
    """How likely it is a person, 0 to 1."""
    known: Mask
    """Where the photo shows it."""


class WantedOutline(NamedTuple):
    """The outline that a head should have, and where it is judged."""

    places: Array
    """And outward normals (N, 4), pixels of SIDE: x, y, and the normal."""
    lowest: float
    """Below this share of the picture only upright outlines are the neck's."""
    sure: Mask
    """Where the photo shows what is there, MARGIN around the picture as well."""

    @classmethod
    def of(cls, matte: Tensor, known: Mask | None, lowest: float, around: Around | None = None) -> WantedOutline:
        """The outline of a matte.

        Args:
            matte: Of the head (1, 1, S, S).
            known: Where it is one (S, S); None for everywhere.
            lowest: Down to this share of the picture it is the head's.
            around: What the photo shows beyond the picture.
        """
        small = functional.interpolate(matte, size=(SIDE, SIDE), mode="area")[0, 0].double().cpu().numpy()
        inside = np.ones((SIDE, SIDE), bool) if known is None else _at(known, SIDE)
        whole, shown = np.pad(small, MARGIN), np.pad(inside, MARGIN)
        sure = binary_erosion(shown, np.ones((3, 3)), iterations=BORDER, border_value=0)
        if around is not None:
            side = len(whole)
            also = _at(around.known, side)
            also[MARGIN:] = False  # above the picture alone: beside it stand shoulders, and other people
            person = torch.from_numpy(around.person)[None, None]
            beyond = functional.interpolate(person, size=(side, side), mode="area")[0, 0].double().numpy()
            whole = np.where(also & ~shown, beyond, whole)
            sure = binary_erosion(shown | also, np.ones((3, 3)), iterations=BORDER, border_value=0)
        found = edge_of(-gaussian_filter(whole, 0.7), -0.5, EVERY, 4 * EVERY)
        found[:, :2] -= MARGIN
        found[:, 1] = np.maximum(found[:, 1], HIGHEST)
        whole_outline = cls(found, lowest, sure)
        return whole_outline._replace(places=found[whole_outline.judged(found)])

    def judged(self, found: Array, reach: float = 0.0) -> Mask:
        """Which places of an outline (N, 4) are compared with this one: above its lowest, or upright, and known.

        Args:
            found: Places and normals, pixels of SIDE.
            reach: Pixels farther down that they may lie.
        """
        v = (found[:, 1] + 0.5) / SIDE
        columns, rows = np.clip(np.round(found[:, :2]) + MARGIN, 0, len(self.sure) - 1).astype(int).T
        known = self.sure[rows, columns]
        lowest = self.lowest + reach / SIDE
        kept: Mask = known & ((v < lowest) | ((v < lowest + NECK) & (np.abs(found[:, 2]) > UPRIGHT)))
        return kept


def _at(known: Mask, side: int) -> Mask:
    """The same at another size, by the nearest pixel."""
    rows, columns = (((np.arange(side) + 0.5) / side * length).astype(int) for length in known.shape)
    small: Mask = known[np.ix_(rows, columns)]
    return small
