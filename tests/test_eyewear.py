"""Laws of the glasses: thin and dark before the face, hidden behind it, nothing elsewhere, and closed as a mesh."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.rendering.eyewear import Eyewear, eyewear_on
from core.tensor_camera import project, rays

RADIUS = 0.062
CORNERS = {33: (-0.0345, 0.0), 133: (-0.0135, 0.0), 263: (0.0345, 0.0), 362: (0.0135, 0.0), 168: (0, 0.002), 6: (0, 0)}


def on_ball(x: float, y: float) -> np.ndarray:
    return np.array((x, y, (RADIUS**2 - x**2 - y**2) ** 0.5))


def glasses(strength: float = 1.0) -> Eyewear:
    landmarks = {number: on_ball(*place) for number, place in CORNERS.items()}
    return eyewear_on(landmarks, lambda points: np.linalg.norm(points, axis=-1) - RADIUS, strength)


def worn(yaw: float, strength: float = 1.0, size: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """A light ball with glasses: picture and alpha."""
    angles = torch.tensor([[yaw, 0.0]])
    origin, ahead = rays(angles, size)
    b = (origin[:, None] * ahead).sum(-1)
    a = ahead.square().sum(-1)
    inner = b.square() - a * (1.0 - RADIUS**2)
    hit = (inner > 0).float().reshape(1, 1, size, size)
    depth = ((-b - inner.clamp(min=0).sqrt()) / a).reshape(1, 1, size, size)
    return glasses(strength).worn(torch.full((1, 3, size, size), 0.5), hit, depth, hit, angles)


def looked_at(picture: torch.Tensor, point: np.ndarray, yaw: float) -> float:
    place = project(torch.from_numpy(point).float()[None, None], torch.tensor([[yaw, 0.0]]))[0][0, 0]
    u, v = ((place + 1) * 0.5 * picture.shape[-1]).long().tolist()
    return float(picture[0, :, v, u].mean())


def test_rims_are_thin_and_dark_and_lenses_clear() -> None:
    picture, alpha = worn(0.0)
    rim = glasses().rims[1]
    assert looked_at(picture, rim[0], 0.0) < -0.4
    assert looked_at(picture, rim.mean(axis=0), 0.0) > 0.4
    dark = (picture.mean(dim=1) < 0.0).float().mean()
    assert 0.005 < dark < 0.06
    assert alpha.min() >= 0.0


def test_the_far_temple_is_hidden_by_the_head() -> None:
    picture, _ = worn(0.6)
    near, far = (arm[len(arm) // 2] for arm in glasses().arms[:0:-1])
    assert looked_at(picture, near, 0.6) < 0.0
    assert looked_at(picture, far, 0.6) > 0.3


def test_rims_stand_before_the_face_in_profile() -> None:
    _, without = worn(1.2, strength=0.0)
    _, alpha = worn(1.2)
    assert (alpha - without).clamp(min=0).sum() > 20


def test_no_strength_draws_nothing() -> None:
    picture, _ = worn(0.3, strength=0.0)
    assert (picture - 0.5).abs().max() < 1e-6


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_half_of_the_strength_is_half_of_the_darkness(strength: float) -> None:
    picture, _ = worn(0.0, strength)
    full, _ = worn(0.0, 1.0)
    assert abs(float((0.5 - picture).mean() / (0.5 - full).mean()) - strength) < 0.1


def test_tubes_are_closed() -> None:
    vertices, faces, normals = glasses().tubes()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)  # all faces are turned the same way
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    across = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    outward = (across * normals[faces].mean(axis=1)).sum(axis=1)
    assert (outward > 0).mean() > 0.95
