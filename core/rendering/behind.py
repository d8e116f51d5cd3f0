"""What no photo of a face shows of its head: which of the back and the sides is hair, and in whose colour.

The generator's own head is looked at from there. Light falls off towards the sides, so a tone is compared with skin and
hair in any shade: shade dims all channels alike. Its hair is what covers its crown, whatever it has elsewhere.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.networks import Networks
from core.rendering.hair import CERTAIN, Parting, tones_of
from core.rendering.hands import Pause
from core.rendering.integrals import integrate_geometry
from core.rendering.search import located
from core.rendering.shape import HeadShape

__all__ = ["BACK", "SOME_HAIR", "Behind", "behind_of", "certainty", "skin_of"]

# The back of the head begins here (z, world units); hair is known from this share of the photo's head on.
BACK, SOME_HAIR = -0.02, 0.02
# Where hair is looked for that says what hair looks like: above this height, behind the face (world units).
CROWN = 0.03
# Below this height what is nearer to the neck's axis than that is neck (world units).
NECK, NECK_AXIS = (-0.05, 0.062), (0.0, 0.0, -0.03)
# From so far to either side cheeks and ears are seen that neither the photo nor the view from behind shows [rad]; what
# is skin there by this certainty, and skin all around, has no strands.
SIDEWAYS, SKIN = 1.6, -0.5
# How dark and how light skin and hair may be, as shares of what they are in the middle of the picture.
SHADED, SHINING = (0.35, 1.15), (0.6, 1.6)
# The same of a bald crown, which lies in the light.
LIT = (0.75, 1.15)
# How much darker or lighter than the generator's a photo's skin may be.
RATIO = (0.25, 3.0)
# Points of hair that say what it looks like.
ENOUGH = 40


class Behind(NamedTuple):
    """The back and the sides of a head, that no photo shows."""

    hair: Tensor
    """Points that are hair (N, 3)."""
    off: Tensor
    """By how much the photo's hair is off the generator's there (N, 3)."""
    bare: Tensor
    """Points that are not (M, 3), at the sides as well."""
    skin: Tensor
    """Those of them that are cheeks, ears or neck at the sides (K, 3)."""
    skin_off: Tensor
    """By how much the photo's skin is off the generator's there (K, 3)."""


class _Look(NamedTuple):
    """The generator's head from one side: N pixels of a square picture.

    Shape:
        colours (N, 3) in [-1, 1], tones (N, 3), points (N, 3), solid (N,).
    """

    colours: Tensor
    tones: Tensor
    points: Tensor
    solid: Tensor


def behind_of(
    networks: Networks,
    shape: HeadShape,
    angles: Tensor,
    parting: Parting,
    tone: Tensor,
    skin: Tensor,
    matte: Tensor,
    pause: Pause,
) -> Behind | None:
    """Hair that no photo shows has the colour of the hair that it does show; None where the photo shows none.

    Args:
        networks: The model.
        shape: The unedited head's.
        angles: The photo's camera (1, 2).
        parting: What of the photo is hair.
        tone: The colour of its hair (3,) in [0, 1].
        skin: How light its skin is, in parts of the generator's (3,), as :func:`skin_of` says.
        matte: The photo's (1, 1, any, any).
        pause: Called between steps.
    """
    head = functional.interpolate(matte, size=parting.photo.shape[-2:], mode="area")
    if parting.palette is None or (parting.photo * parting.above * head).sum() < SOME_HAIR * head.sum():
        return None
    back = _look(networks, shape, angles, math.pi, pause)
    behind = back.solid & (back.points[:, 2] < BACK)
    crown = behind & (back.points[:, 1] > CROWN)
    # Most of a crown is hair if any of the head is; a bald one looks like the face.
    hair, least = parting.palette.hair, 0.0
    if int(crown.sum()) >= ENOUGH:
        usual = back.tones[crown].median(dim=0).values[None]
        if float(_far(usual, parting.palette.skin, LIT)[0]) >= CERTAIN:
            # Brown hair in light is as near to skin in shade: a haired crown has hair wherever it is not surely skin.
            hair, least = usual, SKIN
    # A neck in the shade of hair looks like hair.
    off_axis = (back.points - back.points.new_tensor(NECK_AXIS))[:, 0::2].norm(dim=1)
    neck = (back.points[:, 1] < NECK[0]) & (off_axis < NECK[1])
    is_hair = (certainty(back.tones, parting.palette.skin, hair) > least) & ~neck
    bare, is_hair = back.points[back.solid & ~is_hair], behind & is_hair
    if not is_hair.any():
        return None
    sides = []
    for turn in (-SIDEWAYS, SIDEWAYS):
        pause()
        side = _look(networks, shape, angles, turn, pause)
        cheeks = side.solid & (certainty(side.tones, parting.palette.skin, hair) < SKIN)
        size = round(len(cheeks) ** 0.5)
        inner = -functional.max_pool2d(-cheeks.to(bare).reshape(1, 1, size, size), 3, 1, 1).flatten() > 0.5
        inner = inner & (side.points[:, 2] > BACK)
        # In the shade skin is off by less: light is multiplied.
        sides.append(torch.cat((side.points[inner], (side.colours[inner] + 1.0) * (skin - 1.0)), dim=1))
    places, off_there = torch.cat(sides).split(3, dim=1)
    off = 2.0 * tone - 1.0 - back.colours[is_hair].mean(dim=0)
    return Behind(
        back.points[is_hair],
        off.expand(int(is_hair.sum()), 3),
        torch.cat((bare, places)),
        places,
        off_there,
    )


def skin_of(photo: Tensor, own: Tensor, alpha: Tensor, face: Tensor) -> Tensor:
    """How light the photo's skin is, in parts of the generator's (3,): medians over the face below the brows.

    Shape:
        photo (1, 3, any, any), own (1, 3, s, s) in [-1, 1]; alpha (1, 1, s, s); face (1, 1, any, any), 0..1.
    """
    size = own.shape[-2:]
    small, where = (functional.interpolate(one, size=size, mode="area") for one in (photo, face))
    here = ((where > 0.9) & (alpha > 0.9)).flatten()
    if not here.any():
        return own.new_ones(3)
    theirs, ours = ((one.flatten(2)[0][:, here] + 1.0).median(dim=1).values for one in (small, own))
    return (theirs / ours.clamp(min=0.05)).clamp(*RATIO)


def certainty(tones: Tensor, skin: Tensor, hair: Tensor) -> Tensor:
    """Whether tones (N, 3) are hair (H, 3) or skin (K, 3) in any light: from -1, skin for certain, to 1, hair."""
    nearer = _far(tones, skin, SHADED) - _far(tones, hair, SHINING)
    return (nearer / CERTAIN).clamp(-1.0, 1.0)


def _far(tones: Tensor, known: Tensor, light: tuple[float, float]) -> Tensor:
    """Distance (N,) of tones (N, 3) from the nearest of known ones (K, 3), each as light or dark as it may be."""
    dimmed = (tones @ known.T / known.square().sum(dim=1).clamp(min=1e-6)).clamp(*light)
    return (tones[:, None] - dimmed[..., None] * known).norm(dim=2).amin(dim=1)


def _look(networks: Networks, shape: HeadShape, angles: Tensor, turn: float, pause: Pause) -> _Look:
    """The head turned so far from the photo's camera, seen level."""
    away = angles * angles.new_tensor((1.0, 0.0)) + angles.new_tensor((turn, 0.0))
    field = shape.field.light
    found = located(shape, away, draft=True, pause=pause)
    pause()
    maps = integrate_geometry(networks.generator, field, away, found, fallback=False)
    pause()
    seen = maps.appearance(networks.generator, field)
    density = seen.alpha.clamp(min=1e-3)
    own, points = ((one / density).flatten(2)[0].T for one in (seen.rgb, seen.xyz))
    return _Look(own, tones_of(own.T[None, :, :, None])[0, :, :, 0].T, points, seen.alpha.flatten() > 0.9)
