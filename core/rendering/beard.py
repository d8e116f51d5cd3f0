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

__all__ = ["ATTRIBUTE", "bearded"]

ATTRIBUTE = "Beard"

# Side of the grain, and lengths of its strands there.
GRAIN, STRANDS = 512, (7, 19)
# How much strands differ in brightness, how far an edge is torn into hairs, and how opaque a beard is at most.
CONTRAST, TORN, OPAQUE = 0.24, 0.55, 0.92
# Share, less what its edge loses, from which on a beard grows in full.
FULL = 0.7
# Beards are a little darker than the hair above them.
DARKER = 0.85
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
    grain = functional.interpolate(_strands().to(photo), size=(size, size), mode="bilinear", antialias=True)
    # An edge is where some hairs grow and others do not.
    covered = ((share * (1.0 + TORN) - TORN * (0.5 + 0.5 * grain.clamp(-1.0, 1.0))) / FULL).clamp(0.0, 1.0)
    covered = OPAQUE * covered * covered * (3.0 - 2.0 * covered)
    if tone.ndim == 4:
        colour = darker * tone * (1.0 + CONTRAST * grain)
        return photo + ((2.0 * colour - 1.0).clamp(-1.0, 1.0) - photo) * covered
    luma = ((photo + 1.0) * 0.5).mean(dim=1, keepdim=True)
    smooth = functional.interpolate(
        functional.interpolate(luma, size=32, mode="area"), size=(size, size), mode="bilinear"
    )
    level = (smooth * share).sum() / share.sum().clamp(min=1e-6)
    light = (smooth / level.clamp(min=0.05)).clamp(0.5, 1.6) ** SHADED
    colour = darker * tone[:, None, None] * light * (1.0 + CONTRAST * grain)
    return photo + ((2.0 * colour - 1.0).clamp(-1.0, 1.0) - photo) * covered


@functools.lru_cache(maxsize=1)
def _strands() -> Tensor:
    """Grain like hair that hangs down (1, 1, GRAIN, GRAIN), mean 0, deviation 0.6; always the same."""
    noise = torch.randn(1, len(STRANDS), GRAIN, GRAIN, generator=torch.Generator().manual_seed(7))
    grain = torch.zeros_like(noise[:, :1])
    for number, length in enumerate(STRANDS):
        one = functional.avg_pool2d(noise[:, number : number + 1], (length, 2 * number + 1), 1, (length // 2, number))
        grain = grain + one / one.std()
    return 0.6 * grain / grain.std()
