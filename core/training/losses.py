"""Losses as functions of tensors: perceptual, adversarial (logistic with R1), masked means and weighted sums.

The perceptual distance is between VGG16 features (never called LPIPS: the calibrated weights of that measure are not
used).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.training.precision import layout

VGG_PLAN: tuple[tuple[str, int, int], ...] = (
    ("block1_conv1", 3, 64), ("block1_conv2", 64, 64),
    ("block2_conv1", 64, 128), ("block2_conv2", 128, 128),
    ("block3_conv1", 128, 256), ("block3_conv2", 256, 256), ("block3_conv3", 256, 256),
    ("block4_conv1", 256, 512), ("block4_conv2", 512, 512),
)  # fmt: skip
VGG_TAPS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv2")


class PerceptualDistance(nn.Module):
    """VGG16 perceptual distance: mean L1 between channel-normalised features after four blocks.

    Args:
        path: npz with ``NAME_weight`` (out, in, 3, 3) and ``NAME_bias`` for the convolutions of ``VGG_PLAN``.
    """

    mean: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        weights = np.load(path)
        self.layers = nn.ModuleDict()
        for name, inputs, outputs in VGG_PLAN:
            self.layers[name] = nn.Conv2d(inputs, outputs, 3, padding=1)
            self.layers[name].load_state_dict(
                {part: torch.from_numpy(weights[f"{name}_{part}"].astype(np.float32)) for part in ("weight", "bias")}
            )
        # Caffe's convention: BGR, means of ImageNet in 0..255.
        self.register_buffer("mean", torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def features(self, picture: Tensor) -> list[Tensor]:
        """Features of pictures (B, 3, H, W) in [-1, 1]."""
        x = (picture.flip(1) + 1) * 127.5 - self.mean
        x = x.contiguous(memory_format=layout(x.device))
        taps = []
        for name, _, _ in VGG_PLAN:
            if name.endswith("conv1") and name != "block1_conv1":
                x = F.max_pool2d(x, 2)
            x = F.relu(self.layers[name](x))
            if name in VGG_TAPS:
                taps.append(F.normalize(x.float(), dim=1))
        return taps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (scalar) of pictures (B, 3, H, W) in [-1, 1]; gradients reach ``a`` only."""
        with torch.no_grad():
            target = self.features(b)
        total = a.new_zeros(())
        for fa, fb in zip(self.features(a), target, strict=True):
            total = total + ((fa - fb).abs().sum(1) / fa.shape[1] ** 0.5).mean()
        return total


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of the discriminator on its logits."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating loss of the generator."""
    return F.softplus(-fake).mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Mean squared gradient norm of the logits with respect to real pictures."""
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values over a 0/1 mask of the same or broadcastable shape."""
    mask = mask.expand_as(values)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def total_loss(parts: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Weighted sum of named parts; every part needs a weight."""
    return sum((weights[name] * value for name, value in parts.items()), start=next(iter(parts.values())).new_zeros(()))
