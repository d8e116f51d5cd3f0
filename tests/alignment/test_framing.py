"""FFHQ's frame as laws: it moves with the face, and its numbers are the published ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alignment.framing import frame_points
from core.alignment.values import Framing, apply_affine, compose_affine, invert_affine

POINTS = np.array([[100.0, 100.0], [160.0, 104.0], [108.0, 170.0], [150.0, 172.0]])

number = st.floats(-0.6, 0.6)


def test_an_upright_face_gets_the_published_square() -> None:
    eyes, mouth = np.array([[70.0, 100.0], [130.0, 100.0]]), np.array([[80.0, 166.0], [120.0, 166.0]])
    corners = apply_affine(invert_affine(frame_points(*eyes, *mouth)), np.array([[0.0, 0.0], [1.0, 1.0]]))
    half = max(60 * 2.0, 66 * 1.8)
    centre = np.array([100.0, 100 + 0.1 * 66])
    assert np.allclose(corners, [centre - half, centre + half])


@given(angle=st.floats(-3.1, 3.1), scale=st.floats(0.1, 30.0), dx=st.floats(-500, 500), dy=st.floats(-500, 500))
def test_the_frame_moves_with_the_face(angle: float, scale: float, dx: float, dy: float) -> None:
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    move = np.concatenate([linear, [[dx], [dy]]], axis=1)
    moved = frame_points(*apply_affine(move, POINTS))
    assert np.allclose(apply_affine(compose_affine(moved, move), POINTS), apply_affine(frame_points(*POINTS), POINTS))


def test_the_frame_is_a_similarity() -> None:
    linear = frame_points(*POINTS)[:, :2]
    assert np.allclose(linear @ linear.T, np.eye(2) * np.linalg.det(linear))


def test_coinciding_points_have_no_frame() -> None:
    with pytest.raises(ValueError, match="coincide"):
        frame_points(*np.zeros((4, 2)))


@given(log_scale=number, roll=number, dx=number, dy=number)
def test_a_framing_follows_its_formula(log_scale: float, roll: float, dx: float, dy: float) -> None:
    c = np.array([0.3, 0.8])
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    expected = np.exp(log_scale) * turn @ (c - 0.5) + np.array([dx, dy]) + 0.5
    assert np.allclose(apply_affine(Framing(log_scale, roll, dx, dy).matrix(), c), expected)


@given(log_scale=number, roll=number, dx=number, dy=number)
def test_there_and_back_is_exact(log_scale: float, roll: float, dx: float, dy: float) -> None:
    matrix = Framing(log_scale, roll, dx, dy).matrix()
    assert np.allclose(compose_affine(invert_affine(matrix), matrix), np.eye(2, 3), atol=1e-12)
