"""The one law of frames, axes and units.

World: right-handed, the head's middle at the origin, y up, the face looks towards +z. A camera sits on the unit sphere
and looks at the origin, along -z of its own frame (x right, y up), which is also OpenGL's frame. Yaw (azimuth) moves it
towards +x, pitch (elevation) towards +y, both in radians. Images: u to the right, v *down*, both -1..1 from edge to
edge; pixel centres at i + 0.5. Depth is measured along the optical axis, not along the ray. These are the conventions
of StyleSDF (Or-El et al., CVPR 2022) and of its released weights. No other file may flip an axis.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

DISTANCE = 1.0
"""Distance of every camera from the origin; all lengths are in units of it."""
SCENE_RADIUS = 0.12
"""Radius of the sphere that holds the head."""
NEAR = DISTANCE - SCENE_RADIUS
FAR = DISTANCE + SCENE_RADIUS
HALF_FOV = math.radians(6.0)
"""Half of the field of view that the generators were trained with (StyleSDF: 12 degrees in full)."""
YAW_SPREAD = 0.3
"""Standard deviation of the yaw of StyleSDF's training cameras; its trajectories are multiples of it."""
PITCH_SPREAD = 0.15
"""Standard deviation of the pitch of StyleSDF's training cameras."""
TURNTABLE_YAW = 0.6
"""Reach of a turntable when no limits are given, in radians: as far as the command line's row of views."""


@dataclass(frozen=True)
class CameraLimits:
    """The cameras a model was trained for: part of its input contract."""

    yaw: float
    """Largest yaw to either side, in radians."""
    pitch_low: float
    """Lowest pitch, in radians (negative: from below)."""
    pitch_high: float
    """Highest pitch, in radians."""

    def __post_init__(self) -> None:
        if self.yaw < 0.0 or self.pitch_low > self.pitch_high:
            raise ValueError(f"camera limits are empty: {self}")

    def contains(self, camera: "Camera") -> bool:
        """Whether the camera lies within the limits, the border included."""
        return abs(camera.yaw) <= self.yaw and self.pitch_low <= camera.pitch <= self.pitch_high


@dataclass(frozen=True)
class Camera:
    """A camera on the unit sphere that looks at the origin."""

    yaw: float = 0.0
    """Azimuth in radians; positive moves the camera towards +x."""
    pitch: float = 0.0
    """Elevation in radians, -pi/2..pi/2; positive moves the camera up."""
    half_fov: float = HALF_FOV
    """Half of the field of view in radians, the same in both directions."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.yaw) and math.isfinite(self.pitch)):
            raise ValueError(f"a camera needs finite angles, got yaw {self.yaw}, pitch {self.pitch}")
        if abs(self.pitch) > math.pi / 2 + 1e-9:
            raise ValueError(f"pitch must lie within -pi/2..pi/2, got {self.pitch}")
        if not 0.0 < self.half_fov < math.pi / 2:
            raise ValueError(f"half_fov must lie within 0..pi/2, got {self.half_fov}")

    @property
    def position(self) -> Array:
        """Where the camera stands in the world, ``(3,)``."""
        return DISTANCE * self.rotation[:, 2]

    @property
    def rotation(self) -> Array:
        """Camera to world, ``(3, 3)``: its columns are the camera's x (right), y (up) and z (backwards) axes."""
        sin_yaw, cos_yaw = math.sin(self.yaw), math.cos(self.yaw)
        sin_pitch, cos_pitch = math.sin(self.pitch), math.cos(self.pitch)
        z = np.array([cos_pitch * sin_yaw, sin_pitch, cos_pitch * cos_yaw])
        # normalise(up x z) in closed form: the same for every camera, and still defined straight above the head.
        x = np.array([cos_yaw, 0.0, -sin_yaw])
        return np.stack([x, np.cross(z, x), z], axis=1)

    def pose(self) -> Array:
        """Camera to world, ``(3, 4)``: columns x, y, z and the position."""
        return np.concatenate([self.rotation, self.position[:, None]], axis=1)

    def extrinsics(self) -> Array:
        """World to camera, ``(3, 4)``: the exact inverse of ``pose``."""
        to_camera = self.rotation.T
        return np.concatenate([to_camera, -(to_camera @ self.position)[:, None]], axis=1)

    def focal(self, size: int) -> float:
        """Focal length in pixels of a square picture of ``size`` pixels a side."""
        return 0.5 * size / math.tan(self.half_fov)

    def rays(self, size: int) -> tuple[Array, Array]:
        """The ray of every pixel centre.

        Args:
            size: pixels a side.

        Returns:
            Origin ``(3,)`` and directions ``(size, size, 3)`` in world coordinates, row then column. Directions are not
            normalised: one unit of the parameter is one unit of depth along the optical axis.
        """
        steps = (np.arange(size) + 0.5 - 0.5 * size) / self.focal(size)
        right, down = np.meshgrid(steps, steps, indexing="xy")
        in_camera = np.stack([right, -down, -np.ones_like(right)], axis=-1)
        return self.position, in_camera @ self.rotation.T

    def project(self, points: ArrayLike) -> tuple[Array, Array]:
        """Where world points appear in the picture.

        Args:
            points: ``(..., 3)`` world coordinates.

        Returns:
            uv ``(..., 2)``, -1..1 inside the picture, v down; and depth ``(...)`` along the optical axis. A point with
            depth <= 0 lies behind the camera and its uv means nothing.
        """
        matrix = self.extrinsics()
        in_camera = np.asarray(points, dtype=np.float64) @ matrix[:, :3].T + matrix[:, 3]
        depth = -in_camera[..., 2]
        safe = np.where(depth == 0.0, np.finfo(np.float64).tiny, depth)
        scale = 1.0 / math.tan(self.half_fov)
        with np.errstate(over="ignore"):
            uv = np.stack([in_camera[..., 0], -in_camera[..., 1]], axis=-1) * scale / safe[..., None]
        return uv, depth

    def view_matrix(self) -> Array:
        """OpenGL view matrix, ``(4, 4)``, to be multiplied from the left onto column vectors."""
        return np.concatenate([self.extrinsics(), [[0.0, 0.0, 0.0, 1.0]]], axis=0)

    def projection_matrix(self, near: float = NEAR, far: float = FAR) -> Array:
        """OpenGL projection matrix, ``(4, 4)``; depth ``near`` maps to -1 and ``far`` to +1."""
        if not 0.0 < near < far:
            raise ValueError(f"need 0 < near < far, got {near}, {far}")
        scale = 1.0 / math.tan(self.half_fov)
        return np.array(
            [
                [scale, 0.0, 0.0, 0.0],
                [0.0, scale, 0.0, 0.0],
                [0.0, 0.0, -(far + near) / (far - near), -2.0 * far * near / (far - near)],
                [0.0, 0.0, -1.0, 0.0],
            ]
        )

    def orbited(self, dyaw: float, dpitch: float) -> "Camera":
        """This camera moved around the head; yaw wraps to -pi..pi, pitch stops at the poles."""
        yaw = math.remainder(self.yaw + dyaw, math.tau)
        pitch = min(max(self.pitch + dpitch, -math.pi / 2), math.pi / 2)
        return replace(self, yaw=yaw, pitch=pitch)

    def clamped(self, limits: CameraLimits) -> "Camera":
        """The nearest camera within the limits; this very camera when it lies within them already."""
        if limits.contains(self):
            return self
        yaw = min(max(math.remainder(self.yaw, math.tau), -limits.yaw), limits.yaw)
        return replace(self, yaw=yaw, pitch=min(max(self.pitch, limits.pitch_low), limits.pitch_high))


def ellipsoid_path(n: int) -> tuple[Camera, ...]:
    """StyleSDF's ellipse around the front: 1.5 spreads wide and high; the last camera equals the first."""
    return tuple(
        Camera(1.5 * YAW_SPREAD * math.cos(math.tau * t), 1.5 * PITCH_SPREAD * math.sin(math.tau * t))
        for t in _fractions(n)
    )


def azimuth_path(n: int) -> tuple[Camera, ...]:
    """E3DGE's azimuth sweep: once from +0.45 to -0.45 rad at pitch 0."""
    return tuple(Camera(1.5 * YAW_SPREAD * math.cos(math.pi * t)) for t in _fractions(n))


def turntable_path(n: int, limits: CameraLimits | None = None) -> tuple[Camera, ...]:
    """A closed loop for a video: from the front to one side, to the other and back, at level height.

    Args:
        n: number of cameras; the one after the last would be the first again.
        limits: how far to go; a model for the whole way round (yaw >= pi) gets one full turn.

    Returns:
        The cameras in order.
    """
    if n < 1:
        raise ValueError(f"a path needs at least one camera, got {n}")
    reach = TURNTABLE_YAW if limits is None else limits.yaw
    pitch = 0.0 if limits is None else min(max(0.0, limits.pitch_low), limits.pitch_high)
    if reach >= math.pi:
        return tuple(Camera(math.remainder(math.tau * k / n, math.tau), pitch) for k in range(n))
    return tuple(Camera(reach * math.sin(math.tau * k / n), pitch) for k in range(n))


def _fractions(n: int) -> list[float]:
    if n < 1:
        raise ValueError(f"a path needs at least one camera, got {n}")
    return [float(t) for t in np.linspace(0.0, 1.0, n)]
