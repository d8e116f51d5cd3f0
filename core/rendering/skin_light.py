"""How light a photo's skin is where the photo does not show it: as its face is, and as its face leans to one side.

A photo is lit from somewhere, and the generator's heads all from ahead. The photo's face says how much lighter or
darker its skin is than the generator's. One half of it in shade says more: that the cheek, the ear and the neck on that
side, which nobody saw, are in shade as well. A face's two halves are alike but for their light, so what differs between
places of the face and their mirror images is light, whatever is painted on both of them (make-up, a beard's shade, what
darkens towards both of the photo's rims).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from core.tensor_camera import project
from core.visibility import SourceView, look_up

__all__ = ["SkinLight", "skin_light"]

# How much darker or lighter than the generator's a photo's skin may be.
RATIO = (0.25, 3.0)
# From so far from the middle on a side is all of a side (world units), and nearer than that places have no say.
SIDE, MIDDLE = 0.06, 0.012
# How far a light may lean (natural logarithm at a whole side), and the darkness that is noise, [0, 1].
LEAN, DARK = 0.7, 0.03
# Share from which on a pixel is skin, and head; how far the photo must show a place; how many pairs must speak.
SURELY, SHOWN, ENOUGH = 0.9, 0.3, 200


class SkinLight(NamedTuple):
    """In parts of the generator's skin, a channel each."""

    ratio: Tensor
    """Of the face as a whole (3,)."""
    lean: Tensor
    """By what that is lighter at the side of positive x, and darker at the other (3,), natural logarithm."""

    def at(self, points: Tensor) -> Tensor:
        """At places (N, 3), world units: (N, 3)."""
        return (self.ratio * (self.lean * _side(points)).exp()).clamp(*RATIO)

    def across(self, colours: Tensor, points: Tensor, skin: Tensor) -> Tensor:
        """Colours (N, 3) in [-1, 1], of places (N, 3) that are skin so far (N, 1), in the light of their mirror images.

        Hair is not asked: it shines where the light comes from, and has less of it elsewhere than skin.
        """
        return ((colours + 1.0) * (-2.0 * skin * self.lean * _side(points)).exp() - 1.0).clamp(max=1.0)


def _side(points: Tensor) -> Tensor:
    return (points[:, :1] / SIDE).clamp(-1.0, 1.0)


def skin_light(
    photo: Tensor, own: Tensor, alpha: Tensor, face: Tensor, skin: Tensor | None, points: Tensor, view: SourceView
) -> SkinLight:
    """What the photo's face says of its light: medians over the face below the brows, and over pairs of places.

    Args:
        photo: In [-1, 1].
        own: What the generator paints in the same view, in [-1, 1].
        alpha: Of the generator's head.
        face: The face below the brows, 0..1.
        skin: How surely pixels are skin, 0..1; None where nobody knows, then nothing leans.
        points: Where the surface is, world units.
        view: What the photo shows.

    Shape:
        photo, points (1, 3, any, any); own (1, 3, s, s); alpha (1, 1, s, s); face, skin (1, 1, t, t).
    """
    size = own.shape[-2:]
    small, where = (functional.interpolate(one, size=size, mode="area") for one in (photo, face))
    here = ((where > SURELY) & (alpha > SURELY)).flatten()
    if not here.any():
        return SkinLight(own.new_ones(3), own.new_zeros(3))
    theirs, ours = ((one.flatten(2)[0][:, here] + 1.0).median(dim=1).values for one in (small, own))
    ratio = (theirs / ours.clamp(min=0.05)).clamp(*RATIO)
    return SkinLight(ratio, own.new_zeros(3) if skin is None else _lean(photo, own, alpha, skin, points, view))


def _lean(photo: Tensor, own: Tensor, alpha: Tensor, skin: Tensor, points: Tensor, view: SourceView) -> Tensor:
    """The slope (3,), over the side, of how far the photo is lighter than the generator: weighted medians of pairs."""
    size = skin.shape[-2:]
    places = functional.interpolate(points, size=size)[0].flatten(1).T
    mirrored = places * places.new_tensor((-1.0, 1.0, 1.0))
    lighter = ((functional.interpolate(photo, size=size, mode="area") + 1.0) * 0.5 + DARK).log()
    painted = functional.interpolate(own, size=size, mode="bilinear", align_corners=False)
    lighter = lighter - ((painted + 1.0) * 0.5 + DARK).log()
    sure = (skin > SURELY) & (functional.interpolate(alpha, size=size) > SURELY)
    uv, _ = project(mirrored[None], view.angles, view.half_fov)

    def there(values: Tensor) -> Tensor:
        return functional.grid_sample(values, uv[:, :, None], align_corners=False)[0, :, :, 0].T

    told = sure.flatten() & (there(sure.to(lighter))[:, 0] > 1.0 - DARK) & (places[:, 0].abs() > MIDDLE)
    for one in (places, mirrored):
        told = told & (look_up(view, one[None])[1][0] > SHOWN)
    if told.sum() < ENOUGH:
        return own.new_zeros(3)
    side = _side(places[told])
    slopes, order = ((lighter.flatten(2)[0].T - there(lighter))[told] / (2.0 * side)).sort(dim=0)
    weight = side.abs().expand(-1, 3).gather(0, order).cumsum(dim=0)
    middle = (weight < weight[-1] / 2.0).sum(dim=0, keepdim=True)
    return slopes.gather(0, middle)[0].clamp(-LEAN, LEAN)
