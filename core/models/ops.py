"""Resampling and biased activation in plain torch.

StyleGAN2 has compiled extensions for these two; the plain versions here give the same numbers, run on every device and
are differentiable any number of times. Refuses to own parameters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["biased_leaky_relu", "resampling_kernel", "upfirdn2d"]

LEAK = 0.2


def resampling_kernel(gain: float = 1.0) -> Tensor:
    """The [1, 3, 3, 1] binomial kernel that StyleGAN2 resamples with.

    Args:
        gain: Sum of the kernel; 4 when samples are interleaved with zeros.

    Shape:
        Returns (4, 4).
    """
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


def upfirdn2d(images: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Upsample by zeros, pad, convolve, keep every ``down``-th sample.

    Zeros follow every sample, the last one too; the kernel is applied as a true convolution (flipped); negative
    padding crops (Karras et al. 2020, StyleGAN2, appendix B).

    Args:
        images: Pictures.
        kernel: One 2D filter for all channels.
        up: Factor of zero insertion.
        down: Factor of decimation.
        pad: Zeros (left and top, right and bottom).

    Shape:
        images (B, C, H, W), kernel (kh, kw); returns (B, C, (H·up + p0 + p1 − kh)//down + 1, likewise).
    """
    batch, channels, height, width = images.shape
    if up > 1:
        images = images.reshape(batch, channels, height, 1, width, 1)
        images = F.pad(images, (0, up - 1, 0, 0, 0, up - 1)).reshape(batch, channels, height * up, width * up)
    taps = kernel.flip(0, 1).to(images.dtype).expand(channels, 1, *kernel.shape)
    before, after = pad
    if before == after and before >= 0:
        return F.conv2d(images, taps, stride=down, padding=before, groups=channels)
    images = F.pad(images, (before, after, before, after))
    return F.conv2d(images, taps, stride=down, groups=channels)


def biased_leaky_relu(x: Tensor, bias: Tensor | None, scale: float = math.sqrt(2)) -> Tensor:
    """Leaky ReLU (slope 0.2) of ``x + bias``, times ``scale``.

    The gain √2 keeps the variance of a rectified normal variable.

    Shape:
        x (B, C, ...), bias (C,); returns (B, C, ...).
    """
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
    y = F.leaky_relu(x, LEAK)
    if scale == 1:
        return y
    return y * scale if y.requires_grad else y.mul_(scale)
