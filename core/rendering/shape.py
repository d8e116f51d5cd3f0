"""The shape of one head under one edit: its folded field, and a coarse volume of distances that spares most of it.

The volume is measured once an edit. A ray then reads off it where it can meet the surface at all, and asks the field
only there. How far the volume may be wrong between its points is measured too, cell by cell: on a cheek it is nearly
exact, in hair it is not, and nothing thinner than a cell may be lost. Refuses to know rays and photos.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from core.job import Job
from core.models.field import Field
from core.rendering.additions import Addition
from core.rendering.deformation import Deformation
from core.rendering.folded import Beyond, FoldedField
from core.rendering.hands import Pause, resting
from core.rendering.precision import Sdf
from core.rendering.solids import EXTENT, SCENE, SLAB, measured
from core.rendering.strays import CLEAR, with_loose, without_strays

__all__ = ["HeadShape", "draft_shape", "head_shape"]

# Grid points a side: finer grids cost more an edit than they spare its frames (measured from 32 to 48).
RESOLUTION = 40
# The same for drafts, and their safety: measured on heads of photos, no grid point had a wrong sign.
DRAFT_RESOLUTION, DRAFT_SAFETY = 32, 0.5
# Coarser cells interpolate worse.
DRAFT_CAUTION = 1.4
# How much steeper than a true distance the learned one may be. Meshes allow for more; on five heads and four cameras
# no ray told the difference.
SAFETY = 1.3
# What the error at a cell's centre is multiplied by to bound it everywhere around, and what is added (world units).
CAUTION, LEAST_ERROR = 1.5, 0.0003
# Cells whose mean distance is within this many cells of 0 are compared with the field.
PROBED = 1.0


@dataclass(frozen=True, eq=False)
class HeadShape:
    """All that rays and meshes ask of a head.

    Shape:
        volume (1, 2, R, R, R), axes z, y, x over |x| <= EXTENT: distances, without strays and closed where the scene
        ends, and how far they may be off between the grid's points.
    """

    field: FoldedField
    sdf: Sdf
    """Distances (1, N, 1) of points (1, N, 3), without strays."""
    light: Sdf
    """The same by the field's light twin: what pictures ask."""
    volume: Tensor
    strays: Tensor | None = None
    """What is passed by, as ``core.rendering.strays`` says it: the photo tier's, and what an edit has left floating."""

    def estimate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolated distances, and how far they may be off. Shape: points (..., 3); returns (...) twice."""
        distance, error = interpolated(self.volume, points).reshape(2, *points.shape[:-1])
        return distance, error

    def recoloured(self, field: Field, styles: Tensor) -> HeadShape:
        """The same shape under another latent of its colours. Shape: styles (1, rows, style_dim)."""
        own = self.field
        return replace(self, field=FoldedField(field, styles, own.deformation, own.additions))

    def distance(self, points: Tensor) -> Tensor:
        """Interpolated distances alone. Shape: points (..., 3); returns (...)."""
        return interpolated(self.volume[:, :1], points).reshape(points.shape[:-1])


def interpolated(volume: Tensor, points: Tensor) -> Tensor:
    """Values of a volume over the scene. Shape: volume (1, C, R, R, R), points (..., 3); returns (C, N)."""
    grid = (points / EXTENT).reshape(1, -1, 1, 1, 3)
    return functional.grid_sample(volume, grid, padding_mode="border", align_corners=True)[0, ..., 0, 0]


def head_shape(
    field: Field,
    styles: Tensor,
    stray: Tensor | None,
    pause: Pause = resting,
    deformation: Deformation | None = None,
    additions: tuple[Addition, ...] = (),
    beyond: Beyond | None = None,
) -> HeadShape:
    """Fold the latent and measure the volume.

    Args:
        field: The networks.
        styles: The head's latent rows.
        stray: What ``core.rendering.solids`` found floating beside it.
        pause: Called between slabs.
        deformation: The head's own, if it has one.
        additions: What it has beyond its field.
        beyond: What it is where an edit does not reach.

    Shape:
        styles (1, rows, style_dim).
    """
    folded = FoldedField(field, styles, deformation, additions, beyond)

    def sdf(points: Tensor) -> Tensor:
        pause()
        return folded.light.sdf(points[None])[0, :, 0]

    def on_grid(points: Tensor) -> Tensor:
        pause()
        return folded.light.on_grid(points)

    volume = measured(on_grid, RESOLUTION, styles.device, Job.quiet(), SAFETY)
    return _shape(folded, volume, _errors(sdf, volume), with_loose(volume, stray))


def draft_shape(
    field: Field,
    styles: Tensor,
    like: HeadShape,
    stray: Tensor | None,
    additions: tuple[Addition, ...] = (),
    beyond: Beyond | None = None,
) -> HeadShape:
    """The same in a third of the time, for as long as a hand moves a slider.

    The volume is coarser, and how far it may be off is taken from the unedited head's.

    Args:
        field: The networks.
        styles: The edited latent rows.
        like: The unedited head.
        stray: As in :func:`head_shape`.
        additions: Likewise.
        beyond: Likewise.
    """
    folded = FoldedField(field, styles, like.field.deformation, additions, beyond)
    volume = measured(folded.light.on_grid, DRAFT_RESOLUTION, styles.device, Job.quiet(), DRAFT_SAFETY)
    error = functional.interpolate(like.volume[:, 1:], size=(len(volume),) * 3, mode="trilinear", align_corners=True)
    return _shape(folded, volume, DRAFT_CAUTION * error[0, 0].permute(2, 1, 0), with_loose(volume, stray))


def _shape(folded: FoldedField, volume: Tensor, error: Tensor, stray: Tensor | None) -> HeadShape:
    """Volume and error (R, R, R), axes x, y, z, made ready for rays."""
    axis = torch.linspace(-EXTENT, EXTENT, len(volume), device=volume.device).abs()
    beyond = torch.maximum(torch.maximum(axis[:, None, None], axis[:, None]), axis) - SCENE
    both = torch.stack((torch.maximum(volume, beyond), error)).permute(0, 3, 2, 1)[None].contiguous()
    if folded.additions:
        # An edge of lips lies between grid points, and their distances know nothing of it.
        line = torch.linspace(-EXTENT, EXTENT, len(volume), device=volume.device)
        z, y, x = torch.meshgrid(line, line, line, indexing="ij")
        places = torch.stack((x, y, z), dim=-1).reshape(-1, 3)
        for one in folded.additions:
            both[0, 1].view(-1)[one.near(places)] = both[0, 1].view(-1)[one.near(places)].clamp(min=CLEAR)
    if stray is not None:
        # Wholly within a stray's cells only: beside them the field is asked.
        inside = functional.interpolate(stray, size=both.shape[-3:], mode="trilinear", align_corners=True)[:, 0]
        both[:, 0] = torch.where(inside > 0.999, both[:, 0].clamp(min=CLEAR), both[:, 0])
        both[:, 1] = torch.where((inside > 0.0) & (inside < 1.0), both[:, 1].clamp(min=CLEAR), both[:, 1])
    clear, light = without_strays(folded.sdf, stray), without_strays(folded.light.sdf, stray)
    return HeadShape(folded, clear, light, both, stray)


def _errors(sdf: Sdf, volume: Tensor) -> Tensor:
    """How far interpolation may be off around each grid point: measured at the centres of the cells near the surface.

    Shape:
        volume (R, R, R), axes x, y, z; returns the same.
    """
    cell = 2.0 * EXTENT / (len(volume) - 1)
    mean = functional.avg_pool3d(volume[None, None], 2, 1)[0, 0]
    index = (mean.abs() < PROBED * cell).nonzero()
    wrong = torch.zeros_like(mean)
    if len(index):
        x, y, z = index.unbind(dim=-1)
        centres = (index + 0.5) * cell - EXTENT
        wrong[x, y, z] = (torch.cat([sdf(part) for part in centres.split(SLAB)]) - mean[x, y, z]).abs()
    return LEAST_ERROR + CAUTION * functional.max_pool3d(functional.pad(wrong[None, None], (1,) * 6), 2, 1)[0, 0]
