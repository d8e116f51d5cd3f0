"""The generator: latent and camera → picture (StyleSDF, Or-El et al. 2022).

Geometry and appearance are separate passes: the distance never depends on the local branch, so activations and weights
of one pass serve every texture that is put on it. Everything is chunked by rays on request; chunks give identical
numbers. Refuses to know photos.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.models.configuration import FieldConfig, GeneratorConfig, VolumeConfig
from core.models.decoder import Decoder, Noise
from core.models.field import Field, root_bias
from core.models.volume import RaySamples, VolumeOutput, composite, ray_weights, stratified_samples

__all__ = ["Generator", "GeometryPass", "VolumeRenderer"]

# From world points (B, N, 3) of some rays, and which rays they are, to the texture modulation (α, δ) there.
Modulate = Callable[[Tensor, slice], tuple[Tensor, Tensor]]


class GeometryPass(NamedTuple):
    """What the field says about geometry at samples.

    Shape:
        samples; hidden (B, R, S, W); sdf (B, R, S, 1); weights (B, R, S); depth (B, R); xyz (B, R, 3); alpha (B, R).
    """

    samples: RaySamples
    hidden: Tensor
    sdf: Tensor
    weights: Tensor
    depth: Tensor
    xyz: Tensor
    alpha: Tensor


class MappingLayer(nn.Linear):
    """Linear layer and leaky ReLU (slope 0.2, no gain)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.kaiming_normal_(self.weight, a=0.2)
        root_bias(self.bias, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs); returns (B, outputs)."""
        return nn.functional.leaky_relu(super().forward(x), 0.2)


class VolumeRenderer(nn.Module):
    """The field and the width of its density, rendered along rays."""

    def __init__(self, field: FieldConfig, volume: VolumeConfig) -> None:
        super().__init__()
        self.config = volume
        self.network = Field(field)
        self.sigmoid_beta = nn.Parameter(torch.full((1,), volume.initial_beta))

    def plain_samples(
        self,
        poses: Tensor,
        size: int | None = None,
        count: int | None = None,
        half_fov: float | Tensor | None = None,
        jitter: Tensor | None = None,
    ) -> RaySamples:
        """Evenly spaced samples of whole pictures.

        Shape: poses (B, 3, 4) camera to world; half_fov (B,) radians; jitter (B, R, 1) in [0, 1).
        """
        config = self.config
        return stratified_samples(
            poses,
            size or config.size,
            count or config.samples,
            near=config.near,
            far=config.far,
            half_fov=config.half_fov if half_fov is None else half_fov,
            endless=config.force_background,
            jitter=jitter,
        )

    def geometry(self, styles: Tensor, samples: RaySamples, ray_chunk: int | None = None) -> GeometryPass:
        """Distances and weights at samples.

        Shape: styles (B, rows, style_dim).
        """
        batch, rays, count, _ = samples.points.shape
        hidden, distances = [], []
        for part in _chunks(rays, ray_chunk):
            points = samples.points[:, part].reshape(batch, -1, 3)
            h = self.network.hidden(points, styles)
            distances.append(self.network.sdf_from(h, points).reshape(batch, -1, count, 1))
            hidden.append(h.reshape(batch, -1, count, h.shape[-1]))
        sdf = _joined(distances)
        weights, alpha = ray_weights(
            sdf, samples.deltas, self.sigmoid_beta, force_background=self.config.force_background
        )
        return GeometryPass(
            samples,
            _joined(hidden),
            sdf,
            weights,
            (weights * samples.t).sum(dim=-1),
            composite(weights, samples.points),
            alpha,
        )

    def appearance(
        self,
        geometry: GeometryPass,
        styles: Tensor,
        modulate: Modulate | None = None,
        ray_chunk: int | None = None,
    ) -> VolumeOutput:
        """Colour and features on a geometry pass.

        Args:
            geometry: From :meth:`geometry` with the same latent.
            styles: Latent rows; only the last one matters here.
            modulate: Texture modulation of points, or none.
            ray_chunk: Rays at a time.

        Shape: styles (B, rows, style_dim).
        """
        samples = geometry.samples
        batch, rays, count, width = geometry.hidden.shape
        colours, features = [], []
        for part in _chunks(rays, ray_chunk):
            h = geometry.hidden[:, part].reshape(batch, -1, width)
            view = None
            if self.network.config.view_directions:
                view = samples.view[:, part, None].expand(-1, -1, count, -1).reshape(samples.view.shape[0], -1, 3)
            points = samples.points[:, part].reshape(batch, -1, 3)
            modulation = None if modulate is None else modulate(points, part)
            feature, rgb_raw = self.network.appearance(h, styles, view, modulation)
            weights = geometry.weights[:, part]
            rgb = 2 * torch.sigmoid(rgb_raw.to(weights.dtype)) - 1
            colours.append(composite(weights, rgb.reshape(batch, -1, count, 3)))
            features.append(composite(weights, feature.reshape(batch, -1, count, width)))
        return VolumeOutput(
            _joined(colours), _joined(features), geometry.weights, geometry.depth, geometry.xyz, geometry.alpha
        )

    def forward(self, styles: Tensor, samples: RaySamples, ray_chunk: int | None = None) -> VolumeOutput:
        """Geometry and appearance in one.

        Shape: styles (B, rows, style_dim).
        """
        return self.appearance(self.geometry(styles, samples, ray_chunk), styles, ray_chunk=ray_chunk)


def _chunks(count: int, chunk: int | None) -> list[slice]:
    step = chunk or count
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class Generator(nn.Module):
    """Mapping networks, volume renderer and decoder; attribute names are those of the released files."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.field.style_dim
        self.style = nn.Sequential(
            *(MappingLayer(config.z_dim if i == 0 else width, width) for i in range(config.mapping_layers))
        )
        self.renderer = VolumeRenderer(config.field, config.volume)
        self.decoder = Decoder(config.decoder)

    @property
    def field(self) -> Field:
        """The field."""
        return self.renderer.network

    def mapping(self, z: Tensor) -> Tensor:
        """Random vector → latent w. Shape: z (B, z_dim); returns (B, style_dim)."""
        w: Tensor = self.style(z)
        return w

    def styles(self, w: Tensor) -> Tensor:
        """One latent for all field rows. Shape: w (B, style_dim); returns (B, rows, style_dim)."""
        return w[:, None].expand(-1, self.config.field.rows, -1)

    def decoder_latent(self, w: Tensor) -> Tensor:
        """Field latent → decoder latent. Shape: w (B, style_dim); returns (B, D)."""
        s: Tensor = self.decoder.style(w)
        return s

    def decoder_styles(self, w: Tensor) -> Tensor:
        """Field latent → decoder rows. Shape: w (B, style_dim); returns (B, rows, D)."""
        return self.decoder_latent(w)[:, None].expand(-1, self.config.decoder.rows, -1)

    def mean_latents(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean field and decoder latents of random vectors. Shape: z (N, z_dim); returns (style_dim,) and (D,)."""
        w = self.mapping(z)
        return w.mean(dim=0), self.decoder_latent(w).mean(dim=0)

    def truncated(self, z: Tensor, psi: float, means: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Latent rows moved towards the means; both stages truncate, as in the reference.

        Shape: z (B, z_dim), means (style_dim,) and (D,); returns (B, rows, style_dim) and (B, rows, D).
        """
        w = means[0] + psi * (self.mapping(z) - means[0])
        s = means[1] + psi * (self.decoder_latent(w) - means[1])
        return self.styles(w), s[:, None].expand(-1, self.config.decoder.rows, -1)

    def render(
        self,
        styles: Tensor,
        poses: Tensor,
        size: int | None = None,
        samples: int | None = None,
        *,
        half_fov: float | Tensor | None = None,
        jitter: Tensor | None = None,
        ray_chunk: int | None = None,
    ) -> VolumeOutput:
        """The field alone, rendered with evenly spaced samples.

        Shape: styles (B, rows, style_dim), poses (B, 3, 4) camera to world.
        """
        output: VolumeOutput = self.renderer(
            styles, self.renderer.plain_samples(poses, size, samples, half_fov, jitter), ray_chunk
        )
        return output

    def picture(
        self,
        styles: Tensor,
        decoder_styles: Tensor,
        poses: Tensor,
        *,
        noise: Noise = True,
        guide: Tensor | None = None,
        ray_chunk: int | None = None,
    ) -> tuple[Tensor, VolumeOutput]:
        """Field and decoder: the whole generator.

        Shape: styles (B, rows, style_dim), decoder_styles (B, rows, D), poses (B, 3, 4); returns (B, out, S, S)
        unclamped.
        """
        volume = self.render(styles, poses, ray_chunk=ray_chunk)
        features = volume.maps(self.config.volume.size).feature
        return self.decoder(features, decoder_styles, noise=noise, guide=guide), volume
