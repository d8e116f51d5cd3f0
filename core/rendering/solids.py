"""The head as a volume of distances: where it is solid, and which solids are strays.

The distance is evaluated on a coarse grid first; blocks that cannot hold the surface keep interpolated values, whose
sign is right. Meshes are cut from such a volume. Pictures use a small one to leave out what floats beside the head:
the field was taught by many hair styles and sometimes leaves a lock of another one behind the neck.
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

# Grid points a side of the volume that strays are looked for in: 4 mm apart, the narrowest gap that matters.
STRAY_RESOLUTION = 56
# The same for loose pieces, whose air gap may be narrower.
LOOSE_RESOLUTION = 72
# Depth inside a solid from which on it counts as its core (world units): contacts thinner than twice this are cut.
THIN = 0.003
# A lock is small beside the head, and lies behind it (mean grid number along z, of STRAY_RESOLUTION).
SMALL, BEHIND = 0.12, 0.3 * 56
# Cells around a stray's core, and around a loose piece, that are cleared with it.
STRAY_REACH, LOOSE_REACH = 5.0, 2.0
# A sheet of hair that hangs free behind the neck: below this height, thinner than this, this far back (world units). It
# goes when it reaches below the chin, in so many columns, and hair is not seen there beside the neck in this share of
# them: photos of short hair say nothing about it. Below the chin, that is between the jaw and the shoulders.
NAPE, SHEET, BACK = 0.03, 0.024, -0.03
CHIN, SHOULDERS, BESIDE_NECK = -0.08, -0.105, 0.065
LOW_COLUMNS, SEEN_BESIDE = 6, 0.25
# What a stray's surroundings are said to be: this far from any surface (world units).
CLEAR = 0.006

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


def strays(sdf: Sdf, device: torch.device) -> Tensor | None:
    """Where solids float beside the head, a little grown: (1, 1, R, R, R) of 0 and 1, axes z, y, x; None if nowhere.

    Args:
        sdf: Distances (N,) of points (N, 3).
        device: Where to evaluate.
    """
    volume = sampled_volume(sdf, STRAY_RESOLUTION, device, Job.quiet())
    apart, pieces = ndimage.label(volume < 0.0)
    if pieces == 0:
        return None
    whole = apart == np.bincount(apart.ravel())[1:].argmax() + 1
    # Loose pieces are cleared with what is around them and nearer to them than to the head: their flesh reaches beyond
    # the cells whose middle is solid, at corners as well.
    stray = _around((apart > 0) & ~whole, whole, LOOSE_REACH)
    # Cores, so that a hair's breadth of contact does not make a lock behind the neck part of the head.
    labels, count = ndimage.label((volume < -THIN) & whole)
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    head = labels == sizes.argmax() + 1
    behind = [
        number + 1
        for number in range(count)
        if sizes[number] < SMALL * sizes.max() and np.argwhere(labels == number + 1)[:, 2].mean() < BEHIND
    ]
    if behind:
        lock = np.isin(labels, behind)
        # Space belongs to the nearer core; a lock's part of it is cleared as far as its own flesh can reach.
        stray |= _around(lock, head, STRAY_REACH)
    sheet = hidden_sheet(whole & ~stray)
    if sheet.any():
        # What hung on it alone goes with it.
        pieces_left, _ = ndimage.label(whole & ~stray & ~sheet)
        rest = pieces_left == np.bincount(pieces_left.ravel())[1:].argmax() + 1
        gone = whole & ~stray & ~rest
        stray |= _around(gone, rest, LOOSE_REACH)
    mask = torch.from_numpy(stray.transpose(2, 1, 0).astype(np.float32)).to(device)[None, None]
    # Some pieces only a finer grid tells from the head.
    finer = sampled_volume(sdf, LOOSE_RESOLUTION, device, Job.quiet())
    return with_loose(torch.from_numpy(finer).to(device), mask)


def with_loose(volume: Tensor, mask: Tensor | None) -> Tensor | None:
    """A mask of strays, with the pieces in it that float beside the head on a grid; None if nothing is in it.

    Shape:
        volume (R, R, R), axes x, y, z: distances; mask (1, 1, Q, Q, Q), axes z, y, x, 0 and 1; returns like the mask,
        as fine as the finer of both.
    """
    size = len(volume)
    solid = (volume < 0.0).permute(2, 1, 0)
    if mask is not None:
        solid = solid & (_fitted(mask, size) < 0.5)[0, 0]
    apart, _ = ndimage.label(solid.cpu().numpy())
    sizes = np.bincount(apart.ravel())[1:]
    if len(sizes) > 1:
        whole = apart == sizes.argmax() + 1
        loose = _around((apart > 0) & ~whole, whole, LOOSE_REACH)
        found = torch.from_numpy(loose.astype(np.float32)).to(volume.device)[None, None]
        if mask is not None:
            finer = max(size, mask.shape[-1])
            found = torch.maximum(_fitted(found, finer), _fitted(mask, finer))
        mask = found
    return mask if mask is not None and bool(mask.any()) else None


def _fitted(mask: Tensor, size: int) -> Tensor:
    """A mask on another grid over the same cube, 0 and 1."""
    if mask.shape[-1] == size:
        return mask
    return (functional.interpolate(mask, size=(size,) * 3, mode="trilinear", align_corners=True) > 0.5).to(mask.dtype)


def _around(piece: NDArray[np.bool_], head: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Cells that are nearer to a piece than to the head, and no farther from it than so many cells."""
    found = np.zeros_like(piece)
    if piece.any():
        wide = int(reach) + 1
        box = tuple(
            slice(max(int(line.min()) - 2 * wide, 0), int(line.max()) + 2 * wide + 1) for line in piece.nonzero()
        )
        to_piece = ndimage.distance_transform_edt(~piece[box])
        near = to_piece < reach
        if head[box].any():
            near &= to_piece < ndimage.distance_transform_edt(~head[box])
        found[box] = near
    return found


def hidden_sheet(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of a sheet that hangs behind the neck with air between, if it is hidden from the front.

    Shape:
        solid (R, R, R), axes x, y, z; returns the same.
    """
    axis = np.linspace(-EXTENT, EXTENT, len(solid))
    starts = solid & ~np.pad(solid, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    run = np.cumsum(starts, axis=2)
    first = solid & (run == 1) & (axis < NAPE)[None, :, None]
    thin = first.sum(axis=2) * (axis[1] - axis[0]) < SHEET
    behind = thin & ((first * axis).sum(axis=2) < BACK * first.sum(axis=2)) & first.any(axis=2)
    low = (axis < CHIN) & (axis > SHOULDERS)
    hidden = (behind & (run[:, :, -1] > 1))[:, low].sum()
    columns = np.asarray(solid.any(axis=2))
    beside = columns[np.abs(axis) > BESIDE_NECK][:, low].sum()
    if hidden < LOW_COLUMNS or beside > SEEN_BESIDE * hidden:
        return np.zeros_like(solid)
    return first & behind[:, :, None]


def without_strays(sdf: Sdf, mask: Tensor | None) -> Sdf:
    """A distance that passes strays by and ends where the scene does; both map (1, N, 3) to (1, N, 1)."""

    def clear(points: Tensor) -> Tensor:
        # Nothing was taught beyond the scene: whatever the field says there is cut off.
        distance = torch.maximum(sdf(points), points.abs().amax(dim=-1, keepdim=True) - SCENE)
        if mask is None:
            return distance
        grid = (points / EXTENT)[:, :, None, None]
        inside = functional.grid_sample(mask, grid, padding_mode="border", align_corners=True)
        return torch.where(inside[:, 0, :, 0] > 0.5, distance.clamp(min=CLEAR), distance)

    return clear


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
