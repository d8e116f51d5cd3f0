"""The field integrated around the crossings that were found: colour, features and depth of a small picture.

Around a crossing the same samples are placed as in training (``core.models.guided``), so that the integrals mean the
same. Geometry and appearance are apart, as in ``core.models.generator``: one geometry can carry several appearances.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.models.generator import Generator, GeometryPass, Modulate
from core.models.volume import RaySamples, VolumeMaps, composite, ray_weights
from core.rendering.folded import FoldedField
from core.rendering.surfaces import SOFT_RIM, Crossings
from core.visibility import rays

# Samples around the crossing and their optical-axis distance: what training uses (core.models.guided).
FINE, SPACING = 6, 0.003
# Share of the samples' span that lies before the crossing.
BEFORE = 0.4


class HeadPass(NamedTuple):
    """The geometry half of a rendered picture; any number of appearances can be put on it."""

    geometry: GeometryPass
    active: Tensor
    size: int

    def appearance(
        self, generator: Generator, head: Tensor | FoldedField, modulate: Modulate | None = None
    ) -> VolumeMaps:
        """Colour, features and depth as pictures, with or without the local branch's modulation.

        ``depth`` and ``xyz`` of the result are sums and not divided by alpha, as everywhere in ``core.models.volume``.

        Args:
            generator: The networks.
            head: The latent rows (1, rows, style_dim), or the field that they are folded into.
            modulate: Texture modulation of points, or none.
        """
        one = self.geometry
        if isinstance(head, FoldedField):
            rgb, feature = _painted(one, head, modulate)
        else:
            output = generator.renderer.appearance(one, head, modulate)
            rgb, feature = output.rgb, output.feature
        rows = torch.cat((rgb, feature, one.depth[..., None], one.xyz, one.alpha[..., None]), dim=-1)
        full = rows.new_zeros(self.size * self.size, rows.shape[-1])
        full[self.active] = rows[0]
        picture = full.T.reshape(1, -1, self.size, self.size)
        return VolumeMaps(*picture.split((3, feature.shape[-1], 1, 3, 1), dim=1))


def integrate_geometry(
    generator: Generator,
    head: Tensor | FoldedField,
    angles: Tensor,
    found: Crossings,
    half_fov: float = HALF_FOV,
) -> HeadPass:
    """Distances, weights and hidden activations at the samples around crossings; rays far from the surface stay empty.

    Args:
        generator: The networks.
        head: The latent rows (1, rows, style_dim), or the field that they are folded into.
        angles: The camera.
        found: Crossings of its rays.
        half_fov: The camera's.

    Shape:
        angles (1, 2).
    """
    size = round(len(found.depth) ** 0.5)
    origin, directions = rays(angles, size, half_fov)
    active = (found.gap < SOFT_RIM).nonzero()[:, 0]
    directions = directions[:, active]
    offsets = (torch.arange(FINE, device=angles.device) - (FINE - 1) * BEFORE) * SPACING
    t = found.depth[active][None, :, None] + offsets
    deltas = SPACING * directions.norm(dim=-1, keepdim=True).expand_as(t)
    points = origin[:, None, None] + directions[:, :, None] * t[..., None]
    samples = RaySamples(points, t, deltas, torch.zeros_like(directions))
    if not isinstance(head, FoldedField):
        return HeadPass(generator.renderer.geometry(head, samples), active, size)
    flat = points.reshape(-1, 3)
    hidden = head.hidden(flat)
    sdf = head.sdf_from(hidden, flat).reshape(*t.shape, 1)
    renderer = generator.renderer
    background = renderer.config.force_background
    weights, alpha = ray_weights(sdf, deltas, renderer.sigmoid_beta, force_background=background)
    depth, xyz = (weights * t).sum(dim=-1), composite(weights, points)
    return HeadPass(GeometryPass(samples, hidden.reshape(*t.shape, -1), sdf, weights, depth, xyz, alpha), active, size)


def _painted(one: GeometryPass, field: FoldedField, modulate: Modulate | None) -> tuple[Tensor, Tensor]:
    """Integrated colour (1, R, 3) and feature (1, R, W)."""
    batch, count, samples, width = one.hidden.shape
    h = one.hidden
    if modulate is not None:
        # Once a ray, at its surface: the samples of a ray lie in one pixel of the view and within millimetres.
        surface = one.xyz / one.alpha[..., None].clamp(min=1e-3)
        alpha, delta = modulate(
            torch.where(one.alpha[..., None] > 1e-3, surface, one.samples.points[:, :, 0]), slice(0, count)
        )
        h = torch.addcmul(h + delta[:, :, None], alpha[:, :, None], h)
    feature, rgb = field.appearance(h.reshape(-1, width))
    weights = one.weights
    colour = (weights[..., None] * (2.0 * rgb.sigmoid() - 1.0).reshape(batch, count, samples, 3)).sum(dim=2)
    return colour, torch.einsum("brs,brsc->brc", weights, feature.reshape(batch, count, samples, width))
