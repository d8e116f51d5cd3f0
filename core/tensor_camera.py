"""The cameras of ``core.camera`` for tensors: batched, differentiable, the same law (StyleSDF, specification §2).

A camera is a row (yaw, pitch) in radians on the unit sphere, looking at the origin; y is up. Picture coordinates uv lie
in [-1, 1], v down, pixel centres at half pixels; depth is measured along the optical axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.camera import HALF_FOV

__all__ = ["camera_frame", "project", "rays", "rays_through", "unproject"]


def camera_frame(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Position and axes of cameras on the unit sphere: the torch twin of ``core.camera`` (StyleSDF, specification §2).

    Shape:
        angles: (B, 2) yaw, pitch [rad]; returns position (B, 3) and camera-to-world rotation (B, 3, 3), its columns the
        camera's x, y and z.
    """
    yaw, pitch = angles[:, 0], angles[:, 1]
    z_axis = torch.stack((pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()), dim=-1)
    zero = torch.zeros_like(yaw)
    # up x z, normalised, in closed form: it stays defined when the camera looks straight down.
    x_axis = torch.stack((yaw.cos(), zero, -yaw.sin()), dim=-1)
    y_axis = torch.linalg.cross(z_axis, x_axis)
    return z_axis, torch.stack((x_axis, y_axis, z_axis), dim=-1)


def rays(angles: Tensor, size: int, half_fov: float = HALF_FOV) -> tuple[Tensor, Tensor]:
    """Rays through the pixel centres; directions have optical-axis length 1, so a ray parameter *is* a depth.

    Shape:
        angles: (B, 2); returns origins (B, 3) and directions (B, size * size, 3), row by row from the top.
    """
    position, _ = camera_frame(angles)
    steps = (torch.arange(size, device=angles.device, dtype=angles.dtype) + 0.5) * (2.0 / size) - 1.0
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack((u, v), dim=-1).reshape(1, size * size, 2).expand(len(angles), -1, -1)
    return position, rays_through(angles, places, half_fov)


def rays_through(angles: Tensor, uv: Tensor, half_fov: float = HALF_FOV) -> Tensor:
    """Directions of the rays through places of a picture, of optical-axis length 1.

    Shape:
        angles: (B, 2); uv: (B, N, 2) in [-1, 1], v down; returns (B, N, 3).
    """
    _, rotation = camera_frame(angles)
    tangent = math.tan(half_fov)
    local = torch.stack((uv[..., 0] * tangent, -uv[..., 1] * tangent, -torch.ones_like(uv[..., 0])), dim=-1)
    # Three products and not one of matrices: for that PyTorch would wake its threads, which takes longer than the work.
    axes = rotation.transpose(1, 2)[:, :, None]
    return local[..., :1] * axes[:, 0] + local[..., 1:2] * axes[:, 1] + local[..., 2:] * axes[:, 2]


def project(points: Tensor, angles: Tensor, half_fov: float = HALF_FOV) -> tuple[Tensor, Tensor]:
    """Where cameras see world points.

    Shape:
        points: (B, N, 3); angles: (B, 2); returns uv (B, N, 2) in [-1, 1] inside the picture, v down, and depth (B, N).
    """
    position, rotation = camera_frame(angles)
    local = (points - position[:, None]) @ rotation
    depth = -local[..., 2]
    scale = math.tan(half_fov) * depth.clamp(min=1e-6)
    return torch.stack((local[..., 0] / scale, -local[..., 1] / scale), dim=-1), depth


def unproject(depth: Tensor, angles: Tensor, half_fov: float = HALF_FOV) -> Tensor:
    """World points of a depth map.

    Shape:
        depth: (B, 1, h, h) optical-axis depth; returns (B, 3, h, h).
    """
    batch, _, height, width = depth.shape
    position, directions = rays(angles, width, half_fov)
    points = position[:, None] + directions * depth.reshape(batch, height * width, 1)
    return points.transpose(1, 2).reshape(batch, 3, height, width)
