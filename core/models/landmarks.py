"""Landmarks of a head from its latent: the differentiable bridge from a photo's 2D landmarks to geometry.

A small network that knows, for a latent w of the generator, where the world's landmark vertices lie in 3D. Projected
with a camera they can be compared with a detector's landmarks on a real photo, so shape and pose learn from
photographs without any photometric loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LandmarkRegressor(nn.Module):
    """w (B, style_dim) to landmarks (B, count, 3), world frame.

    Args:
        style_dim: Width of w.
        count: Landmarks.
        width: Hidden width.
    """

    mean: Tensor
    w_mean: Tensor
    w_std: Tensor

    def __init__(self, style_dim: int, count: int, width: int = 384) -> None:
        super().__init__()
        self.count = count
        self.layers = nn.Sequential(
            nn.Linear(style_dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, count * 3)
        )
        self.register_buffer("mean", torch.zeros(count, 3))
        self.register_buffer("w_mean", torch.zeros(style_dim))
        self.register_buffer("w_std", torch.ones(style_dim))
        # World units: the network's outputs are of order one, faces vary by millimetres (about 0.004).
        self.scale = 0.01

    def forward(self, w: Tensor) -> Tensor:
        """Landmarks (B, count, 3) of latents (B, style_dim)."""
        normal = (w - self.w_mean) / self.w_std
        return self.mean + self.scale * self.layers(normal).unflatten(-1, (self.count, 3))
