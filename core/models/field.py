"""The FiLM-SIREN field: point, latent → signed distance, colour, feature.

The phase γ·(W h + b) + β is folded into one batched product, (γ·W) h + (γ·b + β), when numbers are float32; under
autocast the product runs in the low precision and the phase in float32, because the sine of a rounded phase is noise.
The gradient of the distance is propagated forward beside the value (three tangents), so normals need no second
backward pass and work where gradients are off. Refuses to know rays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.configuration import FieldConfig
from core.models.layers import full_precision

__all__ = ["Field", "FieldSample", "FilmSine"]

GAIN, OFFSET = 15.0, 30.0  # γ = 15·linear + 30: the SIREN frequency 30 lives in the offset
SHIFT_GAIN = 0.25  # β = 0.25·linear
SIREN_FREQUENCY = 25.0  # StyleSDF initialises weights for this frequency


class FieldSample(NamedTuple):
    """What the field says at points.

    Shape:
        sdf (B, N, 1) world units, negative inside; rgb_raw (B, N, 3) before the sigmoid; feature (B, N, W).
    """

    sdf: Tensor
    rgb_raw: Tensor
    feature: Tensor


def siren_weights(weight: Tensor) -> None:
    """Uniform within ±√(6/in)/25."""
    bound = math.sqrt(6 / weight.shape[1]) / SIREN_FREQUENCY
    nn.init.uniform_(weight, -bound, bound)


def root_bias(bias: Tensor, inputs: int) -> None:
    """Uniform within ±1/√in."""
    bound = 1 / math.sqrt(inputs)
    nn.init.uniform_(bias, -bound, bound)


def film_linear(style_dim: int, width: int) -> nn.Linear:
    """A γ or β layer with StyleSDF's initial weights."""
    linear = nn.Linear(style_dim, width)
    nn.init.kaiming_normal_(linear.weight, a=0.2)
    with torch.no_grad():
        linear.weight.mul_(0.25)
    root_bias(linear.bias, style_dim)
    return linear


class FilmSine(nn.Module):
    """One layer ``sin(γ(s)·(W h + b) + β(s))`` (StyleSDF, equation 1)."""

    def __init__(self, inputs: int, width: int, style_dim: int, *, first: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, inputs))
        self.bias = nn.Parameter(torch.zeros(width))
        self.gamma = film_linear(style_dim, width)
        self.beta = film_linear(style_dim, width)
        if first:
            nn.init.uniform_(self.weight, -1 / 3, 1 / 3)
        else:
            siren_weights(self.weight)
        root_bias(self.bias, inputs)

    def film(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Frequency and phase shift of a latent.

        Shape: style (B, style_dim); returns γ, β, each (B, 1, W).
        """
        style = style.to(self.weight.dtype)
        gamma = GAIN * self.gamma(style) + OFFSET
        return gamma[:, None], (SHIFT_GAIN * self.beta(style))[:, None]

    def phase(self, h: Tensor, style: Tensor, extra: Tensor | None = None, *, exact: bool = False) -> Tensor:
        """The argument of the sine, float32 or better.

        Args:
            h: Input of the layer.
            style: Latent row.
            extra: More inputs, for the last columns of the weight.
            exact: Keep the product out of autocast (coordinates need all their digits).

        Shape: h (B, N, in), style (B, style_dim), extra (B, N, in') or broadcastable; returns (B, N, W).
        """
        low = torch.is_autocast_enabled(h.device.type) and not exact
        product = F.linear(h, self.weight[:, : h.shape[-1]]) if low else None
        with full_precision(h):
            gamma, shift = self.film(style)
            offset = torch.addcmul(shift, gamma, self.bias)  # (B, 1, W)
            if product is not None:
                phase = torch.addcmul(offset, gamma, product.to(gamma.dtype))
            else:
                folded = gamma.transpose(1, 2) * self.weight[:, : h.shape[-1]]  # (B, W, in)
                phase = torch.baddbmm(offset, h.to(self.weight.dtype), folded.transpose(1, 2))
            if extra is not None:
                phase = phase + gamma * F.linear(extra.to(self.weight.dtype), self.weight[:, h.shape[-1] :])
        return phase

    def forward(self, h: Tensor, style: Tensor, extra: Tensor | None = None, *, exact: bool = False) -> Tensor:
        """Shape: see :meth:`phase`; returns (B, N, W) in [-1, 1]."""
        return torch.sin(self.phase(h, style, extra, exact=exact))


class Field(nn.Module):
    """Signed distance, colour and feature of world points under a latent.

    Styles have one row a geometry layer and a last one for colour: (B, depth + 1, style_dim). World frame: y up, the
    head at the origin, looking along +z.
    """

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        width, style_dim = config.width, config.style_dim
        self.pts_linears = nn.ModuleList(
            FilmSine(3 if i == 0 else width, width, style_dim, first=i == 0) for i in range(config.depth)
        )
        self.views_linears = FilmSine(width + 3 * config.view_directions, width, style_dim)
        self.rgb_linear = nn.Linear(width, 3)
        self.sigma_linear = nn.Linear(width, 1)
        for head in (self.rgb_linear, self.sigma_linear):
            siren_weights(head.weight)
            root_bias(head.bias, width)
        if config.sdf_sphere_radius is not None:  # start as the sphere itself, nearly
            nn.init.zeros_(self.sigma_linear.bias)

    def hidden(self, points: Tensor, styles: Tensor) -> Tensor:
        """Last geometry activation.

        Shape: points (B, N, 3) world units, styles (B, rows, style_dim); returns (B, N, W).
        """
        h = points / self.config.scene_radius
        for i, layer in enumerate(self.pts_linears):
            h = layer(h, styles[:, i], exact=i == 0)
        return h

    def sdf_from(self, h: Tensor, points: Tensor) -> Tensor:
        """Signed distance from the last geometry activation, in float32 or better.

        Shape: h (B, N, W), points (B, N, 3); returns (B, N, 1) world units.
        """
        with full_precision(h):
            raw = self.sigma_linear(h.to(self.sigma_linear.weight.dtype))
        if self.config.sdf_scale != 1:
            raw = self.config.sdf_scale * raw
        if self.config.sdf_sphere_radius is not None:
            raw = raw + (torch.linalg.vector_norm(points, dim=-1, keepdim=True) - self.config.sdf_sphere_radius)
        return raw

    def sdf(self, points: Tensor, styles: Tensor) -> Tensor:
        """Signed distance at points.

        Shape: points (B, N, 3), styles (B, rows, style_dim); returns (B, N, 1) world units.
        """
        return self.sdf_from(self.hidden(points, styles), points)

    def sdf_with_gradient(self, points: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
        """Signed distance and its gradient in world coordinates (not normalised), without autograd.

        Three tangents are carried through the layers; ordinary backward works through the result.

        Shape: points (B, N, 3), styles (B, rows, style_dim); returns (B, N, 1) and (B, N, 3).
        """
        batch, count, _ = points.shape
        radius = self.config.scene_radius
        h = points / radius
        tangents: Tensor | None = None  # (B, N, 3, W)
        for i, layer in enumerate(self.pts_linears):
            assert isinstance(layer, FilmSine)
            phase = layer.phase(h, styles[:, i], exact=i == 0)
            with full_precision(h):
                gamma, _ = layer.film(styles[:, i])
            slope = gamma * torch.cos(phase)  # (B, N, W)
            first = (layer.weight / radius).T[None, None]  # (1, 1, 3, W)
            pushed = first if tangents is None else F.linear(tangents, layer.weight)
            tangents = slope[:, :, None] * pushed
            h = torch.sin(phase)
        assert tangents is not None
        with full_precision(h):
            head = self.sigma_linear.weight[0] * self.config.sdf_scale
            gradient = (tangents.to(head.dtype) * head).sum(-1).reshape(batch, count, 3)
        if self.config.sdf_sphere_radius is not None:
            gradient = gradient + F.normalize(points, dim=-1)
        return self.sdf_from(h, points), gradient

    def appearance(
        self,
        h: Tensor,
        styles: Tensor,
        view: Tensor | None = None,
        modulation: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Feature and raw colour from the last geometry activation.

        Args:
            h: Last geometry activation.
            styles: Latent rows; the last one is used.
            view: Camera-frame pixel directions, normalised; zero when absent. Ignored without view directions.
            modulation: (α, δ) of the local branch: h becomes (α + 1)·h + δ (E3DGE, equation 9). The distance never
            sees it.

        Shape: h (B, N, W), view (B, N, 3) or broadcastable, α and δ (B, N, W); returns (B, N, W) and (B, N, 3).
        """
        if modulation is not None:
            alpha, delta = modulation
            h = torch.addcmul(h + delta, alpha, h)
        extra = view if self.config.view_directions else None
        feature = self.views_linears(h, styles[:, -1], extra)
        with full_precision(feature):
            return feature, self.rgb_linear(feature)

    def forward(
        self,
        points: Tensor,
        styles: Tensor,
        view: Tensor | None = None,
        modulation: tuple[Tensor, Tensor] | None = None,
    ) -> FieldSample:
        """Everything at points; see :meth:`appearance` for the arguments.

        Shape: points (B, N, 3), styles (B, rows, style_dim), view (B, N, 3).
        """
        h = self.hidden(points, styles)
        feature, rgb_raw = self.appearance(h, styles, view, modulation)
        return FieldSample(self.sdf_from(h, points), rgb_raw, feature)
