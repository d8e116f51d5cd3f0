"""Framing, projection and warps: the batched camera law of training agrees with the law itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.camera import Camera
from core.training.views import (
    HALF_FOV,
    canonical_points,
    crop,
    ffhq_framing,
    frame_points,
    pixel_grid,
    project,
    rays,
    rotate,
)
from core.training.warps import reframed, sample, transformed, warped

# A face whose FFHQ quad is exactly the picture: 2 |x| = 1, centred, upright.
EYES = torch.tensor([[[0.375, 0.0], [0.625, 0.0]]])
MOUTH = torch.tensor([[[0.45, 0.0], [0.55, 0.0]]])
EYES_TO_MOUTH = 1 / 3.6  # 1.8 |e2m| = .5, which exceeds 2 |e2e| - .5 by nothing


def canonical_face() -> tuple[torch.Tensor, torch.Tensor]:
    eyes, mouth = EYES.clone(), MOUTH.clone()
    eyes[..., 1] = 0.5 - 0.1 * EYES_TO_MOUTH
    mouth[..., 1] = eyes[0, 0, 1] + EYES_TO_MOUTH
    return eyes, mouth


def framings(count: int = 5) -> torch.Tensor:
    spread = torch.tensor([0.2, 0.4, 0.1, 0.1])
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(0)) * spread


def test_the_framing_of_the_canonical_quad_is_the_identity() -> None:
    torch.testing.assert_close(ffhq_framing(*canonical_face()), torch.zeros(1, 4), atol=1e-6, rtol=0)


def test_a_moved_face_has_the_framing_that_undoes_the_move() -> None:
    eyes, mouth = canonical_face()
    for framing in framings():
        move = framing[None]
        found = ffhq_framing(canonical_points(move, eyes), canonical_points(move, mouth))
        torch.testing.assert_close(found, move, atol=1e-5, rtol=0)


def test_canonical_points_undo_frame_points() -> None:
    points = torch.rand(5, 7, 2, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(canonical_points(framings(), frame_points(framings(), points)), points)


def test_rotation_by_a_quarter_turns_right_into_down() -> None:
    quarter = torch.tensor([torch.pi / 2])
    torch.testing.assert_close(rotate(torch.tensor([[1.0, 0.0]]), quarter), torch.tensor([[0.0, 1.0]]))


def smooth_picture(count: int, size: int = 64) -> torch.Tensor:
    """Smooth blobs (N, 2, size, size), zero at the edge."""
    grid = pixel_grid(size, torch.device("cpu")).reshape(size, size, 2)
    u, v = grid[..., 0], grid[..., 1]
    window = torch.cos(u * torch.pi / 2).square() * torch.cos(v * torch.pi / 2).square()
    blobs = torch.stack([window * (1 + torch.sin(3 * u + 1)), window * (1 + torch.cos(2 * v - 3 * u))])
    return blobs.expand(count, -1, -1, -1)


def test_reframing_a_crop_gives_the_picture_back() -> None:
    picture, framing = smooth_picture(5), framings() * 0.2
    back = reframed(crop(picture, framing), framing)
    assert (back - picture)[..., 16:48, 16:48].abs().max() < 0.03


def test_a_point_lands_in_the_crop_where_frame_points_says() -> None:
    picture = torch.zeros(1, 1, 64, 64)
    picture[0, 0, 20, 40] = 1.0
    framing = torch.tensor([[0.3, 0.2, 0.05, -0.04]])
    cropped = crop(picture, framing)[0, 0]
    expected = frame_points(framing, torch.tensor([[[40.5 / 64, 20.5 / 64]]]))[0, 0] * 64 - 0.5
    row, column = divmod(int(cropped.argmax()), 64)
    assert abs(column - float(expected[0])) <= 1
    assert abs(row - float(expected[1])) <= 1


def test_batched_cameras_agree_with_the_camera_law() -> None:
    points = np.random.default_rng(2).uniform(-0.1, 0.1, (6, 3))
    for yaw, pitch in ((0.0, 0.0), (0.7, -0.3), (-2.5, 0.4)):
        camera = Camera(yaw, pitch)
        batch = torch.tensor([[yaw, pitch, HALF_FOV]])
        uv, depth = project(batch, torch.tensor(points, dtype=torch.float32)[None])
        expected_uv, expected_depth = camera.project(points)
        np.testing.assert_allclose(uv[0], expected_uv, atol=1e-5)
        np.testing.assert_allclose(depth[0], expected_depth, atol=1e-6)
        origin, directions = rays(batch, pixel_grid(4, torch.device("cpu"))[None])
        expected_origin, expected_directions = camera.rays(4)
        np.testing.assert_allclose(origin[0], expected_origin, atol=1e-6)
        np.testing.assert_allclose(directions[0].reshape(4, 4, 3), expected_directions, atol=1e-6)


def test_points_on_rays_project_back_to_their_pixels() -> None:
    batch = torch.tensor([[0.4, 0.2, HALF_FOV], [-1.0, -0.3, 0.16]])
    grid = pixel_grid(5, torch.device("cpu")).expand(2, -1, -1)
    origin, directions = rays(batch, grid)
    uv, depth = project(batch, origin[:, None] + directions * 0.97)
    torch.testing.assert_close(uv, grid, atol=1e-5, rtol=0)
    torch.testing.assert_close(depth, torch.full_like(depth, 0.97))


def test_no_flow_moves_nothing() -> None:
    picture = smooth_picture(2)
    torch.testing.assert_close(warped(picture, torch.zeros(2, 2, 64, 64)), picture, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("axis", "dimension"), [(0, -1), (1, -2)])
def test_flow_is_measured_in_picture_widths(axis: int, dimension: int) -> None:
    picture, flow = smooth_picture(1), torch.zeros(1, 2, 64, 64)
    flow[:, axis] = 3 / 64
    moved = warped(picture, flow)
    torch.testing.assert_close(moved[..., :60, :60], picture.roll(-3, dimension)[..., :60, :60], atol=1e-4, rtol=0)


def test_a_projective_warp_and_its_inverse_cancel() -> None:
    matrix = torch.eye(3)[None] + torch.tensor([[[0.04, -0.03, 0.05], [0.02, 0.03, -0.04], [0.03, -0.02, 0.0]]])
    grid = pixel_grid(64, torch.device("cpu"))
    there = sample(smooth_picture(1), transformed(matrix, grid))
    back = sample(there, transformed(torch.linalg.inv(matrix), grid))
    assert (back - smooth_picture(1))[..., 12:52, 12:52].abs().max() < 0.03
