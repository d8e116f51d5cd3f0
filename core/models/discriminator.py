"""Critics: StyleGAN2's for pictures, StyleSDF's for 64² renders, which also reads off the camera.

The released volume discriminator is E3DGE's pose estimator. Attribute names are those of the released files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers import BiasedLeakyReLU, Blur, EqualConv, EqualLinear

__all__ = ["CAMEO_CHANNELS", "OFFICIAL_CHANNELS", "ImageDiscriminator", "VolumeDiscriminator", "VolumeVerdict"]

OFFICIAL_CHANNELS: Mapping[int, int] = {
    **dict.fromkeys((4, 8, 16, 32, 64), 512),
    128: 256,
    256: 128,
    512: 64,
    1024: 32,
}
CAMEO_CHANNELS: Mapping[int, int] = {4: 256, 8: 256, 16: 256, 32: 192, 64: 128, 128: 64, 256: 32}


def _conv(inputs: int, outputs: int, kernel: int, *, down: bool = False, activate: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    if down:
        layers.append(Blur((2, 2) if kernel == 3 else (1, 1)))
    padding = 0 if down else kernel // 2
    layers.append(EqualConv(inputs, outputs, kernel, stride=2 if down else 1, padding=padding, bias=False))
    if activate:
        layers.append(BiasedLeakyReLU(outputs))
    return nn.Sequential(*layers)


class ResidualDown(nn.Module):
    """Halves the picture; main path and skip share the variance."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, inputs, 3)
        self.conv2 = _conv(inputs, outputs, 3, down=True)
        self.skip = _conv(inputs, outputs, 1, down=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H/2, W/2)."""
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


class ImageDiscriminator(nn.Module):
    """StyleGAN2's residual discriminator (Karras et al. 2020).

    Args:
        size: Side of the pictures, a power of two.
        channels: Width at every side from 4 up.
        in_channels: Channels of the pictures.
        pool: Pool other sizes to ``size`` first (E3DGE does at 256).
    """

    def __init__(
        self,
        size: int,
        channels: Mapping[int, int] = OFFICIAL_CHANNELS,
        in_channels: int = 3,
        *,
        pool: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.pool = pool
        layers: list[nn.Module] = [_conv(in_channels, channels[size], 1)]
        side = size
        while side > 4:
            layers.append(ResidualDown(channels[side], channels[side // 2]))
            side //= 2
        last = channels[4]
        self.convs = nn.Sequential(*layers)
        self.final_conv = _conv(last + 1, last, 3)
        self.final_linear = nn.Sequential(EqualLinear(last * 16, last, activate=True), EqualLinear(last, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Shape: images (B, C, size, size) in [-1, 1]; returns (B, 1) logits, large = real."""
        if self.pool and images.shape[-1] != self.size:
            images = F.adaptive_avg_pool2d(images, self.size)
        x = self.convs(images)
        x = self.final_conv(torch.cat([x, minibatch_deviation(x)], dim=1))
        logits: Tensor = self.final_linear(x.flatten(1))
        return logits


def minibatch_deviation(x: Tensor) -> Tensor:
    """One channel that says how different the pictures of a group are.

    Shape: x (B, C, H, W); returns (B, 1, H, W).
    """
    batch, channels, height, width = x.shape
    group = min(batch, 4)
    if batch % group:
        group = 3 if batch % 3 == 0 else 2
    if batch % group:
        group = 1
    grouped = x.float().reshape(group, -1, 1, channels, height, width)
    deviation = torch.sqrt(grouped.var(dim=0, unbiased=False) + 1e-8).mean(dim=(2, 3, 4), keepdim=True)
    return deviation[:, :, 0].repeat(group, 1, height, width).to(x.dtype)


class VolumeVerdict(NamedTuple):
    """Shape: logit (B, 1), large = real; viewpoint (B, 2): yaw, pitch in radians."""

    logit: Tensor
    viewpoint: Tensor


class PlainConv(nn.Module):
    """A convolution with its activation's own bias, gain 1."""

    def __init__(self, conv: nn.Module, outputs: int) -> None:
        super().__init__()
        self.conv = conv
        self.activation = BiasedLeakyReLU(outputs, scale=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, H, W); returns (B, outputs, H, W)."""
        y: Tensor = self.activation(self.conv(x))
        return y


class CoordConv(nn.Module):
    """3×3 convolution that also sees row and column (Liu et al. 2018)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs + 2, outputs, 3, 1, 1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, a=0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H, W)."""
        batch, _, height, width = x.shape
        rows = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
        columns = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        y: Tensor = self.conv(torch.cat([x, grid.expand(batch, -1, -1, -1)], dim=1))
        return y


class PlainSkip(nn.Module):
    """1×1 convolution with bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H, W)."""
        y: Tensor = self.conv(x)
        return y


class CoordDown(nn.Module):
    """Two coordinate convolutions and a halving, with a skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = PlainConv(CoordConv(inputs, outputs), outputs)
        self.conv2 = PlainConv(CoordConv(outputs, outputs), outputs)
        self.skip = PlainSkip(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H/2, W/2)."""
        main = F.avg_pool2d(self.conv2(self.conv1(x)), 2)
        short = F.avg_pool2d(x, 2)
        return (main + (short if self.skip is None else self.skip(short))) / math.sqrt(2)


class VolumeDiscriminator(nn.Module):
    """StyleSDF's critic of 64² renders, with the camera as a second answer."""

    def __init__(self, widths: tuple[int, ...] = (128, 256, 400, 400, 400, 400), in_channels: int = 3) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, widths[0], 1, bias=False)
        nn.init.kaiming_normal_(first.weight, a=0.2)
        layers: list[nn.Module] = [PlainConv(first, widths[0])]
        layers += [CoordDown(a, b) for a, b in pairwise(widths)]
        self.convs = nn.Sequential(*layers)
        self.final_conv = PlainSkip(widths[-1], 3)
        self.final_conv.conv = nn.Conv2d(widths[-1], 3, 2)

    def forward(self, images: Tensor) -> VolumeVerdict:
        """Shape: images (B, C, 64, 64) in [-1, 1]."""
        answers = self.final_conv(self.convs(images)).flatten(1)
        return VolumeVerdict(answers[:, :1], answers[:, 1:3])
