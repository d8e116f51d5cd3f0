"""A surface cut from a field without ever holding its volume: memory grows with the surface, not with the space.

The distance is measured on a coarse lattice; a block is halved, and measured again, until it is one cell wide or until
a Lipschitz bound says that no surface can be in it; of small blocks, until a bound on its bend says so. How steep and
how bent the distance is, is measured block by block on the way, from its own lattice. Marching cubes (Lewiner et al.
2003, as scikit-image has it) then runs brick by brick over the cells that are left. A vertex lies on an edge of the
lattice, and both bricks that share the edge compute the same digits for it: so they are joined exactly, and the result
is that of a dense grid. Refuses to know heads and photos.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import marching_cubes
from torch import Tensor

from core.errors import CameoError
from core.job import Job
from core.rendering.solids import EXTENT, MAX_RESOLUTION, MIN_RESOLUTION, Sdf, evaluated

__all__ = ["Surface", "surface_of"]

# Cells along an edge of the blocks that are looked at first, and the resolution from which on there are twice as many.
BLOCK, LARGE = 8, 300
# What a block's steepness, as seen on its lattice, is multiplied by to bound it in between; and the least and the most
# that is believed: a distance rises by 1 a unit, and the learned one is nowhere more than 2.5 times as steep. Blocks of
# two cells hide hardly anything that their lattice does not show.
MARGIN, LAST_MARGIN, FLATTEST, STEEPEST = 1.25, 1.05, 1.0, 2.5
# In blocks of at most so many cells interpolation between the corners is trusted as far as the bend that their lattice
# shows, times this, and a share of the block's side.
BENT, BEND_MARGIN, BEND_SHARE = 4, 3.0, 0.05
# The same before anything was measured.
FIRST = 2.0
MEASURING = "measuring the surface"
# Cells along an edge of a brick, and bricks between two reports (a few milliseconds).
BRICK, REPORTED = 32, 4
# Digits after the point by which vertices that two bricks share are told: all that a float32 has within a brick.
FRACTION = 1 << 20


class Surface(NamedTuple):
    """Triangles of a level set.

    Shape:
        vertices (V, 3) world units; faces (F, 3), turned outwards; normals (V, 3) unit, outwards.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]


class _Lattice(NamedTuple):
    """Distances at some of the grid's points: sorted keys (K,) and values (K,)."""

    keys: Tensor
    values: Tensor

    def at(self, keys: Tensor) -> Tensor:
        """Values of points that are all known. Shape: (...)."""
        return self.values[torch.searchsorted(self.keys, keys)]


def surface_of(sdf: Sdf, resolution: int, device: torch.device, job: Job) -> Surface:
    """The zero level in the cube |x| <= EXTENT, closed where the cube ends.

    Args:
        sdf: Distances (N,) of points (N, 3).
        resolution: Grid points a side.
        device: Where to evaluate.
        job: Where to report; every slab of points and every row of bricks is a yield point.

    Raises:
        CameoError: There is no surface, or the resolution is impossible.
    """
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise CameoError(
            f"A mesh resolution of {resolution} is not possible.",
            hint=f"Choose a resolution from {MIN_RESOLUTION} to {MAX_RESOLUTION}.",
        )
    cells, values = _crossed(sdf, resolution, device, job.part(0.0, 0.8))
    if not len(cells):
        raise CameoError("The head has no surface.", hint="Try another photo, or a smaller edit.")
    points, faces, normals = _marched(cells.cpu().numpy(), values.cpu().numpy(), job.part(0.8, 1.0))
    step = 2.0 * EXTENT / (resolution - 1)
    return Surface((points * step - EXTENT).astype(np.float32), faces, normals)


# --------------------------------------------------------------------------------------------------------------- cells


def _crossed(sdf: Sdf, resolution: int, device: torch.device, job: Job) -> tuple[Tensor, Tensor]:
    """Cells with a change of sign: their lowest corners (C, 3), and distances at the corners (C, 8), z fastest."""
    side = BLOCK if resolution < LARGE else 2 * BLOCK
    step = 2.0 * EXTENT / (resolution - 1)
    count = -((1 - resolution) // side)
    stride = count * side + 1  # of keys: whole blocks, which may reach a little beyond the grid's end

    def keys_of(index: Tensor) -> Tensor:
        return (index[..., 0] * stride + index[..., 1]) * stride + index[..., 2]

    def measured(keys: Tensor, part: Job) -> Tensor:
        index = torch.stack((keys // stride**2, keys // stride % stride, keys % stride), dim=-1)
        return evaluated(sdf, index * step - EXTENT, part, MEASURING)

    corners = _cube(2, device)
    line = torch.arange(count, device=device) * side
    blocks = torch.cartesian_prod(line, line, line)
    lattice_line = torch.arange(count + 1, device=device) * side
    keys = keys_of(torch.cartesian_prod(lattice_line, lattice_line, lattice_line))
    lattice = _Lattice(keys, measured(keys, job.part(0.0, 0.1)))
    steepness = torch.full_like(blocks[:, 0], FIRST, dtype=torch.float32)
    bend = torch.full_like(steepness, STEEPEST)
    values = lattice.at(keys_of(blocks[:, None] + side * corners))
    eighths = _eighths(device)
    done = 0.1
    while side > 1:
        near = _may_hold_surface(values, steepness * side * step)
        if side <= BENT:
            near &= (values.amin(dim=1) < bend) & (values.amax(dim=1) > -bend)
        # The surface is closed where the grid ends: there its inside counts too.
        at_end = ((blocks == 0) | (blocks + side >= resolution - 1)).any(dim=1)
        near |= at_end & (values.amin(dim=1) < 0.0)
        blocks = blocks[near]
        if not len(blocks):
            return blocks, values[:0]
        side //= 2
        fine = keys_of(blocks[:, None] + side * _cube(3, device))
        job.report(done, MEASURING)
        keys, inverse = torch.unique(fine, return_inverse=True)
        job.report(done, MEASURING)
        place = torch.searchsorted(lattice.keys, keys).clamp(max=len(lattice.keys) - 1)
        known = lattice.keys[place] == keys
        found = lattice.values[place]
        share = done + 0.5 * (1.0 - done)
        found[~known] = measured(keys[~known], job.part(done, share))
        done = share
        job.report(done, MEASURING)
        lattice = _Lattice(keys, found)
        margin = MARGIN if side > 2 else LAST_MARGIN
        around = found[inverse].reshape(-1, 3, 3, 3)
        steepness = margin * _steepness(around, side * step).repeat_interleave(8)
        bend = (BEND_MARGIN * _bend(around) + BEND_SHARE * side * step).repeat_interleave(8)
        blocks = (blocks[:, None] + side * corners).reshape(-1, 3)
        within = (blocks < resolution - 1).all(dim=1)
        blocks, steepness, bend = blocks[within], steepness[within], bend[within]
        values = around.reshape(-1, 27)[:, eighths].reshape(-1, 8)[within]
    job.report(done, MEASURING)
    index = blocks[:, None] + corners
    at_end = ((index == 0) | (index == resolution - 1)).any(dim=2)
    values = torch.where(at_end, values.clamp(min=step), values)
    crossed = (values < 0.0).any(dim=1) & (values >= 0.0).any(dim=1)
    return blocks[crossed], values[crossed]


def _cube(side: int, device: torch.device) -> Tensor:
    """(side³, 3) offsets, z fastest."""
    line = torch.arange(side, device=device)
    return torch.cartesian_prod(line, line, line)


def _eighths(device: torch.device) -> Tensor:
    """(8, 8): which of a block's 27 lattice points are the corners of each of its eighths."""
    both = _cube(2, device)[:, None] + _cube(2, device)
    return (both[..., 0] * 3 + both[..., 1]) * 3 + both[..., 2]


def _may_hold_surface(values: Tensor, rise: Tensor) -> Tensor:
    """Which blocks (N,) a surface may cross.

    If it passes through a point, no corner is farther from 0 than its own distance to that point times the steepness:
    the nearest corner is within half a diagonal, and all eight together within their distance to the farthest place,
    which is a corner, (3 + 3 √2 + √3) / 8 sides on average.

    Args:
        values: Distances at the corners, (N, 8).
        rise: Steepness times side, (N,).
    """
    low, high = values.amin(dim=1), values.amax(dim=1)
    size = values.abs()
    near = (size.amin(dim=1) < 0.866 * rise) & (size.mean(dim=1) < 1.122 * rise)
    return near | ((low < 0.0) & (high >= 0.0))


def _steepness(values: Tensor, spacing: float) -> Tensor:
    """How steep the distance is within blocks: from differences along each axis. Shape: (N, 3, 3, 3) → (N,)."""
    slopes = [values.diff(dim=axis).abs().flatten(1).amax(dim=1) for axis in (1, 2, 3)]
    seen = torch.stack(slopes).square().sum(dim=0).sqrt() / spacing
    return seen.clamp(FLATTEST, STEEPEST)


def _bend(values: Tensor) -> Tensor:
    """How far interpolation between corners may be off: an eighth of the second differences. (N, 3, 3, 3) → (N,)."""
    bends = [values.diff(2, dim=axis).abs().flatten(1).amax(dim=1) for axis in (1, 2, 3)]
    return torch.stack(bends).sum(dim=0) / 8.0


# -------------------------------------------------------------------------------------------------------------- bricks


def _marched(
    cells: NDArray[np.int64], values: NDArray[np.float32], job: Job
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32]]:
    """Marching cubes over cells: vertices (V, 3) in grid units, faces (F, 3), normals (V, 3)."""
    brick = cells // BRICK
    stride = int(brick.max()) + 1
    number = (brick[:, 0] * stride + brick[:, 1]) * stride + brick[:, 2]
    order = np.argsort(number, kind="stable")
    cells, values, number = cells[order], values[order], number[order]
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(starts[1:], len(cells))
    corner = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    points, faces, normals, keys, have = [], [], [], [], 0
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if index % REPORTED == 0:
            job.report(0.8 * index / len(starts), "joining the surface")
        origin = cells[start] // BRICK * BRICK
        local = cells[start:end] - origin
        volume = np.ones((BRICK + 1,) * 3, np.float32)
        volume[tuple(np.moveaxis(local[:, None] + corner, -1, 0))] = values[start:end]
        mask = np.zeros(volume.shape, bool)
        mask[tuple(local.T + 1)] = True  # scikit-image reads the mask at a cell's highest corner
        # "descent" makes faces turn towards where values are higher: outwards.
        vertices, triangles, normal, _ = marching_cubes(volume, 0.0, gradient_direction="descent", mask=mask)
        points.append(vertices.astype(np.float64) + origin)
        faces.append(triangles.astype(np.int64) + have)
        normals.append(-normal)  # scikit-image's point towards where values are lower
        keys.append(_keys(vertices, origin))
        have += len(vertices)
    whole = _joined(np.concatenate(points), np.concatenate(faces), np.concatenate(normals), np.concatenate(keys))
    job.report(1.0, "joining the surface")
    return whole


def _keys(vertices: NDArray[np.float32], origin: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number a vertex on the skin of its brick, the same in every brick that shares it; -1 elsewhere."""
    floor = np.floor(vertices)
    fraction = vertices - floor
    skin = (((vertices == 0.0) | (vertices == BRICK)).any(axis=1)) & ((fraction > 0.0).sum(axis=1) <= 1)
    axis = np.where(fraction.max(axis=1) > 0.0, fraction.argmax(axis=1), 3)
    place = floor.astype(np.int64) + origin
    key = axis.astype(np.int64)
    for dimension in range(3):
        key = key * (MAX_RESOLUTION + BRICK) + place[:, dimension]
    key = key * FRACTION + np.rint(fraction.max(axis=1).astype(np.float64) * FRACTION).astype(np.int64)
    return np.where(skin, key, -1)


def _joined(
    points: NDArray[np.float64], faces: NDArray[np.int64], normals: NDArray[np.float32], keys: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32]]:
    """Bricks as one surface: vertices with one key become one, and share their normals."""
    shared = np.flatnonzero(keys >= 0)
    _, first, inverse = np.unique(keys[shared], return_index=True, return_inverse=True)
    target = np.arange(len(points))
    target[shared] = shared[first[inverse]]
    sums = np.zeros((len(points), 3), np.float32)
    np.add.at(sums, target[shared], normals[shared])
    normals = normals.copy()
    normals[shared[first]] = sums[shared[first]]
    kept = target == np.arange(len(points))
    renumbered = np.cumsum(kept) - 1
    faces = renumbered[target[faces]]
    normals = normals[kept]
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return points[kept], faces.astype(np.int32), normals
