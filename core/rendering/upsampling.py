"""A small picture of a head enlarged along its surface: joint bilateral upsampling (Kopf et al. 2007).

The field's colours are integrated on 64 rays a side. Plainly enlarged, hair before a neck ends in a staircase of those
rays. A finer map of depths says which of the coarse pixels around lie on the same surface, and only those are mixed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.rendering.contours import Contours

__all__ = ["along_surface", "steps"]

# Difference of depths at which a coarse pixel counts for little, and of two parts that stand before one another (world
# units).
SAME, STEP = 0.005, 0.012
# Width of the mean over coarse pixels, in coarse pixels; and what they count for where none is on the surface.
WIDTH, LEAST = 0.6, 1e-4


def along_surface(
    values: Tensor, coarse: Tensor, fine: Tensor, layers: Contours | None, size: int, half_fov: float = HALF_FOV
) -> Tensor:
    """Enlarge a picture; every pixel from coarse ones on its own surface, and from those of both beside a contour.

    Args:
        values: The picture, everywhere defined.
        coarse: Its depths.
        fine: Depths on a finer grid.
        layers: Contours of these.
        size: Side of the result, a multiple of the picture's.
        half_fov: Of the camera.

    Shape:
        values (1, C, s, s), coarse (1, 1, s, s), fine (1, 1, f, f); returns (1, C, size, size).
    """
    if layers is None:
        return _onto(values, coarse, _smooth(fine, size))
    front, back = (_onto(values, coarse, _smooth(one, size)) for one in layers[:2])
    gap = functional.interpolate(layers.gap, size=(size, size), mode="bicubic", align_corners=False)
    ahead = (0.5 - gap * (size / (2.0 * math.tan(half_fov)))).clamp(0.0, 1.0)
    return torch.lerp(back, front, ahead)


def _smooth(depth: Tensor, size: int) -> Tensor:
    return functional.interpolate(depth, size=(size, size), mode="bilinear", align_corners=False)


def _onto(values: Tensor, coarse: Tensor, depth: Tensor) -> Tensor:
    """A picture (1, C, s, s) on a surface of finer depths (1, 1, S, S)."""
    side, size = values.shape[-1], depth.shape[-1]
    scale = size // side
    # Within a coarse pixel the fine ones lie at these shares of it; neighbours' middles at -1, 0, 1.
    within = ((torch.arange(scale, device=values.device) + 0.5) / scale - 0.5).to(values)
    around = torch.cat((values, coarse), dim=1)
    padded = functional.pad(around, (1, 1, 1, 1), mode="replicate")
    total = values.new_zeros(1, values.shape[1] + 1, size, size)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            one = padded[:, :, 1 + down : 1 + down + side, 1 + across : 1 + across + side]
            one = one.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
            near = ((within - down).square()[:, None] + (within - across).square()) / (2.0 * WIDTH**2)
            apart = ((one[:, -1:] - depth) / SAME).square()
            weight = (-near).exp().repeat(side, side) * ((-0.5 * apart).exp() + LEAST)
            total += weight * torch.cat((one[:, :-1], torch.ones_like(depth)), dim=1)
    return total[:, :-1] / total[:, -1:]


def steps(coarse: Tensor, size: int) -> Tensor:
    """Where one part stands before another, 0..1 and a coarse pixel wide.

    Shape:
        coarse (1, 1, s, s) depths; returns (1, 1, size, size).
    """
    span = functional.max_pool2d(coarse, 3, 1, 1) + functional.max_pool2d(-coarse, 3, 1, 1)
    found = ((span - STEP) / STEP).clamp(0.0, 1.0)
    return functional.interpolate(found, size=(size, size), mode="bilinear", align_corners=False)
