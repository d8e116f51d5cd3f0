"""The field integrated around the crossings that were found: colour, features and depth of a small picture.

Around a crossing the same samples are placed as in training (``core.models.guided``), so that the integrals mean the
same. Along those fifteen millimetres the distance is nearly a parabola and the features are nearly straight: the fast
twin asks the field at two nodes a ray, reads the six samples' weights off the parabola through them and the crossing,
and shares the weights out between the nodes. Two nodes at the mean and one deviation of the usual weights integrate
cubics exactly (Gauss). Where the parabola is too bent to be trusted, the ray falls back to its six samples. Geometry
and appearance are apart, as in ``core.models.generator``: one geometry can carry several appearances.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.models.generator import Generator, GeometryPass, Modulate
from core.models.volume import RaySamples, VolumeMaps, composite, ray_weights
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.hands import hands, together
from core.rendering.surfaces import SOFT_RIM, Crossings
from core.tensor_camera import rays

# Samples around the crossing and their optical-axis distance: what training uses (core.models.guided).
FINE, SPACING = 6, 0.003
# Share of the samples' span that lies before the crossing.
BEFORE = 0.4
# Where the two nodes lie from the crossing: mean and deviation of the samples' weights on a ray that meets a plane.
NODES = (-0.0026, 0.0029)
# Second difference of the distance over the nodes (world units) beyond which a ray takes all its samples: strands of
# hair, rims, the edge of an ear. On heads of photos about one ray in eight.
BENT = 0.0015


class Rays(NamedTuple):
    """Geometry of some rays of a picture. Shape: geometry (1, A, S, ...), active (A,) indices of pixels."""

    geometry: GeometryPass
    active: Tensor


class HeadPass(NamedTuple):
    """The geometry half of a rendered picture; any number of appearances can be put on it."""

    parts: tuple[Rays, ...]
    """Rays by how many samples they took."""
    size: int
    hands: int = 1
    """Every how many-eth part is one hand's."""

    @property
    def fallen_back(self) -> float:
        """Share of the rays that two nodes did not do for."""
        asked = [(len(part.active), part.geometry.hidden.shape[2]) for part in self.parts]
        return sum(count for count, samples in asked if samples == FINE) / max(1, sum(count for count, _ in asked))

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
        width = generator.config.field.width
        full = self.parts[0].geometry.depth.new_zeros(self.size * self.size, 3 + width + 1 + 3 + 1)

        def painted(one: GeometryPass) -> Tensor:
            if isinstance(head, FoldedField):
                rgb, feature = _painted(one, head, modulate)
            else:
                output = generator.renderer.appearance(one, head, modulate)
                rgb, feature = output.rgb, output.feature
            return torch.cat((rgb, feature, one.depth[..., None], one.xyz, one.alpha[..., None]), dim=-1)[0]

        shares = max(1, min(self.hands, len(self.parts)))
        groups = [self.parts[share::shares] for share in range(shares)]
        for group, rows in zip(
            groups,
            together(*(partial(lambda group: [painted(part.geometry) for part in group], group) for group in groups)),
            strict=True,
        ):
            for part, row in zip(group, rows, strict=True):
                full[part.active] = row
        picture = full.T.reshape(1, -1, self.size, self.size)
        return VolumeMaps(*picture.split((3, width, 1, 3, 1), dim=1))


def integrate_geometry(
    generator: Generator,
    head: Tensor | FoldedField,
    angles: Tensor,
    found: Crossings,
    half_fov: float = HALF_FOV,
    deformation: Deformation | None = None,
    *,
    fallback: bool = True,
) -> HeadPass:
    """Distances, weights and hidden activations at the samples around crossings; rays far from the surface stay empty.

    Args:
        generator: The networks.
        head: The latent rows (1, rows, style_dim): every sample is asked for. Or the field that they are folded into:
            two nodes a ray, where that is enough.
        angles: The camera.
        found: Crossings of its rays.
        half_fov: The camera's.
        fallback: Whether rays that two nodes do not do for take all their samples (not while a hand moves).
        deformation: The head's own; a folded field has it already.

    Shape:
        angles (1, 2).
    """
    size = round(len(found.depth) ** 0.5)
    origin, directions = rays(angles, size, half_fov)
    active = (found.gap < SOFT_RIM).nonzero()[:, 0]
    if not isinstance(head, FoldedField) or generator.renderer.config.force_background:
        depth = found.depth[active][None]
        sampled = _sampled(generator, head, origin, directions[:, active], depth, deformation)
        return HeadPass((Rays(sampled, active),), size)
    field = head

    def of(some: Tensor) -> tuple[Rays, ...]:
        ahead, depth = directions[:, some], found.depth[some][None]
        one, bent = _at_nodes(generator, field, origin, ahead, depth, found.gap[some][None].clamp(min=0.0))
        if not fallback or not bent.any():
            return (Rays(one, some),)
        rest, crooked = (~bent).nonzero()[:, 0], bent.nonzero()[:, 0]
        whole = _sampled(generator, field, origin, ahead[:, crooked], depth[:, crooked])
        return (Rays(_chosen(one, rest), some[rest]), Rays(whole, some[crooked]))

    shares = hands(angles.device)
    halves = together(*(partial(of, active[share::shares]) for share in range(shares)))
    # In turns, so that each hand has as much to paint as it has measured.
    longest = max(len(half) for half in halves)
    parts = [half[place] for place in range(longest) for half in halves if place < len(half)]
    return HeadPass(tuple(parts), size, shares)


def _offsets(like: Tensor) -> Tensor:
    """Where the samples lie from the crossing, (FINE,)."""
    return (torch.arange(FINE, device=like.device) - (FINE - 1) * BEFORE) * SPACING


def _sampled(
    generator: Generator,
    head: Tensor | FoldedField,
    origin: Tensor,
    directions: Tensor,
    depth: Tensor,
    deformation: Deformation | None = None,
) -> GeometryPass:
    """The field at all samples of rays. Shape: origin (1, 3), directions (1, A, 3), depth (1, A)."""
    t = depth[..., None] + _offsets(depth)
    deltas = SPACING * directions.norm(dim=-1, keepdim=True).expand_as(t)
    points = origin[:, None, None] + directions[:, :, None] * t[..., None]
    samples = RaySamples(points, t, deltas, torch.zeros_like(directions))
    renderer = generator.renderer
    if not isinstance(head, FoldedField):
        if deformation is None:
            return renderer.geometry(head, samples)
        return deformation.placed(renderer.geometry(head, deformation.samples(samples)), samples)
    flat = points.reshape(-1, 3)
    hidden = head.hidden(flat)
    sdf = head.sdf_from(hidden, flat).reshape(*t.shape, 1)
    background = renderer.config.force_background
    weights, alpha = ray_weights(sdf, deltas, renderer.sigmoid_beta, force_background=background)
    depth, xyz = (weights * t).sum(dim=-1), composite(weights, points)
    return GeometryPass(samples, hidden.reshape(*t.shape, -1), sdf, weights, depth, xyz, alpha)


def _at_nodes(
    generator: Generator, field: FoldedField, origin: Tensor, directions: Tensor, depth: Tensor, gap: Tensor
) -> tuple[GeometryPass, Tensor]:
    """The field at two nodes a ray, weighted as the samples would be; and which rays (A,) are too bent for that.

    Shape:
        origin (1, 3), directions (1, A, 3), depth (1, A), gap (1, A): the distance there.
    """
    nodes, offsets = depth.new_tensor(NODES), _offsets(depth)
    t = depth[..., None] + nodes
    points = origin[:, None, None] + directions[:, :, None] * t[..., None]
    flat = points.reshape(-1, 3)
    hidden = field.hidden(flat)
    ends = field.sdf_from(hidden, flat).reshape(*t.shape)
    # The parabola through both nodes and the crossing, by divided differences.
    near, far = NODES
    first = (ends - gap[..., None]) / nodes
    second = (first[..., 1] - first[..., 0]) / (far - near)
    bent = second.abs() * far * far > BENT
    slope = first[..., :1] - second[..., None] * near
    sdf = gap[..., None] + (slope + second[..., None] * offsets) * offsets
    deltas = SPACING * directions.norm(dim=-1, keepdim=True).expand_as(sdf)
    weights, alpha = ray_weights(sdf[..., None], deltas, generator.renderer.sigmoid_beta, force_background=False)
    # Features between and around the nodes are taken as straight: each sample's weight is shared out between the two.
    share = (offsets - near) / (far - near)
    onto_far = (weights * share).sum(dim=-1)
    shared = torch.stack((alpha - onto_far, onto_far), dim=-1)
    middle = depth * alpha + (weights * offsets).sum(dim=-1)
    xyz = origin[:, None] * alpha[..., None] + directions * middle[..., None]
    samples = RaySamples(points, t, deltas[..., :2], torch.zeros_like(directions))
    one = GeometryPass(samples, hidden.reshape(*t.shape, -1), ends[..., None], shared, middle, xyz, alpha)
    return one, bent[0]


def _chosen(one: GeometryPass, index: Tensor) -> GeometryPass:
    """The same of some rays."""
    points, t, deltas, view = (value[:, index] for value in one.samples)
    return GeometryPass(RaySamples(points, t, deltas, view), *(value[:, index] for value in one[1:]))


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
        # The same as (α + 1)·h + δ.
        h = torch.addcmul(delta[:, :, None].to(h.dtype), alpha[:, :, None].to(h.dtype) + 1.0, h)
    feature, rgb = field.appearance(h.reshape(-1, width))
    weights = one.weights
    colour = (weights[..., None] * (2.0 * rgb.sigmoid() - 1.0).reshape(batch, count, samples, 3)).sum(dim=2)
    feature = (weights[..., None].to(feature.dtype) * feature.reshape(batch, count, samples, width)).sum(dim=2)
    return colour, feature
