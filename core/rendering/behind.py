"""What no photo of a face shows of its head: which of the back and the sides is hair, and in whose colour.

The generator's own head is looked at from there, and parted as the photo is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.networks import Networks
from core.models.parsing import HAIR, PARSED, HeadParser
from core.rendering.curtain import Curtain
from core.rendering.hair import Parting, parts_of
from core.rendering.hair_tone import toned
from core.rendering.hands import Pause
from core.rendering.integrals import integrate_geometry
from core.rendering.rims import BEHIND_EARS, EARS, HAIRY, NAPE, Rims
from core.rendering.search import located
from core.rendering.shape import HeadShape
from core.rendering.skin_light import SkinLight
from core.tensor_camera import project
from core.visibility import SourceView, look_up

__all__ = ["BACK", "SOME_HAIR", "Behind", "Look", "behind_of", "look_around", "shows_little"]

_SKIN = PARSED.index("skin")
# The back of the head begins here (z, world units); hair is known from this share of the photo's head on: a shaven head
# shows some at its sides, and no colour that would do for its back.
BACK, SOME_HAIR = -0.02, 0.035
# How far behind that the photo's hair has its say no more, and what is said of it before (world units, share).
FAR, LEAST = 0.05, 0.05
# Below this height what is nearer to the neck's axis than that is neck (world units).
NECK, NECK_AXIS = (-0.05, 0.062), (0.0, 0.0, -0.03)
# From so far to either side cheeks and ears are seen that neither the photo nor the view from behind shows [rad].
SIDEWAYS = 1.6
# Share from which on a place is skin at the sides.
BARE = 0.7
# How far a photo's sight of a place is believed for it to say what it is, and to say all of it.
GLIMPSED, SEEN = 0.05, 0.7
# How far from 0 or 1 the parser is sure of itself, and from where on not at all.
SURE = (0.03, 0.1)
# Share from which on a pixel in front says what hair and skin look like, and how many must.
TOLD, ENOUGH = 0.8, 40


class Behind(NamedTuple):
    """The back and the sides of a head, that no photo shows."""

    hair: Tensor
    """Points that are hair (N, 3)."""
    off: Tensor
    """By how much the photo's hair is off the generator's there (N, 3)."""
    told: Tensor
    """How far that counts (N, 1): beside the photo's hair, its own tone goes on."""
    painted: Tensor
    """1 where the generator has skin (N, 1), and all of the colour is the photo's hair's."""
    tone: Tensor
    """The photo's hair's (3,), in [-1, 1]."""
    bare: Tensor
    """Points that are not (M, 3), at the sides as well."""
    skin: Tensor
    """Those of them that are cheeks, ears or neck at the sides (K, 3)."""
    skin_off: Tensor
    """By how much the photo's skin is off the generator's there (K, 3)."""
    looks: tuple[Look, ...]
    """What all that was told by, and what of it is hair in the end: from behind, and from both sides."""

    def fewer(self, count: int) -> Behind:
        """With about so many points of hair, each of which counts for the more."""
        every = max(1, len(self.hair) // count)
        return self._replace(
            hair=self.hair[::every],
            off=self.off[::every],
            told=every * self.told[::every],
            painted=self.painted[::every],
        )


class Look(NamedTuple):
    """The generator's head from one side: N pixels of a square picture.

    Shape:
        colours (N, 3) in [-1, 1], points (N, 3); hair, skin (N,), 0..1; solid (N,).
    """

    colours: Tensor
    points: Tensor
    hair: Tensor
    skin: Tensor
    solid: Tensor


def shows_little(parting: Parting, matte: Tensor) -> bool:
    """Whether a photo shows too little hair to say what is behind. Shape: matte (1, 1, any, any)."""
    head = functional.interpolate(matte, size=parting.photo.shape[-2:], mode="area")
    return bool((parting.photo * parting.above * head).sum() < SOME_HAIR * head.sum())


def look_around(
    networks: Networks, parser: HeadParser, shape: HeadShape, angles: Tensor, pause: Pause
) -> tuple[Look, ...]:
    """The unedited head from where the photo's camera (1, 2) does not see it: from behind, and from both sides."""
    looks = []
    for turn in (math.pi, -SIDEWAYS, SIDEWAYS):
        looks.append(_look(networks, parser, shape, angles, turn, pause))
        pause()
    return tuple(looks)


def behind_of(
    looks: tuple[Look, ...],
    parting: Parting,
    tone: Tensor,
    skin: SkinLight,
    own: Tensor,
    curtain: Curtain | None,
    rims: Rims | None,
    view: SourceView,
    *,
    little: bool,
) -> Behind | None:
    """Hair that no photo shows has the colour of the hair that it does show; None where there is none.

    Args:
        looks: The head as :func:`look_around` sees it.
        parting: What of the photo is hair.
        tone: The colour of its hair (3,) in [0, 1].
        skin: How light its skin is, in parts of the generator's.
        own: The generator's colours in the photo's view (1, 3, s, s), in [-1, 1].
        curtain: What of the head is hair for certain.
        rims: Where the photo's hair goes on behind its rims.
        view: What the photo shows.
        little: Whether the photo shows too little hair to say what is behind: then its rims alone speak.
    """
    back, *beside = looks
    behind = back.solid & (back.points[:, 2] < BACK)
    # A neck in the shade of hair looks like hair.
    off_axis = (back.points - back.points.new_tensor(NECK_AXIS))[:, 0::2].norm(dim=1)
    neck = (back.points[:, 1] < NECK[0]) & (off_axis < NECK[1])
    # A wreath of hair does not say what the generator's cap is.
    decided = torch.where(neck | little, 0.0, _decided(back, own, parting))
    hairy = decided > HAIRY
    is_hair = behind & hairy
    if curtain is not None:
        held = back.solid & curtain.holds(back.points)
        hairy, is_hair = hairy | held, is_hair | held
    hair = parting.photo * (1.0 - parting.bare)
    goes_on = _goes_on(back._replace(hair=hairy.to(hair)), rims, view, hair)
    hairs = [_Hair(back, is_hair, False), _Hair(back, goes_on, True)]
    bare = back.points[back.solid & ~hairy & ~goes_on]
    parted = [back._replace(hair=torch.where((hairy & ~(decided > HAIRY)) | goes_on, 1.0, decided))]
    sides = []
    for side in beside:
        goes_on = _goes_on(side, rims, view, hair)
        # What hangs lower is hair of the latents that the photo may not have.
        unseen = (look_up(view, side.points[None])[1][0] < SEEN) & (side.points[:, 1] > EARS)
        hairs += [_Hair(side, goes_on, True), _Hair(side, side.solid & (side.hair > HAIRY) & ~goes_on & unseen, False)]
        held = torch.zeros_like(goes_on) if curtain is None else curtain.holds(side.points)
        cheeks = side.solid & (side.skin > BARE) & ~goes_on & ~held
        parted.append(side._replace(hair=torch.where(goes_on | held, 1.0, side.hair)))
        size = round(len(cheeks) ** 0.5)
        inner = -functional.max_pool2d(-cheeks.to(bare).reshape(1, 1, size, size), 3, 1, 1).flatten() > 0.5
        inner = inner & (side.points[:, 2] > BACK)
        # In the shade skin is off by less: light is multiplied.
        places = side.points[inner]
        sides.append(torch.cat((places, (side.colours[inner] + 1.0) * (skin.at(places) - 1.0)), dim=1))
    if not any(bool(one.where.any()) for one in hairs):
        return None
    places, off_there = torch.cat(sides).split(3, dim=1)
    tone = 2.0 * tone - 1.0
    points, colours, told, painted = torch.cat([one.told() for one in hairs]).split((3, 3, 1, 1), dim=1)
    off = toned(colours, tone, painted[:, 0] > 0.0)
    # Hair that is not the head's has no skin's share either.
    looks = tuple(look._replace(skin=torch.minimum(look.skin, 1.0 - look.hair)) for look in parted)
    return Behind(points, off, told, painted, tone, torch.cat((bare, places)), places, off_there, looks)


class _Hair(NamedTuple):
    """What of a look is hair (N,)."""

    look: Look
    where: Tensor
    painted: bool
    """Whether the generator has skin there: then it is painted over, and not shifted as a whole."""

    def told(self) -> Tensor:
        """Points, the generator's colours there, how far they are told of, and whether they are painted (M, 8)."""
        points, colours = self.look.points[self.where], self.look.colours[self.where]
        far = torch.ones_like(points[:, :1])
        if not self.painted:
            # Ahead of the back and low lies what hangs beside a neck, and no hair of the photo beside it.
            ahead = points[:, 2:] > BACK
            far = torch.where(ahead & (points[:, 1:2] <= EARS), far, ((BACK - points[:, 2:]) / FAR).clamp(LEAST, 1.0))
        painted = torch.full_like(far, float(self.painted))
        return torch.cat((points, colours, far, painted), dim=1)


def _goes_on(look: Look, rims: Rims | None, view: SourceView, hair: Tensor) -> Tensor:
    """What of a look (N,) is hair to the photo, hardly seen there (at its rims, and behind them), and bare so far.

    What hangs lower hangs before ears, cheeks and necks, and is not on them.
    """
    if rims is None:
        return torch.zeros_like(look.solid)
    share, behind = rims.hair_at(look.points)
    share = torch.where(behind, share, 0.0)
    # What the photo shows of the other side comes before what its rims say, and what it shows of this one before that.
    mirror = look.points * look.points.new_tensor((-1.0, 1.0, 1.0))
    seen = torch.zeros_like(share)
    for places in (mirror, look.points):
        seen = look_up(view, places[None])[1][0]
        uv, _ = project(places[None], view.angles, view.half_fov)
        there = functional.grid_sample(hair, uv[:, :, None], align_corners=False)[0, 0, :, 0]
        share = torch.where(seen > GLIMPSED, there, share)
    lowest = torch.where(look.points[:, 2] < BEHIND_EARS, NAPE, EARS)
    return look.solid & (look.hair < HAIRY) & (look.points[:, 1] > lowest) & (seen < SEEN) & (share > HAIRY)


def _decided(look: Look, own: Tensor, parting: Parting) -> Tensor:
    """Hair of a look (N,), 0..1: as far as the parser is not sure, what has the tone of the same head's hair in front.

    From behind, smooth hair in the colour of skin is a ball without a face; nobody could tell it from a bald head.
    """
    share = functional.interpolate(parting.own, size=own.shape[-2:], mode="area").flatten()
    face = functional.interpolate(parting.bare, size=own.shape[-2:], mode="area").flatten()
    colours, hair, skin = own.flatten(2)[0].T, share > TOLD, (face > TOLD) & (share < 1.0 - TOLD)
    if min(int(hair.sum()), int(skin.sum())) < ENOUGH:
        return look.hair
    far = [(look.colours - colours[one].median(dim=0).values).norm(dim=1) for one in (hair, skin)]
    unsure = ((0.5 - (look.hair - 0.5).abs() - SURE[0]) / (SURE[1] - SURE[0])).clamp(0.0, 1.0)
    return look.hair.lerp((far[0] < far[1]).to(look.hair), unsure)


def _look(networks: Networks, parser: HeadParser, shape: HeadShape, angles: Tensor, turn: float, pause: Pause) -> Look:
    """The head turned so far from the photo's camera, seen level."""
    away = angles * angles.new_tensor((1.0, 0.0)) + angles.new_tensor((turn, 0.0))
    field = shape.field.light
    found = located(shape, away, draft=True, pause=pause)
    pause()
    maps = integrate_geometry(networks.generator, field, away, found, fallback=False)
    pause()
    seen = maps.appearance(networks.generator, field)
    density = seen.alpha.clamp(min=1e-3)
    own = seen.rgb / density
    pause()
    parts = parts_of(parser, own, seen.alpha, pause)
    parts = functional.interpolate(parts, size=own.shape[-2:], mode="area")[0].flatten(1)
    colours, points = (one.flatten(2)[0].T for one in (own, seen.xyz / density))
    return Look(colours, points, parts[HAIR], parts[_SKIN], seen.alpha.flatten() > 0.9)
