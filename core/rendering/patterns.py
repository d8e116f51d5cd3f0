"""What is drawn on what no photo saw, finer than the field's colours are, and fixed to the head.

First where hair ends (``border``), then what shades: strands (``tresses``) and the grain of skin (``grain``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.contours import Beside
from core.rendering.surfaces import SurfaceMap
from core.surface_maps import extended

__all__ = ["Pattern", "Recolours", "Unseen", "bordered", "patterned", "rimmed", "spared", "unseen"]

# Share of a pixel that a photo does not show, from which it is worth drawing.
LITTLE = 0.02
# Differences along rows and columns, and what they lack.
SIDES = ((3, (0, 1, 0, 0)), (2, (0, 0, 0, 1)))


class Pattern(Protocol):
    """What shades places of a head."""

    def shade(self, points: Tensor, spacing: Tensor) -> Tensor:
        """By what to multiply colours in [0, 1] at points (N, 3), so far apart (N,) or (1,): (N, 1)."""


class Recolours(Protocol):
    """What moves colours of places of a head to others."""

    def drawn(self, own: Tensor, points: Tensor, spacing: Tensor) -> Tensor:
        """Colours (N, 3) in [-1, 1] instead of own ones at points (N, 3), so far apart (N,) or (1,)."""


class Unseen(NamedTuple):
    """Pixels of a picture that the photo does not show, and the head shows surely.

    Shape:
        pixels (N,): their numbers; points (N, 3); spacing (N,): how far apart they stand, world units.
    """

    pixels: Tensor
    points: Tensor
    spacing: Tensor


def unseen(surface: SurfaceMap, share: Tensor) -> Unseen:
    """The pixels of a picture that are worth drawing on.

    Args:
        surface: What is seen.
        share: How much of each pixel the photo does not show (1, 1, S, S); where it is nothing, nothing is drawn.
    """
    size, hit = share.shape[-1], surface.hit
    some = (share.flatten() > LITTLE).nonzero()[:, 0]
    across, along = (
        functional.pad(surface.points.diff(dim=dim).norm(dim=1, keepdim=True), pad, mode="replicate")
        for dim, pad in SIDES
    )
    finer = hit.shape[-1] / size
    maps = torch.cat((surface.points, finer * torch.maximum(across, along), hit), dim=1)
    row, column = some // size, some % size
    uv = (torch.stack((column, row), dim=-1) + 0.5) * (2.0 / size) - 1.0
    known = functional.grid_sample(maps, uv[None, :, None].to(maps), padding_mode="border", align_corners=False)
    points, spacing, solid = known[0, :, :, 0].split((3, 1, 1))
    # Beside the outline points are between the head and what lies behind it.
    here = (solid[0] > 0.999).nonzero()[:, 0]
    return Unseen(some[here], points[:, here].T, spacing[0, here])


def bordered(own: Tensor, border: Recolours, places: Unseen, beside: Beside | None) -> Tensor:
    """What the photo does not show, its hair with an end.

    Args:
        own: Colours in [-1, 1].
        border: Where hair ends.
        places: Where to draw.
        beside: Pixels that show two parts of a surface: they get a mixture.

    Shape:
        own (1, 3, S, S); returns the same.
    """
    before = own.flatten(2)[0].T
    found = before.clone()
    found[places.pixels] = border.drawn(before[places.pixels], places.points, places.spacing)
    if beside is not None:
        spacing = before.new_zeros(before.shape[0])
        spacing[places.pixels] = places.spacing
        some = (spacing[beside.pixels] > 0.0).nonzero()[:, 0]
        pixels = beside.pixels[some]
        front, back = (
            border.drawn(before[pixels], points[some], spacing[pixels]) for points in (beside.front, beside.back)
        )
        found[pixels] = back.lerp(front, beside.share[some, None])
    return found.T.reshape(own.shape).clamp(-1.0, 1.0)


def rimmed(before: Tensor, own: Tensor, places: Unseen, share: Tensor) -> Tensor:
    """What was drawn, carried on to the pixels beside outlines, which are between the head and what lies behind it.

    Args:
        before: Colours without what was drawn.
        own: With it.
        places: Where it was drawn.
        share: How much of each pixel the photo does not show.

    Shape:
        before, own (1, 3, S, S), share (1, 1, S, S); returns (1, 3, S, S).
    """
    known = torch.zeros_like(share)
    known.view(-1)[places.pixels] = 1.0
    moved = extended(own - before, known)
    return torch.where((share > LITTLE) & (known == 0.0), (before + moved).clamp(-1.0, 1.0), own)


def spared(share: Tensor, places: Unseen, covered: Tensor) -> Tensor:
    """What of each pixel (1, 1, S, S) is left to be shaded, where so much of it (N,) has its own shade."""
    found = share.flatten().clone()
    found[places.pixels] *= 1.0 - covered
    return found.reshape(share.shape)


def patterned(own: Tensor, patterns: Sequence[Pattern], places: Unseen) -> Tensor:
    """What the photo does not show, with strands where it is hair and grain where it is skin.

    Args:
        own: Colours in [-1, 1].
        patterns: What shades them.
        places: Where.

    Shape:
        own (1, 3, S, S); returns the same.
    """
    found = own.flatten(2)[0].T.clone()
    shade = torch.ones_like(found[places.pixels, :1])
    for pattern in patterns:
        shade *= pattern.shade(places.points, places.spacing)
    found[places.pixels] = ((found[places.pixels] + 1.0) * shade - 1.0).clamp(-1.0, 1.0)
    return found.T.reshape(own.shape)
