"""A lighter or darker skin on the photo: one curve a channel, along the colours that people's skin has.

The field says how much lighter or darker a step is. Which colour that is it knows from three textures of a synthetic
world, whose darker skin is orange, and painted over a photo it takes that photo's shades away. Skin differs in how much
melanin there is, and so along one line: as it gets darker it first gets yellower and redder (Chardon, Cretois &
Hourseau 1991, L* against b*), by nearly as much for everybody. A curve takes each channel of the
face's usual colour to the one wanted: straight in the shade, so that shades keep their ratio, and bent where skin
shines. Lips, cheeks and freckles stay what they are beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.models.volume import VolumeMaps
from core.rendering.hair import SIDE, Parting
from core.rendering.measures import luma, redder, surroundings

__all__ = ["ATTRIBUTE", "Complexion", "Curve", "complexion_of", "with_complexion"]

ATTRIBUTE = "Skin tone"

# Skin from dark to fair, in an even light: brightness, and green and blue as shares of red (sRGB; L* 33, 45, 56, 70 and
# 83 with a* 12, 14, 13, 10, 8 and b* 13, 20, 20, 17, 13).
LINE = ((0.30, 0.70, 0.54), (0.42, 0.72, 0.53), (0.52, 0.77, 0.60), (0.67, 0.85, 0.72), (0.82, 0.88, 0.79))
# The usual colour stays within these brightnesses (0..1).
DARKEST, LIGHTEST = 0.14, 0.8
# Share from which on a pixel is surely skin of the face, and how many must be.
SURELY, ENOUGH = 0.8, 30
# Below the mouth, by how much a colour's shares of red and green may differ from the face's, and from where on it is
# none of its: a collar is no neck.
ALIKE, OTHER = 0.035, 0.08
# How far lips follow, and how far around them skin says what lips are redder than (pictures' widths).
LIPS, NEAR = 0.7, 0.12
# How sharply a curve bends where skin shines; which part of the darkening, as a power, shine takes as well; slopes and
# colours within which all that makes sense.
BENT, DULLED, SLOPES, DIM = 2.0, 0.5, (0.05, 6.0), 0.02


class Curve(NamedTuple):
    """``gain·s·x / (1 + (sⁿ − 1)·xⁿ)^(1/n)`` of colours x in [0, 1]: as steep as gain·s at 0, and gain at 1.

    Shape:
        slope, gain (3,): of red, green and blue.
    """

    slope: Tensor
    gain: Tensor

    @classmethod
    def between(cls, old: Tensor, new: Tensor) -> Curve:
        """That takes one colour (3,) in [0, 1] to another."""
        old, new = old.clamp(DIM, 1.0 - DIM), new.clamp(DIM, 1.0 - DIM)
        gain = (new / old).clamp(max=1.0) ** DULLED
        aim = (new / gain).clamp(max=1.0 - DIM) ** BENT
        whole = old**BENT
        slope = (aim * (1.0 - whole) / (whole * (1.0 - aim))) ** (1.0 / BENT)
        return cls(slope.clamp(*SLOPES), gain)

    def __call__(self, colours: Tensor, share: Tensor) -> Tensor:
        """Colours in [-1, 1] after it, where there is skin. Shape: (1, 3, S, S), share (1, 1, S, S)."""
        straight = ((colours + 1.0) * 0.5).clamp(0.0, 1.0)
        slope, gain = (one[:, None, None] for one in self)
        bent = gain * slope * straight / (1.0 + (slope**BENT - 1.0) * straight**BENT) ** (1.0 / BENT)
        return colours + 2.0 * share * (bent - straight)


class Complexion(NamedTuple):
    """What to do with a photo's skin, and with the generator's."""

    curve: Curve
    """Of the photo's colours."""
    own: Curve
    """Of the generator's unedited colours, which takes them to the edited ones."""
    where: Tensor
    """Where the photo has skin (1, 1, any, any), 0..1."""


def complexion_of(photo: Tensor, parting: Parting, before: VolumeMaps, after: VolumeMaps) -> Complexion | None:
    """What an edit of the skin's tone does; None where a face shows too little skin to say.

    Args:
        photo: In [-1, 1].
        parting: What of it is hair and skin, and of the generator's head.
        before: The unedited head from the photo's camera.
        after: The edited one.

    Shape:
        photo (1, 3, any, any).
    """
    if parting.skin is None:
        return None
    colours = (functional.interpolate(photo, size=(SIDE, SIDE), mode="area") + 1.0) * 0.5
    face = parting.bare * parting.upper
    seen = (face * parting.skin > SURELY).flatten()
    side = before.alpha.shape[-1]
    small, hair = (functional.interpolate(one, size=(side, side), mode="area") for one in (face, parting.own))
    solid = torch.minimum(before.alpha, after.alpha)
    told = (small * (1.0 - hair) * solid > SURELY).flatten()
    if min(int(seen.sum()), int(told.sum())) < ENOUGH:
        return None
    usual = colours.flatten(2)[0][:, seen].median(dim=1).values
    was, now = (
        ((one.rgb / one.alpha.clamp(min=1e-3) + 1.0) * 0.5).flatten(2)[0][:, told].median(dim=1).values
        for one in (before, after)
    )
    wanted = _along(usual, float(_bright(now) / _bright(was).clamp(min=0.02)))
    return Complexion(Curve.between(usual, wanted), Curve.between(was, now), _skin(colours, usual, parting))


def with_complexion(photo: Tensor, found: Complexion, lips: Tensor | None) -> Tensor:
    """The photo in another skin.

    Args:
        photo: In [-1, 1].
        found: What to do, its skin where the edit has moved it.
        lips: Where lips are, with what lies between them.

    Shape:
        photo (1, 3, S, S); lips (1, 1, any, any); returns (1, 3, S, S).
    """
    size = photo.shape[-1]
    share = functional.interpolate(found.where, size=(size, size), mode="bilinear", align_corners=False)
    if lips is not None:
        mouth = functional.interpolate(lips.to(photo), size=(size, size), mode="bilinear", align_corners=False)
        colours = (photo + 1.0) * 0.5
        share = torch.maximum(share, LIPS * mouth * redder(colours, surroundings(colours, share + 1e-4, NEAR * size)))
    return found.curve(photo, share)


def _along(usual: Tensor, ratio: float) -> Tensor:
    """Skin's colour (3,) so many times as bright: as far beside the line of people's skin as it was, in its light."""
    was = float(_bright(usual))
    aim = min(max(was * ratio, min(was, DARKEST)), max(was, LIGHTEST))
    bright, green, blue = zip(*LINE, strict=True)
    change = [float(np.interp(aim, bright, share) / np.interp(was, bright, share)) for share in (green, blue)]
    tone = usual * usual.new_tensor((1.0, *change))
    return (tone * aim / _bright(tone)).clamp(DIM, 1.0 - DIM)


def _skin(colours: Tensor, usual: Tensor, parting: Parting) -> Tensor:
    """Where skin is: below the mouth, where clothes may be, only what has the face's hue."""
    assert parting.skin is not None
    total = colours.sum(dim=1, keepdim=True).clamp(min=0.06)
    share = colours[:, :2] / total
    off = (share - (usual[:2] / usual.sum().clamp(min=0.06))[:, None, None]).norm(dim=1, keepdim=True)
    alike = ((OTHER - off) / (OTHER - ALIKE)).clamp(0.0, 1.0)
    alike = functional.avg_pool2d(alike, 3, 1, 1, count_include_pad=False)
    return parting.skin * torch.maximum(parting.upper, alike)


def _bright(colour: Tensor) -> Tensor:
    """Brightness of a colour (3,)."""
    return luma(colour, dim=0)[0]
