"""The field of one head, its latent folded into the weights once: what pictures and meshes evaluate.

A layer's phase γ·(W h + b) + β is a plain product with γ·W once the latent is known. The plain field folds again in
every call, because training changes both; here it is done once an edit. Where bfloat16 products are fast the field has
a *light* twin: activations lie in [-1, 1] and phases stay small, so that its distances are within 2e-4 of the exact
ones (2e-5 in the mean, measured) and its features no coarser than the decoder, which rounds them itself. Only the first
layer, which sees coordinates, keeps float32. Inference only. Refuses to know rays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.fused import compiled_for
from core.kernels import Chain, plainly
from core.models.field import Field, FilmSine
from core.rendering.additions import Addition
from core.rendering.deformation import Deformation
from core.rendering.hands import hands, together
from core.rendering.precision import has_fast_bfloat16
from core.rendering.reach import EAR, Reach

__all__ = ["Beyond", "FoldedField", "chains_of"]

# Points a chunk: activations of a chunk stay in the cache from one layer to the next (measured: 8,000 and 16,000 alike,
# smaller ones pay for their calls).
CHUNK, LARGE = 8192, 1 << 18
# Points below which sharing out costs more than it spares.
FEW = 1000
# Numbers of points that bfloat16 layers are asked for: oneDNN makes a product anew for every number of rows (0.4 ms)
# and keeps a thousand of them, which came to 200 MB within two minutes of dragging. So numbers are rounded up.
FINE, COARSE = 64, 256
FINE_UNTIL = 1024


class Beyond(NamedTuple):
    """Where an edit's latents count, and the head that is there where they do not."""

    field: FoldedField
    reaches: tuple[Reach, ...]
    distance: Callable[[Tensor], Tensor] | None = None
    """Its distances (N,) of points (N, 3) on a grid that was measured already."""

    @property
    def has_ears(self) -> bool:
        """Whether the edit's latents say where ears are."""
        return float(self.share(torch.tensor([EAR]))) > 0.5

    def share(self, points: Tensor) -> Tensor:
        """How far the edit's latents count at undeformed places (N, 3), 0..1: (N,)."""
        found = points.new_zeros(len(points))
        for reach in self.reaches:
            found = torch.maximum(found, reach.share(points))
        return found


class FoldedField:
    """Distance, colour and feature of one head's points; numbers are those of ``Field`` within float32 rounding.

    Args:
        field: The networks.
        styles: The head's latent rows.
        deformation: The head's own, if it has one: all points are then places of the deformed head.
        additions: What it has beyond its field.
        beyond: The head's field where ``reach`` ends, and that; None where these latents count everywhere.

    Shape:
        styles (1, rows, style_dim).
    """

    def __init__(
        self,
        field: Field,
        styles: Tensor,
        deformation: Deformation | None = None,
        additions: tuple[Addition, ...] = (),
        beyond: Beyond | None = None,
    ) -> None:
        self.config, self.beyond = field.config, beyond
        self.deformation, self.additions = deformation, additions
        width = field.config.width
        self._layers = []
        for row, layer in enumerate(field.pts_linears):
            assert isinstance(layer, FilmSine)
            self._layers.append(_folded(layer, styles[:, row], width if row else 3))
        first, offset = self._layers[0]
        self._layers[0] = (first / field.config.scene_radius, offset)
        # Pictures are taken without view directions: what a family has of them is zero, as in ``surfaces``.
        self._paint = _folded(field.views_linears, styles[:, -1], width)
        scale = field.config.sdf_scale
        self._sdf = (scale * field.sigma_linear.weight.detach(), scale * field.sigma_linear.bias.detach())
        self._rgb = (field.rgb_linear.weight.detach(), field.rgb_linear.bias.detach())
        self._kernel = compiled_for(self._layers)

    @cached_property
    def light(self) -> FoldedField:
        """The same field with bfloat16 products, where those are faster; itself elsewhere."""
        weight = self._paint[0]
        if weight.dtype != torch.float32 or not has_fast_bfloat16(weight.device):
            return self
        twin = copy.copy(self)
        twin._layers = [self._layers[0], *(_rounded(layer) for layer in self._layers[1:])]
        twin._paint = _rounded(self._paint)
        twin._kernel = compiled_for(twin._layers)
        twin.beyond = None if self.beyond is None else self.beyond._replace(field=self.beyond.field.light)
        return twin

    def hidden(self, points: Tensor) -> Tensor:
        """Last geometry activation. Shape: points (N, 3) world units; returns (N, W), bfloat16 of the light field."""
        return _in_chunks(lambda part: self._hidden(self._source(part)), points)

    def _hidden(self, points: Tensor) -> Tensor:
        if self.beyond is None:
            return self._alone(points)
        share = self.beyond.share(points)
        own, other = (share > 0.0).nonzero()[:, 0], (share < 1.0).nonzero()[:, 0]
        if not len(own):
            return self.beyond.field._hidden(points)
        if not len(other):
            return self._alone(points)
        found = self._alone(points[own])
        whole = found.new_empty(len(points), found.shape[1])
        whole[own] = found
        # Distances are a linear function of these.
        weight = share[other, None].to(found.dtype)
        kept = self.beyond.field._hidden(points[other])
        whole[other] = torch.where(weight > 0.0, torch.lerp(kept, whole[other], weight), kept)
        return whole

    def _alone(self, points: Tensor) -> Tensor:
        # Compiled layers, where this machine has them, are the same ones in three quarters of the time.
        ask = plainly if self._kernel is None else self._kernel.hidden
        return _rounded_up(lambda rows: ask(rows, self._layers), points, self._layers[-1][0].dtype)

    def sdf_from(self, h: Tensor, points: Tensor) -> Tensor:
        """Signed distance (N, 1) from the last geometry activation. Shape: h (N, W), points (N, 3)."""
        return self._whole(points, self._sdf_from(h, self._source(points)))

    def _sdf_from(self, h: Tensor, points: Tensor) -> Tensor:
        raw = functional.linear(h.to(self._sdf[0].dtype), *self._sdf)
        if self.config.sdf_sphere_radius is not None:
            raw += torch.linalg.vector_norm(points, dim=-1, keepdim=True) - self.config.sdf_sphere_radius
        return raw

    def on_grid(self, points: Tensor) -> Tensor:
        """Distances (N,) of points (N, 3), beyond an edit's reach those that were measured of the unedited head."""
        if self.beyond is None or self.beyond.distance is None:
            return self.sdf(points[None])[0, :, 0]
        found = self.beyond.distance(points)
        reached = (self.beyond.share(self._source(points)) > 0.0).nonzero()[:, 0]
        found[reached] = self.sdf(points[reached][None])[0, :, 0].to(found)
        return found

    def sdf(self, points: Tensor) -> Tensor:
        """Signed distance. Shape: points (1, N, 3) world units; returns (1, N, 1)."""
        return _in_chunks(self._sdf_at, points[0])[None]

    def _sdf_at(self, points: Tensor) -> Tensor:
        source = self._source(points)
        return self._whole(points, self._sdf_from(self._hidden(source), source))

    def _source(self, points: Tensor) -> Tensor:
        asked = points
        for one in self.additions:
            asked = one.source(asked)
        return asked if self.deformation is None else self.deformation.source(asked)

    def _whole(self, points: Tensor, found: Tensor) -> Tensor:
        for one in self.additions:
            found = one.distance(points, found)
        return found

    def appearance(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Feature (N, W) and raw colour (N, 3, float32) from the last geometry activation (N, W), modulated or not."""
        weight, offset = self._paint
        feature = _rounded_up(
            lambda rows: functional.linear(rows, weight, offset).sin_(), h.to(weight.dtype), weight.dtype
        )
        return feature, functional.linear(feature.to(self._rgb[0].dtype), *self._rgb)


def chains_of(field: Field) -> tuple[Chain, ...]:
    """The forms of a field's layers that meshes and pictures are made with, for who compiles."""
    device = field.rgb_linear.weight.device
    lows = (False, True) if has_fast_bfloat16(device) else (False,)
    return tuple(Chain(field.config.width, field.config.depth, low) for low in lows)


def _in_chunks(ask: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """What a function (N, 3) → (N, ...) says of points, chunk by chunk, shared out between the hands."""
    if len(points) < FEW or hands(points.device) == 1:
        # A graphics card's caches are not the matter, its calls are.
        parts = [ask(part) for part in points.split(CHUNK if points.device.type == "cpu" else LARGE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    shares = points.tensor_split(hands(points.device))
    return torch.cat(together(*(partial(_in_chunks, ask, share) for share in shares)))


def _rounded_up(ask: Callable[[Tensor], Tensor], rows: Tensor, kind: torch.dtype) -> Tensor:
    """What a function (N, C) → (N, W) says of rows; where it multiplies in bfloat16, asked for few numbers of them."""
    count = len(rows)
    more = -count % (FINE if count <= FINE_UNTIL else COARSE)
    if kind != torch.bfloat16 or rows.device.type != "cpu" or not more:
        return ask(rows)
    return ask(functional.pad(rows, (0, 0, 0, more)))[:count]


def _folded(layer: FilmSine, style: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """Weight (W, inputs) and offset (W) of a layer under a latent."""
    gamma, shift = (value[0, 0] for value in layer.film(style))
    weight = gamma[:, None] * layer.weight.detach()[:, :inputs]
    return weight.contiguous(), torch.addcmul(shift, gamma, layer.bias.detach())


def _rounded(layer: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return layer[0].bfloat16(), layer[1].bfloat16()
