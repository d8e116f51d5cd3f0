"""Hybrid fusion: the target view's aligned features correct the features carried over in 3D (E3DGE, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.models.layers import ResnetBlock

__all__ = ["HybridFusion"]


def _film(channels: int, *, quiet: bool) -> nn.Sequential:
    last = nn.Linear(channels, channels)
    if quiet:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, channels), nn.LeakyReLU(0.2), last)


class HybridFusion(nn.Module):
    """``f3d + f3d·scale(h) + shift(h)`` with h from both features and the visibility bit.

    Args:
        channels: Feature width.
        quiet: Output exactly ``f3d`` at first.
    """

    def __init__(self, channels: int, *, quiet: bool = False) -> None:
        super().__init__()
        self.encode_enc = ResnetBlock(2 * channels + 1, channels)
        self.scale = _film(channels, quiet=quiet)
        self.shift = _film(channels, quiet=quiet)

    def forward(self, f2d: Tensor, visible: Tensor, f3d: Tensor) -> Tensor:
        """Shape: f2d and f3d (..., C), visible (..., 1) in [0, 1]; returns (..., C)."""
        h = self.encode_enc(torch.cat([f2d, visible.to(f2d.dtype), f3d], dim=-1))
        return f3d + (f3d * self.scale(h) + self.shift(h))
