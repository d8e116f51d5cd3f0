"""How far a photo's hair goes on around its head: at each height, what its rims say to both sides.

A photo ends at the head's rims, and what it shows there goes on behind them: hair above the ears goes around the back,
and a bald crown is bald behind as well. The generator's own head knows nothing of that: latents of bald men have ears
in bare skin. Heights are the world's (y), so a head may be tilted and turned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Rims", "rims_of"]

# Heights at which both sides are asked (world units).
LOWEST, HIGHEST, LEVELS = -0.1, 0.12, 88
# Pixels of 128 beside the matte's edge that say nothing, how many next to them are the rim, and how many of them tell.
EDGE, WIDE, STRIP = 1, 5, 2
# A rim that lies so far ahead is a cheek's and not the head's side; from there on it counts fully (z, world units).
AHEAD, ASIDE = 0.045, 0.01
# Levels that are one, at least: a lock or an ear's tip is none.
SMOOTH = 5
# Share of hair from which on a level is hair.
HAIRY = 0.5
# Where ears end above (y). Behind them (z) hair goes on down to the nape (y), if it is hair so far above them.
EARS, ABOVE = 0.014, 0.024
NAPE, BEHIND_EARS = -0.035, -0.03


class Rims(NamedTuple):
    """What both rims of a photo are, by height.

    Shape:
        hair (2, LEVELS): share of hair to the head's right (x < 0) and left, 0..1; told (2, LEVELS): how far it is to
        be believed, 0..1; ahead (2, LEVELS): how far ahead they lie (z); width (2,): x of both sides.
    """

    hair: Tensor
    told: Tensor
    ahead: Tensor
    width: Tensor

    def hair_at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """How far what lies behind the rims at points (N, 3) is hair, and which points do, each (N,)."""
        level = ((points[:, 1] - LOWEST) / (HIGHEST - LOWEST) * (LEVELS - 1)).clamp(0.0, LEVELS - 1.001)
        low, share = level.long(), level.frac()
        hair, told, ahead = (one[:, low].lerp(one[:, low + 1], share) for one in (self.hair, self.told, self.ahead))
        across = ((points[:, 0] - self.width[0]) / (self.width[1] - self.width[0]).clamp(min=1e-3)).clamp(0.0, 1.0)
        weight = told * (torch.stack((1.0 - across, across)) + 1e-3)
        total = weight.sum(dim=0)
        found, begins = ((one * weight).sum(dim=0) / total.clamp(min=1e-6) for one in (hair, ahead))
        return self._to_the_nape(points, found, across), (total > 1e-4) & (points[:, 2] < begins)

    def _to_the_nape(self, points: Tensor, found: Tensor, across: Tensor) -> Tensor:
        """Hair goes on down behind ears that have hair above them."""
        heights = torch.linspace(LOWEST, HIGHEST, LEVELS, device=points.device)
        above = (heights > EARS) & (heights < EARS + ABOVE)
        told = self.told[:, above]
        share = (self.hair[:, above] * told).sum(dim=1) / told.sum(dim=1).clamp(min=1e-3)
        hair = share[0].lerp(share[1], across)
        under = (points[:, 1] < EARS) & (points[:, 1] > NAPE) & (points[:, 2] < BEHIND_EARS)
        return torch.where(under, torch.maximum(found, hair), found)


def rims_of(points: Tensor, hit: Tensor, hair: Tensor, matte: Tensor) -> Rims | None:
    """What a photo's rims say; None where it shows none.

    Args:
        points: The head's surface in the photo's view.
        hit: Where there is one.
        hair: How surely the photo shows hair.
        matte: The photo's head.

    Shape:
        points (1, 3, s, s), hit (1, 1, s, s); hair (1, 1, S, S), 0..1; matte (1, 1, any, any).
    """
    side = hair.shape[-1]
    places, solid = (functional.interpolate(one, size=(side, side)) for one in (points, hit))
    head = functional.interpolate(matte, size=(side, side), mode="area") > 0.9
    known = head & (solid > 0.5)
    sides = []
    for flipped in (False, True):
        one, place, share = (layer.flip(-1) if flipped else layer for layer in (known, places, hair))
        number = one.cumsum(dim=-1) * one
        rim = one & (number > EDGE) & (number <= EDGE + WIDE)
        count = rim.sum(dim=-1).clamp(min=1)
        mean = (place * rim).sum(dim=-1) / count
        # A far side's hair is a strip of some pixels.
        most = (share * rim)[0, 0].topk(STRIP, dim=-1).values.mean(dim=-1)
        sides.append((mean[0], most, rim.any(dim=-1)[0, 0]))
    if not all(bool(some.any()) for _, _, some in sides):
        return None
    # The head's right is the camera's left, as far as photos are turned.
    found = [_by_height(*one) for one in sides]
    width = torch.stack([place[0, some].median() for place, _, some in sides])
    hairs, told, ahead = (torch.stack(both) for both in zip(*found, strict=True))
    # A turned head hides one side behind its cheek: there it is as on the other.
    hairs = hairs.lerp(hairs.flip(0), (1.0 - told) * told.flip(0))
    return Rims(hairs, torch.maximum(told, told.flip(0)), ahead, width)


def _by_height(place: Tensor, hair: Tensor, some: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a picture, by the height of what they show: hair, how far that is told, and how far ahead it lies.

    Shape:
        place (3, S), hair (S,), some (S,); returns (LEVELS,) three times.
    """
    heights = torch.linspace(LOWEST, HIGHEST, LEVELS, device=hair.device)
    place, hair = place[:, some], hair[some]
    near = (heights[:, None] - place[1][None]).abs()
    nearest = near.argmin(dim=1)
    share = hair[nearest]
    # The highest rows are the crown, which both sides share; below the lowest nothing is known.
    ahead = place[2][nearest]
    told = ((AHEAD - ahead) / (AHEAD - ASIDE)).clamp(0.0, 1.0)
    told = torch.where(heights < place[1].min(), torch.zeros_like(told), told)
    padded = functional.pad(share[None, None], (SMOOTH // 2, SMOOTH // 2), mode="replicate")[0, 0]
    return padded.unfold(0, SMOOTH, 1).median(dim=1).values, told, ahead
