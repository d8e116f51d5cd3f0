"""Eyebrows, thicker or thinner, on the photo: its own hairs grow, or give way to the skin between them.

The field's brows do not change (``core.training.directions.IDLE``). Where brows are is known from the landmarks, how
they look from the photo alone: thicker brows are what a darkest-of-the-neighbours filter makes of them, thinner ones a
lightest one (grey-scale morphology), so shape, tone and strands stay somebody's own. On plain skin both change next to
nothing, which is why the region may be generous. Bangs that hang over them are left alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import boxed, place_of, surroundings, widest

__all__ = ["ATTRIBUTE", "brows_at", "with_brows"]

ATTRIBUTE = "Brows"

# MediaPipe's numbers from the nose outwards: upper edge, lower edge; the head's right brow first.
UPPER = ((107, 63, 46), (336, 293, 276))
LOWER = ((55, 65, 46), (285, 295, 276))
# How far beyond the landmarks a brow may reach upwards, downwards (lashes must stay out) and to the sides, and over
# which its region fades (pictures' widths).
OVER, UNDER, BESIDE, FADE = 0.024, 0.008, 0.016, 0.016
# By how much hairs grow at +1, and what their edge gives way by at -1 (pictures' widths).
GROWN, SHRUNK = 0.006, 0.0065
# Of a change of brightness [-1, 1] less than the first is a pore's, more than the second a hair's.
PORE, HAIR = 0.06, 0.22
# How far around it says what a brow's skin is like (pictures' widths, of a Gaussian).
AROUND = 0.025
# Thicker brows are darker by this share of what they are darker than the skin around them.
DARKER = 0.3


def brows_at(places: NDArray[np.float64], numbers: NDArray[np.int64], size: int) -> Tensor | None:
    """Where brows are (1, 1, size, size), 0..1, with some skin around them; None where landmarks do not name them.

    Args:
        places: Landmarks in the picture (L, 2), unit picture coordinates, v down.
        numbers: MediaPipe's numbers (L,).
        size: Side of the map.
    """
    place = place_of(numbers)
    if any(number not in place for line in (*UPPER, *LOWER) for number in line):
        return None
    steps = (np.arange(size) + 0.5) / size
    around = np.zeros((size, size))
    for over, under in zip(UPPER, LOWER, strict=True):
        upper, lower = (places[[place[number] for number in line]] for line in (over, under))
        ends = np.concatenate((upper, lower))[:, 0]
        inside = _risen(steps[:, None] - _edge(upper, steps) + OVER) * _risen(
            _edge(lower, steps) + UNDER - steps[:, None]
        )
        inside = inside * _risen(steps - ends.min() + BESIDE) * _risen(ends.max() + BESIDE - steps)
        around = np.maximum(around, inside)
    return torch.from_numpy(around.astype(np.float32))[None, None]


def _edge(line: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights of a line of landmarks; its ends go on level."""
    order = line[:, 0].argsort()
    return np.interp(steps, line[order, 0], line[order, 1])


def _risen(beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 at an edge and outside it, 1 at ``FADE`` within."""
    share = np.clip(beyond / FADE, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def with_brows(photo: Tensor, brows: Tensor, strength: float, free: Tensor | None = None) -> Tensor:
    """The photo with thicker or thinner brows.

    Args:
        photo: In [-1, 1].
        brows: Where they are.
        strength: Of the edit, -1..1.
        free: Where no hair hangs over them, 0..1.

    Shape:
        photo (1, 3, S, S); brows, free (1, 1, any, any); returns (1, 3, S, S).
    """
    size = photo.shape[-1]
    region = _at(brows, photo)
    if free is not None:
        region = region * _at(free, photo)
    if strength > 0.0:
        other = -_lightest(-photo, GROWN * size * strength)
    else:
        other = _lightest(photo, -SHRUNK * size * strength)
    step = functional.avg_pool2d(other - photo, 3, 1, 1, count_include_pad=False)
    meant = ((step.mean(dim=1, keepdim=True).abs() - PORE) / (HAIR - PORE)).clamp(0.0, 1.0)
    # A hair that is there already stands on others that grow beside it: what is near a change belongs to it.
    reach = max(1, round(GROWN * size))
    meant = boxed(widest(meant, reach), reach)
    changed = photo + step * meant
    if strength > 0.0:
        skin = surroundings(photo, region, AROUND * size)
        changed = changed - DARKER * strength * meant * (skin - changed).clamp(min=0.0)
    return (photo + region * (changed - photo)).clamp(-1.0, 1.0)


def _at(share: Tensor, photo: Tensor) -> Tensor:
    return functional.interpolate(share.to(photo), size=photo.shape[-2:], mode="bilinear", align_corners=False)


def _lightest(picture: Tensor, radius: float) -> Tensor:
    """The lightest within a radius [pixels, any number], of each channel; twice as far down as to the sides."""
    whole = int(radius)
    found = []
    for reach in (whole, whole + 1):
        aside = (reach + 1) // 2
        along = functional.max_pool2d(picture, (1, 2 * aside + 1), 1, (0, aside))
        found.append(functional.max_pool2d(along, (2 * reach + 1, 1), 1, (reach, 0)))
    return found[0] + (found[1] - found[0]) * (radius - whole)
