"""The style decoder: feature map of the field → picture (StyleGAN2 synthesis, Karras et al. 2020).

cameo-256 adds guides: projected photo colour and its confidence enter after the first styled convolution of every
resolution through zero-initialised convolutions, and the output carries an alpha and a trust logit beside the colour.
Refuses to draw random noise: maps are stored buffers, so that a frame is the same picture every time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.configuration import DecoderConfig
from core.models.layers import BiasedLeakyReLU, Blur, EqualConv, EqualLinear, ModulatedConv

__all__ = ["Decoder", "DecoderMapping"]

Noise = bool | Sequence[Tensor]


class PixelNorm(nn.Module):
    """Scales every vector to unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C); returns the same."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class DecoderMapping(nn.Sequential):
    """Field latent w → decoder latent: pixel norm, then equalised layers with a hundredth of the learning rate."""

    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__(
            PixelNorm(),
            *(
                EqualLinear(inputs if i == 0 else width, width, lr_multiplier=0.01, activate=True)
                for i in range(layers)
            ),
        )


class NoiseInjection(nn.Module):
    """Adds a noise map with one learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Shape: x (B, C, H, W), noise (1 or B, 1, H, W)."""
        return x + (self.weight * noise).to(x.dtype)


class StyledConv(nn.Module):
    """Modulated convolution, noise, biased leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, upsample: bool, idle_bias: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, upsample=upsample)
        self.noise = NoiseInjection()
        self.activate = BiasedLeakyReLU(outputs)
        if idle_bias:  # present in released files, used by nothing
            self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Shape: x (B, inputs, H, W), style (B, style_dim); returns (B, outputs, H or 2H, W or 2W)."""
        y = self.conv(x, style)
        if noise is not None:
            y = self.noise(y, noise)
        return self.activate(y)


class ToRGB(nn.Module):
    """1×1 modulated convolution to the output channels, added to the upsampled skip."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, upsample: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.upsample = Blur((2, 1), up=2, gain=4.0) if upsample else None

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        """Shape: x (B, inputs, H, W), skip (B, outputs, H/2, W/2); returns (B, outputs, H, W), float32 or better."""
        y = self.conv(x, style)
        y = y.to(self.bias.dtype) + self.bias
        if skip is None:
            return y
        return y + (skip if self.upsample is None else self.upsample(skip).to(y.dtype))


class NoiseMaps(nn.Module):
    """Stored noise, one map a styled convolution."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.count = len(sizes)
        for i, size in enumerate(sizes):
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, size, size))

    def all(self) -> list[Tensor]:
        """The maps in order of use."""
        return [self.get_buffer(f"noise_{i}") for i in range(self.count)]


class Decoder(nn.Module):
    """Feature map and latent rows → picture.

    The latent mapping lives here too, as in the released files (``style``).
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        dim, out, idle = config.style_dim, config.out_channels, config.idle_bias
        widths = [width for _, width in config.channels]
        self.style = DecoderMapping(config.mapping_in, dim, config.mapping_layers)
        self.conv1 = StyledConv(config.in_channels, widths[0], dim, upsample=False, idle_bias=idle)
        self.to_rgb1 = ToRGB(widths[0], out, dim, upsample=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        sizes = [config.start_size]
        for (size, width), before in zip(config.channels[1:], widths, strict=False):
            self.convs.append(StyledConv(before, width, dim, upsample=True, idle_bias=idle))
            self.convs.append(StyledConv(width, width, dim, upsample=False, idle_bias=idle))
            self.to_rgbs.append(ToRGB(width, out, dim, upsample=True))
            sizes += [size, size]
        self.noises = NoiseMaps(sizes)
        if config.guide_channels:
            self.guide_convs = nn.ModuleDict(
                {str(size): EqualConv(config.guide_channels, width, 3, padding=1) for size, width in config.channels}
            )
            for conv in self.guide_convs.values():
                assert isinstance(conv, EqualConv)
                nn.init.zeros_(conv.weight)

    def forward(
        self,
        features: Tensor,
        styles: Tensor,
        noise: Noise = True,
        guide: Tensor | None = None,
        *,
        resolution: int | None = None,
    ) -> Tensor:
        """Decode.

        Args:
            features: Feature map.
            styles: Latent rows.
            noise: True: the stored maps; False: none; or one map a styled convolution.
            guide: Extra channels at the picture's size.
            resolution: Stop at this resolution (a preview: not the same picture, the same weights).

        Shape: features (B, W, s, s), styles (B, rows, style_dim), guide (B, Gc, S, S); returns (B, out, S, S),
        unclamped.
        """
        config = self.config
        maps: list[Tensor | None]
        if noise is True:
            maps = [*self.noises.all()]
        elif noise is False:
            maps = [None] * self.noises.count
        else:
            maps = [*noise]
        x = self.conv1(features, styles[:, 0], maps[0])
        x = self._guided(x, guide, config.start_size)
        picture = self.to_rgb1(x, styles[:, 1], None)
        for p, (size, _) in enumerate(config.channels[1:]):
            if resolution is not None and size > resolution:
                break
            x = self.convs[2 * p](x, styles[:, 2 * p + 1], maps[2 * p + 1])
            x = self._guided(x, guide, size)
            x = self.convs[2 * p + 1](x, styles[:, 2 * p + 2], maps[2 * p + 2])
            picture = self.to_rgbs[p](x, styles[:, 2 * p + 3], picture)
        return picture

    def _guided(self, x: Tensor, guide: Tensor | None, size: int) -> Tensor:
        if guide is None or not self.config.guide_channels:
            return x
        if guide.shape[-1] != size:
            guide = F.adaptive_avg_pool2d(guide, size)
        return x + self.guide_convs[str(size)](guide).to(x.dtype)
