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

__all__ = ["Pattern", "Recolours", "bordered", "patterned"]

# Share of a pixel that a photo does not show, from which it is worth drawing.
UNSEEN = 0.02
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


class _Places(NamedTuple):
    """Pixels of a picture that are worth drawing on.

    Shape:
        pixels (N,): their numbers; points (N, 3); spacing (N,): how far apart they stand, world units.
    """

    pixels: Tensor
    points: Tensor
    spacing: Tensor


def bordered(own: Tensor, border: Recolours, surface: SurfaceMap, beside: Beside | None, share: Tensor) -> Tensor:
    """What the photo does not show, its hair with an end.

    Args:
        own: Colours in [-1, 1].
        border: Where hair ends.
        surface: What is seen.
        beside: Pixels that show two parts of it: they get a mixture.
        share: As in :func:`patterned`.

    Shape:
        As in :func:`patterned`.
    """
    places = _places(own, surface, share)
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


def patterned(own: Tensor, patterns: Sequence[Pattern], surface: SurfaceMap, share: Tensor) -> Tensor:
    """What the photo does not show, with strands where it is hair and grain where it is skin.

    Args:
        own: Colours in [-1, 1].
        patterns: What shades them.
        surface: What is seen.
        share: How much of each pixel the photo does not show; where it is nothing, nothing is done.

    Shape:
        own (1, 3, S, S); share (1, 1, S, S); returns (1, 3, S, S).
    """
    places = _places(own, surface, share)
    found = own.flatten(2)[0].T.clone()
    shade = torch.ones_like(found[places.pixels, :1])
    for pattern in patterns:
        shade *= pattern.shade(places.points, places.spacing)
    found[places.pixels] = ((found[places.pixels] + 1.0) * shade - 1.0).clamp(-1.0, 1.0)
    return found.T.reshape(own.shape)


def _places(own: Tensor, surface: SurfaceMap, share: Tensor) -> _Places:
    """The pixels of a picture (1, 3, S, S) whose share (1, 1, S, S) is worth it."""
    size, hit = own.shape[-1], surface.hit
    some = (share.flatten() > UNSEEN).nonzero()[:, 0]
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
    return _Places(some[here], points[:, here].T, spacing[0, here])
