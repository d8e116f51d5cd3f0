"""The border between hair and skin that no photo saw: temples, sideburns, what is around ears, the nape.

The field's colours have a picture of 64 pixels a side, so where hair ends beside a face they are a smear of both, and
an ear is a cloud. What is hair is known better than that (the parser says it of photo and generator, and between pixels
it can be read), and so are the tones of skin and hair there. So a colour that lies somewhere between the two tones is
replaced by what its place has: on skin the skin's, on hair the hair's, and over some millimetres, in which strands end
one by one, it goes from one to the other. What is near its own tone is kept; beards, glasses and eyes are let alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.behind import Look
from core.rendering.hair import Parting
from core.rendering.measures import widest
from core.rendering.skin_light import SkinLight
from core.rendering.surfaces import SurfaceMap
from core.rendering.tones import tone_volume, tones_at
from core.rendering.tresses import Tresses
from core.visibility import SourceView, look_up

__all__ = ["Border", "border_of"]

# Cells a side of what is hair: fine enough for a line around an ear, coarse enough that all of them are told of.
CELLS = 40
# How much a place that the photo does not show counts beside one that it does, and how surely that must be shown.
AROUND, SHOWN = 0.25, 0.3
# Pixels of 128 by which the generator's hair is wider than the parser sees it in its smear.
SMEAR = 2
# Share from which on a place tells the tone of skin or hair, and how many must.
SURELY, ENOUGH = 0.9, 40
# Over which part of the share hair gives way to skin, and by how much of it strands are longer or shorter.
WIDTH, RAGGED = 0.2, 0.12
# How much of the share a place's own colour adds, where the share lies in the middle.
CLEAR = 0.5
# Squared difference of the two tones at which half is believed: alike tones say nothing about which of them it is.
ALIKE = 0.02


@dataclass(frozen=True, eq=False)
class Border:
    """What of a head is hair, and the tones of hair and skin everywhere.

    Shape:
        hair (1, 1, CELLS, CELLS, CELLS), 0..1; tones (1, 7, T, T, T), T as in ``core.rendering.tones``: of skin, of
        hair, in [-1, 1], and how far a place is one of them, 0..1; axes z, y, x.
    """

    hair: Tensor
    tones: Tensor
    strands: Tresses | None
    grown: float = 0.0
    """How far an edit has brought more hair, 0..1, or taken some away, -1..0: what colour says of that is believed."""

    def under(self, skin: Tensor, hair: Tensor, grown: float) -> Border:
        """The border under an edit that changes both tones by so much, (3,) each, and so much of the hair, -1..1."""
        shift = torch.cat((skin, hair, skin.new_zeros(1)))
        return replace(self, tones=self.tones + shift[:, None, None, None], grown=grown)

    def drawn(self, own: Tensor, points: Tensor, spacing: Tensor) -> Tensor:
        """Colours with the border in them.

        Args:
            own: The generator's (N, 3), in [-1, 1].
            points: Where (N, 3), world units.
            spacing: How far apart they stand (N,) or (1,).

        Shape:
            Returns (N, 3).
        """
        was = hair = tones_at(self.hair, points)
        skin_tone, hair_tone, either = tones_at(self.tones, points).split((3, 3, 1), dim=1)
        way = hair_tone - skin_tone
        length = way.square().sum(dim=1, keepdim=True)
        found = (((own - skin_tone) * way).sum(dim=1, keepdim=True) / length.clamp(min=1e-3)).clamp(0.0, 1.0)
        moved = torch.maximum(hair, found) if self.grown > 0.0 else torch.minimum(hair, found)
        hair = hair.lerp(moved, abs(self.grown))
        # What is thinner than a cell is both to its cell, and mostly clear in its colour.
        between = 4.0 * hair * (1.0 - hair)
        hair = hair + CLEAR * between * (found - 0.5)
        strands = None if self.strands is None else self.strands.strands(points, spacing)[:, None]
        if strands is not None:
            hair = hair + RAGGED * between * strands
        wanted = _step(hair)
        # Shine and shade are off the way between the two tones: never further along it, but to what is wanted itself.
        # And between both tones the field goes through others, which are neither's.
        wrong = torch.maximum((2.0 * (wanted - found).abs()).clamp(max=1.0), between)
        surely = either.clamp(0.0, 1.0) * length / (length + ALIKE)
        drawn = own + surely * wrong * (skin_tone + wanted * way - own)
        if self.grown > 0.0 and self.strands is not None and strands is not None:
            # Hair that was not there before has strands as well.
            drawn = (drawn + 1.0) * (1.0 + self.strands.contrast * strands * (wanted - _step(was)).clamp(min=0.0)) - 1.0
        return drawn


def _step(share: Tensor) -> Tensor:
    """1 where hair is, 0 where none is, and a smooth step between."""
    step = ((share - 0.5) / WIDTH + 0.5).clamp(0.0, 1.0)
    return step.square() * (3.0 - 2.0 * step)


class _Told(NamedTuple):
    """What places of a surface say.

    Shape:
        points (N, 3), colours (N, 3) in [-1, 1]; hair, bare (N,): how far a place is either, 0..1; weight (N,): how
        much it counts, and toned (N,): for the tones.
    """

    points: Tensor
    colours: Tensor
    hair: Tensor
    bare: Tensor
    weight: Tensor
    toned: Tensor


def border_of(
    looks: tuple[Look, ...],
    tone: Tensor,
    skin: SkinLight,
    surface: SurfaceMap,
    view: SourceView,
    parting: Parting,
    strands: Tresses | None,
) -> Border | None:
    """The border of a head; None where either of both is hardly to be seen.

    Args:
        looks: The generator's head from where no photo shows it, parted.
        tone: The photo's hair's (3,), in [-1, 1].
        skin: How light its skin is, in parts of the generator's.
        surface: The head from the photo's camera.
        view: What the photo shows.
        parting: What of that is hair.
        strands: The pattern in which hair ends.
    """
    both = zip(_by_photo(surface, view, parting), _by_looks(looks, tone, skin, view), strict=True)
    points, colours, hair, bare, weight, toned = (torch.cat(pair) for pair in both)
    is_hair, is_bare = hair > SURELY, bare > SURELY
    if min(int(is_hair.sum()), int(is_bare.sum())) < ENOUGH:
        return None
    turned = skin.across(colours, points, bare[:, None])
    tones = [tone_volume(points[of], colours[of], toned[of, None], mirrored=turned[of]) for of in (is_bare, is_hair)]
    either = tone_volume(points, (hair + bare).clamp(max=1.0)[:, None], weight[:, None])
    share = tone_volume(points, hair[:, None], weight[:, None], CELLS)
    return Border(share, torch.cat((*tones, either), dim=1), strands)


def _by_looks(looks: tuple[Look, ...], tone: Tensor, skin: SkinLight, view: SourceView) -> _Told:
    """What the generator's head says, where the photo does not, in the photo's tones."""
    solid = torch.cat([look.solid for look in looks])
    points, own, hair, bare = (
        torch.cat(layers)[solid]
        for layers in zip(*((look.points, look.colours, look.hair, look.skin) for look in looks), strict=True)
    )
    is_hair = hair > SURELY
    usual = own[is_hair].mean(dim=0) if bool(is_hair.any()) else tone
    colours = torch.where(is_hair[:, None], own + (tone - usual), (own + 1.0) * skin.at(points) - 1.0)
    weight = AROUND * (1.0 - look_up(view, points[None])[1][0]).clamp(min=0.0)
    return _Told(points, colours, hair, bare, weight, weight)


def _by_photo(surface: SurfaceMap, view: SourceView, parting: Parting) -> _Told:
    """What the photo says of the surface that it shows."""
    side = parting.photo.shape[-1]
    places, hit = (functional.interpolate(one, size=(side, side)) for one in (surface.points, surface.hit))
    points = places.flatten(2)[0].T
    colours, seen = look_up(view, points[None], target=view.angles)
    trust = seen[0] * parting.agreed.flatten()
    shown = (hit.flatten() > 0.5) & (trust > SHOWN)
    # Where a head has hair beside a cheek and its photo has none, the photo shows what is behind that hair.
    before = (widest(parting.own, SMEAR) * (1.0 - parting.photo) * (1.0 - parting.above)).flatten()
    hair = parting.photo.flatten() + before
    bare = 1.0 - hair if parting.skin is None else torch.minimum(parting.skin.flatten(), 1.0 - before)
    toned = trust * (before < 1.0 - SURELY)
    return _Told(*(layer[shown] for layer in (points, colours[0], hair, bare, trust, toned)))
