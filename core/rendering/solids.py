"""The head as a volume of distances: where it is solid.

The distance is evaluated on a coarse grid first; blocks that cannot hold the surface keep interpolated values, whose
sign is right. Meshes are cut from such a volume.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.errors import CameoError
from core.job import Job

# The grid covers |x| <= EXTENT on every axis: the scene's radius of 0.12 and a margin in which the surface can close.
EXTENT = 0.125
# Half side of the cube that is drawn: a cell less, as meshes end.
SCENE = 0.122
# Cells of the fine grid along one edge of a block that is first looked at, and the resolution from which on there are
# twice as many.
BLOCK, LARGE = 4, 96
# A block is looked at closely when its corners are nearer to the surface than this many half diagonals. 1 would do for
# an exact distance; the learned one is up to half as steep again in places.
SAFETY = 1.6
# The same where blocks are only two cells wide: what they hide is thinner than that. On random heads even 0.7 finds the
# sign of every point of a dense grid.
FINEST = 1.1
# Points a call of the field: a slab between two reports, small enough for the cache.
SLAB = 8192
MIN_RESOLUTION, MAX_RESOLUTION = 16, 512

Sdf = Callable[[Tensor], Tensor]


def _axis(resolution: int, device: torch.device) -> Tensor:
    return torch.linspace(-EXTENT, EXTENT, resolution, device=device)


def evaluated(sdf: Sdf, points: Tensor, job: Job, stage: str) -> Tensor:
    """Distances (N,) of points (N, 3), slab by slab; every slab is a yield point."""
    parts = []
    for start in range(0, len(points), SLAB):
        job.report(start / len(points), stage)
        with torch.inference_mode():
            parts.append(sdf(points[start : start + SLAB]).float())
    return torch.cat(parts) if parts else points.new_zeros(0)


def sampled_volume(sdf: Sdf, resolution: int, device: torch.device, job: Job) -> NDArray[np.float32]:
    """Distances on the grid (x, y, z), exact in every block that may hold the surface, and positive on the border.

    Shape:
        Returns (R, R, R), R = resolution.
    """
    volume = measured(sdf, resolution, device, job)
    outside = 2.0 * EXTENT / (resolution - 1)
    for face in (volume[0], volume[-1], volume[:, 0], volume[:, -1], volume[:, :, 0], volume[:, :, -1]):
        face.clamp_(min=outside)
    return volume.cpu().numpy()


def measured(sdf: Sdf, resolution: int, device: torch.device, job: Job, safety: float = SAFETY) -> Tensor:
    """Distances on the grid (x, y, z), from coarse to fine: where no surface can be, finer grids are interpolated.

    Args:
        sdf: Distances (N,) of points (N, 3).
        resolution: Grid points a side, R.
        device: Where to evaluate.
        job: Where to report.
        safety: How much steeper than a true distance it may be.

    Shape:
        Returns (R, R, R).
    """
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise CameoError(
            f"A mesh resolution of {resolution} is not possible.",
            hint=f"Choose a resolution from {MIN_RESOLUTION} to {MAX_RESOLUTION}.",
        )
    block = BLOCK if resolution < LARGE else 2 * BLOCK
    step = 2.0 * EXTENT / (resolution - 1)
    blocks = -((1 - resolution) // block)
    # Whole blocks: the grid may reach a little beyond its end, and is cut there at last.
    axis = torch.arange(blocks * block + 1, device=device) * step - EXTENT
    axis[:resolution] = _axis(resolution, device)
    coarse = axis[::block]
    points = torch.cartesian_prod(coarse, coarse, coarse)
    volume = evaluated(sdf, points, job.part(0.0, 0.2), "feeling for the surface").reshape((blocks + 1,) * 3)
    near = torch.ones((blocks,) * 3, dtype=torch.bool, device=device)
    done = 0.2
    while block > 1:
        # A solid is closed where the grid ends: there its inside counts too.
        end = torch.arange(len(near), device=device) * block
        ends = (end == 0) | (end + block >= resolution - 1)
        border = ends[:, None, None] | ends[:, None] | ends
        inside = -functional.max_pool3d(-volume[None, None], 2, 1)[0, 0] < 0.0
        margin = safety if block > 2 else min(safety, FINEST)
        near &= _may_hold_surface(volume, block * step, margin) | (border & inside)
        block //= 2
        share = 1.0 if block == 1 else 0.5 * (done + 1.0)
        volume, near = _halved(sdf, volume, near, axis[::block], job.part(done, share))
        done = share
    return volume[:resolution, :resolution, :resolution].contiguous()


def _may_hold_surface(volume: Tensor, side: float, safety: float) -> Tensor:
    """Blocks (n, n, n) with a surface between their corners (n + 1, …), or with corners so near one that it could be.

    Args:
        volume: Distances at the corners.
        side: Of a block, world units.
        safety: As in :func:`measured`.
    """
    low = -functional.max_pool3d(-volume[None, None], 2, 1)[0, 0]
    high = functional.max_pool3d(volume[None, None], 2, 1)[0, 0]
    mean = functional.avg_pool3d(volume[None, None], 2, 1)[0, 0]
    # Of a block with a surface some corner is within half a diagonal of it, and all are within their mean distance
    # to the farthest place, which is a corner: (0 + 3 + 3 √2 + √3) / 8 sides.
    nearest, average = safety * 0.5 * side * 3.0**0.5, safety * 1.122 * side
    near = (low < nearest) & (high > -nearest) & (mean.abs() < average)
    return near | ((low < 0.0) & (high >= 0.0))


def _halved(sdf: Sdf, volume: Tensor, near: Tensor, axis: Tensor, job: Job) -> tuple[Tensor, Tensor]:
    """The volume at half the spacing, measured in the blocks that are near, and those blocks cut in eight.

    Shape:
        volume (n + 1, …), near (n, …), axis (2 n + 1,); returns (2 n + 1, …) and (2 n, …).
    """
    fine = functional.interpolate(volume[None, None], size=(len(axis),) * 3, mode="trilinear", align_corners=True)
    fine = fine[0, 0]
    corner = torch.arange(3, device=axis.device)
    offsets = torch.cartesian_prod(corner, corner, corner)
    index = (2 * near.nonzero()[:, None] + offsets).reshape(-1, 3)
    flat = (index[:, 0] * len(axis) + index[:, 1]) * len(axis) + index[:, 2]
    asked = torch.zeros_like(fine, dtype=torch.bool)
    asked.view(-1)[flat] = True
    asked[::2, ::2, ::2] = False  # known already
    flat = asked.view(-1).nonzero()[:, 0]
    index = torch.stack((flat // len(axis) ** 2, flat // len(axis) % len(axis), flat % len(axis)), dim=-1)
    fine.view(-1)[flat] = evaluated(sdf, axis[index], job, "measuring the surface")
    for dimension in range(3):
        near = near.repeat_interleave(2, dimension)
    return fine, near


def largest_share(volume: Tensor) -> float:
    """The share of all cells at a surface that belong to the largest solid; 0 where nothing is solid.

    Shape:
        volume (R, R, R): distances on a grid.
    """
    solid = np.pad((volume < 0.0).cpu().numpy(), 1)
    label, count = ndimage.label(solid)
    if count == 0:
        return 0.0
    rim = solid & ~ndimage.binary_erosion(solid)
    sizes = np.bincount(label[rim], minlength=count + 1)[1:]
    return float(sizes.max() / sizes.sum())
