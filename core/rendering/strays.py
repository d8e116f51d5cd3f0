"""What of a head's solids is left out: what floats beside it, and tails that hang hidden behind the neck.

The field was taught by many hair styles, and sometimes leaves a lock of another one behind the neck. A small volume of
the head's distances tells which solids are strays; pictures pass them by, and meshes are cut without them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.job import Job
from core.rendering.solids import EXTENT, SCENE, Sdf, sampled_volume

__all__ = ["CLEAR", "smoothly_without", "strays", "with_loose", "without_strays"]

# Grid points a side of the volume that strays are looked for in: 4.5 mm apart, the narrowest gap that matters.
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
# A tail: what hangs free behind the neck, is nowhere this far to the side and no wider than long, is always hidden
# from the front. Ends of hair that hangs beside the face as well are wider.
NARROW = 0.03
# Cells that tails have at least: every ray pays for a mask, and nobody sees less.
FEWEST = 8
# A spike: what a ball of this radius does not reach from within (cells), sticks out by so much (cells), and lies so far
# back in the mean that no photo from the front shows it (world units).
ROUND, OUT, FAR_BACK = 2.3, 3.5, -0.08
# Spikes may be too thin for any cell's middle: places so near to the surface are looked at as well.
WISP = 0.0025
# Where something hung, a stump is left: what a ball of this radius does not reach goes as well, so far from what went
# before and so far behind (cells, and world units).
BLUNT, STUMP, STUMP_BACK = 10.0, 8.0, -0.075
# Times as much as what is left out: more is something else.
MOST = 2.0
# Cells from the head beyond which all is a stray, near what is one already: thin ends, which no cell's middle meets.
BEYOND = 2.0
# What a stray's surroundings are said to be: this far from any surface (world units).
CLEAR = 0.006


def strays(sdf: Sdf, device: torch.device) -> Tensor | None:
    """Where solids float beside the head, a little grown: (1, 1, R, R, R), over .5, axes z, y, x; None if nowhere.

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
    soft = _around((apart > 0) & ~whole, whole, LOOSE_REACH)
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
        soft = np.maximum(soft, _around(lock, head, STRAY_REACH))
    kept = whole & (soft <= 0.5)
    wisps = hidden_spikes((volume < WISP) & (soft <= 0.5))
    sheet = hidden_sheet(kept) | hidden_tails(kept) | hidden_spikes(kept) | wisps
    sheet |= stumps(kept & ~sheet, (whole & ~kept) | sheet)
    if sheet.any():
        # What hung on it alone goes with it.
        pieces_left, _ = ndimage.label(kept & ~sheet)
        rest = pieces_left == np.bincount(pieces_left.ravel())[1:].argmax() + 1
        soft = np.maximum(soft, _around((kept & ~rest) | wisps, rest, LOOSE_REACH))
    if (soft > 0.5).any():
        left_out, kept = ((apart > 0) & (soft > 0.5)) | wisps, whole & (soft <= 0.5)
        soft = np.maximum(soft, _soft(np.minimum(STRAY_REACH - _away(left_out), _away(kept) - BEYOND)))
    mask = torch.from_numpy(soft.transpose(2, 1, 0).astype(np.float32)).to(device)[None, None]
    # Some pieces only a finer grid tells from the head.
    finer = sampled_volume(sdf, LOOSE_RESOLUTION, device, Job.quiet())
    return with_loose(torch.from_numpy(finer).to(device), mask)


def with_loose(volume: Tensor, mask: Tensor | None) -> Tensor | None:
    """A mask of strays, with the pieces in it that float beside the head on a grid; None if nothing is in it.

    Shape:
        volume (R, R, R), axes x, y, z: distances; mask (1, 1, Q, Q, Q), axes z, y, x; returns like the mask,
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
        found = torch.from_numpy(loose).to(volume)[None, None]
        if mask is not None:
            finer = max(size, mask.shape[-1])
            found = torch.maximum(_fitted(found, finer), _fitted(mask, finer))
        mask = found
    return mask if mask is not None and bool((mask > 0.5).any()) else None


def _fitted(mask: Tensor, size: int) -> Tensor:
    """A mask on another grid over the same cube."""
    if mask.shape[-1] == size:
        return mask
    return functional.interpolate(mask, size=(size,) * 3, mode="trilinear", align_corners=True)


def _soft(inside: NDArray[np.float64]) -> NDArray[np.float32]:
    """A mask from how many cells deep places lie in it: it passes one half where it ends, without steps."""
    return np.clip(0.5 + 0.5 * inside, 0.0, 1.0).astype(np.float32)


def _around(piece: NDArray[np.bool_], head: NDArray[np.bool_], reach: float) -> NDArray[np.float32]:
    """A mask of what is nearer to a piece than to the head, and no farther from it than so many cells."""
    found = np.zeros(piece.shape, np.float32)
    if piece.any():
        wide = int(reach) + 1
        box = tuple(
            slice(max(int(line.min()) - 2 * wide, 0), int(line.max()) + 2 * wide + 1) for line in piece.nonzero()
        )
        to_piece = ndimage.distance_transform_edt(~piece[box])
        inside = reach - to_piece
        if head[box].any():
            inside = np.minimum(inside, 0.5 * (ndimage.distance_transform_edt(~head[box]) - to_piece))
        found[box] = _soft(inside)
    return found


def _away(piece: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many cells every cell is from a piece that is not empty."""
    found: NDArray[np.float64] = ndimage.distance_transform_edt(~piece)
    return found


def hidden_sheet(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of a sheet that hangs behind the neck with air between, if it is hidden from the front.

    Shape:
        solid (R, R, R), axes x, y, z; returns the same.
    """
    axis = np.linspace(-EXTENT, EXTENT, len(solid))
    first, behind, before = _hanging(solid, axis)
    low = (axis < CHIN) & (axis > SHOULDERS)
    hidden = (behind & before)[:, low].sum()
    columns = np.asarray(solid.any(axis=2))
    beside = columns[np.abs(axis) > BESIDE_NECK][:, low].sum()
    if hidden < LOW_COLUMNS or beside > SEEN_BESIDE * hidden:
        return np.zeros_like(solid)
    return first & behind[:, :, None]


def hidden_tails(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of narrow tails that hang behind the neck with air between: no photo from the front shows them.

    Shape:
        solid (R, R, R), axes x, y, z; returns the same.
    """
    axis = np.linspace(-EXTENT, EXTENT, len(solid))
    first, behind, before = _hanging(solid, axis)
    label, count = ndimage.label(behind)
    tails = np.zeros_like(behind)
    for number in range(1, count + 1):
        columns = label == number
        across, along = columns.any(axis=1), columns.any(axis=0)
        narrow = np.abs(axis[across]).max() < NARROW and across.sum() <= along.sum()
        if narrow and (columns & before).sum() > columns.sum() / 2:
            tails |= columns
    found = first & tails[:, :, None]
    return found if found.sum() >= FEWEST else np.zeros_like(found)


def hidden_spikes(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of what sticks out at the back of a head, handles and horns, where no photo from the front shows it.

    Shape:
        solid (R, R, R), axes x, y, z; returns the same.
    """
    found = np.zeros_like(solid)
    axis = np.linspace(-EXTENT, EXTENT, len(solid))
    solid = solid[:, :, axis < 0.0]  # The front half is none of its business, and takes as long.
    core = ndimage.distance_transform_edt(solid) > ROUND
    if not core.any():
        return found
    beyond = ndimage.distance_transform_edt(~core) - ROUND
    pieces, count = ndimage.label(solid & (beyond > 1.0))
    for number in range(1, count + 1):
        piece = pieces == number
        back = axis[piece.nonzero()[2]].mean()
        if piece.sum() >= FEWEST and back < FAR_BACK and beyond[piece].max() >= OUT:
            found[:, :, : piece.shape[2]] |= piece
    return found


def stumps(solid: NDArray[np.bool_], gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of what bulges at the back of a head where something hung that is left out.

    Shape:
        solid (R, R, R), axes x, y, z: what is kept; gone likewise: what is not; returns the same.
    """
    found = np.zeros_like(solid)
    axis = np.linspace(-EXTENT, EXTENT, len(solid))
    half = int((axis < 0.0).sum())
    gone = gone[:, :, :half] & (axis[:half] < STUMP_BACK)
    if not gone.any():
        return found
    # Cut through its middle, a head goes on there.
    ahead = half + round(BLUNT) + 1
    core = ndimage.distance_transform_edt(solid[:, :, :ahead])[:, :, :half] > BLUNT
    if core.any():
        beyond = ndimage.distance_transform_edt(~core) - BLUNT
        near = ndimage.distance_transform_edt(~gone) <= STUMP
        stump = solid[:, :, :half] & (beyond > 1.0) & near & (axis[:half] < STUMP_BACK)
        # A bun is no stump of the wisp that hangs on it.
        if stump.sum() <= MOST * gone.sum():
            found[:, :, :half] = stump
    return found


def _hanging(
    solid: NDArray[np.bool_], axis: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """What is met first from behind, below the nape; in which columns it is thin and far back, and more comes after it.

    Shape:
        solid (R, R, R), axis (R,); returns (R, R, R), (R, R) and (R, R).
    """
    starts = solid & ~np.pad(solid, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    run = np.cumsum(starts, axis=2)
    first = solid & (run == 1) & (axis < NAPE)[None, :, None]
    thin = first.sum(axis=2) * (axis[1] - axis[0]) < SHEET
    behind = thin & ((first * axis).sum(axis=2) < BACK * first.sum(axis=2)) & first.any(axis=2)
    return first, behind, run[:, :, -1] > 1


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


def smoothly_without(sdf: Sdf, mask: Tensor | None) -> Sdf:
    """What meshes are cut from, strays cut off smoothly and not in the steps of their grid; both map (N, 3) to (N,).

    Shape:
        mask (1, 1, R, R, R), axes z, y, x; None for no strays.
    """
    if mask is None:
        return sdf
    cell = 2.0 * EXTENT / (mask.shape[-1] - 1)

    def cut(points: Tensor) -> Tensor:
        grid = (points / EXTENT)[None, :, None, None]
        share = functional.grid_sample(mask, grid, padding_mode="border", align_corners=True)[0, 0, :, 0, 0]
        distance = sdf(points)
        return torch.where(share > 0.0, torch.maximum(distance, (share - 0.5) * (2.0 * cell)), distance)

    return cut
