"""Judges of edits: what they read, and that they read what the published networks read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.evaluation import scorers
from core.evaluation.scorers import FaceBox, Networks
from core.photo import Photo

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"


def face(lift: float = 0.0, gap: float = 0.0) -> np.ndarray:
    """A drawn face: eyes 60 px apart, a mouth 40 px wide."""
    points = np.tile([[100.0, 120.0]], (468, 1))
    for corner, x in zip((33, 133, 362, 263), (60, 80, 120, 140), strict=True):
        points[corner] = x, 80
    points[61], points[291] = (80, 150 - lift), (120, 150 - lift)
    points[13], points[14] = (100, 150 - gap / 2), (100, 150 + gap / 2)
    for high, low, x in ((159, 145, 70), (386, 374, 130)):
        points[high], points[low] = (x, 77), (x, 83)
    points[172], points[397] = (55, 150), (145, 150)
    return points


def turned(points: np.ndarray, angle: float, scale: float) -> np.ndarray:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ rotation.T + (7.0, -3.0)


def test_lengths_are_in_eye_distances_whatever_the_size_and_the_tilt() -> None:
    scores = scorers.landmark_scores(face(lift=6, gap=12))
    wanted = {"corner_lift": 0.1, "mouth_width": 40 / 60, "lip_gap": 0.2, "eye_opening": 0.1, "jaw_width": 1.5}
    assert scores == pytest.approx(wanted)
    again = scorers.landmark_scores(turned(face(lift=6, gap=12), 0.4, 3.0))
    assert again == pytest.approx(scores)


def test_dark_cheeks_are_dark() -> None:
    pixels = np.full((256, 256, 3), 51, np.uint8)
    assert scorers.colour_scores(pixels, face()) == pytest.approx({"cheek_darkness": 0.8})


def test_a_face_box_stays_within_its_picture() -> None:
    box = FaceBox.around(face() * 2.2 - 80, 256)
    assert 0 <= box.rows.start < box.rows.stop <= 256
    assert 0 <= box.columns.start < box.columns.stop <= 256
    assert box.chip(np.full((256, 256, 3), 9, np.uint8)).shape == (1, 3, 112, 112)


def test_padding_is_that_of_tensorflow() -> None:
    assert scorers._same(torch.zeros(1, 1, 112, 112), 3, 2) == (0, 1, 0, 1)
    assert scorers._same(torch.zeros(1, 1, 7, 7), 3, 2) == (1, 1, 1, 1)
    assert scorers._same(torch.zeros(1, 1, 7, 7), 3, 1) == (1, 1, 1, 1)
    assert scorers._same(torch.zeros(1, 1, 56, 56), 1, 2) == (0, 0, 0, 0)


def test_without_their_file_there_are_no_networks(tmp_path: Path) -> None:
    assert Networks.load(tmp_path / "scorers.npz") is None


def test_a_smiling_woman_is_seen_as_one() -> None:
    networks = Networks.load()
    if networks is None:
        pytest.skip("the networks are not there: make install-eval")
    pixels = Photo.load(ASTRONAUT).pixels
    landmarks = scorers.landmarks_of(pixels)
    assert landmarks is not None
    scores = networks(pixels, FaceBox.around(landmarks, min(pixels.shape[:2])))
    assert scores["happy"] > 3
    assert scores["male"] < 0
    assert 25 < scores["age"] < 50
    assert scorers.landmark_scores(landmarks)["corner_lift"] > 0


def test_no_face_has_no_landmarks() -> None:
    assert scorers.landmarks_of(np.full((256, 256, 3), 90, np.uint8)) is None
