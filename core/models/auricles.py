"""Where a latent's head has its outer ears (auricles), and what ears look like: affine frames and one chart.

The field's ears come from pictures of 64 pixels, in which an ear has eight. Where it is, and how it is turned, is a
linear function of w to some millimetres; ``core.rendering.auricles`` lays it on the field's own ear from there.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["AuricleFrames", "auricles_like"]

# World units a unit of the slope: half precision keeps numbers of order one.
SCALE = 0.01


class AuricleFrames(nn.Module):
    """w (B, style_dim) to frames (B, 2, 4, 3) of the left and the mirrored right ear: rows u, v, h and origin.

    Args:
        style_dim: Width of w.
        points: How many places of the chart tell where an ear lies.
        pixels: Rows and columns of its picture.

    Shape:
        points (K, 3), places of an ear's surface in the chart; relief (4, rows, columns): logarithm of its shade, the
        ear with its surroundings, the auricle alone (0..1), height; window (4,): u from and to, v from and to.
    """

    w_mean: Tensor
    w_std: Tensor
    mean: Tensor
    slope: Tensor
    points: Tensor
    relief: Tensor
    window: Tensor

    def __init__(self, style_dim: int, points: int, pixels: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("w_mean", torch.zeros(style_dim))
        self.register_buffer("w_std", torch.ones(style_dim))
        self.register_buffer("mean", torch.zeros(2, 4, 3))
        self.register_buffer("slope", torch.zeros(style_dim, 24))
        self.register_buffer("points", torch.zeros(points, 3))
        self.register_buffer("relief", torch.zeros(4, *pixels))
        self.register_buffer("window", torch.zeros(4))

    def forward(self, w: Tensor) -> Tensor:
        """Frames (B, 2, 4, 3), world units of the undeformed head, of latents (B, style_dim)."""
        return self.mean + SCALE * (((w - self.w_mean) / self.w_std) @ self.slope).unflatten(-1, (2, 4, 3))


def auricles_like(state: Mapping[str, Tensor], style_dim: int) -> AuricleFrames:
    """Empty frames with room for what a file holds; what does not fit is for the loader to say."""
    points = state["points"].shape[0] if "points" in state else 1
    rows, columns = state["relief"].shape[-2:] if "relief" in state else (1, 1)
    return AuricleFrames(style_dim, points, (rows, columns))
