"""The law of frames: rays, OpenGL and projection agree, for every camera."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.camera import (
    FAR,
    HALF_FOV,
    NEAR,
    Camera,
    CameraLimits,
    azimuth_path,
    ellipsoid_path,
    turntable_path,
)

CLOSE = 1e-9
"""Everything is float64; the demand from outside is 1e-5."""

cameras = st.builds(
    Camera,
    yaw=st.floats(-math.pi, math.pi),
    pitch=st.floats(-math.pi / 2, math.pi / 2),
    half_fov=st.floats(0.02, 1.2),
)
points = st.tuples(*[st.floats(-0.12, 0.12)] * 3).map(np.array)
sizes = st.integers(1, 40)


@given(cameras)
def test_the_axes_are_a_right_handed_orthonormal_frame(camera: Camera) -> None:
    rotation = camera.rotation
    assert np.allclose(rotation.T @ rotation, np.eye(3), atol=CLOSE)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@given(cameras)
def test_the_camera_stands_on_the_unit_sphere_and_looks_at_the_origin(camera: Camera) -> None:
    assert np.linalg.norm(camera.position) == pytest.approx(1.0)
    uv, depth = camera.project(np.zeros(3))
    assert np.allclose(uv, 0.0, atol=CLOSE)
    assert depth == pytest.approx(1.0)


@given(cameras)
def test_up_in_the_world_never_points_down_in_the_picture(camera: Camera) -> None:
    assert camera.rotation[1, 1] >= -CLOSE
    assert camera.rotation[1, 0] == 0.0


@given(cameras, points)
def test_pose_and_extrinsics_undo_each_other(camera: Camera, point: np.ndarray) -> None:
    pose, extrinsics = camera.pose(), camera.extrinsics()
    in_camera = extrinsics[:, :3] @ point + extrinsics[:, 3]
    assert np.allclose(pose[:, :3] @ in_camera + pose[:, 3], point, atol=CLOSE)


@given(cameras, sizes, st.floats(0.3, 2.0))
def test_a_point_on_a_ray_projects_to_its_pixel_at_its_depth(camera: Camera, size: int, depth: float) -> None:
    origin, directions = camera.rays(size)
    uv, found = camera.project(origin + depth * directions)
    centres = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    assert np.allclose(uv[..., 0], centres[None, :], atol=CLOSE)
    assert np.allclose(uv[..., 1], centres[:, None], atol=CLOSE)
    assert np.allclose(found, depth, atol=CLOSE)


@given(cameras, points)
def test_opengl_sees_what_projection_sees(camera: Camera, point: np.ndarray) -> None:
    clip = camera.projection_matrix() @ camera.view_matrix() @ np.append(point, 1.0)
    device = clip[:3] / clip[3]
    uv, depth = camera.project(point)
    assert np.allclose(device[:2], (uv[0], -uv[1]), atol=CLOSE)
    assert clip[3] == pytest.approx(depth)
    assert device[2] == pytest.approx((FAR + NEAR) / (FAR - NEAR) - 2 * FAR * NEAR / (FAR - NEAR) / depth, abs=1e-6)


def test_near_and_far_are_the_ends_of_opengl_depth() -> None:
    projection = Camera().projection_matrix(0.5, 3.0)
    for depth, expected in ((0.5, -1.0), (3.0, 1.0)):
        clip = projection @ [0.0, 0.0, -depth, 1.0]
        assert clip[2] / clip[3] == pytest.approx(expected)


@given(cameras, sizes)
def test_one_pixel_and_one_focal_length_are_the_same_measure(camera: Camera, size: int) -> None:
    assert camera.focal(2 * size) == pytest.approx(2 * camera.focal(size))
    _, directions = camera.rays(size)
    along = -directions @ camera.rotation[:, 2]
    assert np.allclose(along, 1.0, atol=CLOSE)


@given(cameras, points)
def test_mirroring_the_world_mirrors_the_picture(camera: Camera, point: np.ndarray) -> None:
    mirrored = Camera(-camera.yaw, camera.pitch, camera.half_fov)
    uv, depth = camera.project(point)
    other, other_depth = mirrored.project(point * (-1, 1, 1))
    assert np.allclose(other, uv * (-1, 1), atol=CLOSE)
    assert np.allclose(other_depth, depth, atol=CLOSE)


def test_the_numbers_of_the_reference_hold() -> None:
    camera = Camera()
    assert camera.half_fov == HALF_FOV == math.radians(6)
    assert camera.focal(64) == pytest.approx(304.4597, abs=1e-4)
    assert (NEAR, FAR) == (0.88, 1.12)
    assert np.allclose(camera.position, (0, 0, 1))
    assert np.allclose(Camera(yaw=math.pi / 2).position, (1, 0, 0))
    assert np.allclose(Camera(pitch=math.pi / 2).position, (0, 1, 0))
    _, directions = camera.rays(64)
    assert np.allclose(directions[0, 63] * 304.4597, (31.5, 31.5, -304.4597), atol=1e-3)


def test_right_above_the_head_the_camera_is_still_defined() -> None:
    above = Camera(yaw=0.3, pitch=math.pi / 2)
    beside = Camera(yaw=0.3, pitch=math.pi / 2 - 1e-7)
    assert np.allclose(above.rotation, beside.rotation, atol=1e-6)


@pytest.mark.parametrize(
    "values", [{"pitch": 1.6}, {"yaw": math.nan}, {"pitch": math.inf}, {"half_fov": 0.0}, {"half_fov": 1.6}]
)
def test_a_camera_that_cannot_be_is_a_programming_mistake(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"pitch|half_fov|finite"):
        Camera(**values)


@given(cameras, st.floats(-20, 20), st.floats(-20, 20))
def test_orbiting_always_gives_a_camera(camera: Camera, dyaw: float, dpitch: float) -> None:
    moved = camera.orbited(dyaw, dpitch)
    assert abs(moved.yaw) <= math.pi + CLOSE
    assert moved.half_fov == camera.half_fov
    assert np.allclose(Camera(moved.yaw).position, Camera(camera.yaw + dyaw).position, atol=1e-6)


limits = st.builds(CameraLimits, st.floats(0, math.pi), st.floats(-1.5, 0), st.floats(0, 1.5))


@given(cameras, limits)
def test_a_clamped_camera_lies_within_and_clamping_again_changes_nothing(camera: Camera, limits: CameraLimits) -> None:
    clamped = camera.clamped(limits)
    assert limits.contains(clamped)
    assert clamped.clamped(limits) is clamped
    if limits.contains(camera):
        assert clamped is camera


def test_limits_that_hold_no_camera_are_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="empty"):
        CameraLimits(0.3, 0.2, -0.2)


@pytest.mark.parametrize("path", [ellipsoid_path, azimuth_path, turntable_path])
def test_a_path_has_as_many_cameras_as_asked_for(path: object) -> None:
    for n in (1, 2, 9):
        assert len(path(n)) == n
    with pytest.raises(ValueError, match="at least one"):
        path(0)


def test_the_ellipsoid_is_the_references() -> None:
    path = ellipsoid_path(9)
    assert (path[0].yaw, path[0].pitch) == pytest.approx((0.45, 0.0))
    assert (path[2].yaw, path[2].pitch) == pytest.approx((0.0, 0.225))
    assert (path[-1].yaw, path[-1].pitch) == pytest.approx((0.45, 0.0))


def test_the_azimuth_sweep_is_the_references() -> None:
    path = azimuth_path(3)
    assert [camera.yaw for camera in path] == pytest.approx([0.45, 0.0, -0.45])
    assert {camera.pitch for camera in path} == {0.0}


@given(limits, st.integers(8, 60))
def test_a_turntable_stays_within_the_limits_and_closes(limits: CameraLimits, n: int) -> None:
    path = turntable_path(n, limits)
    assert all(limits.contains(camera) for camera in path)
    steps = [abs(math.remainder(b.yaw - a.yaw, math.tau)) for a, b in zip(path, (*path[1:], path[0]), strict=True)]
    assert max(steps) <= math.tau * max(limits.yaw, 1.0) / n + CLOSE


def test_a_model_for_the_whole_way_round_gets_a_full_turn() -> None:
    path = turntable_path(4, CameraLimits(math.pi, -0.5, 0.5))
    assert [abs(camera.yaw) for camera in path] == pytest.approx([0, math.pi / 2, math.pi, math.pi / 2])
