"""The head's outline, finer than the pixels it was traced at.

A ray that meets the head and its neighbour that does not say "in" and "out"; enlarged, that is a staircase. How near
each of them passes is a number, which changes smoothly across the outline and can be enlarged before it is cut: along
a ray, the least signed distance. Only rays at the rim are asked. Refuses to know photos and networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.rendering.precision import Sdf
from core.tensor_camera import rays

__all__ = ["coverage", "outline"]

# Pixels outside and inside the first guess that are looked at closely; the cut itself lies a little outside.
OUTSIDE, INSIDE = 3, 2
# Optical-axis distance between two readings when the closest approach is looked for, and how often it is then halved.
STRIDE, HALVINGS = 0.01, 3
# How far outside the surface the picture ends (world units): skin has down, hair ends softly, and the
# learned surface shrinks where it is thin. Measured on portraits: without it their rims are trimmed.
SOFT_EDGE = 0.0016
# What pixels farther from the rim hold, in pixels: enough that no interpolation reaches 0 between them.
FARTHER = 4.0


def outline(
    read: Callable[[Tensor], Tensor], sdf: Sdf, angles: Tensor, hit: Tensor, half_fov: float = HALF_FOV
) -> Tensor:
    """Least signed distance along each ray near the rim of the head; ``±FARTHER`` pixels elsewhere.

    Args:
        read: Distances (...) of points (..., 3), roughly: they say where a ray comes closest.
        sdf: Distances (1, N, 1) of points (1, N, 3): they say how close.
        angles: The camera (1, 2).
        hit: Which rays met the head (1, 1, s, s), 0 or 1.
        half_fov: Of the camera.

    Shape:
        returns (1, 1, s, s), world units, negative inside.
    """
    size = hit.shape[-1]
    pixel = 2.0 * math.tan(half_fov) / size
    grown = functional.max_pool2d(hit, 2 * OUTSIDE + 1, 1, OUTSIDE)
    shrunk = -functional.max_pool2d(-hit, 2 * INSIDE + 1, 1, INSIDE)
    found = torch.where(hit > 0.5, -FARTHER * pixel, FARTHER * pixel).flatten()
    rim = ((grown > 0.5) & (shrunk < 0.5)).flatten().nonzero()[:, 0]
    if not len(rim):
        return found.reshape(1, 1, size, size)
    origin, directions = rays(angles, size, half_fov)
    origin, directions = origin[0], directions[0, rim]
    steps = round((FAR - NEAR) / STRIDE)
    t = NEAR + (torch.arange(steps, device=hit.device) + 0.5) * STRIDE
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
    exact = sdf((origin + directions * closest[:, None])[None])[0, :, 0].to(found.dtype)
    found[rim] = exact.clamp(-FARTHER * pixel, FARTHER * pixel)
    return found.reshape(1, 1, size, size)


def coverage(distance: Tensor, size: int, half_fov: float = HALF_FOV) -> Tensor:
    """How much of each pixel of a larger picture lies within an outline.

    Shape:
        distance (1, 1, s, s) from ``outline``; returns (1, 1, size, size) in [0, 1].
    """
    whole = functional.interpolate(distance, size=(size, size), mode="bicubic", align_corners=False)
    pixel = 2.0 * math.tan(half_fov) / size
    return (0.5 - (whole - SOFT_EDGE) / pixel).clamp(0.0, 1.0)
