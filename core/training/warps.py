"""Pictures moved: enlarged, read along a flow, through a projective matrix, or under a framing. Edges repeat."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.views import frame_points, pixel_grid

PICTURE = 256
"""Side of pictures."""


def up(values: Tensor, size: int = PICTURE) -> Tensor:
    """Nearest-neighbour enlargement of thumbs and depths (specification, Section 3.8)."""
    return F.interpolate(values, size=(size, size), mode="nearest")


def sample(picture: Tensor, grid: Tensor) -> Tensor:
    """Picture (N, C, S, S) at places grid (N, S*S, 2) in [-1, 1]; edges repeat."""
    side = picture.shape[-1]
    return F.grid_sample(picture, grid.reshape(-1, side, side, 2), padding_mode="border", align_corners=False)


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    """Picture (N, C, S, S) read at each pixel plus flow (N, 2, S, S) in unit crop coordinates."""
    side = picture.shape[-1]
    grid = pixel_grid(side, picture.device) + 2 * flow.flatten(2).transpose(1, 2)
    return sample(picture, grid)


def similarities(count: int, turn: float, spread: float, away: float, size: float = 1.0) -> Tensor:
    """Random affine matrices (N, 2, 3) for ``affine_grid``: turned, scaled, half of them mirrored, moved.

    Args:
        count: How many.
        turn: Standard deviation of their turn [rad].
        spread: Of the logarithm of their scale.
        away: Of their shift, in half pictures.
        size: Scale of the usual one.
    """
    angle, scale = torch.randn(count) * turn, (torch.randn(count) * spread).exp() * size
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    c, s, shift = angle.cos() * scale, angle.sin() * scale, torch.randn(count, 2) * away
    rows = torch.stack((c * flip, -s, shift[:, 0]), 1), torch.stack((s * flip, c, shift[:, 1]), 1)
    return torch.stack(rows, 1)


def transformed(matrix: Tensor, grid: Tensor) -> Tensor:
    """Places (N, P, 2) that projective matrices (N, 3, 3) send a grid (P, 2) to."""
    homogeneous = F.pad(grid, (0, 1), value=1.0) @ matrix.transpose(1, 2)
    return homogeneous[..., :2] / homogeneous[..., 2:].clamp(min=0.2)


def reframed(picture: Tensor, framing: Tensor) -> Tensor:
    """The canonical camera's picture (N, C, S, S) of crops under a framing (N, 4); edges repeat."""
    side = picture.shape[-1]
    unit = (pixel_grid(side, picture.device).expand(len(picture), -1, -1) + 1) / 2
    return sample(picture, frame_points(framing, unit) * 2 - 1)
