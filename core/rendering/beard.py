"""A beard on the photo: the hair's own tone, strands, and an edge of single hairs.

The generator says where a beard grows; what it paints there is one flat tone, of its own hair and not the photo's. So
the photo is painted with the tone of its own hair (of its brows, if it has none), grained like hair, and darker where
the skin under it is darker.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ATTRIBUTE", "DARKER", "bearded"]

ATTRIBUTE = "Beard"

# Side of the grain, and lengths of its strands there.
GRAIN, STRANDS = 512, (7, 19)
# How much strands differ in brightness, how far an edge is torn into hairs, and how opaque a beard is at most.
CONTRAST, TORN, OPAQUE = 0.24, 0.55, 0.92
# Share, less what its edge loses, from which on hair that hangs covers in full; the same of a beard, which thins
# out hair by hair into the cheeks, and lengths of those hairs at GRAIN.
FULL, THICK, HAIRS = 0.7, 0.85, (3, 7)
# Beards are a little darker than the hair above them, and shine where strands stand out (of 1).
DARKER, SHINE = 0.9, 0.055
# How far a beard follows the skin's light and shade.
SHADED = 0.7


def bearded(photo: Tensor, share: Tensor, tone: Tensor, darker: float = DARKER) -> Tensor:
    """The photo with a beard, or with other hair that hangs down.

    Args:
        photo: In [-1, 1].
        share: How surely it grows there, 0..1.
        tone: Of the hair, in [0, 1]; one for all, or one for each place, in its light.
        darker: Brightness as a share of the tone's.

    Shape:
        photo (1, 3, S, S); share (1, 1, s, s); tone (3,) or (1, 3, S, S); returns (1, 3, S, S).
    """
    size = photo.shape[-1]
    share = functional.avg_pool2d(share, 5, 1, 2, count_include_pad=False)
    share = functional.interpolate(share, size=(size, size), mode="bilinear", align_corners=False)
    grain = _sized(_strands(STRANDS), photo)
    if tone.ndim == 4:
        # An edge is where some hairs grow and others do not.
        covered = ((share * (1.0 + TORN) - TORN * (0.5 + 0.5 * grain.clamp(-1.0, 1.0))) / FULL).clamp(0.0, 1.0)
        covered = OPAQUE * covered * covered * (3.0 - 2.0 * covered)
        colour = darker * tone * (1.0 + CONTRAST * grain)
        return photo + ((2.0 * colour - 1.0).clamp(-1.0, 1.0) - photo) * covered
    hairs = 0.5 + 0.5 * _sized(_strands(HAIRS), photo).clamp(-1.0, 1.0)
    covered = ((share - THICK * hairs) / (1.0 - THICK) + share).clamp(0.0, 1.0)
    covered = OPAQUE * covered * share.clamp(max=THICK) / THICK
    luma = ((photo + 1.0) * 0.5).mean(dim=1, keepdim=True)
    smooth = functional.interpolate(
        functional.interpolate(luma, size=32, mode="area"), size=(size, size), mode="bilinear"
    )
    level = (smooth * share).sum() / share.sum().clamp(min=1e-6)
    light = (smooth / level.clamp(min=0.05)).clamp(0.5, 1.6) ** SHADED
    colour = light * (darker * tone[:, None, None] * (1.0 + CONTRAST * grain) + SHINE * grain.clamp(min=0.0))
    return photo + ((2.0 * colour - 1.0).clamp(-1.0, 1.0) - photo) * covered


def _sized(grain: Tensor, photo: Tensor) -> Tensor:
    """Grain as large as a photo (1, 3, S, S): (1, 1, S, S)."""
    return functional.interpolate(grain.to(photo), size=photo.shape[-2:], mode="bilinear", antialias=True)


@functools.lru_cache(maxsize=2)
def _strands(lengths: tuple[int, ...]) -> Tensor:
    """Grain like hair that hangs down (1, 1, GRAIN, GRAIN), mean 0, deviation 0.6; always the same."""
    noise = torch.randn(1, len(lengths), GRAIN, GRAIN, generator=torch.Generator().manual_seed(7))
    grain = torch.zeros_like(noise[:, :1])
    for number, length in enumerate(lengths):
        one = functional.avg_pool2d(noise[:, number : number + 1], (length, 2 * number + 1), 1, (length // 2, number))
        grain = grain + one / one.std()
    return 0.6 * grain / grain.std()
