"""Guided renders of the field for training: thumbs, surface maps, and grey reliefs to look at.

What the tasks share of drawing: all of them sample where the surface is (:mod:`core.models.guided`) and integrate as
the product does (:mod:`core.models.volume`). Knows neither data nor losses.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.generator import Generator
from core.models.guided import SdfFunction, surface_samples, trace_surface
from core.models.volume import VolumeOutput, integrate
from core.training.views import pixel_grid, rays

THUMB = 64
"""Side of the field's picture and feature map."""
SURFACE = 128
"""Side of the surface maps that source and target are traced at."""
DENSITY_BETA = 0.0015
"""World units: width of the density's sigmoid, fixed for cameo-256 (half a pixel of the thumb; a halo if wider)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rendered:
    """A guided render of the field.

    Shape:
        feature (N, W, 64, 64); alpha (N, 1, 64, 64); points (N, 3, 128, 128); depth, solid (N, 1, 128, 128).
    """

    feature: Tensor
    alpha: Tensor
    points: Tensor
    depth: Tensor
    solid: Tensor


def surface_map(
    sdf: SdfFunction, camera: Tensor, size: int = SURFACE, steps: int = 12
) -> tuple[Tensor, Tensor, Tensor]:
    """Points (N, 3, size, size), depth and solidity (N, 1, size, size) of the first surface."""
    n = len(camera)
    origin, direction = rays(camera, pixel_grid(size, camera.device).expand(n, -1, -1))
    t, d = trace_surface(sdf, origin, direction, steps=steps)
    points = origin[:, None] + direction * t[..., None]
    # The density's sigmoid at the closest approach: about the alpha that volume integration gives.
    solid = torch.sigmoid(-d / DENSITY_BETA + 2.0)
    shape = (n, 1, size, size)
    return points.transpose(1, 2).reshape(n, 3, size, size), t.reshape(shape), solid.reshape(shape)


def render(generator: Generator, sdf: SdfFunction, styles: Tensor, camera: Tensor) -> Rendered:
    """Feature map at 64, surface at 128."""
    n = len(camera)
    origin, direction = rays(camera, pixel_grid(THUMB, camera.device).expand(n, -1, -1))
    t, deltas = surface_samples(sdf, origin, direction, steps=12, fine=6)
    out = render_samples(generator, styles, origin, direction, t, deltas)
    points, depth, solid = surface_map(sdf, camera)
    return Rendered(
        out.feature.transpose(1, 2).reshape(n, -1, THUMB, THUMB),
        out.alpha.reshape(n, 1, THUMB, THUMB),
        points,
        depth,
        solid,
    )


def on_grey(picture: Tensor, alpha: Tensor) -> Tensor:
    """Straight colours (N, 3, S, S) in [-1, 1] over mid-grey (0)."""
    return picture * alpha


def render_samples(
    generator: Generator, styles: Tensor, origin: Tensor, direction: Tensor, t: Tensor, deltas: Tensor
) -> VolumeOutput:
    """Evaluates the field at ray samples and integrates them: t, deltas (B, R, S)."""
    b, r, s = t.shape
    points = origin[:, None, None] + direction[:, :, None] * t[..., None]
    out = generator.field(points.reshape(b, r * s, 3), styles)
    return integrate(
        out.sdf.reshape(b, r, s, 1),
        out.rgb_raw.reshape(b, r, s, 3),
        out.feature.reshape(b, r, s, -1),
        t,
        deltas,
        generator.renderer.sigmoid_beta,
        force_background=False,
        points=points,
    )


@torch.no_grad()
def render_picture(generator: Generator, styles: Tensor, camera: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Premultiplied pictures (N, 4, size, size) in [0, 1] and depth (N, 1, size, size), guided, one head at a time."""
    pictures, depths = [], []
    uv = pixel_grid(size, camera.device)[None]
    for i in range(len(camera)):
        style = styles[i : i + 1]
        origin, direction = rays(camera[i : i + 1], uv)
        t, deltas = surface_samples(
            functools.partial(generator.field.sdf, styles=style), origin, direction, steps=14, fine=8
        )
        out = render_samples(generator, style, origin, direction, t, deltas)
        rgb, alpha = out.rgb, out.alpha[..., None]
        premultiplied = (rgb + alpha) / 2
        pictures.append(torch.cat([premultiplied, alpha], -1)[0].T.reshape(4, size, size))
        depths.append((out.depth / out.alpha.clamp(min=1e-3)).reshape(1, size, size))
    return torch.stack(pictures), torch.stack(depths)


def shade(depth: Tensor, alpha: Tensor) -> Tensor:
    """Grey relief (N, 3, S, S) of depth maps, lit from the upper left."""
    dx = F.pad(depth[..., :, 1:] - depth[..., :, :-1], (0, 1))
    dy = F.pad(depth[..., 1:, :] - depth[..., :-1, :], (0, 0, 0, 1))
    pixel = 2 * 0.1051 / depth.shape[-1]
    normal = F.normalize(torch.cat([dx, dy, torch.full_like(dx, pixel)], 1), dim=1)
    light = F.normalize(torch.tensor([0.5, 0.5, 0.7], device=depth.device), dim=0).view(1, 3, 1, 1)
    return ((normal * light).sum(1, keepdim=True).clamp(0, 1) * (alpha > 0.5)).expand(-1, 3, -1, -1)
