"""The photo's tones on the whole head: how far the generator's colours are off, carried from what the photo saw.

The field knows which part is hair, skin or lip, but not this person's exact tones in this light. Where the photo saw
the surface the difference is known; it is averaged in coarse cells of space, mirrored with less weight, and carried
into the cells that nobody saw. Added to the field's own colours it continues the photo without a seam, in pictures and
on meshes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Half side of the volume, world units: the scene and a margin.
EXTENT = 0.125
# Cells a side: about a centimetre each, coarse enough to average texture away.
CELLS = 24
# What a point's mirror image counts beside the point itself.
MIRRORED = 0.3
# A cell is known fully from this share of the fullest cell's weight on: at the head's rim the photo sees few points of
# a cell, and what lies behind the rim continues those and not the face.
KNOWN = 16.0


def tone_volume(
    points: Tensor, difference: Tensor, trust: Tensor, cells: int = CELLS, mirrored: Tensor | None = None
) -> Tensor:
    """Differences of colour in cells of space, known where they are trusted and carried everywhere else.

    Shape:
        points (N, 3); difference (N, K), of photo and generator mostly, and mirrored (N, K) what it is at their mirror
        images, if something else; trust (N, 1), 0..1; returns (1, K, C, C, C), C = cells, axes z, y, x. Zero everywhere
        if nothing is trusted.
    """
    mirror = points.new_tensor((-1.0, 1.0, 1.0))
    points = torch.cat((points, points * mirror))
    weights = torch.cat((trust, MIRRORED * trust))
    values = torch.cat((difference, difference if mirrored is None else mirrored)) * weights
    place = ((points / EXTENT + 1.0) * 0.5 * cells).long().clamp(0, cells - 1)
    flat = (place[:, 2] * cells + place[:, 1]) * cells + place[:, 0]
    sums = torch.zeros(cells**3, values.shape[1] + 1, dtype=points.dtype, device=points.device)
    sums.index_add_(0, flat, torch.cat((values, weights), dim=-1))
    volume = sums.T.reshape(1, -1, cells, cells, cells)
    values, total = volume[:, :-1], volume[:, -1:]
    known = (KNOWN * total / total.amax().clamp(min=1e-6)).clamp(max=1.0)
    return _carried(values / total.clamp(min=1e-6), known)


def tones_at(volume: Tensor, points: Tensor) -> Tensor:
    """What a volume (1, K, C, C, C) has at points (N, 3), interpolated: (N, K)."""
    grid = (points / EXTENT)[None, :, None, None]
    found = functional.grid_sample(volume, grid, padding_mode="border", align_corners=False)
    return found[0, :, :, 0, 0].T


def _carried(values: Tensor, known: Tensor) -> Tensor:
    """The three-dimensional twin of ``core.surface_maps.extended``."""
    if values.shape[-1] <= 1:
        return values * known.clamp(max=1.0)
    total = functional.avg_pool3d(known, 2, ceil_mode=True)
    coarse = functional.avg_pool3d(values * known, 2, ceil_mode=True) / total.clamp(min=1e-6)
    coarse = _carried(coarse, (total * 8.0).clamp(max=1.0))
    grown = functional.interpolate(coarse, size=values.shape[-3:], mode="trilinear", align_corners=False)
    return values * known + grown * (1.0 - known)
