"""Cameras of a training batch as tensors: rays through image points, projection, the FFHQ crop of a view.

The law is :mod:`core.camera`'s (y up, camera on the unit sphere, looking at the origin); this is its batched,
differentiable twin. Image points are (u, v) in [-1, 1], v down.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.tensor_camera import camera_frame

HALF_FOV = 0.10471975511965977
"""Six degrees: the canonical camera's half field of view."""


def rays(camera: Tensor, uv: Tensor) -> tuple[Tensor, Tensor]:
    """Origins (N, 3) and directions (N, R, 3), optical-axis depth 1, through image points uv (N, R, 2).

    Args:
        camera: (N, 3) yaw, pitch, half field of view [rad].
        uv: Image points in [-1, 1], v down.
    """
    position, rotation = camera_frame(camera)
    tan = camera[:, 2].tan()[:, None]
    local = torch.stack([uv[..., 0] * tan, -uv[..., 1] * tan, -torch.ones_like(uv[..., 0])], -1)
    return position, local @ rotation.transpose(1, 2)


def pixel_grid(size: int, device: torch.device) -> Tensor:
    """Pixel centres (size * size, 2) as (u, v) in [-1, 1], row by row."""
    line = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([u, v], -1).reshape(-1, 2)


def project(camera: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Image points (N, P, 2) in [-1, 1], v down, and optical-axis depth (N, P) of world points (N, P, 3)."""
    position, rotation = camera_frame(camera)
    local = (points - position[:, None]) @ rotation
    depth = -local[..., 2]
    scale = 1 / (depth * camera[:, 2].tan()[:, None])
    return torch.stack([local[..., 0] * scale, -local[..., 1] * scale], -1), depth


def ffhq_framing(eyes: Tensor, mouth: Tensor) -> Tensor:
    """Framing (N, 4) log scale, roll, dx, dy of the FFHQ crop that eyes and mouth corners define.

    The crop is the quad of the FFHQ data set: x = e2e - rot90(e2m), length max(2 |e2e|, 1.8 |e2m|), centre e + 0.1 e2m.
    The framing maps canonical image coordinates c in [0, 1] to crop coordinates q:
    ``q - .5 = exp(s) R(roll) (c - .5) + (dx, dy)``.

    Args:
        eyes: Eye centres (N, 2, 2), image-left first, in unit image coordinates, v down.
        mouth: Mouth corners (N, 2, 2), image-left first.
    """
    centre_eyes, centre_mouth = eyes.mean(1), mouth.mean(1)
    e2e, e2m = eyes[:, 1] - eyes[:, 0], centre_mouth - centre_eyes
    x = e2e - torch.stack([-e2m[:, 1], e2m[:, 0]], -1)
    length = torch.maximum(e2e.norm(dim=-1) * 2.0, e2m.norm(dim=-1) * 1.8)
    x = F.normalize(x, dim=-1) * length[:, None]
    centre = centre_eyes + 0.1 * e2m
    # The quad spans centre +- x +- y, so the crop's side is 2 |x|.
    log_scale = -(2 * length).log()
    roll = -torch.atan2(x[:, 1], x[:, 0])
    shift = rotate((0.5 - centre) * log_scale.exp()[:, None], roll)
    return torch.cat([log_scale[:, None], roll[:, None], shift], 1)


def rotate(points: Tensor, roll: Tensor) -> Tensor:
    """Rotates points (N, 2) or (N, P, 2) by roll (N,) [rad]."""
    shape = (-1,) + (1,) * (points.dim() - 2)
    c, s = roll.cos().view(shape), roll.sin().view(shape)
    return torch.stack([c * points[..., 0] - s * points[..., 1], s * points[..., 0] + c * points[..., 1]], -1)


def frame_points(framing: Tensor, c: Tensor) -> Tensor:
    """Crop coordinates (N, P, 2) of canonical unit coordinates c (N, P, 2)."""
    return rotate(c - 0.5, framing[:, 1]) * framing[:, 0].exp()[:, None, None] + framing[:, None, 2:4] + 0.5


def canonical_points(framing: Tensor, q: Tensor) -> Tensor:
    """Canonical unit coordinates (N, P, 2) of crop coordinates q (N, P, 2): the inverse of ``frame_points``."""
    return rotate((q - 0.5 - framing[:, None, 2:4]) / framing[:, 0].exp()[:, None, None], -framing[:, 1]) + 0.5


def crop(picture: Tensor, framing: Tensor) -> Tensor:
    """The crop (N, C, S, S) of canonical pictures under a framing; zero outside."""
    size = picture.shape[-1]
    q = (pixel_grid(size, picture.device).expand(len(picture), -1, -1) + 1) / 2
    grid = canonical_points(framing, q) * 2 - 1
    return F.grid_sample(picture, grid.reshape(len(picture), size, size, 2), align_corners=False)
