"""What a mouth shows that an edit opens: the photo's own teeth hang from the upper lip, below them it is dark.

The field knows no cavity: between opened lips it paints grey. Here the opening is known from the inner lips' landmarks
of both states. What the photo shows between its lips moves with the upper one, stiff as teeth are; what is new is a
dark mouth. Lips that were shut open on a plain row of teeth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import luma, place_of

__all__ = ["ATTRIBUTE", "Opening", "heights_at", "lips", "opening", "with_mouth"]

ATTRIBUTE = "Mouth open"

# MediaPipe's inner lips from the right corner to the left one.
UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
# Outer edges of the lips.
OVER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UNDER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
# In pixels of a picture of 256: lips farther apart than this show what lies between them; and over this growth of the
# opening the new mouth takes over, so that a slider that leaves 0 does not make the picture jump.
SHUT, GROWTH = 2.5, 3.0
# Share of what landmarks say that the photo shows between the lips: the rest may be lip.
OWN = 0.85
# A row of teeth: its height as a share of the opening and at most (pictures' widths), gaps between teeth from the
# middle outwards (shares of half the mouth), their darkness, and how it darkens towards the corners.
ROW, TALLEST, GAPS, GAP, CORNERS = 0.42, 0.028, (0.0, 0.25, 0.45, 0.61, 0.74, 0.85), 0.16, 0.45
# Colours in [0, 1]: teeth, the dark between them and the tongue, the tongue.
TEETH, CAVITY, TONGUE = (0.83, 0.79, 0.72), (0.11, 0.045, 0.045), (0.36, 0.15, 0.15)
# Brightness of a face (luma in [0, 1]) under which these colours are seen.
FAIR = 0.6


class Opening(NamedTuple):
    """The opened mouth in the photo's view, each (1, 1, S, S) but ``look`` (1, 2, S, S)."""

    inside: Tensor
    """Between the lips, 0..1."""
    look: Tensor
    """Where the photo shows what hangs from the upper lip, unit picture coordinates."""
    own: Tensor
    """How far that is the photo's own, 0..1."""
    teeth: Tensor
    """A plain row of teeth where the photo's lips are shut: brightness, 0..1; 0 elsewhere."""
    low: Tensor
    """How far down in the opening, 0..1."""


def opening(
    before: NDArray[np.float64], after: NDArray[np.float64], numbers: NDArray[np.int64], size: int
) -> Opening | None:
    """The mouth that opens between two states, or None if it does not.

    Args:
        before: Landmarks of the photo's state (L, 2), unit picture coordinates, v down.
        after: The same of the edited state.
        numbers: MediaPipe's numbers (L,).
        size: Side of the maps.
    """
    place = place_of(numbers)
    if any(number not in place for number in (*UPPER, *LOWER)):
        return None
    upper, lower = ([place[number] for number in line] for line in (UPPER, LOWER))
    steps = (np.arange(size) + 0.5) / size
    left, right = sorted((after[upper[0], 0], after[upper[-1], 0]))
    old_left, old_right = sorted((before[upper[0], 0], before[upper[-1], 0]))
    across = np.clip((steps - left) / max(right - left, 1e-6), 0.0, 1.0)
    source = old_left + across * (old_right - old_left)
    top, bottom = heights_at(after[upper], steps), heights_at(after[lower], steps)
    old_top, old_bottom = heights_at(before[upper], source), heights_at(before[lower], source)
    height, old_height = np.maximum(bottom - top, 0.0), np.maximum(old_bottom - old_top, 0.0)
    grown = float(np.clip((height.max() - old_height.max()) * 256.0 / GROWTH, 0.0, 1.0))
    if grown <= 0.0:
        return None
    below = steps[:, None] - top[None]
    inside = _soft(below * size) * _soft((bottom[None] - steps[:, None]) * size)
    inside = inside * ((steps > left) & (steps < right))[None] * grown
    shut = float(np.clip(2.0 - old_height.max() * 256.0 / SHUT, 0.0, 1.0))
    own = _soft((OWN * old_height[None] - below) * size) * (1.0 - shut)
    aside = 2.0 * across - 1.0
    row = min(ROW * float(height.max()), TALLEST) * np.sqrt(np.maximum(1.0 - aside**2, 0.0))
    bright = 1.0 - CORNERS * aside**2
    half = 0.5 * (right - left) * size
    for gap in GAPS:
        for edge in {gap, -gap}:
            bright = bright - GAP * np.clip(1.0 - np.abs(aside - edge) * half / max(0.8, size / 256), 0.0, 1.0)
    teeth = _soft((row[None] - below) * size) * bright[None] * shut
    look = np.stack((np.broadcast_to(source[None], below.shape), old_top[None] + below))
    low = np.clip(below / np.maximum(height[None], 1.0 / size), 0.0, 1.0)
    maps = [torch.from_numpy(one.astype(np.float32))[None, None] for one in (inside, own, teeth, low)]
    return Opening(maps[0], torch.from_numpy(look.astype(np.float32))[None], *maps[1:])


def lips(places: NDArray[np.float64], numbers: NDArray[np.int64], size: int) -> Tensor | None:
    """Lips and what lies between them (1, 1, size, size), 0..1; arguments as in :func:`opening`."""
    place = place_of(numbers)
    if any(number not in place for number in (*OVER, *UNDER)):
        return None
    over, under = (places[[place[number] for number in line]] for line in (OVER, UNDER))
    steps = (np.arange(size) + 0.5) / size
    top, bottom = heights_at(over, steps), heights_at(under, steps)
    inside = _soft((steps[:, None] - top[None]) * size) * _soft((bottom[None] - steps[:, None]) * size)
    inside = inside * ((steps > over[:, 0].min()) & (steps < over[:, 0].max()))[None]
    return torch.from_numpy(inside.astype(np.float32))[None, None]


def with_mouth(edited: Tensor, photo: Tensor, mouth: Opening) -> Tensor:
    """The edited photo (1, 3, S, S) in [-1, 1] with its mouth open; ``photo`` is the one before."""
    size = edited.shape[-1]
    inside, look, own, teeth, low = (
        functional.interpolate(one.to(edited), size=(size, size), mode="bilinear", align_corners=False) for one in mouth
    )
    around = functional.interpolate(inside, size=64, mode="area").clamp(max=1.0)
    around = functional.max_pool2d(around, 9, 1, 4)
    bright = luma(functional.interpolate((edited + 1.0) * 0.5, size=64, mode="area"))
    light = ((bright * around).sum() / around.sum().clamp(min=1e-6) / FAIR).clamp(0.5, 1.25)
    kept = (functional.grid_sample(photo, look.permute(0, 2, 3, 1) * 2.0 - 1.0, align_corners=False) + 1.0) * 0.5
    tooth, dark, tongue = (edited.new_tensor(one)[:, None, None] for one in (TEETH, CAVITY, TONGUE))
    rounded = ((low - 0.55) / 0.45).clamp(0.0, 1.0)
    new = dark + (tongue - dark) * rounded * rounded
    row = (teeth * 4.0).clamp(max=1.0)
    new = light * (new * (1.0 - row) + tooth * teeth * row)
    shown = 2.0 * (new * (1.0 - own) + kept * own) - 1.0
    return edited + (shown.clamp(-1.0, 1.0) - edited) * inside


def heights_at(points: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights v (n,) of a polyline (P, 2) at places u (n,)."""
    order = points[:, 0].argsort()
    return np.interp(at, points[order, 0], points[order, 1])


def _soft(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of a pixel lies within an edge that far away."""
    return np.clip(pixels + 0.5, 0.0, 1.0)
