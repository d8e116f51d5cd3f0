"""Outlines within the head, finer than the pixels it was traced at: a cheek before the hair behind it, a fringe.

Enlarged, a depth map is a staircase wherever one part stands before another. As with the head's own outline
(:mod:`core.rendering.outline`), how near a ray passes to the front part changes smoothly across such a contour and can
be enlarged before it is cut. Here both parts go on behind the cut, and each pixel there shows a mixture of what the
photo says of either. Only rays beside a contour are asked. Refuses to know networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.rendering.precision import Sdf
from core.rendering.surfaces import SurfaceMap
from core.surface_maps import DEPTH_STEP
from core.tensor_camera import rays
from core.visibility import SourceView, merged

__all__ = ["Beside", "Contours", "beside_contours", "contours", "mixed_guide"]

# Pixels to each side of a contour that are looked at: the cut lies within one, cubics reach over two.
BESIDE = 2
# How many times the slope beside it a step is at least.
SLOPE = 2.0
# How far before the front part the search for a ray's nearest approach begins, and readings of it (world units).
BEFORE, READINGS, HALVINGS = 0.006, 6, 2
# Neighbours of eight that must show a layer for a ray that missed to be given to it.
FEW = 2.5
# What rays beyond hold, in pixels: enough that no interpolation reaches 0 between them.
FARTHER = 3.0


class Contours(NamedTuple):
    """Two layers of surface beside every contour of a map, and which of them a ray meets.

    Shape:
        front, back (1, 1, s, s) optical-axis depths, equal away from contours; gap (1, 1, s, s) least signed distance
        to the front part [world units], negative where the ray meets it; zone (1, 1, s, s) where any of this is known;
        missed (1, 1, s, s) where the map itself has no depth and its neighbours say which layer is there.
    """

    front: Tensor
    back: Tensor
    gap: Tensor
    zone: Tensor
    missed: Tensor


def contours(
    surface: SurfaceMap,
    read: Callable[[Tensor], Tensor],
    sdf: Sdf,
    angles: Tensor,
    half_fov: float = HALF_FOV,
) -> Contours | None:
    """Find the contours of a surface map; None when it has none.

    Args:
        surface: The map; only where it was hit.
        read: Distances (...) of points (..., 3), roughly: they say where a ray comes closest.
        sdf: Distances (1, N, 1) of points (1, N, 3): they say how close.
        angles: The camera (1, 2).
        half_fov: Of the camera.
    """
    depth = surface.depth
    size = depth.shape[-1]
    # Rays that graze an overhang may miss it; a few in the middle of a head are no holes in it.
    solid = -functional.max_pool2d(-functional.max_pool2d(surface.hit, 3, 1, 1), 3, 1, 1) > 0.5
    across = _jumps(depth, solid)
    if not across.any():
        return None
    zone = (functional.max_pool2d(across.to(depth.dtype), 2 * BESIDE + 1, 1, BESIDE) > 0.5) & solid
    window = 2 * (BESIDE + 1) + 1
    highest = functional.max_pool2d(torch.where(across, depth, -torch.inf), window, 1, window // 2)
    lowest = -functional.max_pool2d(torch.where(across, -depth, -torch.inf), window, 1, window // 2)
    missed = solid & (surface.hit < 0.5)
    before = zone & ~missed & (depth < 0.5 * (highest + lowest))
    behind = zone & ~missed & ~before
    front = _continued(depth, before, zone & ~before)
    back = torch.maximum(_continued(depth, behind, zone & ~behind), front)
    pixel = 2.0 * math.tan(half_fov) / size
    beyond = functional.max_pool2d(behind.to(depth.dtype), 5, 1, 2) > 0.5
    gap = torch.where(beyond, FARTHER * pixel, -FARTHER * pixel).flatten()
    asked = zone.flatten().nonzero()[:, 0]
    origin, directions = rays(angles, size, half_fov)
    origin, directions = origin[0], directions[0, asked]
    begin = front.flatten()[asked] - BEFORE
    # Not as far as the back part, which is no part of the front one however near it comes.
    end = 0.5 * (front + back).flatten()[asked]
    stride = (end - begin) / READINGS
    t = begin[:, None] + (torch.arange(READINGS, device=depth.device) + 0.5) * stride[:, None]
    best, place = read(origin + directions[:, None] * t[..., None]).min(dim=1)
    closest = t.gather(1, place[:, None])[:, 0]
    for _ in range(HALVINGS):
        stride = 0.5 * stride
        beside = torch.stack((closest - stride, closest + stride), dim=1)
        value, side = read(origin + directions[:, None] * beside[..., None]).min(dim=1)
        better = value < best
        best = torch.where(better, value, best)
        closest = torch.where(better, beside.gather(1, side[:, None])[:, 0], closest)
    exact = sdf((origin + directions * closest[:, None])[None])[0, :, 0].to(gap.dtype)
    gap[asked] = exact.clamp(-FARTHER * pixel, FARTHER * pixel)
    gap = gap.reshape(depth.shape)
    # A ray that missed belongs to a layer that its neighbours show.
    beside = functional.avg_pool2d(torch.cat((before, behind), dim=1).to(depth.dtype), 3, 1, 1)
    shown = torch.where(gap < 0.0, beside[:, :1], beside[:, 1:]) > FEW / 9.0
    return Contours(front, back, gap, zone.to(depth.dtype), (missed & shown).to(depth.dtype))


def _jumps(depth: Tensor, solid: Tensor) -> Tensor:
    """Pixels to both sides of a step that is no slope: on one side at least the depth changes much less.

    Shape:
        depth (1, 1, s, s), solid likewise, bool; returns likewise, bool.
    """
    found = torch.zeros_like(solid)
    for axis in (2, 3):
        size = depth.shape[axis]
        both = solid.narrow(axis, 1, size - 1) & solid.narrow(axis, 0, size - 1)
        # Where there is no slope to compare with nothing is known to be gentler.
        rise = torch.where(both, depth.diff(dim=axis).abs(), torch.inf)
        none = torch.full_like(rise.narrow(axis, 0, 1), torch.inf)
        ahead = torch.cat((rise.narrow(axis, 1, size - 2), none), axis)
        behind = torch.cat((none, rise.narrow(axis, 0, size - 2)), axis)
        jump = both & (rise > DEPTH_STEP) & (rise > SLOPE * torch.minimum(ahead, behind))
        found.narrow(axis, 0, size - 1).logical_or_(jump)
        found.narrow(axis, 1, size - 1).logical_or_(jump)
    return found


def _continued(depth: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
    """A layer's depth, carried on from where it is ``known`` to where it is ``wanted`` by means over windows."""
    mask = known.to(depth.dtype)
    for _ in range(2):
        total = functional.avg_pool2d(mask, 2 * BESIDE + 1, 1, BESIDE)
        mean = functional.avg_pool2d(depth * mask, 2 * BESIDE + 1, 1, BESIDE) / total.clamp(min=1e-6)
        fresh = wanted & (mask < 0.5) & (total > 0.0)
        depth = torch.where(fresh, mean, depth)
        mask = torch.where(fresh, torch.ones_like(mask), mask)
    return depth


class Beside(NamedTuple):
    """Pixels of a picture that a contour passes, and what lies to both sides of it.

    Shape:
        pixels (N,): their numbers, row by row; share (N,): how much of each is the front part's, 0..1; front and back
        (N, 3): points of both.
    """

    pixels: Tensor
    share: Tensor
    front: Tensor
    back: Tensor


def beside_contours(layers: Contours, size: int, angles: Tensor, half_fov: float = HALF_FOV) -> Beside | None:
    """The pixels of a picture that contours pass; None if there are none.

    Args:
        layers: The contours.
        size: Side of the picture.
        angles: Of the view (1, 2).
        half_fov: Of its camera.
    """
    pixel = 2.0 * math.tan(half_fov) / size
    gap = functional.interpolate(layers.gap, size=(size, size), mode="bicubic", align_corners=False)
    depths = functional.interpolate(torch.cat(layers[:2] + layers[3:], dim=1), size=(size, size), mode="bilinear")
    # Within a pixel of the map: farther from the cut its own depth is the better one, if it has any. And only where the
    # map has both sides: cubics swing through 0 beside a step of the gap, too.
    ahead = (layers.gap < 0.0).to(gap.dtype)
    turns = functional.max_pool2d(ahead, 3, 1, 1) * functional.max_pool2d(1.0 - ahead, 3, 1, 1)
    turns = functional.interpolate(turns, size=(size, size), mode="nearest-exact")[:, 0] > 0.5
    narrow = (gap[:, 0].abs() < 2.0 * math.tan(half_fov) / layers.gap.shape[-1]) & turns | (depths[:, 3] > 0.0)
    beside = narrow & (depths[:, 2] > 0.99) & (depths[:, 1] - depths[:, 0] > 0.5 * DEPTH_STEP)
    pixels = beside.flatten().nonzero()[:, 0]
    if not len(pixels):
        return None
    share = (0.5 - gap.flatten()[pixels] / pixel).clamp(0.0, 1.0)
    origin, directions = rays(angles, size, half_fov)
    front, back = (origin[0] + directions[0, pixels] * depths[0, one].flatten()[pixels, None] for one in (0, 1))
    return Beside(pixels, share, front, back)


def mixed_guide(found: Tensor, beside: Beside | None, view: SourceView, angles: Tensor) -> Tensor:
    """A guide whose contours are smooth: beside them every pixel mixes what the photo says of front and back.

    Args:
        found: The guide of the same view, as ``core.visibility.guide`` makes it.
        beside: Its pixels that contours pass.
        view: Photo and surface.
        angles: Of the view.

    Shape:
        found (1, 6, S, S); angles (1, 2); returns (1, 6, S, S).
    """
    if beside is None:
        return found
    pixels, share = beside.pixels, beside.share
    two = []
    for points, some in ((beside.front, share > 0.0), (beside.back, share < 1.0)):
        colour, direct, mirror = merged(view, points[None, some], None, angles)
        seen = torch.zeros(len(pixels), 5, dtype=found.dtype, device=found.device)
        seen[some] = torch.cat((colour[0], direct[0, :, None], mirror[0, :, None]), dim=-1)
        two.append(seen)
    both = torch.lerp(two[1], two[0], share[:, None])
    flat = found.flatten(2).clone()
    on_head = (flat[:, 4:5, pixels] > 0.02).to(flat.dtype)
    flat[:, :3, pixels] = both[:, :3].T[None] * on_head
    flat[:, 3, pixels] = both[:, 3] * on_head[:, 0]
    flat[:, 5, pixels] = both[:, 4] * on_head[:, 0]
    return flat.reshape(found.shape)
