"""The head's outline, finer than the pixels it was traced at.

A ray that meets the head and its neighbour that does not say "in" and "out"; enlarged, that is a staircase. How near
each of them passes is a number, which changes smoothly across the outline and can be enlarged before it is cut: along
a ray, the least signed distance. Only rays at the rim are asked. Refuses to know photos and networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.rendering.measures import widest
from core.rendering.precision import Sdf
from core.rendering.surfaces import SurfaceMap
from core.tensor_camera import rays, unproject

__all__ = ["Rim", "coverage", "outline", "rim_of", "with_rim"]

# Pixels outside and inside the first guess that are looked at closely; the cut itself lies a little outside.
OUTSIDE, INSIDE = 3, 2
# How often it is looked farther out.
FOLLOWED = 5
# Share of the head's picture below which a piece that hangs on nothing is left out.
ISLAND = 0.004
# Neighbours of a pixel.
AROUND = np.ones((3, 3), bool)
# Optical-axis distance between two readings when the closest approach is looked for, and how often it is then halved.
STRIDE, HALVINGS = 0.01, 3
# How far outside the surface the picture ends (world units): skin has down, hair ends softly, and the
# learned surface shrinks where it is thin. Measured on portraits: without it their rims are trimmed.
SOFT_EDGE = 0.0016
# What pixels farther from the rim hold, in pixels: enough that no interpolation reaches 0 between them.
FARTHER = 4.0


class Rim(NamedTuple):
    """The rim of a head as a camera sees it.

    Shape:
        distance (1, 1, s, s) least signed distance along each ray [world units], negative inside, ``±FARTHER`` pixels
        away from the rim; depth (1, 1, s, s) where that is, infinity where nobody looked.
    """

    distance: Tensor
    depth: Tensor


def outline(
    read: Callable[[Tensor], Tensor], sdf: Sdf, angles: Tensor, hit: Tensor, half_fov: float = HALF_FOV
) -> Tensor:
    """The distance of :func:`rim_of` alone; arguments as there."""
    return rim_of(read, sdf, angles, hit, half_fov).distance


def rim_of(read: Callable[[Tensor], Tensor], sdf: Sdf, angles: Tensor, hit: Tensor, half_fov: float = HALF_FOV) -> Rim:
    """How near rays pass by the head, near its rim.

    Args:
        read: Distances (...) of points (..., 3), roughly: they say where a ray comes closest.
        sdf: Distances (1, N, 1) of points (1, N, 3): they say how close.
        angles: The camera (1, 2).
        hit: Which rays met the head (1, 1, s, s), 0 or 1.
        half_fov: Of the camera.
    """
    size = hit.shape[-1]
    pixel = 2.0 * math.tan(half_fov) / size
    found = torch.where(hit > 0.5, -FARTHER * pixel, FARTHER * pixel)
    depth = torch.full_like(found, torch.inf)
    origin, directions = rays(angles, size, half_fov)
    shrunk = -widest(-hit, INSIDE)
    rim = (widest(hit, OUTSIDE) > 0.5) & (shrunk < 0.5)
    looked = rim
    # What was traced coarsely may have missed the end of a lock: where the head reaches the edge of what was looked
    # at, it is looked at farther out.
    for _ in range(FOLLOWED):
        if not rim.any():
            break
        asked = rim.flatten().nonzero()[:, 0]
        near, depth.view(-1)[asked] = _closest(read, sdf, origin[0], directions[0, asked])
        found.view(-1)[asked] = near.to(found.dtype).clamp(-FARTHER * pixel, FARTHER * pixel)
        missed = (rim & (found < SOFT_EDGE) & (hit < 0.5)).to(hit.dtype)
        rim = (widest(missed, OUTSIDE) > 0.5) & ~looked & (hit < 0.5)
        looked = looked | rim
    return Rim(torch.where(_loose(found, pixel), SOFT_EDGE + pixel, found), depth)


def with_rim(surface: SurfaceMap, rim: Rim, angles: Tensor, half_fov: float = HALF_FOV) -> SurfaceMap:
    """A surface map that shows what its rays missed at the rim: ends of hair before the backdrop, the far temple.

    Without it the nearest depth that was found goes on there, which may be that of a forehead before the hair.
    """
    missed = (surface.hit < 0.5) & (rim.distance < SOFT_EDGE) & rim.depth.isfinite()
    if not missed.any():
        return surface
    depth = torch.where(missed, rim.depth, surface.depth)
    hit = torch.where(missed, torch.ones_like(surface.hit), surface.hit)
    return SurfaceMap(depth, unproject(depth, angles, half_fov), hit)


def _loose(found: Tensor, pixel: float) -> Tensor:
    """What hangs on nothing and is too small to be anything (1, 1, s, s): ends of locks behind, and near misses.

    Interpolation overshoots: what nearly touches a single ray would be a dot.
    """
    values = found[0, 0].cpu().numpy()
    pieces, count = ndimage.label(values < SOFT_EDGE)
    if not count:
        return torch.zeros_like(found, dtype=torch.bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    head = (sizes >= ISLAND * sizes.sum())[pieces]
    near = ndimage.binary_dilation(head, AROUND, iterations=2)
    loose = ((values < SOFT_EDGE + pixel) & ~near) | ((pieces > 0) & ~head)
    return torch.from_numpy(loose).to(found.device)[None, None]


def _closest(read: Callable[[Tensor], Tensor], sdf: Sdf, origin: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Least signed distances (R,) along rays, and depths there (R,). Shape: origin (3,), directions (R, 3)."""
    steps = round((FAR - NEAR) / STRIDE)
    t = NEAR + (torch.arange(steps, device=directions.device) + 0.5) * STRIDE
    best, place = read(origin + directions[:, None] * t[:, None]).min(dim=1)
    closest, step = t[place], STRIDE
    for _ in range(HALVINGS):
        step *= 0.5
        beside = torch.stack((closest - step, closest + step), dim=1)
        near = read(origin + directions[:, None] * beside[..., None])
        value, side = near.min(dim=1)
        better = value < best
        best = torch.where(better, value, best)
        closest = torch.where(better, beside.gather(1, side[:, None])[:, 0], closest)
    exact: Tensor = sdf((origin + directions * closest[:, None])[None])[0, :, 0]
    return exact, closest


def coverage(distance: Tensor, size: int, half_fov: float = HALF_FOV) -> Tensor:
    """How much of each pixel of a larger picture lies within an outline.

    Shape:
        distance (1, 1, s, s) from ``outline``; returns (1, 1, size, size) in [0, 1].
    """
    whole = functional.interpolate(distance, size=(size, size), mode="bicubic", align_corners=False)
    pixel = 2.0 * math.tan(half_fov) / size
    return (0.5 - (whole - SOFT_EDGE) / pixel).clamp(0.0, 1.0)
