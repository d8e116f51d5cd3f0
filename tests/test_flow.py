"""The flow of an edit from landmarks: nothing moves nothing, a shift moves the face by itself and leaves the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering.flow import landmark_flow


def face(shift: float) -> Tensor:
    """A grid of landmarks (1, 25, 3), moved along x, world units."""
    line = torch.linspace(-0.02, 0.02, 5)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x + shift, y, torch.zeros_like(x)), dim=-1).reshape(1, -1, 3)


def test_an_unchanged_head_has_no_flow() -> None:
    assert landmark_flow(face(0.0), face(0.0), torch.zeros(1, 2), 64).abs().max() == 0


def test_a_shifted_face_is_read_where_it_was_and_the_corners_stay() -> None:
    amount = 0.004
    flow = landmark_flow(face(0.0), face(amount), torch.zeros(1, 2), 128)
    # Half the picture is tan(6 degrees) of world units at depth 1.
    expected = -amount / (2 * 0.10510423526567647)
    assert abs(float(flow[0, 0, 64, 64]) - expected) < 0.1 * abs(expected)
    assert flow[0, 1].abs().max() < 1e-4
    assert flow[0, :, 0, 0].abs().max() < 1e-5
