"""Laws of the landmark polish: it finds a known head and camera, ignores wild points, and never makes things worse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.alignment import Framing
from core.models.landmarks import LandmarkRegressor
from core.refinement.landmarks import framed, polish
from core.tensor_camera import project

COUNT, DIM, ROWS = 120, 16, 5
TRUTH = torch.tensor([0.35, -0.12, 0.06, 0.04, 0.02, -0.03])
GUESS = torch.tensor([0.25, -0.02, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def regressor() -> LandmarkRegressor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LandmarkRegressor(DIM, COUNT, 32)
        direction = torch.nn.functional.normalize(torch.randn(COUNT, 3), dim=-1) * torch.tensor((0.06, 0.08, 0.07))
        direction[:, 2].abs_()
        network.mean.copy_(direction)
    return network.requires_grad_(False)


def seen(regressor: LandmarkRegressor, latent: Tensor, pose: Tensor) -> Tensor:
    uv, _ = project(regressor(latent[None]), pose[None, :2])
    return framed(pose, (uv[0] + 1) / 2)


def test_framing_is_the_law_of_the_alignment() -> None:
    points = torch.rand(7, 2, generator=torch.Generator().manual_seed(0))
    matrix = torch.tensor(Framing(*TRUTH[2:].tolist()).matrix())
    expected = points.double() @ matrix[:, :2].T + matrix[:, 2]
    assert (framed(TRUTH, points) - expected).abs().max() < 1e-6


def test_a_known_head_and_camera_are_found(regressor: LandmarkRegressor) -> None:
    latent = 0.5 * torch.randn(DIM, generator=torch.Generator().manual_seed(1))
    landmarks = seen(regressor, latent, TRUTH)
    found = polish(regressor, torch.eye(DIM), torch.zeros(1, ROWS, DIM), GUESS, landmarks)
    assert found.after < 0.15 * found.before
    assert found.after < 0.004
    assert (found.pose[:2] - TRUTH[:2]).abs().max() < 0.05
    assert found.step.shape == (DIM,)


def test_wild_points_do_not_carry_the_head_away(regressor: LandmarkRegressor) -> None:
    landmarks = seen(regressor, torch.zeros(DIM), TRUTH)
    landmarks[::8] += torch.tensor((0.2, -0.1))
    found = polish(regressor, torch.eye(DIM), torch.zeros(1, ROWS, DIM), GUESS, landmarks)
    assert (found.pose[:2] - TRUTH[:2]).abs().max() < 0.06


def test_what_fits_already_stays(regressor: LandmarkRegressor) -> None:
    landmarks = seen(regressor, torch.zeros(DIM), TRUTH)
    found = polish(regressor, torch.eye(DIM), torch.zeros(1, ROWS, DIM), TRUTH, landmarks)
    assert (found.pose - TRUTH).abs().max() < 1e-3
    assert found.after <= found.before


def test_it_works_on_tensors_of_inference_mode(regressor: LandmarkRegressor) -> None:
    with torch.inference_mode():
        landmarks = seen(regressor, torch.zeros(DIM), TRUTH)
        found = polish(regressor, torch.eye(DIM), torch.zeros(1, ROWS, DIM), GUESS.clone(), landmarks)
    assert found.after < found.before
