"""Narrow strips that the photo did not see, between parts that it did: filled from what lies beside them as deep.

A turned head uncovers strips: hair behind a temple, a forehead below a fringe, the line between two teeth. They are a
few millimetres wide and sit between pixels of the photo, so whatever a generator invents there shows as a crack. What
was hidden belongs to the part behind; so a strip takes the colours of its neighbours, the more the nearer their depth
is to its own. Wide unseen parts stay the generator's. Refuses to know networks and cameras.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.hands import alone, hands, together
from core.rendering.measures import widest

__all__ = ["bridged", "unbroken"]

# Sides at which strips are found and filled: what is invented there has no detail.
FOUND, FILLED = 128, 256
# Half the width of what is narrow, in pixels of ``FOUND``: 4 % of the picture's width, two centimetres of a head.
NARROW = 3
# Where neighbours are asked: distances as shares of the picture's width, and directions.
REACHES, DIRECTIONS = (0.006, 0.013, 0.025, 0.042), 10
# Difference of depth at which a neighbour counts e times less (world units).
AS_DEEP = 0.004
# Mean belief of the neighbours from which on the strip is filled wholly.
ENOUGH = 0.04
# Difference of belief that is worth filling.
WORTH = 0.03


def unbroken(belief: Tensor, alpha: Tensor) -> Tensor:
    """Belief in the photo with its narrow gaps closed, those between photo and silhouette too.

    Shape:
        belief (1, 1, S, S) in [0, 1]; alpha of the head likewise; returns the same.
    """
    # What is no head is no gap.
    small = functional.interpolate(torch.lerp(torch.ones_like(belief), belief, alpha), size=(FOUND, FOUND), mode="area")
    closed = -widest(-widest(small, NARROW), NARROW)
    # To both sides of a strip the small picture holds half of it: what was closed reaches over its neighbours.
    more = functional.max_pool2d(closed - small, 3, 1, 1)
    more = functional.interpolate(more, size=belief.shape[-2:], mode="bilinear", align_corners=False)
    return (belief + more).clamp(max=1.0)


def bridged(picture: Tensor, own: Tensor, belief: Tensor, depth: Tensor, alpha: Tensor) -> Tensor:
    """A picture without cracks.

    Args:
        picture: What photo and generator make together.
        own: What the generator would paint.
        belief: How far each pixel is the photo's, in [0, 1].
        depth: Optical-axis depth of what is shown.
        alpha: Of the head.

    Shape:
        picture and own (1, 3, S, S); belief (1, 1, S, S); depth (1, 1, s, s); alpha (1, 1, S, S); returns (1, 3, S, S).
    """
    size = picture.shape[-1]
    side = min(size, FILLED)

    def sized(values: Tensor, mode: str = "area") -> Tensor:
        return values if values.shape[-1] == side else functional.interpolate(values, size=(side, side), mode=mode)

    with alone():
        more = (unbroken(belief, alpha) - belief) * (alpha > 0.0)
        strip = (functional.max_pool2d(sized(more), 3, 1, 1) > WORTH).flatten().nonzero()[:, 0]
        if not len(strip):
            return picture
        colours, seen, deep = sized(picture), sized(belief) * sized(alpha), sized(depth, "nearest-exact")
        known = torch.cat((colours, seen, deep), dim=1).flatten(2)[0].T.contiguous()
        before = sized(own).flatten(2)[0]
    shares = strip.tensor_split(hands(strip.device))
    found = together(*(partial(_filled, known, before, share, side) for share in shares))
    with alone():
        change = torch.zeros_like(before)
        change[:, strip] = torch.cat(found, dim=1)
        change = change.reshape(1, 3, side, side)
        if side < size:
            change = functional.interpolate(change, size=(size, size), mode="bilinear", align_corners=False)
        return picture + more * change


def _filled(known: Tensor, own: Tensor, strip: Tensor, side: int) -> Tensor:
    """By how much what fills a strip differs from what the generator would paint there.

    Shape:
        known (side², 5): colours, belief, depth; own (3, side²); strip (N,) pixels; returns (3, N).
    """
    row, column = strip // side, strip % side
    down, right, reach = _neighbours(side, strip.device)
    there = (row + down[:, None]).clamp(0, side - 1) * side + (column + right[:, None]).clamp(0, side - 1)
    other = known.index_select(0, there.flatten()).reshape(*there.shape, 5)  # (neighbours, strip, 5)
    near = torch.exp((other[..., 4] - known[strip, 4]).abs() / -AS_DEEP) / reach[:, None]
    weight = near * other[..., 3]
    total, asked = weight.sum(dim=0), near.sum(dim=0)
    sums = (weight[..., None] * other[..., :3]).sum(dim=0).T
    firm = (total / asked.clamp(min=1e-6) / ENOUGH).clamp(max=1.0)
    return firm * (sums / total.clamp(min=1e-6) - own[:, strip])


@lru_cache(maxsize=4)
def _neighbours(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Steps down and to the right to the neighbours that are asked, in pixels (K,), and their distances."""
    steps = [
        (round(reach * side * math.sin(turn)), round(reach * side * math.cos(turn)), reach)
        for ring, reach in enumerate(REACHES)
        for turn in (2.0 * math.pi * (number + 0.5 * (ring % 2)) / DIRECTIONS for number in range(DIRECTIONS))
    ]
    down, right, reach = (torch.tensor(values, device=device) for values in zip(*steps, strict=True))
    return down, right, reach
