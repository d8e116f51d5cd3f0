"""Layers that several networks share: equalised, modulated, residual with channel attention, fully connected residual.

Attribute names are those of the released files, so that their state dicts load without translation.
Refuses to know which network a layer sits in.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.ops import biased_leaky_relu, resampling_kernel, upfirdn2d

__all__ = [
    "BiasedLeakyReLU",
    "Blur",
    "EqualConv",
    "EqualLinear",
    "ModulatedConv",
    "ResidualUnit",
    "ResnetBlock",
    "SqueezeExcitation",
    "full_precision",
    "zeroed_conv",
]


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast is off for the tensor's device: for phases, demodulation, distances."""
    if x.is_meta:  # shapes only, and autocast does not know the device
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def zeroed_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3×3 convolution whose output is zero at first."""
    conv = nn.Conv2d(inputs, outputs, 3, 1, 1)
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


class EqualLinear(nn.Module):
    """Linear layer with run-time weight scaling (Karras et al. 2018, section 4.1).

    Args:
        inputs: Input width.
        outputs: Output width.
        bias_value: Initial bias.
        lr_multiplier: Learning-rate multiplier; weights are stored divided by it.
        activate: Apply leaky ReLU with gain √2.
        fan: Width whose root divides the weight (the released style heads use the output width); default ``inputs``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias_value: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
        fan: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias_value)))
        self.scale = lr_multiplier / math.sqrt(fan or inputs)
        self.lr_multiplier = lr_multiplier
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (..., inputs); returns (..., outputs)."""
        if self.activate:
            y = biased_leaky_relu(F.linear(x, self.weight * self.scale).movedim(-1, 1), self.bias * self.lr_multiplier)
            return y.movedim(1, -1)
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)


class EqualConv(nn.Module):
    """Convolution with run-time weight scaling."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H', W')."""
        return F.conv2d(x, self.weight * self.scale, self.bias, stride=self.stride, padding=self.padding)


class BiasedLeakyReLU(nn.Module):
    """Leaky ReLU with its own bias and gain."""

    def __init__(self, channels: int, scale: float = math.sqrt(2)) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, channels, ...); returns the same."""
        return biased_leaky_relu(x, self.bias, self.scale)


class Blur(nn.Module):
    """Binomial filter with given padding; ``up`` interleaves zeros first."""

    kernel: Tensor

    def __init__(self, pad: tuple[int, int], *, up: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", resampling_kernel(gain))
        self.pad = pad
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, H, W); returns (B, C, H', W')."""
        return upfirdn2d(x, self.kernel, up=self.up, pad=self.pad)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style, optionally demodulated (StyleGAN2, equations 1 and 3).

    For a batch the kernel is never built per sample: scaling the input channels, convolving with the shared kernel and
    scaling the output channels gives the same numbers, and one ungrouped convolution. For one sample the kernel takes
    both scales, which spares two passes over the maps.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Side of the kernel.
        style_dim: Width of the latent that is turned into the style.
        demodulate: Normalise output channels.
        upsample: Double the size (transposed convolution, then blur).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style_dim: int, *, demodulate: bool = True, upsample: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inputs, bias_value=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.padding = kernel // 2
        self.demodulate = demodulate
        self.blur = Blur((1, 1), gain=4.0) if upsample else None

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W), style (B, style_dim); returns (B, outputs, H or 2H, W or 2W)."""
        kernel = self.weight[0] * self.scale
        with full_precision(x):
            scales = self.modulation(style.to(self.weight.dtype))  # (B, inputs)
            norms = None
            if self.demodulate:
                energy = kernel.square().sum(dim=(2, 3))  # (outputs, inputs)
                norms = torch.rsqrt(F.linear(scales.square(), energy) + 1e-8)
            alone = x.shape[0] == 1
            if alone:
                kernel = kernel * scales[:, :, None, None]
                if norms is not None:
                    kernel, norms = kernel * norms[0, :, None, None, None], None
        if not alone:
            x = x * scales.to(x.dtype)[:, :, None, None]
        if self.blur is None:
            y = F.conv2d(x, kernel, padding=self.padding)
        else:
            y = self.blur(F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2))
        return y if norms is None else y * norms.to(y.dtype)[:, :, None, None]


class SqueezeExcitation(nn.Module):
    """Channel attention (Hu et al. 2018), without biases as in the released encoder."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, H, W); returns the same."""
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))


class ResidualUnit(nn.Module):
    """Improved residual unit of ArcFace (Deng et al. 2019), with squeeze-and-excitation when ``reduction`` is given."""

    def __init__(self, inputs: int, outputs: int, stride: int, reduction: int | None = None) -> None:
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)  # subsampling
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        layers: list[nn.Module] = [
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if reduction is not None:
            layers.append(SqueezeExcitation(outputs, reduction))
        self.res_layer = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, H, W); returns (B, outputs, H/stride, W/stride)."""
        return self.res_layer(x) + self.shortcut_layer(x)


class ResnetBlock(nn.Module):
    """Fully connected residual block: ``fc_1(relu(fc_0(relu(x)))) + shortcut(x)`` (Occupancy Networks, Mescheder 2019).

    Args:
        inputs: Input width.
        outputs: Output width; the hidden width is the smaller of both.
        quiet: Output exactly zero at first.
    """

    def __init__(self, inputs: int, outputs: int, *, quiet: bool = False) -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.fc_0 = nn.Linear(inputs, hidden)
        self.fc_1 = nn.Linear(hidden, outputs)
        self.shortcut = nn.Linear(inputs, outputs, bias=False) if inputs != outputs else None
        nn.init.zeros_(self.fc_1.weight)
        if quiet:
            nn.init.zeros_(self.fc_1.bias)
            if self.shortcut is not None:
                nn.init.zeros_(self.shortcut.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (..., inputs); returns (..., outputs)."""
        y = self.fc_1(torch.relu(self.fc_0(torch.relu(x))))
        return y + (x if self.shortcut is None else self.shortcut(x))
