"""What a refinement wants to be small; pictures in [-1, 1], means over a mask, every function differentiable.

The papers take LPIPS beside the squared error. Its weights may not be shipped, so the place of LPIPS is taken by
``structure``: one minus structural similarity over three scales, with L1 on the same scales. Identity embeddings are
*not* among the losses: they are what refinement is judged by.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.models.field import Field

WINDOW, SIGMA = 11, 1.5
SCALES = 3
EPSILON = 1e-6


def masked(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of (1, C, S, S) over a weight (1, 1, S, S), as a scalar."""
    return (values * weight).mean() / weight.mean().clamp(min=EPSILON)


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity at every pixel: Gaussian 11, σ 1.5, range 2 (Wang et al. 2004, equation 13).

    Shape:
        x, y (1, C, S, S) in [-1, 1], S > 5; returns the same.
    """
    channels = x.shape[1]
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    taps = torch.exp(-offsets.square() / (2 * SIGMA**2))
    row = (taps / taps.sum()).expand(5 * channels, 1, 1, WINDOW)
    # Two passes of one dimension over all five means at once: a third of the time of a square window.
    stacked = torch.cat((x, y, x * x, y * y, x * y), dim=1)
    padded = functional.pad(stacked, (WINDOW // 2,) * 4, mode="reflect")
    across = functional.conv2d(padded, row, groups=5 * channels)
    means = functional.conv2d(across, row.transpose(2, 3), groups=5 * channels)
    mean_x, mean_y, square_x, square_y, product = torch.chunk(means, 5, dim=1)
    var_x, var_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    c1, c2 = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    found: Tensor = likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return found


def structure(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """L1 and 1 − SSIM over three scales, both greyed outside the mask: what stands in for LPIPS.

    Shape:
        x, y (1, 3, S, S), weight (1, 1, S, S) in [0, 1]; returns a scalar.
    """
    x, y = x * weight, y * weight
    total = x.new_zeros(())
    for _ in range(SCALES):
        total = total + 0.5 * masked(1.0 - ssim_map(x, y), weight) + 0.5 * masked((x - y).abs(), weight)
        if x.shape[-1] < 2 * WINDOW:
            break
        x, y, weight = (functional.avg_pool2d(part, 2) for part in (x, y, weight))
    return total / SCALES


def shape_points(surface: Tensor, radius: float, random: torch.Generator) -> Tensor:
    """Where the shape is held: surface points, the same moved by a quarter radius, half as many anywhere (§2.8).

    Shape:
        surface (N, 3); returns (1, 2.5 N, 3).
    """
    noise = torch.randn(surface.shape, generator=random).to(surface)
    anywhere = (torch.rand(len(surface) // 2, 3, generator=random) * 2.0 - 1.0).to(surface) * radius
    return torch.cat((surface, surface + 0.25 * radius * noise, anywhere))[None]


def shape_drift(field: Field, before: tuple[Tensor, Tensor], points: Tensor, surface: int, styles: Tensor) -> Tensor:
    """HFGI3D's density regularisation (supplement D) for signed distances: L_geo of specification §2.8.

    Args:
        field: As it is now.
        before: Distances and normalised gradients at the points, as they were.
        points: From ``shape_points``.
        surface: How many of them, the first ones, lie on the surface.
        styles: Latents as they are now.

    Returns:
        ``|d − d₀|`` at the surface, a fifth of it elsewhere (both in head sizes of 0.1), L1 of the normals at the
        surface, and a tenth of the eikonal term.

    Shape:
        before (1, N, 1) and (1, N, 3); points (1, N, 3); styles (1, rows, style_dim).
    """
    distance, gradient = field.sdf_with_gradient(points, styles)
    moved = (distance - before[0]).abs()[0, :, 0] / 0.1
    turned = (functional.normalize(gradient, dim=-1) - before[1]).abs()[0, :surface].mean()
    eikonal = (gradient.norm(dim=-1) - 1.0).square().mean()
    total: Tensor = moved[:surface].mean() + 0.2 * moved[surface:].mean() + turned + 0.1 * eikonal
    return total
