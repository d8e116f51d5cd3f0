"""The typical colour of somebody's hair, and whether a photo shows any that tells it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

__all__ = ["HairTone", "beard_tone", "hair_tone", "natural", "toned"]

# Share of a head's pixels that must be hair to take its tone; else the darkest of these pixels are brows.
ENOUGH, BROWS = 0.006, 0.1
# From this share on hair may be lighter than skin: less of it is more likely a scalp that shines.
LIGHT = 0.02
# Pixels of 128: beside a rim of hair, hair is mixed with something else; it is left out where so much of it is left.
RIM, INNER = 5, 0.02
# Share of the photo's hair that is darker than its shade, and than what is usual.
SHADE, USUAL = 0.35, 0.4
# How surely a pixel is a beard's to tell its colour, and share of the head that must be: less is a shade under a lip.
BEARDED, GROWN = 0.5, 0.008
# How much more blue than red a head may have beyond what its hair has (of 2).
COOL = 0.06
# Of nobody's hair.
BROWN = (0.25, 0.2, 0.17)


class HairTone(NamedTuple):
    """Colours (3,) in [0, 1], and whether hair of the head shows them: brows do where that does not."""

    shade: Tensor
    """What is darker than two thirds of it: new hair lies in the shade of what is there."""
    usual: Tensor
    """What is darker than three fifths of it: a head from behind, which light from ahead does not reach."""
    seen: bool


def hair_tone(
    photo: Tensor, hair: Tensor, matte: Tensor, brows: Tensor, face: Tensor, hanging: Tensor | None = None
) -> HairTone:
    """What colour somebody's hair has.

    Args:
        photo: In [-1, 1].
        hair: Where the head's hair is.
        matte: Where the head is.
        brows: Where brows are, with skin around them.
        face: Skin below the brows.
        hanging: Where more of it is, if there is some above: light from ahead and above bleaches a crown.

    Shape:
        photo (1, 3, S, S); hair, matte, brows, face, hanging (1, 1, s, s), 0..1.
    """
    side = hair.shape[-1]
    colours = functional.interpolate((photo + 1.0) * 0.5, size=(side, side), mode="area").flatten(2)[0].T
    luma = colours.mean(dim=1)
    head = functional.interpolate(matte, size=(side, side), mode="area") > 0.9
    sure = (hair > 0.9) & head
    chosen = _inner(sure, head)
    skin = ((face > 0.9) & head).flatten()
    light = bool(chosen.any()) and bool(skin.any()) and bool(luma[chosen].median() > luma[skin].median())
    seen = bool(chosen.any()) and bool(chosen.sum() >= (LIGHT if light else ENOUGH) * head.sum())
    if not seen:
        chosen = ((brows > 0.5) & head).flatten()
        if not chosen.any():
            return HairTone(photo.new_tensor(BROWN), photo.new_tensor(BROWN), seen)
        chosen = chosen & (luma <= luma[chosen].quantile(BROWS))
    elif hanging is not None:
        chosen = _inner(sure | ((hanging > 0.9) & head), head)
    shade, usual = colours[chosen].quantile(colours.new_tensor((SHADE, USUAL)), dim=0)
    return HairTone(shade, usual, seen)


def beard_tone(photo: Tensor, beard: Tensor, matte: Tensor) -> Tensor | None:
    """What colour somebody's beard has (3,) in [0, 1], often another than their hair; None where there is none to see.

    Shape:
        photo (1, 3, S, S) in [-1, 1]; beard, matte (1, 1, s, s), 0..1.
    """
    side = beard.shape[-1]
    head = functional.interpolate(matte, size=(side, side), mode="area") > 0.9
    sure = ((beard > BEARDED) & head).flatten()
    if sure.sum() < GROWN * head.sum() or not sure.any():
        return None
    colours = functional.interpolate((photo + 1.0) * 0.5, size=(side, side), mode="area").flatten(2)[0].T
    return colours[sure].quantile(USUAL, dim=0)


def _inner(sure: Tensor, head: Tensor) -> Tensor:
    """What of hair (1, 1, s, s) is to be asked (s * s,): at its rims it is scalp and background as well."""
    pure = functional.max_pool2d((~sure).float(), RIM, 1, RIM // 2) < 0.5
    return (pure if pure.sum() >= INNER * head.sum() else sure).flatten()


def toned(own: Tensor, tone: Tensor, painted: Tensor) -> Tensor:
    """By how much hair of a tone is off the generator's own colours, all in [-1, 1].

    As a whole it becomes as light as the tone. Shade and shine are shares of that: of hair that becomes darker they
    become less, or black hair would be grey where brown hair shines. Of hair that becomes lighter they stay.

    Args:
        own: What the generator has there.
        tone: Of the photo's hair.
        painted: Where the generator has skin: there the tone is all there is.

    Shape:
        own (N, 3), tone (3,), painted (N,) bool; returns (N, 3).
    """
    off = tone - own
    hair = own[~painted]
    if len(hair):
        usual = hair.mean(dim=0)
        scale = ((tone + 1.0).mean() / (usual + 1.0).mean().clamp(min=1e-3)).clamp(max=1.0)
        off[~painted] = tone - usual + (scale - 1.0) * (hair - usual)
    return off


def natural(rgb: Tensor, alpha: Tensor, shade: Tensor) -> Tensor:
    """Colours without a blue cast: no hair is blue, whatever a tuned generator makes of hair that an edit dyes.

    A refinement tunes colours for one state of a head. Red or green that is missing there is missing elsewhere, and
    its grey is a teal.

    Args:
        rgb: Colours times alpha, in [-1, 1].
        alpha: What they are multiplied by.
        shade: The photo's hair's, as :class:`HairTone` has it.

    Shape:
        rgb (1, 3, S, S), alpha (1, 1, S, S), shade (3,); returns as rgb: greyer where it was too cool.
    """
    limit = alpha * (2.0 * (shade[2] - shade[0]).clamp(min=0.0) + COOL)
    cool = rgb[:, 2:] - rgb[:, :1]
    grey = rgb.mean(dim=1, keepdim=True)
    return grey + (rgb - grey) * (limit / cool.clamp(min=1e-6)).where(cool > limit, 1.0)
