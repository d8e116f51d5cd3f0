"""Outlines: a ball's is a circle, at any size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.rendering.outline import SOFT_EDGE, coverage, outline, rim_of, with_rim
from core.rendering.surfaces import SurfaceMap
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


def test_what_coarse_rays_missed_is_found_again() -> None:
    """The lowest rows of the ball were not hit; the outline is the ball's all the same."""
    angles, size = torch.zeros(1, 2), 128
    hit = hit_of(size, angles)
    rows = hit[0, 0].amax(dim=1).nonzero()[:, 0]
    cut = int(rows[-1]) - 8
    missed = hit.clone()
    missed[:, :, cut:] = 0.0
    whole, found = (coverage(outline(ball, lambda x: ball(x)[..., None], angles, one), 512) for one in (hit, missed))
    assert float((whole - found).abs().max()) < 0.01


def test_a_crumb_beside_the_head_is_left_out_and_leaves_no_dots() -> None:
    crumb, angles = torch.tensor((0.08, 0.0, 0.0)), torch.zeros(1, 2)

    def both(points: Tensor) -> Tensor:
        return torch.minimum(ball(points), (points - crumb).norm(dim=-1) - 0.0012)

    hit = hit_of(128, angles)
    alone = coverage(outline(ball, lambda x: ball(x)[..., None], angles, hit), 512)
    column = round((0.08 / math.tan(HALF_FOV) + 1.0) * 64)
    hit[0, 0, 63:65, column - 1 : column + 1] = 1.0
    beside = coverage(outline(both, lambda x: both(x)[..., None], angles, hit), 512)
    assert float((alone - beside).abs().max()) < 0.01


def test_what_stands_behind_the_rim_has_a_depth_of_its_own() -> None:
    """A larger ball behind shows beside the first by less than two pixels, where no ray of the map met it."""
    angles, size = torch.zeros(1, 2), 128
    pixel = 2.0 * math.tan(HALF_FOV) / size

    def both(points: Tensor) -> Tensor:
        return torch.minimum(
            ball(points), (points + torch.tensor((0.0, 0.0, 0.04))).norm(dim=-1) - RADIUS - 3.5 * pixel
        )

    hit = hit_of(size, angles)
    surface = SurfaceMap(torch.full_like(hit, 0.95), torch.zeros(1, 3, size, size), hit)
    rim = rim_of(both, lambda x: both(x)[..., None], angles, hit)
    found = with_rim(surface, rim, angles)
    new = (found.hit > 0.5) & (hit < 0.5)
    assert new.sum() > 100
    assert (found.depth[new] > 1.0).all(), "the ball behind, and not the depth of the one before it"
    assert torch.equal(found.depth[~new], surface.depth[~new])
    distance = both(found.points.permute(0, 2, 3, 1))[None][new]
    assert distance.abs().max() < 2.5 * pixel
    assert (
        with_rim(surface, rim_of(ball, lambda x: ball(x)[..., None], angles, hit), angles).hit.sum() < hit.sum() * 1.08
    )
