"""The first pose: known cameras are found again from where an average head's landmarks fall, sign included."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alignment import AlignedFace
from core.alignment.framing import frame_points
from core.alignment.pose import average_head, first_pose, five_points
from core.alignment.values import Framing, apply_affine
from core.camera import SCENE_RADIUS, Camera


def landmarks_of(camera: Camera, framing: Framing) -> np.ndarray:
    return apply_affine(framing.matrix(), (camera.project(average_head())[0] + 1) / 2)


def test_the_average_head_fills_its_own_ffhq_frame() -> None:
    picture = landmarks_of(Camera(), Framing())
    assert np.allclose(frame_points(*five_points(picture)[[0, 1, 3, 4]]), np.eye(2, 3), atol=1e-9)
    assert np.linalg.norm(average_head(), axis=1).max() < SCENE_RADIUS


@settings(max_examples=20, deadline=None)
@given(
    yaw=st.floats(-1.2, 1.2),
    pitch=st.floats(-0.6, 0.6),
    log_scale=st.floats(-0.3, 0.3),
    roll=st.floats(-0.4, 0.4),
    dx=st.floats(-0.1, 0.1),
    dy=st.floats(-0.1, 0.1),
)
def test_a_known_camera_is_found_again(
    yaw: float, pitch: float, log_scale: float, roll: float, dx: float, dy: float
) -> None:
    framing = Framing(log_scale, roll, dx, dy)
    camera, found = first_pose(landmarks_of(Camera(yaw, pitch), framing))
    assert np.allclose([camera.yaw, camera.pitch, *found], [yaw, pitch, *framing], atol=1e-3)


def test_a_camera_moved_to_the_right_sees_the_nose_to_the_left_of_the_eyes() -> None:
    points = landmarks_of(Camera(yaw=0.5), Framing())
    left, right, nose = five_points(points)[:3]
    assert nose[0] < (left[0] + right[0]) / 2
    assert first_pose(points)[0].yaw > 0.4


def test_five_points_give_the_yaw_too() -> None:
    for yaw in (-0.6, -0.2, 0.0, 0.4):
        camera, _ = first_pose(five_points(landmarks_of(Camera(yaw), Framing())))
        assert abs(camera.yaw - yaw) < 0.02


def test_a_mirrored_face_has_the_opposite_yaw(aligned: AlignedFace) -> None:
    assert aligned.landmarks is not None
    # mirroring exchanges landmarks; the canonical head is symmetric, so its mirror partners are its own
    head = average_head()
    partners = np.argmin(np.linalg.norm(head[:, None] * [-1, 1, 1] - head[None], axis=2), axis=1)
    mirrored = (aligned.landmarks * [-1, 1] + [1, 0])[partners]
    camera, framing = first_pose(mirrored)
    assert np.isclose(camera.yaw, -aligned.camera.yaw, atol=1e-3)
    assert np.isclose(camera.pitch, aligned.camera.pitch, atol=1e-3)
    assert np.isclose(framing.dx, -aligned.framing.dx, atol=1e-3)
