"""Which pixels of a head are hair; and paint of an edit that keeps to hair and skin of the photo.

Generator and photo rarely have the same hairline. Where the generator ages its hair, a bald forehead of the photo must
not go grey; where its forehead is bare, the photo's fringe must follow all the same. So both pictures are parted into
hair and skin (``core.models.parsing``), and what an edit does to either is taken from where both agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.models.parsing import BEARD, HAIR, PARSED, HeadParser
from core.rendering.hands import Pause, resting, stepping
from core.rendering.measures import luma, widest
from core.surface_maps import extended

__all__ = [
    "SIDE",
    "Face",
    "Parting",
    "face_of",
    "kept_apart",
    "parted",
    "parts_of",
    "strand_contrast",
    "without_scalps",
]

_BROWS, _SKIN = PARSED.index("brows"), PARSED.index("skin")
# Side of the maps: the field's picture has 64 pixels a side, hairlines want some more.
SIDE = 128
# Side at which the generator's colours are carried: that of its field's picture.
COARSE = 64
# World heights of the mean head (y): between eyes and mouth nothing but skin, and below the brows no hair of the head.
CHEEKS, BROWS, MOUTH = (-0.028, -0.004), 0.016, -0.038
# Where brows are.
BAND = (0.012, 0.022)
# Over which the mouth's height is left, in [-1, 1].
FADE = 0.2
# A scalp is smooth and has the hue of its cheeks: a patch's median contrast (share of luma, at 256 px over this width)
# and difference of red's and green's share of the colour, below which it is none of hair; a rim that says nothing. And
# no scalp is so much darker than its cheeks (share of their luma; in shade .6 was seen): sleek black hair may be.
SMOOTH, STRAND, HUE, RIM, DIM = 0.035, 9, 0.05, 3, 0.42
# Pixels beside hair that lie in its shadow, and how surely a pixel is hair on skin for it to be doubted, and wholly.
SHADOW, DOUBT = 3, (0.3, 0.7)
# Half the height over which doubt begins at the brows: a sharp end would be seen.
ROWS = 8
# Share of the hair that is a scalp, from which on all of it is.
MOSTLY = 0.5


class Face(NamedTuple):
    """Where a picture shows the face. Each (1, 1, SIDE, SIDE)."""

    skin: Tensor
    """Surely nothing but skin, 0 or 1."""
    bare: Tensor
    """The face below the brows, 0 or 1."""
    above: Tensor
    """All that is higher than the brows, 0 or 1."""
    upper: Tensor
    """All that is higher than the mouth, fading, 0..1: below it, shade under a chin looks like dark hair."""


class Parting(NamedTuple):
    """Hair of the photo and of the generator's unedited head in the photo's view, each (1, 1, SIDE, SIDE), 0..1."""

    photo: Tensor
    own: Tensor
    upper: Tensor
    """All that is higher than the mouth."""
    above: Tensor
    """All that is higher than the brows: hair there is no shade of a jaw."""
    brows: Tensor
    """Where the face's brows lie, with skin around them."""
    bare: Tensor
    """The face below the brows."""
    photo_brows: Tensor
    """What of the photo is brows: like the parting's hair, 0..1."""
    ears: Tensor | None = None
    """What of the photo is an ear where the head has none; see ``core.rendering.ears``."""
    skin: Tensor | None = None
    """What of the photo is skin."""
    beard: Tensor | None = None
    """What of the photo is a beard."""

    @property
    def agreed(self) -> Tensor:
        """How far a pixel of the photo may lie on what the head has there (1, 1, SIDE, SIDE), 0..1.

        Hair on a cheek or a neck of the head hung before it in the photo, and left a shadow beside it: seen from the
        side both would be blots on skin. Above the brows a fringe lies on the forehead in any case, and the
        deformation has brought hairlines together.
        """
        hair = widest(self.photo, SHADOW)
        doubt = ((hair * (1.0 - self.own) - DOUBT[0]) / (DOUBT[1] - DOUBT[0])).clamp(0.0, 1.0)
        below = 1.0 - functional.avg_pool2d(self.above, (2 * ROWS + 1, 1), 1, (ROWS, 0), count_include_pad=False)
        agreed = 1.0 - doubt * below
        return agreed if self.ears is None else agreed * (1.0 - self.ears)


def face_of(landmarks: Tensor, places: Tensor) -> Face:
    """The face's parts from landmarks.

    Shape:
        landmarks (L, 3), world units; places (L, 2): where the picture shows them, in [-1, 1], v down.
    """
    height = landmarks[:, 1]
    cheeks = hull(places[(height > CHEEKS[0]) & (height < CHEEKS[1])])
    bare = hull(places[height < BROWS])
    brow = places[(height > CHEEKS[1]) & (height < BROWS), 1].mean()
    steps = (torch.arange(SIDE, device=places.device, dtype=places.dtype) + 0.5) * (2.0 / SIDE) - 1.0
    above = (steps < brow).to(places.dtype)[None, None, :, None].expand(1, 1, SIDE, SIDE)
    mouth = places[height < MOUTH, 1].amin()
    upper = ((mouth - steps) / FADE).clamp(0.0, 1.0)[None, None, :, None].expand(1, 1, SIDE, SIDE)
    return Face(cheeks, bare, above, upper)


def parted(
    parser: HeadParser,
    of_photo: Tensor,
    photo: Tensor,
    matte: Tensor,
    own: Tensor,
    alpha: Tensor,
    landmarks: Tensor,
    places: Tensor,
    pause: Pause = resting,
) -> Parting:
    """Photo and generator's picture of one view, parted into hair and the rest; pauses between steps.

    Shape:
        of_photo (1, parts, SIDE, SIDE): what the parser says of the photo and its mirror image (:func:`parts_of`);
        photo (1, 3, any, any) and own (1, 3, any, any) in [-1, 1]; matte, alpha (1, 1, any, any): where they show the
        head; landmarks (L, 3), places (L, 2) as in :func:`face_of`.
    """
    face = face_of(landmarks, places)
    brows = hull(places[(landmarks[:, 1] > BAND[0]) & (landmarks[:, 1] < BAND[1])])
    pause()
    of_own = parts_of(parser, own, alpha, pause)
    hair, own_hair = (one[:, HAIR : HAIR + 1] for one in (of_photo, of_own))
    pause()
    hair = without_scalps(hair, photo, matte, face)
    photo_brows, skin, beard = (of_photo[:, one : one + 1] for one in (_BROWS, _SKIN, BEARD))
    return Parting(hair, own_hair, face.upper, face.above, brows, face.bare, photo_brows, skin=skin, beard=beard)


def without_scalps(hair: Tensor, photo: Tensor, matte: Tensor, face: Face) -> Tensor:
    """Hair without patches that are a bald head's: one that shines, or lies in another light, misleads the parser.

    Shape:
        hair (1, 1, SIDE, SIDE), 0..1, and returns the same; photo (1, 3, any, any) in [-1, 1]; matte (1, 1, any, any).
    """
    colour = (functional.interpolate(photo, size=(SIDE, SIDE), mode="area") + 1.0) * 0.5
    cheeks = colour[0][:, face.skin[0, 0] > 0.5]
    if not cheeks.shape[1]:
        return hair
    share = colour[0, :2] / colour[0].sum(dim=0).clamp(min=0.03)
    usual = cheeks.median(dim=1).values
    off = (share - (usual[:2] / usual.sum().clamp(min=0.03))[:, None, None]).norm(dim=0)
    contrast = strand_contrast(photo)
    head = functional.interpolate(matte, size=(SIDE, SIDE), mode="area")[0, 0] > 0.95
    inside = ndimage.binary_erosion(head.cpu().numpy(), iterations=RIM)
    patches, count = ndimage.label((hair[0, 0] > 0.5).cpu().numpy() & inside)
    if not count:
        return hair
    numbers = range(1, count + 1)
    light = luma(colour)[0, 0] / luma(usual[None, :, None, None]).clamp(min=0.03)[0, 0]
    rough, tinted, lit = (ndimage.median(one.cpu().numpy(), patches, numbers) for one in (contrast, off, light))
    bald = np.concatenate(([False], (rough < SMOOTH) & (tinted < HUE) & (lit > DIM)))
    sizes = np.bincount(patches.ravel(), minlength=count + 1)[1:]
    if sizes[bald[1:]].sum() > MOSTLY * sizes.sum():
        return torch.zeros_like(hair)
    # What is softer around a patch goes with it.
    nearest = ndimage.distance_transform_edt(patches == 0, return_distances=False, return_indices=True)
    gone = torch.from_numpy(bald[patches[tuple(nearest)]]).to(hair.device)
    return hair * (~gone)[None, None]


def strand_contrast(picture: Tensor) -> Tensor:
    """How much each pixel stands out from its surroundings, as a share of their luma (SIDE, SIDE): strands do.

    Shape:
        picture (1, 3, any, any) in [-1, 1].
    """
    fine = luma((functional.interpolate(picture, size=(2 * SIDE, 2 * SIDE), mode="area") + 1.0) * 0.5)
    mean = functional.avg_pool2d(fine, STRAND, 1, STRAND // 2, count_include_pad=False)
    return functional.avg_pool2d((fine - mean).abs() / mean.clamp(min=0.05), 2)[0, 0]


def parts_of(
    parser: HeadParser, picture: Tensor, solid: Tensor, pause: Pause = resting, *, mirrored: bool = False
) -> Tensor:
    """How surely each pixel of a head is each of ``PARSED``, 0..1; nothing where there is no head.

    Shape:
        picture (1, 3, any, any) in [-1, 1]; solid (1, 1, any, any): where it shows the head; returns
        (1, parts, SIDE, SIDE).
    """
    with stepping(parser, pause):
        shares = parser.shares(picture, solid, mirrored=mirrored)
    return shares * (functional.interpolate(solid, size=shares.shape[-2:], mode="area") > 0.1)


def hull(places: Tensor) -> Tensor:
    """Pixels within the convex hull of places (N, 2) in [-1, 1], v down: (1, 1, SIDE, SIDE).

    A pixel lies within when no direction has it beyond all places.
    """
    turn = torch.arange(32, device=places.device, dtype=places.dtype) * (2.0 * torch.pi / 32)
    directions = torch.stack((turn.cos(), turn.sin()))
    steps = (torch.arange(SIDE, device=places.device, dtype=places.dtype) + 0.5) * (2.0 / SIDE) - 1.0
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    beyond = torch.stack((u, v), dim=-1) @ directions > (places @ directions).amax(dim=0)
    return (~beyond.any(dim=-1)).to(places.dtype)[None, None]


def kept_apart(pictures: Tensor, hair: Tensor, own: Tensor, solid: Tensor | None = None) -> Tensor:
    """Pictures of a generator's head as if it had hair where the photo has some.

    What is hair (skin) to the photo but not to the generator takes the colours of the nearest place that is so to both.

    Args:
        pictures: Any number of channels of the generator's (1, C, s, s).
        hair: The photo's hair in the same view (1, 1, S, S), 0..1.
        own: The generator's hair (1, 1, any, any), 0..1.
        solid: Its head (1, 1, any, any), 0..1: what was carried beyond it is nobody's skin. All of the picture if None.

    Shape:
        Returns (1, C, S, S), S the side of ``hair``.
    """
    size = hair.shape[-1]
    coarse, theirs, own = (
        functional.interpolate(one, size=(COARSE, COARSE), mode="area") for one in (pictures, hair, own)
    )
    head = torch.ones_like(own) if solid is None else functional.interpolate(solid, size=(COARSE, COARSE), mode="area")
    found = []
    for photo, generator in ((theirs, own), (1.0 - theirs, 1.0 - own)):
        # Its pictures are soft: beside a hairline there is hair in its skin.
        surely = -functional.max_pool2d(-generator, 3, 1, 1)
        both = ((photo > 0.6) & (surely > 0.6) & (head > 0.5)).to(coarse.dtype)
        if both.sum() < 1.0:
            if photo is theirs and photo.max() < 0.6:
                hair = torch.zeros_like(hair)  # A bald head: all of it is skin, whatever the generator grows there.
                found.append(functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False))
                continue
            return functional.interpolate(pictures, size=(size, size), mode="bilinear", align_corners=False)
        carried = extended(coarse, both)
        found.append(functional.interpolate(carried, size=(size, size), mode="bilinear", align_corners=False))
    return found[0] * hair + found[1] * (1.0 - hair)
