"""One guided, differentiable pass of the generator by its own colours: what every refinement is made of.

Rays find the surface without gradients (``core.rendering.surfaces``); the few samples around it are integrated with
them. While geometry is frozen a view's rays and activations are found once and serve all passes: only colour layer and
decoder run again. They are then those that the product draws with (two nodes a ray, ``core.rendering.integrals``): a
decoder that is tuned to the last detail on other samples shows a fifteenth less of it in the product. The decoder's
noise is always the stored one, and its guide holds the rendered alpha only: no photo
colour enters. Field and decoder share the picture as in the product: the field says the tones, the decoder the detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.field import Field
from core.models.generator import Generator, GeometryPass
from core.models.volume import RaySamples, VolumeMaps
from core.rendering import surfaces
from core.rendering.additions import Addition
from core.rendering.deformation import Deformation
from core.rendering.frames import in_tune
from core.rendering.hands import Pause, resting, stepping
from core.rendering.integrals import HeadPass, integrate_geometry
from core.rendering.precision import Sdf, distance, has_fast_bfloat16
from core.rendering.search import located
from core.rendering.shape import HeadShape, head_shape
from core.rendering.source import SourceHead
from core.rendering.strays import without_strays
from core.rendering.surfaces import SOFT_RIM, Crossings, SurfaceMap
from core.rendering.tones import CELLS
from core.tensor_camera import rays

SURFACE = 128
"""Side of the surface map that bounds the silhouette."""
SAMPLES, SPACING, BEFORE = 6, 0.003, 0.4
"""Samples around a crossing, their distance in depth, and the share before it: what training and product use."""


class Body(NamedTuple):
    """What a head has beside its latents; see ``core.refinement.anchoring`` for what changes it.

    Shape:
        strays as in ``core.rendering.strays``.
    """

    strays: Tensor | None = None
    """Where solids float beside it."""
    deformation: Deformation | None = None
    additions: tuple[Addition, ...] = ()
    """What it has beyond its field; heads whose geometry moves are looked at without."""

    @classmethod
    def of(cls, source: SourceHead) -> Body:
        """A photo's, in tensors of its own: those made in inference mode can take no part in a gradient."""
        strays, own = source.strays, source.deformation
        return cls(
            None if strays is None else strays.clone(),
            None if own is None else own.clone(),
            source.shape.field.additions,
        )

    def sdf(self, field: Field, styles: Tensor) -> Sdf:
        """Distances of the whole head, strays left out. Shape: styles (1, rows, style_dim)."""
        undeformed = distance(field, styles)
        whole = undeformed if self.deformation is None else self.deformation.sdf(undeformed)
        return without_strays(whole, self.strays)

    @torch.no_grad()
    def shape(self, field: Field, styles: Tensor, pause: Pause = resting) -> HeadShape:
        """The whole head as the product asks it. Shape: styles (1, rows, style_dim)."""
        return head_shape(field, styles, self.strays, pause, self.deformation, self.additions)

    def source(self, points: Tensor) -> Tensor:
        """Where to ask the field for places of the head. Shape: points (..., 3); returns the same."""
        return points if self.deformation is None else self.deformation.source(points)


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
    geometry: HeadPass | None
    """The field's activations, while geometry is frozen."""
    deformation: Deformation | None = None


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
    generator: Generator,
    styles: Tensor,
    angles: Tensor,
    body: Body | None = None,
    *,
    frozen: bool,
    shape: HeadShape | None = None,
    pause: Pause = resting,
) -> Prepared:
    """Find the surface of a view.

    Args:
        generator: As it is now.
        styles: As they are now.
        angles: The camera.
        body: What the head has beside its latents.
        frozen: Geometry will not change: find it as the product does, and keep its activations.
        shape: The head's, if it is at hand and geometry is frozen.
        pause: Called between steps.

    Shape:
        styles (1, rows, style_dim), angles (1, 2).
    """
    body = body or Body()
    geometry = None
    if frozen:
        shape = shape or body.shape(generator.field, styles, pause)
        found = located(shape, angles, pause=pause)
        pause()
        surface = surfaces.refined_surface(shape.light, angles, found, SURFACE, estimate=shape.distance)
        pause()
        geometry = integrate_geometry(generator, shape.field.light, angles, found)
    else:
        plain = body.sdf(generator.field, styles)

        def sdf(points: Tensor) -> Tensor:
            pause()
            return plain(points)

        found = surfaces.crossings(sdf, angles)
        pause()
        surface = surfaces.refined_surface(sdf, angles, found, SURFACE)
    pause()
    size = generator.config.decoder.image_size
    hit = functional.interpolate(surface.hit, size=size, mode="bilinear", align_corners=False)
    return Prepared(angles, found, surface, hit, geometry, body.deformation)


def draw(generator: Generator, styles: Tensor, decoder_styles: Tensor, view: Prepared, pause: Pause = resting) -> Drawn:
    """The generator's own picture; gradients reach latents, weights and (without kept geometry) the camera.

    Pauses between layers and blocks, on the way back as well.

    Shape:
        styles (1, rows, style_dim), decoder_styles (1, rows_d, D).
    """
    with stepping(generator.field, pause):
        maps = field_maps(generator, styles, view)
    pause()
    size = generator.config.decoder.image_size
    # As in the product, bfloat16 where it is fast: gradients are right to a three-hundredth.
    kind = maps.feature.device
    with torch.autocast(kind.type, torch.bfloat16, has_fast_bfloat16(kind)), stepping(generator.decoder, pause):
        decoded = generator.decoder(maps.feature, decoder_styles, guide=blind_guide(maps.alpha, size)).float()
    no_tones = decoded.new_zeros(1, 3, CELLS, CELLS, CELLS)
    logit = decoded[:, 3:4]
    return Drawn(
        in_tune(decoded[:, :3], maps, no_tones), _bounded_alpha(logit.sigmoid(), view.surface.hit), logit, maps
    )


def blind_guide(alpha: Tensor, size: int) -> Tensor:
    """The decoder's guide without any photo: the rendered alpha only. Shape: (1, 1, s, s) to (1, 6, size, size)."""
    alpha = functional.interpolate(alpha, size=size, mode="bilinear", align_corners=False).clamp(0.0, 1.0)
    nothing = torch.zeros_like(alpha)
    return torch.cat((nothing.expand(-1, 4, -1, -1), alpha, nothing), dim=1)


def field_maps(generator: Generator, styles: Tensor, view: Prepared) -> VolumeMaps:
    """The field's own integrals of a view. Shape: styles (1, rows, style_dim)."""
    if view.geometry is not None:
        maps = view.geometry.appearance(generator, styles)
        # Nothing that moves is behind these; a gradient would be carried through the decoder's guides for nothing.
        return maps._replace(depth=maps.depth.detach(), xyz=maps.xyz.detach(), alpha=maps.alpha.detach())
    geometry = _geometry(generator, styles, view.angles, view.found, view.deformation)
    return _maps(generator, styles, geometry, view.found)


def _geometry(
    generator: Generator, styles: Tensor, angles: Tensor, found: Crossings, deformation: Deformation | None
) -> GeometryPass:
    """Distances, weights and activations at the samples around crossings of all rays near the surface."""
    origin, directions = rays(angles, round(len(found.depth) ** 0.5))
    active = found.gap < SOFT_RIM
    directions = directions[:, active]
    offsets = (torch.arange(SAMPLES, device=angles.device) - (SAMPLES - 1) * BEFORE) * SPACING
    t = found.depth[active][None, :, None] + offsets
    deltas = SPACING * directions.norm(dim=-1, keepdim=True).expand_as(t)
    points = origin[:, None, None] + directions[:, :, None] * t[..., None]
    samples = RaySamples(points, t, deltas, torch.zeros_like(directions))
    if deformation is None:
        return generator.renderer.geometry(styles, samples)
    return deformation.placed(generator.renderer.geometry(styles, deformation.samples(samples)), samples)


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


def _bounded_alpha(alpha: Tensor, hit: Tensor) -> Tensor:
    """The decoder's alpha within a pixel or two of the surface's silhouette; elsewhere the surface decides.

    Shape:
        alpha (1, 1, S, S); hit (1, 1, s, s), 0 or 1; returns (1, 1, S, S).
    """
    size = alpha.shape[-1]
    both = torch.cat((-functional.max_pool2d(-hit, 3, 1, 1), functional.max_pool2d(hit, 3, 1, 1)), dim=1)
    enlarged = functional.interpolate(both, size=(size, size), mode="bilinear", align_corners=False)
    inner, outer = enlarged[:, :1], enlarged[:, 1:]
    # The picture's border is no silhouette: there the surface goes on.
    return torch.maximum(torch.minimum(alpha, outer), inner)
