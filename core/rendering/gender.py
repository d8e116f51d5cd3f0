"""Gender on the photo: what a face shows of it beside its shape, taken from the face itself.

The field's direction moves jaw, brow ridge and cheeks; what it paints in 64 pixels are grey chins and smudges of hair,
and neither people nor networks see a gender in that. Faces differ more in contrasts (Russell 2009): lips redder and
darker than the skin, lashes, smooth skin and thin brows on the feminine side; the shadow of a shaven beard, thick
brows, pale lips and coarser skin on the masculine one. All of that is the photo's own, strengthened or taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from core.rendering.brows import brows_at, with_brows
from core.rendering.lids import UPPER as UPPER_LIDS
from core.rendering.measures import blurred, luma, place_of, redder, surroundings
from core.rendering.mouth import lips
from core.rendering.wrinkles import CORNERS, face_outline, polygon, skin_at, with_wrinkles

__all__ = ["ATTRIBUTE", "Cues", "beard_at", "cues_at", "with_gender"]

ATTRIBUTE = "Gender"

# MediaPipe's numbers under the nose, from one wing to the other.
NOSE = (98, 97, 2, 326, 327)
# Corners of the mouth.
MOUTH = (61, 291)
# A shaven beard ends this far under the nose and, at the ears, above the nose's base; it fades over so much, and keeps
# this far from the lips (pictures' widths). Its edge is lowest, as low as the corners of the mouth, so far outside them
# (half the mouth's width).
UNDER, EARS, FADE, FROM_LIPS, OUTSIDE = 0.012, 0.02, 0.07, 0.008, 1.25
# Lips begin and end softly (pictures' widths), lashes are so wide and so far above the lids' landmarks.
SOFT, LASHES, ABOVE = 0.004, 0.006, 0.003
# Brows and creases at the ends of the slider, as their own sliders count them.
BROWS, SMOOTH, COARSE = 0.9, 0.6, 0.35
# A shaven beard: how much of the skin's colour gives way to the hair's, how much of that is seen of hair that is nearly
# as light as skin and at most, and how far a visible one is lightened again.
SHADOW, SHOWS, LIT = 0.34, (0.12, 0.65), 0.8
# How far it may be lightened (ratio), and what of the face says how light it should be (pictures' widths).
LIGHTEST, AROUND = 1.25, 0.12
# How much its stubble stands out, how wide that is (pictures' widths), and its seed.
STUBBLE, BRISTLE, SEED = 0.06, 0.0012, 5
# A grown beard is full from one over this of a shaven one's share on, to its upper edge, and ends so far below the chin
# (pictures' widths).
FULL, HANGS = 2.0, 0.05
# Of somebody whose hair is not known.
DARK_HAIR = (0.2, 0.17, 0.15)
# Lips: what red, green and blue are multiplied by on the feminine side, and how far they take the skin's colour on the
# masculine one. Lashes: darker by this share.
LIPS, PALE, DARK = (0.95, 0.68, 0.72), 0.35, 0.45


class Cues(NamedTuple):
    """Where a face shows its gender, in the photo's view, (1, 1, S, S) each, 0..1."""

    beard: Tensor
    """Where a beard would be shaven."""
    lips: Tensor
    lashes: Tensor
    skin: Tensor
    brows: Tensor


def cues_at(places: NDArray[np.float64], numbers: NDArray[np.int64], size: int) -> Cues | None:
    """Where a face shows its gender; None where landmarks do not name it.

    Args:
        places: Landmarks in the picture (L, 2), unit picture coordinates, v down.
        numbers: MediaPipe's numbers (L,).
        size: Side of the maps.
    """
    place = place_of(numbers)
    lines = [(first, *upper, last) for (first, last), upper in zip(CORNERS, UPPER_LIDS, strict=True)]
    if any(number not in place for number in (*NOSE, *MOUTH, *(number for line in lines for number in line))):
        return None
    skin, mouth, brows = (found(places, numbers, size) for found in (skin_at, lips, brows_at))
    if skin is None or mouth is None or brows is None:
        return None
    # Lips stay apart from what lies between them by their colour; see ``with_gender``.
    soft = blurred(mouth, SOFT * size)
    beard = _shaven(places, place, size) * (1.0 - _widened(mouth, FROM_LIPS * size))
    return Cues(beard, soft, _lashes(places, place, lines, size), skin, brows)


def beard_at(places: NDArray[np.float64], numbers: NDArray[np.int64], size: int) -> Tensor | None:
    """Where a beard may grow (1, 1, size, size), 0..1: where it is shaven, and lower, to a little below the chin.

    The generator's directions put beards over ears and up to the eyes. Arguments as in :func:`cues_at`.
    """
    place = place_of(numbers)
    if any(number not in place for number in (*NOSE, *MOUTH)):
        return None
    corners = places[[place[number] for number in MOUTH]]
    steps = (np.arange(size) + 0.5) / size
    lower = np.clip((steps - corners[:, 1].mean()) / FADE + 0.5, 0.0, 1.0)
    # It hangs a little below the chin, and does not grow on necks.
    chin = face_outline(places)[:, 1].max()
    lower = (lower * np.clip((chin + HANGS - steps) / FADE + 0.5, 0.0, 1.0)).astype(np.float32)
    grows = (FULL * _shaven(places, place, size)).clamp(max=1.0)
    return torch.maximum(grows, torch.from_numpy(lower)[None, None, :, None])


def _shaven(places: NDArray[np.float64], place: dict[int, int], size: int) -> Tensor:
    outline = face_outline(places)
    under, corners = (places[[place[number] for number in line]] for line in (NOSE, MOUTH))
    middle, base = under[:, 0].mean(), under[:, 1].mean()
    steps = (np.arange(size) + 0.5) / size
    # Its upper edge: under the nose, down to the corners of the mouth, and up to the ears.
    wide = 0.5 * np.ptp(outline[:, 0])
    aside = [
        0.0,
        0.5 * np.ptp(under[:, 0]),
        OUTSIDE * 0.5 * np.ptp(corners[:, 0]),
        max(wide, 0.6 * np.ptp(corners[:, 0])),
    ]
    heights = [base + UNDER, base + UNDER, corners[:, 1].mean(), base - EARS]
    top = np.interp(np.abs(steps - middle), aside, heights)
    below = np.clip((steps[:, None] - top[None]) / FADE + 0.5, 0.0, 1.0)
    below = below * below * (3.0 - 2.0 * below)
    return blurred(polygon(outline, size), FADE * size / 3.0) * torch.from_numpy(below.astype(np.float32))


def _lashes(places: NDArray[np.float64], place: dict[int, int], lines: Sequence[tuple[int, ...]], size: int) -> Tensor:
    scale = 4  # drawn larger, because lines of Pillow are whole pixels wide
    drawn = Image.new("L", (scale * size, scale * size))
    pen = ImageDraw.Draw(drawn)
    for line in lines:
        points = places[[place[number] for number in line]] - np.array([0.0, ABOVE])
        pen.line(
            [tuple(point) for point in points * size * scale], fill=255, width=max(1, round(LASHES * size * scale))
        )
    large = torch.from_numpy(np.asarray(drawn, np.float32) / 255.0)[None, None]
    return blurred(functional.avg_pool2d(large, scale), max(0.5, 0.4 * LASHES * size))


def with_gender(
    photo: Tensor, cues: Cues, strength: float, free: Tensor | None = None, hair: Tensor | None = None
) -> Tensor:
    """The photo with a more feminine (-1) or more masculine (+1) face.

    Args:
        photo: In [-1, 1].
        cues: Where what is.
        strength: Of the edit.
        free: Where no hair hangs over the face, 0..1.
        hair: The colour of somebody's hair, in [0, 1]: what is shaven has it as well.

    Shape:
        photo (1, 3, S, S); free (1, 1, any, any); hair (3,); returns (1, 3, S, S).
    """
    if strength == 0.0:
        return photo
    size = photo.shape[-1]
    here = None if free is None else _at(free, photo)
    beard, mouth, lashes = (_at(one, photo) * (1.0 if here is None else here) for one in cues[:3])
    amount = abs(strength)
    found = with_wrinkles(photo, cues.skin, COARSE * strength if strength > 0.0 else SMOOTH * strength)
    found = with_brows(found, cues.brows, float(np.clip(BROWS * strength, -1.0, 1.0)), free)
    colours = (found + 1.0) * 0.5
    skin = _at(cues.skin, photo)
    tone = surroundings(colours, skin, AROUND * size)
    if strength > 0.0:
        # Roots shine through the skin: each channel loses as much as hair takes of it, and nothing becomes lighter.
        tint = colours.new_tensor(DARK_HAIR) if hair is None else hair
        less = (1.0 - tint[:, None, None] / tone.clamp(min=0.05)).clamp(*SHOWS)
        bristles = _bristles(size).to(colours).clamp(min=0.0)
        colours = colours * (1.0 - min(1.0, amount) * beard * less * (SHADOW + STUBBLE * bristles)).clamp(min=0.3)
        pale = redder(colours, tone) * mouth * min(1.0, PALE * amount)
        colours = torch.lerp(colours, tone, pale)
    else:
        # What of the shaven skin is darker than the cheeks around it.
        cheeks = surroundings(luma(colours), skin * (1.0 - beard), 2.0 * AROUND * size)
        shade = cheeks / surroundings(luma(colours), skin * beard, 0.5 * AROUND * size).clamp(min=0.02)
        colours = colours * (1.0 + LIT * amount * beard * skin * (shade.clamp(1.0, LIGHTEST) - 1.0))
        red = redder(colours, tone) * mouth * min(1.0, amount)
        colours = torch.lerp(colours, colours * colours.new_tensor(LIPS)[:, None, None], red)
        colours = colours * (1.0 - DARK * min(1.0, amount) * lashes)
    return (colours * 2.0 - 1.0).clamp(-1.0, 1.0)


@cache
@torch.inference_mode(mode=False)
def _bristles(size: int) -> Tensor:
    """Seeded noise (1, 1, size, size) of deviation 1."""
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(SEED))
    noise = blurred(noise, max(0.4, BRISTLE * size))
    return noise / noise.std()


def _widened(values: Tensor, radius: float) -> Tensor:
    reach = max(1, round(radius))
    return blurred(functional.max_pool2d(values, 2 * reach + 1, 1, reach), max(0.5, 0.5 * radius))


def _at(share: Tensor, photo: Tensor) -> Tensor:
    return functional.interpolate(share.to(photo), size=photo.shape[-2:], mode="bilinear", align_corners=False)
