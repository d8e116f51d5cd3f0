"""Ears of a photo that land beside those of the head: a red patch over an ear, or a second one before it.

No landmark says where ears are, and outlines only where they stick out. Beside the face what a photo shows at the
height of ears is one, or lies behind one. Where the head has no ear there it is believed from the photo's own camera
only; the head's ear is then the generator's, in the photo's tones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.hair import SIDE, hull
from core.rendering.measures import widest
from core.rendering.surfaces import SurfaceMap

__all__ = ["misplaced"]

# MediaPipe's numbers of the brows' upper edges and of the corners of the mouth: ears lie between.
TOP, BOTTOM = (105, 334), (61, 291)
# Where ears of undeformed heads are, |x|, y and z, with a margin (world units).
ASIDE, HIGH, DEEP = 0.048, (-0.05, 0.022), (-0.05, -0.002)
# Pixels of SIDE around what is in doubt that are as well: the photo's ears have rims and shadows.
RIM = 1


def misplaced(surface: SurfaceMap, undeformed: Tensor, marks: Tensor, hair: Tensor, matte: Tensor) -> Tensor:
    """How far what the photo shows beside the face is an ear where the head has none (1, 1, SIDE, SIDE), 0..1.

    Args:
        surface: The head from the photo's camera.
        undeformed: Its points before the head's own deformation (1, 3, s, s).
        marks: Where a detector saw the face's landmarks, unit picture coordinates (468, 2).
        hair: What of the photo is hair (1, 1, any, any), 0..1.
        matte: The photo's head, likewise.
    """
    size = (SIDE, SIDE)
    places, hit = (functional.interpolate(one, size=size, mode="nearest-exact") for one in (undeformed, surface.hit))
    bare, head = (functional.interpolate(one, size=size, mode="area") for one in (1.0 - hair, matte))
    x, y, z = places.split(1, dim=1)
    ear = (x.abs() > ASIDE) & (y > HIGH[0]) & (y < HIGH[1]) & (z > DEEP[0]) & (z < DEEP[1])
    rows = (torch.arange(SIDE, device=marks.device) + 0.5) / SIDE
    low, high = marks[list(BOTTOM), 1].mean(), marks[list(TOP), 1].mean()
    beside = ((rows > high) & (rows < low)).to(bare)[None, None, :, None] * (1.0 - hull(2.0 * marks - 1.0))
    doubt = beside * bare * (head > 0.5) * (hit > 0.5) * (~ear)
    return functional.avg_pool2d(widest(doubt, RIM), 3, 1, 1)
