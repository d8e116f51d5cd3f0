"""One guided, differentiable pass of the generator by its own colours: what every refinement is made of.

Rays find the surface without gradients (``core.rendering.surfaces``); the few samples around it are integrated with
them. While geometry is frozen a view's rays and activations are found once and serve all passes: only colour layer and
decoder run again. The decoder's noise is always the stored one, and its guide holds the rendered alpha only: no photo
colour enters. Field and decoder share the picture as in the product: the field says the tones, the decoder the detail.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.models.generator import Generator, GeometryPass
from core.models.volume import RaySamples, VolumeMaps
from core.rendering import surfaces
from core.rendering.frames import bounded_alpha, in_tune
from core.rendering.precision import distance
from core.rendering.solids import without_strays
from core.rendering.surfaces import SOFT_RIM, Crossings, SurfaceMap
from core.rendering.tones import CELLS
from core.visibility import rays

SURFACE = 128
"""Side of the surface map that bounds the silhouette."""
SAMPLES, SPACING, BEFORE = 6, 0.003, 0.4
"""Samples around a crossing, their distance in depth, and the share before it: what training and product use."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A view that can be drawn again and again.

    Shape:
        angles (1, 2); hit (1, 1, S, S), the surface's silhouette at the decoder's size.
    """

    angles: Tensor
    found: Crossings
    surface: SurfaceMap
    hit: Tensor
    geometry: GeometryPass | None
    """The field's activations, while geometry is frozen."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The generator's picture of a view.

    Shape:
        picture (1, 3, S, S) straight colours, unclamped; alpha (1, 1, S, S); logit (1, 1, S, S), the decoder's alpha
        before the surface bounds it; maps at 64.
    """

    picture: Tensor
    alpha: Tensor
    logit: Tensor
    maps: VolumeMaps


@torch.no_grad()
def prepare(
    generator: Generator, styles: Tensor, angles: Tensor, strays: Tensor | None = None, *, frozen: bool
) -> Prepared:
    """Find the surface of a view.

    Args:
        generator: As it is now.
        styles: As they are now.
        angles: The camera.
        strays: Where solids float beside the head.
        frozen: Geometry will not change: keep its activations.

    Shape:
        styles (1, rows, style_dim), angles (1, 2).
    """
    sdf = without_strays(distance(generator.field, styles), strays)
    found = surfaces.crossings(sdf, angles)
    surface = surfaces.refined_surface(sdf, angles, found, SURFACE)
    size = generator.config.decoder.image_size
    hit = functional.interpolate(surface.hit, size=size, mode="bilinear", align_corners=False)
    geometry = _geometry(generator, styles, angles, found) if frozen else None
    return Prepared(angles, found, surface, hit, geometry)


def draw(generator: Generator, styles: Tensor, decoder_styles: Tensor, view: Prepared) -> Drawn:
    """The generator's own picture; gradients reach latents, weights and (without kept geometry) the camera.

    Shape:
        styles (1, rows, style_dim), decoder_styles (1, rows_d, D).
    """
    geometry = view.geometry or _geometry(generator, styles, view.angles, view.found)
    maps = _maps(generator, styles, geometry, view.found)
    size = generator.config.decoder.image_size
    alpha = functional.interpolate(maps.alpha, size=size, mode="bilinear", align_corners=False).clamp(0.0, 1.0)
    nothing = torch.zeros_like(alpha)
    blind = torch.cat((nothing.expand(-1, 4, -1, -1), alpha, nothing), dim=1)
    decoded = generator.decoder(maps.feature, decoder_styles, guide=blind)
    no_tones = alpha.new_zeros(1, 3, CELLS, CELLS, CELLS)
    logit = decoded[:, 3:4]
    return Drawn(in_tune(decoded[:, :3], maps, no_tones), bounded_alpha(logit.sigmoid(), view.surface.hit), logit, maps)


def field_maps(generator: Generator, styles: Tensor, view: Prepared) -> VolumeMaps:
    """The field's own integrals of a view. Shape: styles (1, rows, style_dim)."""
    return _maps(generator, styles, view.geometry or _geometry(generator, styles, view.angles, view.found), view.found)


def _geometry(generator: Generator, styles: Tensor, angles: Tensor, found: Crossings) -> GeometryPass:
    """Distances, weights and activations at the samples around crossings of all rays near the surface."""
    origin, directions = rays(angles, round(len(found.depth) ** 0.5))
    active = found.gap < SOFT_RIM
    directions = directions[:, active]
    offsets = (torch.arange(SAMPLES, device=angles.device) - (SAMPLES - 1) * BEFORE) * SPACING
    t = found.depth[active][None, :, None] + offsets
    deltas = SPACING * directions.norm(dim=-1, keepdim=True).expand_as(t)
    points = origin[:, None, None] + directions[:, :, None] * t[..., None]
    return generator.renderer.geometry(styles, RaySamples(points, t, deltas, torch.zeros_like(directions)))


def _maps(generator: Generator, styles: Tensor, geometry: GeometryPass, found: Crossings) -> VolumeMaps:
    """Integrals as pictures; rays far from the surface stay empty."""
    output = generator.renderer.appearance(geometry, styles)
    rows = torch.cat(
        (output.rgb, output.feature, geometry.depth[..., None], geometry.xyz, geometry.alpha[..., None]), dim=-1
    )
    side, channels = round(len(found.depth) ** 0.5), rows.shape[-1]
    active = (found.gap < SOFT_RIM).nonzero()[:, 0]
    picture = rows.new_zeros(side * side, channels).index_copy(0, active, rows[0]).T.reshape(1, -1, side, side)
    depth = channels - 5
    return VolumeMaps(
        picture[:, :3], picture[:, 3:depth], picture[:, depth : depth + 1], picture[:, depth + 1 : -1], picture[:, -1:]
    )
