"""Outlines: a ball's is a circle, at any size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.rendering.outline import SOFT_EDGE, coverage, outline
from core.tensor_camera import rays

RADIUS = 0.06


def ball(points: Tensor) -> Tensor:
    return points.norm(dim=-1) - RADIUS


def hit_of(size: int, angles: Tensor) -> Tensor:
    origin, directions = rays(angles, size)
    unit = torch.nn.functional.normalize(directions[0], dim=-1)
    nearest = origin[0] - (origin[0] * unit).sum(-1, keepdim=True) * unit
    return (nearest.norm(dim=-1) < RADIUS).float().reshape(1, 1, size, size)


@pytest.mark.parametrize("size", [64, 128])
def test_the_outline_of_a_ball_is_a_circle_to_a_fraction_of_a_pixel(size: int) -> None:
    angles = torch.tensor([[0.4, -0.2]])
    rim = outline(ball, lambda x: ball(x)[..., None], angles, hit_of(size, angles))
    alpha = coverage(rim, 512)
    assert float(alpha.min()) == 0.0
    assert float(alpha.max()) == 1.0
    # A ray misses by its distance from the centre less the radius: a circle in the picture.
    radius = math.tan(math.asin(RADIUS + SOFT_EDGE)) / math.tan(HALF_FOV) * 256
    line = torch.arange(512) + 0.5 - 256
    away = (line[:, None] ** 2 + line[None] ** 2).sqrt() - radius
    wrong = (alpha[0, 0] - (0.5 - away).clamp(0, 1)).abs()
    assert float(wrong.max()) < 0.1 * 512 / size
    assert float(alpha.sum()) == pytest.approx(math.pi * radius**2, rel=0.003)


def test_a_head_that_fills_the_picture_has_no_rim() -> None:
    rim = outline(ball, lambda x: ball(x)[..., None], torch.zeros(1, 2), torch.ones(1, 1, 32, 32))
    assert (coverage(rim, 64) == 1.0).all()
