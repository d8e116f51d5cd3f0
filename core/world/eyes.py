"""Eyeballs: spheres that turn with the gaze, with an iris that the shader draws from the angle to the axis."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

IRIS_ANGLE = 0.46  # radians from the axis to the iris's edge


@lru_cache(maxsize=1)
def eyeball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit sphere around the axis +z: vertices (n, 3), triangles (f, 3), uv (n, 2).

    uv = direction's x, y scaled so that the iris's edge lies at radius 1: polar coordinates without a seam.
    """
    rings, segments = 26, 32
    polar = np.concatenate([np.linspace(0.0, 0.8, 16), np.linspace(0.9, np.pi, rings - 16)])
    turn = np.arange(segments) / segments * 2 * np.pi
    grid = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(turn),
            np.sin(polar)[:, None] * np.sin(turn),
            np.repeat(np.cos(polar)[:, None], segments, 1),
        ],
        -1,
    ).reshape(-1, 3)
    planar = np.stack(
        [polar[:, None] * np.cos(turn) / IRIS_ANGLE, polar[:, None] * np.sin(turn) / IRIS_ANGLE], -1
    ).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    a, b = i * segments + j, i * segments + (j + 1) % segments
    c, d = a + segments, b + segments
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return grid.astype(np.float32), triangles.astype(np.int32), planar.astype(np.float32)


def gaze_rotation(yaw: float, pitch: float) -> np.ndarray:
    """Rotation (3, 3) that turns +z towards yaw (to +x) and pitch (up), radians."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return around_y @ around_x
