"""Where a head's distance can be, everywhere rays go: two coarse grids, and how far each may be wrong in every cell.

Measured once an edit. The error of interpolation is measured at the centre of every cell that can matter, and enlarged;
beyond the cells that were measured nothing is claimed. Rays decide by it which of their samples can carry weight, and
check it wherever they ask the field. Refuses to know rays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.job import Job

__all__ = ["Envelope", "measured_envelope"]

# Half sides of the two cubes: that of the head, and that of all that a frustum of 12 degrees can reach from any side.
INNER, OUTER = 0.125, 0.21
# Grid points a side of the two.
FINE, COARSE = 33, 17
# What the error at a cell's centre is multiplied by to bound it in the whole cell, and what is added (world units): the
# rounding of low precision is part of it.
CAUTION, LEAST_ERROR = 2.0, 0.0005
# Error of cells that were not measured because nothing near the surface can be in them: a share of their distance.
FAR_SHARE = 0.5
# Points a call: between two reports.
SLAB = 4096

Distance = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Envelope:
    """Estimated distances with their error.

    Shape:
        inner (1, 2, FINE, FINE, FINE), outer (1, 2, COARSE, COARSE, COARSE): distance and error, axes z, y, x.
    """

    inner: Tensor
    outer: Tensor

    def estimate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolated distances, and how far they may be off. Shape: points (..., 3); returns (...) twice."""
        flat = points.reshape(-1, 3)
        found = _read(self.inner, flat / INNER)
        beyond = (flat.abs().amax(dim=-1) > INNER).nonzero()[:, 0]
        if len(beyond):
            found[:, beyond] = _read(self.outer, flat[beyond] / OUTER)
        distance, error = found.reshape(2, *points.shape[:-1])
        return distance, error


def _read(volume: Tensor, grid: Tensor) -> Tensor:
    """(2, N) of points (N, 3) in [-1, 1]."""
    found = functional.grid_sample(volume, grid[None, :, None, None], padding_mode="border", align_corners=True)
    return found[0, :, :, 0, 0]


def measured_envelope(sdf: Distance, reach: float, device: torch.device, job: Job) -> Envelope:
    """Measure both grids.

    Args:
        sdf: Distances (N,) of points (N, 3).
        reach: Distance within which a sample can carry weight; cells farther out are not measured for their error.
        device: Where to evaluate.
        job: Where to report; every slab is a yield point.
    """
    with torch.inference_mode():
        inner = _volume(sdf, INNER, FINE, reach, device, job.part(0.0, 0.8))
        outer = _volume(sdf, OUTER, COARSE, reach, device, job.part(0.8, 1.0))
    return Envelope(inner, outer)


def _volume(sdf: Distance, extent: float, count: int, reach: float, device: torch.device, job: Job) -> Tensor:
    cell = 2.0 * extent / (count - 1)
    axis = torch.linspace(-extent, extent, count, device=device)
    points = torch.cartesian_prod(axis, axis, axis)
    volume = _evaluated(sdf, points, job.part(0.0, 0.6)).reshape(count, count, count)
    mean = functional.avg_pool3d(volume[None, None], 2, 1)[0, 0]
    index = (mean.abs() < reach + 2.0 * cell).nonzero()
    wrong = FAR_SHARE * mean.abs()
    if len(index):
        x, y, z = index.unbind(dim=-1)
        exact = _evaluated(sdf, (index + 0.5) * cell - extent, job.part(0.6, 1.0))
        wrong[x, y, z] = (exact - mean[x, y, z]).abs()
    # A grid point takes the worst of its eight cells; interpolation between such corners stays above every cell's own.
    corner = functional.max_pool3d(functional.pad(wrong[None, None], (1,) * 6), 2, 1)[0, 0]
    both = torch.stack((volume, LEAST_ERROR + CAUTION * corner))
    return both.permute(0, 3, 2, 1)[None].contiguous()


def _evaluated(sdf: Distance, points: Tensor, job: Job) -> Tensor:
    parts = []
    for start in range(0, len(points), SLAB):
        job.report(start / len(points), "measuring the head")
        parts.append(sdf(points[start : start + SLAB]))
    return torch.cat(parts)
