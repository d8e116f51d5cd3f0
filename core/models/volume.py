"""Rays, samples on them, and the integral along them (StyleSDF, sections 3.2 and 3.3).

Ray parameter t is depth along the optical axis (ray directions are not normalised); intervals carry the length of the
ray direction. Refuses to know the field: anything that gives a signed distance and colours can be integrated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.models.layers import full_precision

__all__ = [
    "RaySamples",
    "VolumeMaps",
    "VolumeOutput",
    "camera_rays",
    "composite",
    "integrate",
    "look_at_origin",
    "project",
    "projection_matrix",
    "ray_weights",
    "samples_on_rays",
    "stratified_samples",
]

ENDLESS = 1e10  # length of the last interval of a forced background


class RaySamples(NamedTuple):
    """Samples on rays.

    Shape:
        points (B, R, S, 3) world; t (B, R, S) optical-axis depth; deltas (B, R, S) interval lengths in world units;
        view (1 or B, R, 3) camera-frame unit directions of the pixels.
    """

    points: Tensor
    t: Tensor
    deltas: Tensor
    view: Tensor


class VolumeOutput(NamedTuple):
    """Integrals along rays.

    Shape:
        rgb (B, R, 3) in [-1, 1], 0 (mid-grey) where nothing is hit; feature (B, R, W); weights (B, R, S);
        depth (B, R) optical-axis (Σ w t, not divided by alpha); xyz (B, R, 3) Σ w x, or None; alpha (B, R) Σ w: 1
        everywhere under a forced background, where E3DGE takes depth < 1.08 for the head.
    """

    rgb: Tensor
    feature: Tensor
    weights: Tensor
    depth: Tensor
    xyz: Tensor | None
    alpha: Tensor

    def maps(self, size: int) -> VolumeMaps:
        """The same as pictures; rays must be row-major over a square of this side."""
        assert self.xyz is not None
        return VolumeMaps(
            _picture(self.rgb, size),
            _picture(self.feature, size),
            _picture(self.depth[..., None], size),
            _picture(self.xyz, size),
            _picture(self.alpha[..., None], size),
        )


class VolumeMaps(NamedTuple):
    """Integrals as pictures.

    Shape:
        rgb (B, 3, H, W), feature (B, C, H, W), depth (B, 1, H, W), xyz (B, 3, H, W), alpha (B, 1, H, W).
    """

    rgb: Tensor
    feature: Tensor
    depth: Tensor
    xyz: Tensor
    alpha: Tensor


def _picture(values: Tensor, size: int) -> Tensor:
    return values.transpose(1, 2).reshape(values.shape[0], values.shape[2], size, size)


def look_at_origin(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Camera-to-world matrices on the unit sphere, differentiable; the law is that of ``core.camera``.

    Shape: yaw, pitch (B,) radians; returns (B, 3, 4), columns x, y, z, position.
    """
    zero = torch.zeros_like(yaw)
    position = torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], dim=1)
    x = torch.stack([yaw.cos(), zero, -yaw.sin()], dim=1)
    y = torch.linalg.cross(position, x)
    return torch.stack([x, y, position, position], dim=2)


def camera_rays(poses: Tensor, size: int, half_fov: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rays through pixel centres, row-major.

    Args:
        poses: Camera-to-world matrices.
        size: Side of the picture in pixels.
        half_fov: Half of the angle of view in radians, one for all or one a camera.

    Shape: poses (B, 3, 4), half_fov (B,); returns origins (B, 3), directions (B, R, 3) with optical-axis component 1,
    and
        unit camera-frame directions (1 or B, R, 3).
    """
    tangent = torch.as_tensor(half_fov, dtype=poses.dtype, device=poses.device).tan().reshape(-1, 1, 1)
    centres = (torch.arange(size, device=poses.device, dtype=poses.dtype) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(-centres, centres, indexing="ij")
    plane = torch.stack([x, y], dim=-1).reshape(1, -1, 2) * tangent
    local = torch.cat([plane, torch.full_like(plane[..., :1], -1.0)], dim=-1)  # (1 or B, R, 3)
    directions = local @ poses[:, :, :3].transpose(1, 2)
    return poses[:, :, 3], directions, torch.nn.functional.normalize(local, dim=-1)


def samples_on_rays(
    origins: Tensor, directions: Tensor, view: Tensor, t: Tensor, *, end: float | Tensor, endless: bool
) -> RaySamples:
    """Points and intervals at given depths.

    Args:
        origins: Camera positions.
        directions: Ray directions with optical-axis component 1.
        view: Camera-frame unit directions.
        t: Ascending depths.
        end: Depth where the last interval stops, when it does.
        endless: The last interval is as good as infinite (what a forced background expects).

    Shape: origins (B, 3), directions (B, R, 3), t (B, R, S) or broadcastable.
    """
    t = t.expand(*directions.shape[:2], t.shape[-1])
    length = torch.linalg.vector_norm(directions, dim=-1, keepdim=True)  # (B, R, 1)
    last = torch.full_like(t[..., :1], ENDLESS) if endless else (end - t[..., -1:]).clamp_min(0)
    deltas = torch.cat([t[..., 1:] - t[..., :-1], last], dim=-1) * length
    points = origins[:, None, None] + directions[:, :, None] * t[..., None]
    return RaySamples(points, t, deltas, view)


def stratified_samples(
    poses: Tensor,
    size: int,
    count: int,
    *,
    near: float,
    far: float,
    half_fov: float | Tensor,
    endless: bool,
    jitter: Tensor | None = None,
) -> RaySamples:
    """Evenly spaced samples from ``near``, the last one a step before ``far``.

    Args:
        poses: Camera-to-world matrices.
        size: Side of the picture.
        count: Samples a ray.
        near: First depth.
        far: Depth that is not sampled any more.
        half_fov: Half angle of view, radians.
        endless: See :func:`samples_on_rays`.
        jitter: One number in [0, 1) a ray moves its samples towards the next ("offset sampling").

    Shape: poses (B, 3, 4), jitter (B, R, 1).
    """
    origins, directions, view = camera_rays(poses, size, half_fov)
    t = near + (far - near) / count * torch.arange(count, device=poses.device, dtype=poses.dtype)
    t = t.expand(1, 1, count)
    if jitter is not None:
        t = t + jitter * ((far - near) / count)
    return samples_on_rays(origins, directions, view, t, end=far, endless=endless)


def ray_weights(sdf: Tensor, deltas: Tensor, beta: Tensor, *, force_background: bool) -> tuple[Tensor, Tensor]:
    """Share of each sample in its ray's colour (StyleSDF, equations 3 and 4).

    Density is ``sigmoid(-sdf/β)/β``. Transmittance is taken as the exponential of the accumulated optical depth: the
    same numbers as the product of (1 − a), with better gradients.

    Shape: sdf (B, R, S, 1), deltas (B, R, S), beta (1,); returns weights (B, R, S) and alpha (B, R).
    """
    optical = torch.sigmoid(-sdf[..., 0] / beta) / beta * deltas
    before = torch.cumsum(optical[..., :-1], dim=-1)
    transmittance = torch.exp(-torch.cat([torch.zeros_like(optical[..., :1]), before], dim=-1))
    weights = -torch.expm1(-optical) * transmittance
    if not force_background:
        return weights, weights.sum(dim=-1)
    front = weights[..., :-1]
    rest = 1 - front.sum(dim=-1, keepdim=True)
    return torch.cat([front, rest], dim=-1), torch.ones_like(rest[..., 0])


def composite(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sum along rays, outside autocast: coordinates need all their digits.

    Shape: weights (B, R, S), values (B, R, S, C); returns (B, R, C).
    """
    with full_precision(values):
        return torch.einsum("brs,brsc->brc", weights, values.to(weights.dtype))


def integrate(
    sdf: Tensor,
    rgb_raw: Tensor,
    feature: Tensor,
    t: Tensor,
    deltas: Tensor,
    beta: Tensor,
    force_background: bool,
    points: Tensor | None = None,
) -> VolumeOutput:
    """Integrate field values along rays.

    Args:
        sdf: Signed distances, world units.
        rgb_raw: Colours before the sigmoid.
        feature: Features.
        t: Optical-axis depths.
        deltas: Interval lengths.
        beta: Width of the density's sigmoid, world units.
        force_background: Give the last sample what is left.
        points: World points, for the xyz map.

    Shape: sdf (B, R, S, 1), rgb_raw (B, R, S, 3), feature (B, R, S, W), t and deltas (B, R, S), points (B, R, S, 3).
    """
    weights, alpha = ray_weights(sdf, deltas, beta, force_background=force_background)
    return VolumeOutput(
        composite(weights, 2 * torch.sigmoid(rgb_raw.to(weights.dtype)) - 1),
        composite(weights, feature),
        weights,
        (weights * t).sum(dim=-1),
        None if points is None else composite(weights, points),
        alpha,
    )


def projection_matrix(poses: Tensor, half_fov: float | Tensor) -> Tensor:
    """World → picture: intrinsics (in half pictures) times the inverse pose.

    Shape: poses (B, 3, 4) camera to world, half_fov (B,) radians or one number; returns (B, 3, 4).
    """
    tangent = torch.as_tensor(half_fov, dtype=poses.dtype, device=poses.device).tan().reshape(-1, 1)
    to_camera = poses[:, :, :3].transpose(1, 2)
    shift = -(to_camera @ poses[:, :, 3:])
    scale = torch.cat([1 / tangent, 1 / tangent, torch.ones_like(tangent)], dim=1)
    return torch.cat([to_camera, shift], dim=2) * scale[:, :, None]


def project(points: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
    """Where world points appear.

    Shape: points (B, N, 3), projection (B, 3, 4) from :func:`projection_matrix`; returns uv (B, N, 2), -1 … 1 from
    edge to
        edge with v down, and optical-axis depth (B, N).
    """
    with full_precision(points):
        p = torch.baddbmm(projection[:, None, :, 3], points, projection[:, :, :3].transpose(1, 2))
    depth = -p[..., 2]  # the camera looks along its -z
    return torch.stack([p[..., 0], -p[..., 1]], dim=-1) / depth[..., None], depth
