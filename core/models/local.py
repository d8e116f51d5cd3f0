"""E1: what the latents missed, as a feature map aligned with a view; and how the field reads it.

Two stems (residual colour and depth), a stacked hourglass (PIFu, Saito et al. 2019), pixel-aligned lookup, positional
encoding, and the texture modulation of E3DGE (equation 9). Refuses to know cameras: look-ups get picture coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.configuration import LocalConfig
from core.models.layers import EqualLinear, ResnetBlock

__all__ = ["ENCODING_WIDTH", "LocalEncoder", "TextureModulation", "lookup", "positional_encoding"]

Norm = Callable[[int], nn.Module]  # channels → normalisation layer

OCTAVES = 7
ENCODING_WIDTH = 3 * (1 + 2 * OCTAVES)


def positional_encoding(points: Tensor) -> Tensor:
    """Coordinates with their sines and cosines at seven octaves, of the raw world coordinates.

    Shape: points (..., 3); returns (..., 45): x, sin x, cos x, sin 2x, cos 2x, … cos 64x.
    """
    parts = [points]
    for octave in range(OCTAVES):
        angle = points * float(2**octave)
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=-1)


def lookup(features: Tensor, uv: Tensor) -> Tensor:
    """Bilinear look-up at picture coordinates; zero outside.

    Shape: features (B, C, H, W), uv (B, N, 2) in [-1, 1] from edge to edge, v down; returns (B, N, C).
    """
    sampled = F.grid_sample(
        features, uv[:, :, None].to(features.dtype), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled[..., 0].transpose(1, 2)


class ReflectBlock(nn.Module):
    """Normalise, rectify, convolve, twice, plus the input."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            norm(channels),
            nn.ReLU(),
            reflect_conv(channels, channels),
            norm(channels),
            nn.ReLU(),
            reflect_conv(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, H, W); returns the same."""
        y: Tensor = self.conv(x)
        return x + y


def reflect_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3×3 convolution without bias that mirrors at the border."""
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False, padding_mode="reflect")


def stem(inputs: int, channels: int, norm: Norm) -> nn.Sequential:
    """Convolution, residual block, 1×1 convolution."""
    return nn.Sequential(
        reflect_conv(inputs, channels), ReflectBlock(channels, norm), nn.Conv2d(channels, channels, 1, bias=False)
    )


class PyramidBlock(nn.Module):
    """Pre-activated block whose three convolutions' outputs are concatenated (Bulat & Tzimiropoulos 2017)."""

    def __init__(self, inputs: int, outputs: int, groups: int, *, leftovers: bool) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.conv1 = nn.Conv2d(inputs, half, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.bn1 = nn.GroupNorm(groups, inputs)
        self.bn2 = nn.GroupNorm(groups, half)
        self.bn3 = nn.GroupNorm(groups, quarter)
        if leftovers:  # the released files name the shortcut's norm twice, and keep it where there is no shortcut
            self.bn4 = nn.GroupNorm(groups, inputs)
        self.downsample = None
        if inputs != outputs:
            norm = self.bn4 if leftovers else nn.GroupNorm(groups, inputs)
            self.downsample = nn.Sequential(norm, nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H, W)."""
        first = self.conv1(torch.relu(self.bn1(x)))
        second = self.conv2(torch.relu(self.bn2(first)))
        third = self.conv3(torch.relu(self.bn3(second)))
        y = torch.cat([first, second, third], dim=1)
        return y + (x if self.downsample is None else self.downsample(x))


def bicubically_doubled(x: Tensor) -> Tensor:
    """Shape: x (B, C, H, W); returns (B, C, 2 H, 2 W), corners aligned."""
    return F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=True)


class Hourglass(nn.Module):
    """Two levels of down and up with skips; enlarges bicubically, corners aligned."""

    DEPTH = 2
    doubled: Callable[[Tensor], Tensor] = staticmethod(bicubically_doubled)
    """How it enlarges; inference may put something quicker in its place."""

    def __init__(self, channels: int, groups: int, *, leftovers: bool) -> None:
        super().__init__()
        block = partial(PyramidBlock, channels, channels, groups, leftovers=leftovers)
        for level in range(self.DEPTH, 0, -1):
            self.add_module(f"b1_{level}", block())
            self.add_module(f"b2_{level}", block())
            if level == 1:
                self.add_module("b2_plus_1", block())
            self.add_module(f"b3_{level}", block())

    def forward(self, x: Tensor, level: int = DEPTH) -> Tensor:
        """Shape: x (B, C, H, W); returns the same."""
        up = self.get_submodule(f"b1_{level}")(x)
        low = self.get_submodule(f"b2_{level}")(F.avg_pool2d(x, 2))
        low = self.forward(low, level - 1) if level > 1 else self.get_submodule("b2_plus_1")(low)
        low = self.get_submodule(f"b3_{level}")(low)
        return up + self.doubled(low)


class HourglassFilter(nn.Module):
    """PIFu's picture filter: quarter size, stacked hourglasses; only the last stack's map comes out."""

    def __init__(self, inputs: int, config: LocalConfig) -> None:
        super().__init__()
        groups, channels = config.groups, config.channels
        block = partial(PyramidBlock, groups=groups, leftovers=config.leftovers)
        self.stacks = config.stacks
        self.conv1 = nn.Conv2d(inputs, config.entry, 7, 2, 3)
        self.bn1 = nn.GroupNorm(groups, config.entry)
        self.conv2 = block(config.entry, config.middle)
        self.conv3 = block(config.middle, config.middle)
        self.conv4 = block(config.middle, channels)
        for j in range(config.stacks):
            self.add_module(f"m{j}", Hourglass(channels, groups, leftovers=config.leftovers))
            self.add_module(f"top_m_{j}", block(channels, channels))
            self.add_module(f"conv_last{j}", nn.Conv2d(channels, channels, 1))
            self.add_module(f"bn_end{j}", nn.GroupNorm(groups, channels))
            self.add_module(f"l{j}", nn.Conv2d(channels, channels, 1))
            if j < config.stacks - 1:
                self.add_module(f"bl{j}", nn.Conv2d(channels, channels, 1))
                self.add_module(f"al{j}", nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, channels, H/4, W/4)."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = F.avg_pool2d(self.conv2(x), 2)
        x = self.conv4(self.conv3(x))
        for j in range(self.stacks):
            part = self.get_submodule
            inner = part(f"conv_last{j}")(part(f"top_m_{j}")(part(f"m{j}")(x)))
            inner = torch.relu(part(f"bn_end{j}")(inner))
            output: Tensor = part(f"l{j}")(inner)
            if j == self.stacks - 1:
                break
            x = x + part(f"bl{j}")(inner) + part(f"al{j}")(output)
        return output


class IdleConv(nn.Module):
    """A convolution of the released files that no forward pass uses."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(512, 64, 3)
        self.bn = norm(64)


class LocalEncoder(nn.Module):
    """E1: residual and depth of a view → local feature map of that view."""

    def __init__(self, config: LocalConfig) -> None:
        super().__init__()
        self.config = config
        norm: Norm = nn.BatchNorm2d if config.stem_norm == "batch" else partial(nn.InstanceNorm2d, affine=True)
        self.image_filter = HourglassFilter(2 * config.stem, config)
        self.depth_conv = stem(1, config.stem, norm)
        self.residual_conv = stem(3, config.stem, norm)
        if config.leftovers:
            self.downsample_channel_conv = IdleConv(norm)

    def forward(self, residual: Tensor, depth: Tensor) -> Tensor:
        """Encode.

        Shape: residual (B, 3, S, S), depth (B, 1, S, S) optical-axis depth in world units; returns (B, C, S/4, S/4).
        """
        stems = torch.cat([self.residual_conv(residual), self.depth_conv(depth)], dim=1)
        features: Tensor = self.image_filter(stems)
        return features


class TextureModulation(nn.Module):
    """Local feature and position → scale and shift of the field's last geometry activation.

    Args:
        config: Which of the two released layouts; feature width.
        width: Width of the field.
    """

    def __init__(self, config: LocalConfig, width: int) -> None:
        super().__init__()
        inputs = config.channels + ENCODING_WIDTH
        self.linear: nn.Module
        if config.modulation == "linear":
            self.linear = EqualLinear(inputs, 2 * width)
            if config.quiet_modulation:
                nn.init.zeros_(self.linear.weight)
        else:
            self.linear = ResnetBlock(inputs, 2 * width, quiet=config.quiet_modulation)

    def forward(self, local: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: local (..., C), points (..., 3) world units; returns α and δ, each (..., W)."""
        features = torch.cat([local, positional_encoding(points).to(local.dtype)], dim=-1)
        alpha, delta = self.linear(features).chunk(2, dim=-1)
        return alpha, delta
