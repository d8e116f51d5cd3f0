"""Thin-rimmed glasses: rims, bridge and temples as tubes around the eyes, lenses as faint flat faces."""

from __future__ import annotations

import numpy as np


def tube(path: np.ndarray, radius: float, *, closed: bool, sides: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A tube along a polyline: vertices (n, 3), triangles (f, 3)."""
    count = len(path)
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-12)
    up = np.where(np.abs(along[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    first = np.cross(along, np.tile([[0.0, 0.0, 1.0]], (count, 1)) if closed else up)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-12
    second = np.cross(along, first)
    turn = np.arange(sides) / sides * 2 * np.pi
    ring = first[:, None] * np.cos(turn)[:, None] + second[:, None] * np.sin(turn)[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(count if closed else count - 1), np.arange(sides), indexing="ij")
    a, b = i * sides + j, i * sides + (j + 1) % sides
    c, d = (i + 1) % count * sides + j, (i + 1) % count * sides + (j + 1) % sides
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    return vertices, triangles


def build(
    eyes: np.ndarray, bridge: np.ndarray, ears: np.ndarray, front: float, style: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Frame and lens meshes.

    Args:
        eyes: (2, 3) eye centres, the head's left first.
        bridge: (3,) point on the ridge of the nose.
        ears: (2, 3) points above the ears.
        front: z of the lens plane.
        style: (8,) standard normal: width, height, roundness, rim, ...

    Returns:
        (vertices, triangles) of the frame and of the lenses, in the unit of the eyes.
    """
    apart = float(abs(eyes[0, 0] - eyes[1, 0]))
    half_width = apart * (0.385 + 0.025 * np.tanh(style[0]))
    half_height = half_width * (0.74 + 0.12 * np.tanh(style[1]))
    power = 2.0 + 1.6 * (1 + np.tanh(style[2]))
    # Two to four millimetres across: thinner wires are less than a pixel, which neither a field nor a picture can hold.
    rim = apart * (0.016 + 0.019 * max(0.0, float(np.tanh(style[3]))))
    turn = np.arange(40) / 40 * 2 * np.pi
    cos, sin = np.cos(turn), np.sin(turn)
    outline = np.stack(
        [
            np.sign(cos) * np.abs(cos) ** (2 / power) * half_width,
            np.sign(sin) * np.abs(sin) ** (2 / power) * half_height,
        ],
        1,
    )
    frame, lens = [], []
    for eye, ear in zip(eyes, ears, strict=True):
        side = np.sign(eye[0])
        middle = np.array([side * (apart / 2 + 0.015 * apart), eye[1] - 0.05 * apart, front])
        path = np.concatenate([middle[:2] + outline, np.full((len(outline), 1), front)], 1)
        path[:, 2] -= 0.16 * (np.abs(path[:, 0]) - apart * 0.1).clip(0) ** 2 / apart  # face wrap
        frame.append(tube(path, rim, closed=True))
        lens.append((np.concatenate([path, middle[None] - [0, 0, 0.01 * apart]]), np.array(
            [[k, (k + 1) % len(path), len(path)] for k in range(len(path))]
        )))  # fmt: skip
        hinge = np.array([side * (abs(middle[0]) + half_width), middle[1] + 0.35 * half_height, path[:, 2].min()])
        behind = ear + np.array([side * 0.0, 0.0, 0.0])
        drop = behind + np.array([0.0, -0.25 * apart, -0.25 * apart])
        share = np.linspace(0, 1, 8)[:, None]
        temple = np.concatenate([hinge * (1 - share) + behind * share, drop[None]])
        frame.append(tube(temple, rim * 0.9, closed=False))
    inner = apart / 2 + 0.015 * apart - half_width
    arc = np.linspace(-1, 1, 9)
    across = np.stack(
        [
            arc * inner,
            bridge[1] + 0 * arc + 0.02 * apart * (1 - arc**2),
            np.full(9, front) + 0.03 * apart * (1 - arc**2),
        ],
        1,
    )
    across[:, 1] = eyes[:, 1].mean() + 0.06 * apart + 0.05 * apart * (1 - arc**2)
    frame.append(tube(across, rim, closed=False))
    return _join(frame), _join(lens)


def _join(meshes: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    vertices, triangles, start = [], [], 0
    for points, faces in meshes:
        vertices.append(points)
        triangles.append(faces + start)
        start += len(points)
    return np.concatenate(vertices).astype(np.float32), np.concatenate(triangles).astype(np.int32)
