"""Maps of a surface, pixel by pixel: values carried to where none are known, normals, other sizes, masks.

Plain batched torch, differentiable where it can be; knows no camera.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["DEPTH_STEP", "box", "closed", "eroded", "extended", "normals_of", "resized_surface", "smoothstep"]

# Depth step between neighbouring pixels of a 128 px map that is a contour and not a slope (world units).
DEPTH_STEP = 0.012


def extended(values: Tensor, mask: Tensor) -> Tensor:
    """Carry values from where they are known to everywhere else (pull and push through a pyramid of averages).

    Where ``mask`` is 1 the values come back untouched; elsewhere they fade into averages of known neighbours.

    Shape:
        values: (B, C, H, W); mask: (B, 1, H, W) in [0, 1]; H and W any size. Returns (B, C, H, W).
    """
    height, width = values.shape[-2:]
    if height <= 1 and width <= 1:
        return values
    window = (min(2, height), min(2, width))
    total = functional.avg_pool2d(mask, window, ceil_mode=True)
    coarse = functional.avg_pool2d(values * mask, window, ceil_mode=True) / total.clamp(min=1e-6)
    # A coarse cell counts as known as soon as a quarter of it is: thin known strips must not be diluted on the way up.
    coarse = extended(coarse, (total * 4.0).clamp(max=1.0))
    grown = functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return values * mask + grown * (1.0 - mask)


def normals_of(points: Tensor) -> Tensor:
    """Unit normals of a map of surface points by central differences, turned towards a camera whose rows run down.

    Shape:
        points: (B, 3, h, w); returns (B, 3, h, w).
    """
    padded = functional.pad(points, (1, 1, 1, 1), mode="replicate")
    right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return functional.normalize(torch.linalg.cross(down, right, dim=1), dim=1, eps=1e-12)


def resized_surface(points: Tensor, alpha: Tensor, size: int) -> Tensor:
    """Surface points at another resolution: smooth on the surface, without bridges over its contours.

    Shape:
        points: (B, 3, h, w), valid where alpha (B, 1, h, w) > 0.5; returns (B, 3, size, size).
    """
    known = extended(points, (alpha > 0.5).to(points.dtype))
    if size <= points.shape[-1]:
        return known if size == points.shape[-1] else functional.interpolate(known, size=size, mode="nearest-exact")
    smooth = functional.interpolate(known, size=size, mode="bilinear", align_corners=False)
    nearest = functional.interpolate(known, size=size, mode="nearest-exact")
    bridge = (smooth - nearest).square().sum(dim=1, keepdim=True) > (0.5 * DEPTH_STEP) ** 2
    return torch.where(bridge, nearest, smooth)


def smoothstep(low: float, high: float, value: Tensor) -> Tensor:
    """0 below ``low``, 1 above ``high``, a cubic between."""
    unit = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return unit * unit * (3.0 - 2.0 * unit)


def box(values: Tensor, radius: int) -> Tensor:
    """Mean over a square window; beyond the border the picture repeats its edge."""
    if radius < 1:
        return values
    return functional.avg_pool2d(functional.pad(values, (radius,) * 4, mode="replicate"), 2 * radius + 1, stride=1)


def eroded(mask: Tensor, radius: int) -> Tensor:
    """Minimum over a square window; the picture's border does not count as an edge."""
    if radius < 1:
        return mask
    return -functional.max_pool2d(-mask, 2 * radius + 1, stride=1, padding=radius)


def closed(mask: Tensor, radius: int) -> Tensor:
    """A mask without gaps narrower than twice the radius."""
    return eroded(functional.max_pool2d(mask, 2 * radius + 1, stride=1, padding=radius), radius)
