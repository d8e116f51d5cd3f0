"""The mirrored photo says what the other side of a face looks like, not how it is lit, nor whether it is hair.

Light comes from one side: a shaded cheek put on the lit one would be a stain. So what is mirrored has its detail from
the photo and is in the light, over some three centimetres, of the generator, which has been tuned to the photo nearby:
light multiplies colours. And a fringe is combed to one side: where the photo has hair and the mirror image of that
place is bare, dashes of hair would lie on a forehead. The generator has a say in which of the two a place is; so where
both are as different as hair and skin it is believed alone. Refuses to know networks and cameras.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["plausible"]

# Side of the pictures in which things are told apart, and the window's half: lids, lashes and nostrils are finer.
SIDE, WINDOW = 128, 2
# Side of the pictures whose light is compared, the window's half, within which an eye's colours even out, and how
# many times as bright or dark the two sides of a face may be.
LIT, WIDE, RATIO = 64, 3, 2.5
# Distance of two mean colours in [-1, 1], root mean square over channels, up to which they are one thing in two lights,
# and from which on two.
ALIKE, OTHER = 0.35, 0.6
# Mirrored confidence that makes a colour known.
SOME = 0.02


def plausible(guide: Tensor, own: Tensor) -> Tensor:
    """A guide whose mirrored colours are in the generator's light, and believed where it has something like them.

    Args:
        guide: What the photo knows of each pixel, see ``core.visibility.guide``.
        own: What the generator would paint, in the photo's tones.

    Shape:
        guide (1, 6, S, S); own (1, 3, S, S); returns (1, 6, S, S).
    """
    direct, mirror = guide[:, 3:4], guide[:, 5:6]
    second = (1.0 - direct) * mirror
    if float(second.max()) < SOME:
        return guide
    size = guide.shape[-1]
    total = direct + second
    # Where the photo itself has a say in a colour, its part of it is as good as the mirror's.
    shown = guide[:, :3] / total.clamp(min=1e-3)
    near = _means((own - shown) * second, second, min(size, SIDE), WINDOW)
    apart = near.square().mean(dim=1, keepdim=True).sqrt()
    share = _grown(((OTHER - apart) / (OTHER - ALIKE)).clamp(0.0, 1.0), size)
    bright = torch.cat((own, shown), dim=1).clamp(min=-1.0, max=1.0) + 1.0
    ours, theirs = _means(bright * second, second, min(size, LIT), WIDE).clamp(min=0.02).chunk(2, dim=1)
    light = _grown((ours / theirs).clamp(1.0 / RATIO, RATIO), size)
    kept = second * share
    colour = shown * (direct + kept) + (shown + 1.0) * (light - 1.0) * kept
    return torch.cat((colour, direct, guide[:, 4:5], mirror * share), dim=1)


def _means(weighed: Tensor, weight: Tensor, side: int, window: int) -> Tensor:
    """Means over windows of what is mirrored alone: a dash of three pixels would vanish in that of its surroundings.

    Shape:
        weighed (1, C, S, S): values times weight; weight (1, 1, S, S); returns (1, C, side, side).
    """
    both = torch.cat((weighed, weight), dim=1)
    if side < both.shape[-1]:
        both = functional.interpolate(both, size=(side, side), mode="area")
    sums = functional.avg_pool2d(both, 2 * window + 1, 1, window)
    return sums[:, :-1] / sums[:, -1:].clamp(min=1e-4)


def _grown(values: Tensor, size: int) -> Tensor:
    return functional.interpolate(values, size=(size, size), mode="bilinear", align_corners=False)
