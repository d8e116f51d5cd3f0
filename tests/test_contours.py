"""Contours within a head: a ball before a wall has a round edge, at any size."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.rendering.contours import Beside, Contours, beside_contours, contours, mixed_guide
from core.rendering.surfaces import SurfaceMap
from core.tensor_camera import rays, unproject
from core.visibility import SourceView

RADIUS, BEFORE, WALL = 0.035, 0.06, 0.0
FRONT = torch.zeros(1, 2)


def scene(points: Tensor) -> Tensor:
    """A ball that floats before a wall."""
    ball = (points - points.new_tensor((0.0, 0.0, BEFORE))).norm(dim=-1) - RADIUS
    return torch.minimum(ball, points[..., 2] - WALL)


def wall(points: Tensor) -> Tensor:
    return points[..., 2] - WALL


def seen(size: int, what: Callable[[Tensor], Tensor] = scene, angles: Tensor = FRONT) -> SurfaceMap:
    origin, directions = rays(angles, size)
    depth = torch.full((size * size,), NEAR)
    for _ in range(200):
        depth = depth + 0.7 * what(origin[0] + directions[0] * depth[:, None])
    depth = depth.clamp(max=FAR).reshape(1, 1, size, size)
    return SurfaceMap(depth, unproject(depth, angles), (depth < FAR).float())


def layers_of(size: int) -> Contours:
    found = contours(seen(size), scene, lambda x: scene(x)[..., None], FRONT)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [64, 128])
def test_the_edge_of_a_ball_is_a_circle_to_a_fraction_of_a_pixel(size: int) -> None:
    layers = layers_of(size)
    gap = functional.interpolate(layers.gap, size=512, mode="bicubic", align_corners=False)
    near = functional.interpolate(layers.zone, size=512, mode="nearest-exact")[0, 0] > 0.5
    pixel = 2.0 * math.tan(HALF_FOV) / 512
    share = (0.5 - gap / pixel).clamp(0, 1)
    # The camera stands at distance 1: the ball's centre is nearer by as much as it stands before the middle.
    radius = math.tan(math.asin(RADIUS / (1.0 - BEFORE))) / math.tan(HALF_FOV) * 256
    line = torch.arange(512) + 0.5 - 256
    away = (line[:, None] ** 2 + line[None] ** 2).sqrt() - radius
    true, found = (0.5 - away).clamp(0, 1)[near], share[0, 0][near]
    assert 0.0 == float(true.min()) < float(true.max()) == 1.0
    assert float((found - true).abs().max()) < 0.12 * 512 / size
    assert float(found.sum() - true.sum()) == pytest.approx(0.0, abs=0.004 * math.pi * radius**2)


def test_both_parts_go_on_behind_the_edge() -> None:
    layers = layers_of(128)
    beside = (layers.zone > 0.5) & (layers.back > layers.front + 0.01)
    assert beside.any()
    assert float((layers.back[beside] - 1.0).abs().max()) < 0.002  # the wall
    assert float(layers.front[beside].max()) < 1.0 - BEFORE + 0.01  # the ball's edge


def test_a_wall_and_a_slope_have_no_contours() -> None:
    def slope(points: Tensor) -> Tensor:
        return (points[..., 2] - 3.0 * points[..., 0]) / math.sqrt(10.0)

    for what in (wall, slope):
        assert contours(seen(64, what), what, lambda x, what=what: what(x)[..., None], FRONT) is None


def test_rays_that_missed_within_a_head_are_given_the_part_they_belong_to() -> None:
    whole = seen(128)
    hit = whole.hit.clone()
    hit[..., 64, 70:100:7] = 0.0  # across the ball's edge
    depth = torch.where(hit > 0.5, whole.depth, whole.depth.mean())
    found = contours(SurfaceMap(depth, whole.points, hit), scene, lambda x: scene(x)[..., None], FRONT)
    assert found is not None
    there = (found.missed > 0.5) & (found.zone > 0.5)
    assert there.any()
    assert float((found.gap[there] - layers_of(128).gap[there]).abs().max()) < 0.002


def beside(size: int) -> Beside | None:
    return beside_contours(layers_of(64), size, FRONT)


def painted(size: int = 256) -> SourceView:
    """A photo of the scene, the ball red and the wall blue, believed everywhere."""
    surface = seen(size)
    photo = torch.full((1, 3, size, size), -1.0)
    ball = surface.depth < 0.99
    photo[:, 0:1][ball], photo[:, 2:3][~ball] = 1.0, 1.0
    ones = torch.ones_like(surface.depth)
    normals = torch.cat((0 * ones, 0 * ones, ones), dim=1)
    return SourceView(photo, surface.depth, ones, normals, FRONT)


def test_a_guide_mixes_front_and_back_by_how_much_of_a_pixel_they_cover() -> None:
    found = torch.zeros(1, 6, 256, 256)
    found[:, 4] = 1.0
    mixed = mixed_guide(found, beside(256), painted(), FRONT)
    asked = mixed[:, 3] > 0.0
    assert 0.002 < float(asked.float().mean()) < 0.1  # the edge, nothing else
    red, blue = mixed[:, 0][asked], mixed[:, 2][asked]
    torch.testing.assert_close(red, -blue, atol=2e-3, rtol=0)
    assert ((red > -0.6) & (red < 0.6)).any()  # pixels that both cover


def test_beside_the_head_nothing_is_mixed() -> None:
    found = torch.zeros(1, 6, 256, 256)
    assert (mixed_guide(found, beside(256), painted(), FRONT) == 0.0).all()
