"""Laws of the pseudo-views (specification §11, items 5 to 8): path, relief, visibility, warp, masks, blends."""

from __future__ import annotations

import math

import pytest
import torch

from core.camera import HALF_FOV
from core.refinement.ellipse import WIDE_PITCH, WIDE_REACH, camera_ellipse, wide_cameras
from core.refinement.pseudo_views import (
    BLUR_KERNEL,
    BORDER_KERNEL,
    Warp,
    blend,
    poisson_blend,
    scaled_kernel,
    soft_mask,
    warp,
)
from core.refinement.relief import depth_tolerance, rasterise, relief_of, seen_from
from core.tensor_camera import camera_frame, project, rays

SIZE = 128
FRONT = torch.tensor([[0.0, 0.0]])
SIDE = torch.tensor([[0.3, 0.1]])
RADIUS = 0.08


def sphere(angles: torch.Tensor, size: int = SIZE) -> tuple[torch.Tensor, torch.Tensor]:
    """Planar depth and hits of a ball of radius 0.08 at the origin."""
    origin, directions = rays(angles, size)
    a = directions.square().sum(-1)
    b = (origin[:, None] * directions).sum(-1)
    under = b * b - a * (origin.square().sum() - RADIUS**2)
    depth = (-b - under.clamp(min=0).sqrt()) / a
    return depth.reshape(1, 1, size, size), (under > 0).reshape(1, 1, size, size)


def texture(size: int = SIZE) -> torch.Tensor:
    steps = torch.linspace(-1, 1, size)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack(((9 * u).sin(), (7 * v).cos(), (5 * (u + v)).sin()))[None] * 0.8


def psnr(x: torch.Tensor, y: torch.Tensor) -> float:
    return -10 * math.log10((x - y).square().mean().item() / 4)


def test_the_ellipse_is_the_published_one() -> None:
    path = camera_ellipse()
    assert len(path) == 30
    assert max(c.yaw for c in path) == pytest.approx(0.35, abs=0.003)
    assert min(c.yaw for c in path) == pytest.approx(-0.35, abs=0.003)
    assert min(c.pitch for c in path) == pytest.approx(-0.1277, abs=1e-4)
    assert max(c.pitch for c in path) == pytest.approx(0.1922, abs=1e-4)
    assert all(float((c.position**2).sum()) == pytest.approx(1.0) for c in path)
    assert camera_ellipse(4, (0.2, 0.1))[1].yaw == pytest.approx(0.55)
    with pytest.raises(ValueError, match="camera"):
        camera_ellipse(0)


def test_wide_cameras_look_from_both_sides_farther_and_farther_from_above_and_below() -> None:
    centre = (0.2, -0.1)
    cameras = wide_cameras(8, centre)
    turns = [camera.yaw - centre[0] for camera in cameras]
    assert [turn > 0 for turn in turns] == [True, False] * 4
    assert [abs(turn) for turn in turns[::2]] == pytest.approx([WIDE_REACH[0], 0.767, 0.933, WIDE_REACH[1]], abs=1e-3)
    assert [abs(turn) for turn in turns[1::2]] == pytest.approx([abs(turn) for turn in turns[::2]])
    pitches = [camera.pitch - centre[1] for camera in cameras]
    assert sorted({round(pitch, 6) for pitch in pitches}) == [-WIDE_PITCH, WIDE_PITCH]
    for side in (0, 1):  # each side is seen from above and from below
        assert len({round(pitch, 6) for pitch in pitches[side::2]}) == 2
    assert wide_cameras(0) == ()
    assert len(wide_cameras(1)) == 1


def test_the_tolerance_is_that_of_the_reference_at_its_scale() -> None:
    assert depth_tolerance(1.0, 512) == pytest.approx(6.5e-4, rel=0.02)


def test_a_relief_drawn_from_its_own_camera_is_its_depth_map() -> None:
    depth, solid = sphere(SIDE)
    relief = relief_of(depth, solid, SIDE)
    drawn = rasterise(relief.points, relief.faces, SIDE, SIZE)
    assert (drawn.depth - depth[0, 0])[drawn.covered].abs().max() < 1e-5
    assert (solid[0, 0] & ~drawn.covered).float().sum() < 4 * SIZE
    assert drawn.weights[drawn.covered].sum(-1).sub(1).abs().max() < 1e-4


def test_nothing_solid_is_refused() -> None:
    with pytest.raises(ValueError, match="solid"):
        relief_of(torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool), FRONT)


def test_at_the_photos_own_pose_the_warp_is_the_photo() -> None:
    depth, solid = sphere(SIDE)
    photo = texture()
    carried = warp(relief_of(depth, solid, SIDE), photo, SIDE, SIDE, SIZE)
    inside = (carried.visible > 0.5).expand(-1, 3, -1, -1)
    assert inside.float().mean() > 0.3
    assert psnr(carried.picture[inside], photo[inside]) > 35


def test_what_is_seen_of_a_sphere_is_its_co_visible_part() -> None:
    depth, solid = sphere(FRONT)
    carried = warp(relief_of(depth, solid, FRONT), texture(), FRONT, SIDE, SIZE)
    target_depth, target_solid = sphere(SIDE)
    origin, directions = rays(SIDE, SIZE)
    points = origin[:, None] + directions * target_depth.reshape(1, -1, 1)
    position, _ = camera_frame(FRONT)
    towards = torch.nn.functional.normalize(position[:, None] - points, dim=-1)
    cosine = (points / RADIUS * towards).sum(-1).reshape(1, 1, SIZE, SIZE)
    truth = (target_solid & (cosine > 0.15)).float()
    # Within two pixels: eroded truth is contained, and nothing lies outside the grown truth.
    smaller = -torch.nn.functional.max_pool2d(-truth, 5, 1, 2)
    larger = torch.nn.functional.max_pool2d(truth, 5, 1, 2)
    assert (smaller * (1 - carried.visible)).sum() == 0
    assert (carried.visible * (1 - larger)).sum() == 0


def test_a_plane_is_warped_by_its_homography() -> None:
    depth, solid = torch.ones(1, 1, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    photo = texture()
    carried = warp(relief_of(depth, solid, FRONT), photo, FRONT, SIDE, SIZE)
    # The plane z = 0 in closed form: where each ray of the target meets it, seen by the source.
    origin, directions = rays(SIDE, SIZE)
    t = -origin[:, None, 2:] / directions[..., 2:]
    uv, _ = project(origin[:, None] + directions * t, FRONT)
    wanted = torch.nn.functional.grid_sample(photo, uv.reshape(1, SIZE, SIZE, 2), align_corners=False)
    inside = (uv.abs().amax(-1) < 0.97).reshape(SIZE, SIZE)
    assert inside.float().mean() > 0.5
    assert carried.covered[0, 0][inside].all()
    assert (carried.picture - wanted)[..., inside].abs().max() < 0.01


def test_a_step_edge_flags_the_sheet_and_neither_plane() -> None:
    depth = torch.ones(1, 1, SIZE, SIZE)
    depth[..., SIZE // 2 :] = 1.05
    relief = relief_of(depth, torch.ones_like(depth, dtype=torch.bool), FRONT)
    spans = depth.reshape(-1)[relief.faces]
    crossing = spans.amax(1) != spans.amin(1)
    assert crossing.any()
    assert relief.sheet[crossing].all()
    assert not relief.sheet[~crossing].any()
    carried = warp(relief, texture(), FRONT, torch.tensor([[0.3, 0.0]]), SIZE)
    assert ((carried.covered > 0) & (carried.visible == 0)).any()


def test_points_behind_the_buffer_are_hidden() -> None:
    buffer = torch.full((SIZE, SIZE), 0.95)
    points = torch.tensor([[0.0, 0.0, 0.05], [0.0, 0.0, 0.0], [0.5, 0.0, 0.05]])
    assert seen_from(points, FRONT, buffer).tolist() == [True, False, False]


def test_kernels_scale_with_the_picture_and_stay_odd() -> None:
    assert [scaled_kernel(k, 512) for k in (3, BORDER_KERNEL, BLUR_KERNEL)] == [3, 51, 21]
    assert [scaled_kernel(k, 256) for k in (3, BORDER_KERNEL, BLUR_KERNEL)] == [1, 25, 11]
    assert all(scaled_kernel(k, s) % 2 == 1 for k in range(1, 60) for s in (64, 100, 256, 1024))


def test_the_mask_lies_within_what_is_visible_and_fades() -> None:
    depth, solid = sphere(FRONT)
    carried = warp(relief_of(depth, solid, FRONT), texture(), FRONT, SIDE, SIZE)
    mask = soft_mask(carried)
    assert mask.min() >= 0
    assert mask.max() > 0.99
    assert (mask * (1 - carried.covered)).max() == 0
    assert ((mask > 0.05) & (mask < 0.95)).any()
    assert soft_mask(carried, border=11).sum() > mask.sum()
    whole = Warp(*(torch.ones(1, c, SIZE, SIZE) for c in (3, 1, 1, 1)))
    assert soft_mask(whole).min() > 0.999


def test_blends_reproduce_their_ends() -> None:
    carried, generated = texture(), texture().flip(-1)
    one, zero = torch.ones(1, 1, SIZE, SIZE), torch.zeros(1, 1, SIZE, SIZE)
    assert torch.equal(blend(carried, generated, one), carried)
    assert torch.equal(blend(carried, generated, zero), generated)
    assert torch.allclose(poisson_blend(carried, generated, zero), generated)


def test_poisson_takes_the_gradients_and_leaves_the_rim() -> None:
    generated = 0.3 * texture()
    carried = generated + 0.4  # the same but for its brightness: nothing may change
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 30:90, 40:100] = 1
    assert (poisson_blend(carried, generated, mask) - generated).abs().max() < 1e-3
    other = 0.3 * texture().flip(-2) + 0.2
    mixed = poisson_blend(other, generated, mask)
    assert torch.equal(mixed[..., :28, :], generated[..., :28, :])
    middle = (..., slice(45, 75), slice(55, 85))

    def bend(picture: torch.Tensor) -> torch.Tensor:
        return sum(torch.diff(picture, n=2, dim=d)[middle] for d in (-1, -2))

    assert (bend(mixed) - bend(other)).abs().mean() < 0.05 * (bend(generated) - bend(other)).abs().mean()


def test_the_focal_of_the_specification() -> None:
    assert 0.5 / math.tan(HALF_FOV) == pytest.approx(4.7572, abs=1e-4)
