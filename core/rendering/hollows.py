"""Shade in hollows that no photo saw: the field's colours have 64 pixels, and an ear in them is a blot.

A picture's depth says what is hollow: what lies deeper than its surroundings gets less light, and what stands out a
little more (unsharp masking of the depth buffer, Luft et al. 2006). Where the light comes from is not asked.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.contours import Contours
from core.rendering.surfaces import SurfaceMap
from core.rendering.upsampling import along_surface
from core.surface_maps import extended

__all__ = ["hollowed"]

# Half widths of the surroundings, world units: the bowl of an ear, and the ear.
REACHES = (0.0045, 0.009)
# By how much a hollow is darker a unit of depth, and what it may be darker and lighter at most.
STRENGTH, DARKEST, LIGHTEST = 26.0, 0.28, 0.06
# What lies deeper than this beside its surroundings is another thing behind them, and less of a hollow; from twice of
# it on it has no shade at all.
STEP = 0.012
# Share of the surroundings that must be head: outlines are no ridges.
WITHIN = (0.9, 1.0)


def hollowed(
    own: Tensor, surface: SurfaceMap, share: Tensor, half_fov: float, layers: Contours | None = None
) -> Tensor:
    """Colours with the shade of the surface's hollows.

    Args:
        own: Colours in [-1, 1].
        surface: What is seen.
        share: How much of each pixel the photo does not show; where it is nothing, nothing is done.
        half_fov: Of the camera [rad].
        layers: Its contours: a jaw's shade on a neck ends where the jaw does, not in steps of the surface's pixels.

    Shape:
        own (1, 3, S, S); share (1, 1, S, S); returns (1, 3, S, S).
    """
    side, size = surface.depth.shape[-1], own.shape[-1]
    pixel = 2.0 * math.tan(half_fov) / side
    solid = (surface.hit > 0.5).to(own)
    height, inside = torch.zeros_like(surface.depth), torch.ones_like(solid)
    for width in REACHES:
        reach = max(1, round(width / pixel))
        density = _surroundings(solid, reach)
        off = _surroundings(surface.depth * solid, reach) / density.clamp(min=1e-3) - surface.depth
        height += torch.where(off.abs() < STEP, off, off.sign() * (2.0 * STEP - off.abs()).clamp(min=0.0))
        inside = torch.minimum(inside, ((density - WITHIN[0]) / (WITHIN[1] - WITHIN[0])).clamp(0.0, 1.0))
    shade = (STRENGTH * height).clamp(-DARKEST, LIGHTEST) * inside * solid
    if layers is not None and size % side == 0 and size > side:
        depth = extended(surface.depth, solid)
        shade = along_surface(shade, depth, depth, layers, size, half_fov)
    else:
        shade = functional.interpolate(shade, size=(size, size), mode="bilinear", align_corners=False)
    return ((own + 1.0) * (1.0 + shade * share) - 1.0).clamp(-1.0, 1.0)


def _surroundings(values: Tensor, reach: int) -> Tensor:
    """Twice the mean over a square window, so that it has no corners. Shape: (1, 1, s, s); returns the same."""
    for _ in range(2):
        values = functional.avg_pool2d(values, 2 * reach + 1, 1, reach, count_include_pad=False)
    return values
