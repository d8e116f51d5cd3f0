"""Where the photo ends in a picture the generator's colours meet it: the picture's twin of :mod:`core.rendering.seams`.

Tones are known in cells of a centimetre; closer to the photo's edge its own colours tell more. What photo and generator
differ by is carried outwards over a centimetre or two, more readily between places of one colour and depth than from
skin into hair or past a contour: the screened Poisson equation on a small grid. Refuses to know networks and cameras.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import widest

__all__ = ["continued"]

# Side of the grid: three millimetres a cell; nothing finer is carried.
SIDE = 64
# Distance over which a difference fades to a third (pictures' widths).
FADE = 0.055
# Coarsest grid, and sweeps over each grid.
COARSEST, SWEEPS = 16, 8
# How much more a cell holds to what the photo says of it than to its neighbours.
HOLD = 16.0
# Side at which scraps are found, and half their width there.
FOUND, SCRAP = 256, 3
# Differences of colour [-1, 1] and depth (world units) at which two cells hardly speak to one another.
ALIKE, AS_DEEP = 0.2, 0.006


def continued(picture: Tensor, own: Tensor, belief: Tensor, depth: Tensor, alpha: Tensor) -> Tensor:
    """What the generator would paint, beginning in the tone in which the photo ends.

    Args:
        picture: Photo and generator, blended by ``belief``.
        own: What the generator would paint.
        belief: How far each pixel is the photo's, in [0, 1].
        depth: Optical-axis depth of what is shown.
        alpha: Of the head.

    Shape:
        picture and own (1, 3, S, S); belief, alpha (1, 1, S, S); depth (1, 1, s, s); returns (1, 3, S, S).
    """
    size = picture.shape[-1]

    def small(values: Tensor, mode: str = "area") -> Tensor:
        return functional.interpolate(values, size=(SIDE, SIDE), mode=mode)

    solid = small(alpha)
    told = alpha * _without_scraps(belief)
    known = small(belief * told)
    unseen = solid - known
    if float(unseen.max()) < 0.05 or float(known.max()) < 0.05:
        return own
    # What the photo adds to the generator's colours, times how far it is believed.
    said = small((picture - own) * told)
    change = _solved(said, known, solid, small(own), small(depth, "nearest-exact"))
    return own + functional.interpolate(change, size=(size, size), mode="bilinear", align_corners=False)


def _without_scraps(belief: Tensor) -> Tensor:
    """The share of a belief (1, 1, S, S) that is no scrap.

    What is narrow shows what stood before its place, a lock or its shadow before a cheek, and has no say in how the
    cheek goes on.
    """
    size = belief.shape[-1]
    small = functional.interpolate(belief, size=(FOUND, FOUND), mode="area") if size > FOUND else belief
    firm = torch.minimum(small, widest(-widest(-small, SCRAP), SCRAP))
    share = firm / small.clamp(min=1e-3)
    return functional.interpolate(share, size=(size, size), mode="nearest-exact") if size > FOUND else share


def _solved(said: Tensor, known: Tensor, solid: Tensor, colours: Tensor, deep: Tensor) -> Tensor:
    """The carried difference (1, 3, s, s): sweeps over the grid that begin with the solution of one half as fine."""
    side = said.shape[-1]
    if side > COARSEST:
        halves = [functional.avg_pool2d(one, 2) for one in (said, known, solid, colours, deep)]
        begin = functional.interpolate(_solved(*halves), scale_factor=2.0, mode="nearest-exact")
    else:
        begin = torch.zeros_like(said)
    links = []
    for axis in (2, 3):
        apart = (colours.diff(dim=axis).square().sum(dim=1, keepdim=True) / ALIKE**2).neg_().exp_()
        apart = apart * (deep.diff(dim=axis) / AS_DEEP).square_().neg_().exp_()
        links.append(apart * solid.narrow(axis, 0, side - 1) * solid.narrow(axis, 1, side - 1))
    down, right = (functional.pad(links[0], (0, 0, 1, 1)), functional.pad(links[1], (1, 1)))
    above, below, before, behind = down[:, :, :-1], down[:, :, 1:], right[..., :-1], right[..., 1:]
    diagonal = HOLD * known + above + below + before + behind + 1.0 / (FADE * side) ** 2
    found = begin
    for _ in range(SWEEPS):
        wide = functional.pad(found, (1, 1, 1, 1))
        around = above * wide[:, :, :-2, 1:-1] + below * wide[:, :, 2:, 1:-1]
        around += before * wide[:, :, 1:-1, :-2] + behind * wide[:, :, 1:-1, 2:]
        found = (HOLD * said + around) / diagonal
    return found
