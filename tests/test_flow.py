"""The flow of an edit from landmarks: nothing moves nothing, a shift moves the face by itself and leaves the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.rendering import flow
from core.rendering.flow import anchored, landmark_flow
from core.tensor_camera import project


def face(shift: float) -> Tensor:
    """A grid of landmarks (1, 25, 3), moved along x, world units."""
    line = torch.linspace(-0.02, 0.02, 5)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x + shift, y, torch.zeros_like(x)), dim=-1).reshape(1, -1, 3)


def test_an_unchanged_head_has_no_flow() -> None:
    assert landmark_flow(face(0.0), face(0.0), torch.zeros(1, 2), 64).abs().max() == 0


def test_a_shifted_face_is_read_where_it_was_and_the_corners_stay() -> None:
    amount = 0.004
    moved = landmark_flow(face(0.0), face(amount), torch.zeros(1, 2), 128)
    # Half the picture is tan(6 degrees) of world units at depth 1.
    expected = -amount / (2 * 0.10510423526567647)
    assert abs(float(moved[0, 0, 64, 64]) - expected) < 0.1 * abs(expected)
    assert moved[0, 1].abs().max() < 1e-4
    assert moved[0, :, 0, 0].abs().max() < 1e-5


def test_a_landmark_that_moves_alone_is_not_lost_among_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    before = 0.25 * face(0.0)  # neighbours are a reach apart, as around a mouth
    after = before.clone()
    after[0, 12, 1] += 0.001
    was, uv = (project(state, torch.zeros(1, 2))[0] for state in (before, after))

    def share() -> float:
        """Of what it should move by."""
        moved = landmark_flow(before, after, torch.zeros(1, 2), 256, 256)
        found = torch.nn.functional.grid_sample(moved, uv[None, :, 12:13], align_corners=False)[0, 1, 0, 0]
        return float(found / (0.5 * (was - uv)[0, 12, 1]))

    corrected = share()
    monkeypatch.setattr(flow, "CORRECTIONS", 0)
    assert 1.7 * share() < corrected < 1.0


def test_anchored_landmarks_lie_where_the_photo_shows_them_and_move_as_they_did() -> None:
    random = torch.Generator().manual_seed(0)
    states = 0.05 * torch.randn(3, 9, 3, generator=random)
    marks, angles = torch.rand(9, 2, generator=random), torch.tensor([[0.3, -0.1]])
    found = anchored(states, marks, angles)
    uv, depth = project(found[:1], angles)
    torch.testing.assert_close((uv[0] + 1.0) / 2.0, marks, atol=1e-5, rtol=0)
    torch.testing.assert_close(depth, project(states[:1], angles)[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1:] - found[:1], states[1:] - states[:1], atol=1e-6, rtol=0)
