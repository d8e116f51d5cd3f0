"""How far over a head an edit's shape reaches, so that a beard leaves the crown alone and a smile the hair.

Directions are never pure: what tells men from women among the synthetic world's heads is hair as well, and a step of
*Gender* or *Beard* grew lumps beside foreheads. Colours keep to their places (``regions``); so does shape: where an
attribute cannot be, the head's distances stay those of the unedited head, and from there to its place they go over into
one another. Both are read off the last activations of the field, of which distances are a linear function, so a blend
of activations is the blend of the heads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.edit import LatentEdit

__all__ = ["EAR", "Reach", "reach_of"]


class Reach(NamedTuple):
    """Where shape may change: below a height, ahead of a depth and so near to the middle (y, z, |x|, world units).

    Of the undeformed head. The change has faded away at these, and is whole within ``fade`` of them.
    """

    top: float
    back: float
    aside: float = 1.0
    fade: float = 0.015

    def share(self, points: Tensor) -> Tensor:
        """How much of an edit counts at places (N, 3), 0..1: (N,)."""
        x, y, z = points.unbind(dim=1)
        step = torch.minimum(torch.minimum(self.top - y, z - self.back), self.aside - x.abs()) / self.fade
        step = step.clamp(0.0, 1.0)
        return step * step * (3.0 - 2.0 * step)


# Of the mean head: chin -0.080, lips -0.045, tip of the nose -0.028, eyes 0.007, brows 0.018; ears at z = -0.03 to 0.
# What is not named here may change everything.
REACHES: dict[str, Reach] = {
    "Smile": Reach(0.016, -0.015),
    "Mouth open": Reach(0.004, -0.015),
    "Age": Reach(0.04, -0.025, 0.072),
    "Gender": Reach(0.028, -0.02, 0.058),
    "Weight": Reach(0.04, -1.0),
    "Beard": Reach(0.006, -0.045, 0.07),
}
EAR = (0.07, -0.01, -0.012)
"""Where the mean head has an ear."""
# Attributes that leave shape alone.
SHAPELESS = ("Skin tone", "Hair colour", "Eyes open", "Brows", "Eyeglasses")


def reach_of(edit: LatentEdit) -> tuple[Reach, ...] | None:
    """Where an edit may change the shape, all of them together; None where that is everywhere."""
    found = []
    for name, _ in edit.items():
        if name in SHAPELESS:
            continue
        if name not in REACHES:
            return None
        found.append(REACHES[name])
    return tuple(found)
