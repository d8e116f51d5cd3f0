"""Skin that ages or gets younger on the photo: its own wrinkles deepen, or are filled.

The field's picture has 64 pixels a side and can hold no wrinkle; what *Age* changes there is tone, hair and shape. The
photo shows the creases that somebody has, or begins to have. They are what is darker than its surroundings over a few
millimetres of skin; older is more of them, younger is less. Freckles are no lines and do not deepen. Edges too strong
for skin (lashes, rims of glasses, nostrils) are left alone, and so is everything that is not the face's skin. Where
somebody has begun no line, age draws one (``creases``).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull
from torch import Tensor
from torch.nn import functional

from core.rendering.brows import brows_at
from core.rendering.lids import LOWER as LOWER_LIDS
from core.rendering.lids import UPPER as UPPER_LIDS
from core.rendering.measures import boxed, luma, place_of, widest
from core.rendering.mouth import lips

__all__ = ["ATTRIBUTE", "face_outline", "polygon", "skin_at", "with_wrinkles"]

ATTRIBUTE = "Age"

# MediaPipe's numbers of the corners of each eye, and around the nostrils.
CORNERS = ((33, 133), (263, 362))
NOSTRILS = (98, 97, 2, 326, 327, 278, 48)
# Landmarks end before the face does: their hull is enlarged by so much. The region keeps this far from eyes, brows,
# lips and nostrils, and fades over so much (pictures' widths).
LARGER, AWAY, FADE = 1.1, 0.006, 0.016
# Widths of creases: fine lines are narrower than the first and wider than a pore, folds narrower than the second
# (pictures' widths).
PORE, LINE, FOLD = 0.004, 0.014, 0.045
# How much a crease is deepened at +1, and a bright ridge beside it raised; how much of either is taken away at -1.
DEEPER, RIDGE, FILLED, LEVELLED = 1.5, 0.5, 0.8, 0.45
# Folds count less than lines: they are shading too.
OF_FOLDS = 0.55
# Darkness of a crease [-1, 1] up to which it is skin's, and from which on it is none.
SKIN, EDGE = 0.18, 0.32
# Side at which lines are told from spots, how long a line is at least there, and in how many directions it may run.
LINES, LONG, WAYS = 256, 11, 8
# Boxes of more pixels to each side are worked out small.
WIDE = 8
# How much of its darkest is left of a spot, and of a line, in the mean over such a length.
SPOT, LINED = 0.35, 0.65
# How dark drawn lines are at +1 on bright skin; how dark somebody's own creases are on average where none is drawn.
DRAWN, BEGUN = 0.5, 0.03


def face_outline(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the face's outline: the hull of its landmarks, enlarged. Shape: places (L, 2); returns (N, 2)."""
    outline = places[ConvexHull(places).vertices]
    grown: NDArray[np.float64] = outline.mean(axis=0) + LARGER * (outline - outline.mean(axis=0))
    return grown


def polygon(corners: NDArray[np.float64], size: int) -> Tensor:
    """A filled polygon (1, 1, size, size), 0 and 1. Shape: corners (N, 2), unit picture coordinates."""
    drawn = Image.new("L", (size, size))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in corners * size], fill=255)
    return torch.from_numpy(np.asarray(drawn, np.float32) / 255.0)[None, None]


def skin_at(places: NDArray[np.float64], numbers: NDArray[np.int64], size: int) -> Tensor | None:
    """Where the face's skin is (1, 1, size, size), 0..1; None where landmarks do not name it.

    Args:
        places: Landmarks in the picture (L, 2), unit picture coordinates, v down.
        numbers: MediaPipe's numbers (L,).
        size: Side of the map.
    """
    place = place_of(numbers)
    eyes = [
        (corners[0], *upper, corners[1], *lower[::-1])
        for corners, upper, lower in zip(CORNERS, UPPER_LIDS, LOWER_LIDS, strict=True)
    ]
    wanted = (*NOSTRILS, *(number for eye in eyes for number in eye))
    if any(number not in place for number in wanted):
        return None

    face = polygon(face_outline(places), size)
    middle = places[[place[number] for number in NOSTRILS]]
    box = (middle.min(axis=0), middle.max(axis=0))
    steps = (np.arange(size) + 0.5) / size
    inside = [(steps > box[0][axis]) & (steps < box[1][axis]) for axis in (0, 1)]
    nose = torch.from_numpy((inside[1][:, None] & inside[0][None]).astype(np.float32))[None, None]
    other = torch.maximum(nose, torch.maximum(*(polygon(places[[place[n] for n in eye]], size) for eye in eyes)))
    mouth, brows = lips(places, numbers, size), brows_at(places, numbers, size)
    for region in (mouth, brows):
        if region is not None:
            other = torch.maximum(other, region)
    return _blurred(face * (1.0 - _grown(other, AWAY * size)), FADE * size)


def with_wrinkles(photo: Tensor, skin: Tensor, strength: float, creases: Tensor | None = None) -> Tensor:
    """The photo with deeper or shallower wrinkles.

    Args:
        photo: In [-1, 1].
        skin: Where the face's skin is, and no hair.
        strength: Of the edit; +1 deepens, -1 fills.
        creases: Lines that age may add, as ``creases_at`` draws them.

    Shape:
        photo (1, 3, S, S), skin, creases (1, 1, any, any); returns (1, 3, S, S).
    """
    if strength == 0.0:
        return photo
    size = photo.shape[-1]
    region = functional.interpolate(skin.to(photo), size=(size, size), mode="bilinear", align_corners=False)
    bright = luma(photo)
    levels = [_blurred(bright, width * size) for width in (PORE, LINE, FOLD)]
    change = torch.zeros_like(bright)
    begun = torch.zeros_like(bright)
    # What stands out from its surroundings by more than skin does is an edge, over the whole of its width.
    whole = (levels[0] - levels[2]).abs()
    for detail, share, width in (
        (levels[0] - levels[1], 1.0, LINE),
        (levels[1] - levels[2], OF_FOLDS, 0.6 * FOLD),
    ):
        own = share * detail * ((EDGE - _grown(whole, width * size)) / (EDGE - SKIN)).clamp(0.0, 1.0)
        crease, ridge = own.clamp(max=0.0), own.clamp(min=0.0)
        if strength > 0.0:
            change = change + (DEEPER * crease + RIDGE * ridge) * _lined(-crease)
            begun = begun - crease
        else:
            change = change + FILLED * crease + LEVELLED * ridge
    if strength > 0.0 and creases is not None:
        fresh = 1.0 - (_blurred(begun, 0.5 * FOLD * size) / BEGUN).clamp(max=1.0)
        light = ((levels[2] + 1.0) * 0.5).clamp(min=0.0)
        drawn = functional.interpolate(creases.to(photo), size=(size, size), mode="bilinear", align_corners=False)
        change = change + DRAWN * fresh * light * drawn
    return (photo + strength * region * change).clamp(-1.0, 1.0)


def _lined(dark: Tensor) -> Tensor:
    """How far what is dark (1, 1, S, S) is part of a line, and no spot, 0..1: some mean along it is nearly as dark."""
    size = dark.shape[-1]
    small = dark if size <= LINES else functional.interpolate(dark, size=(LINES, LINES), mode="area")
    along = functional.conv2d(small, _ways().to(dark), padding=LONG // 2).amax(dim=1, keepdim=True)
    darkest = functional.max_pool2d(small, 3, 1, 1).clamp(min=1e-4)
    lined = ((along / darkest - SPOT) / (LINED - SPOT)).clamp(0.0, 1.0)
    return functional.interpolate(lined, size=(size, size), mode="bilinear", align_corners=False)


@cache
@torch.inference_mode(mode=False)
def _ways() -> Tensor:
    """Means along lines through the middle, in all directions (WAYS, 1, LONG, LONG)."""
    line = torch.arange(LONG) - LONG // 2
    down, across = torch.meshgrid(line, line, indexing="ij")
    turn = torch.arange(WAYS)[:, None, None] * (torch.pi / WAYS)
    beside = (across * turn.sin() - down * turn.cos()).abs()
    ways = (1.0 - beside).clamp(min=0.0)
    return (ways / ways.sum(dim=(1, 2), keepdim=True))[:, None]


def _grown(values: Tensor, radius: float) -> Tensor:
    """Maximum over a square window."""
    return widest(values, max(1, round(radius)))


def _blurred(values: Tensor, width: float) -> Tensor:
    """Mean over a window that fades to its sides: two boxes, together as wide as ``width`` to each side [pixels].

    A wide one is worked out small: nothing that it keeps is lost by that.
    """
    size, reach = values.shape[-1], 0.5 * width
    if reach <= WIDE:
        return _boxed_twice(values, max(1, round(reach)))
    small = functional.interpolate(values, size=(round(size * WIDE / reach),) * 2, mode="area")
    return functional.interpolate(_boxed_twice(small, WIDE), size=(size, size), mode="bilinear", align_corners=False)


def _boxed_twice(values: Tensor, reach: int) -> Tensor:
    for _ in range(2):
        padded = boxed(functional.pad(values, (reach,) * 4, mode="replicate"), reach)
        values = padded[..., reach:-reach, reach:-reach]
    return values
