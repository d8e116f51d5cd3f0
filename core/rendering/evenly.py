"""In which light skin is seen from elsewhere than the photo: without what is dark only where the photo grazes it.

Towards its rims a photo of a face gets darker than the face is, or takes the colour of what stands beside: turned, that
is a stain on the cheek, which tones and margins carry on over ear and neck. Shade is dark from everywhere, and the
generator's head has it where it thinks that the light comes from. So skin that the photo sees at an angle gets the
light of the skin nearby that it faces, as far as the generator's is as light there; its detail stays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.surface_maps import extended
from core.tensor_camera import camera_frame, unproject
from core.visibility import SourceView

__all__ = ["even_light"]

# Cosines between skin and the photo's rays from which on it is lit as it is, and up to which as skin nearby.
FACING, GRAZING = 0.7, 0.4
# Half the window over which light is compared, in pixels of 128, and how many times it is taken.
WINDOW, TIMES = 2, 2
# What it may be multiplied by, by how much photo and generator differ anyway (natural logarithm), and the darkness that
# is noise [0, 1].
RATIO, USUAL, DARK = (0.65, 1.7), 0.15, 0.03
# Pixels of skin that face the camera, at least.
ENOUGH = 100


def even_light(view: SourceView, photo: Tensor, skin: Tensor, matte: Tensor, own: Tensor) -> Tensor | None:
    """By what to multiply the photo's colours in [0, 1] when it is seen from elsewhere; None without a face.

    Args:
        view: The photo's surface.
        photo: In [-1, 1].
        skin: How surely its pixels are skin, 0..1.
        matte: Where the head is, 0..1.
        own: What the generator paints in the same view, in [-1, 1].

    Shape:
        photo, own (1, 3, any, any); skin, matte (1, 1, any, any); returns (1, 3, s, s), as large as the view's surface.
    """
    size = view.depth.shape[-1]
    colour, skin, head = (
        functional.interpolate(one, size=(size, size), mode="area") for one in ((photo + 1.0) * 0.5, skin, matte)
    )
    painted = functional.interpolate((own + 1.0) * 0.5, size=(size, size), mode="bilinear", align_corners=False)
    sure = -functional.max_pool2d(-(skin > 0.5).to(colour), 3, 1, 1)
    points = unproject(view.depth, view.angles, view.half_fov)
    position, _ = camera_frame(view.angles)
    facing = (functional.normalize(position[:, :, None, None] - points, dim=1) * view.normals).sum(dim=1, keepdim=True)
    facing = _soft(facing)
    faced = sure * (facing > FACING)
    if faced.sum() < ENOUGH:
        return None
    weight = _soft(sure)

    def darker(colours: Tensor) -> Tensor:
        low = _soft(colours * sure) / weight.clamp(min=1e-3)
        return (_soft(extended(low, faced)) + DARK) / (low + DARK)

    off = (darker(colour) / darker(painted)).log()
    ratio = (off.sign() * (off.abs() - USUAL).clamp(min=0.0)).exp().clamp(*RATIO)
    # At the head's rim it does not fade; hair beside skin keeps its light.
    share = _soft(sure * ((FACING - facing) / (FACING - GRAZING)).clamp(0.0, 1.0)) / weight.clamp(min=1e-3)
    share = share * functional.avg_pool2d(1.0 - (head - skin).clamp(0.0, 1.0), 3, 1, 1, count_include_pad=False)
    return torch.lerp(torch.ones_like(ratio), ratio, share)


def _soft(values: Tensor) -> Tensor:
    for _ in range(TIMES):
        values = functional.avg_pool2d(values, 2 * WINDOW + 1, 1, WINDOW, count_include_pad=False)
    return values
