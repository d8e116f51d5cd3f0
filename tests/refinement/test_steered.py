"""The gradients that are written out are those that autograd finds; distances are the field's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.refinement.landmarks import INDEPENDENT, TOLERANCE, LandmarkMisfit, as_array, framed
from core.refinement.steered import SteeredField
from core.tensor_camera import project
from tests.toy_head import toy_networks


@pytest.fixture(scope="module")
def networks() -> Networks:
    return toy_networks()


def test_gradient_of_the_field_in_its_latent(networks: Networks) -> None:
    field, draw = networks.generator.field, torch.Generator().manual_seed(0)
    points = 0.2 * torch.rand(40, 3, generator=draw) - 0.1
    weights = torch.rand(40, generator=draw)
    latent = (0.3 * torch.randn(field.config.style_dim, generator=draw)).requires_grad_()
    rows = latent.expand(1, field.config.depth + 1, -1)
    expected = field.sdf(points[None], rows)[0, :, 0]
    (gradient,) = torch.autograd.grad((weights * expected.square()).sum(), latent)
    with torch.inference_mode():
        steered = SteeredField(field)
        steered.steer(latent.detach())
        found = steered.gradient(points, lambda distances: 2.0 * weights * distances)
        assert (found - gradient).abs().max() < 1e-4 * gradient.abs().max()
        assert (steered.sdf(points) - expected).abs().max() < 1e-3


def test_gradient_of_the_landmarks_in_pose_and_latent() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        regressor = LandmarkRegressor(16, 50, 32).requires_grad_(False)
        regressor.mean.copy_(0.07 * torch.randn(50, 3))
        regressor.w_std.copy_(0.5 + torch.rand(16))
        wanted, latent = torch.rand(50, 2), torch.randn(16)
    pose = torch.tensor([0.3, -0.2, 0.1, 0.05, 0.02, -0.03])
    one, other = pose.clone().requires_grad_(), latent.clone().requires_grad_()
    uv, _ = project(regressor(other[None]), one[None, :2])
    away = torch.linalg.vector_norm(framed(one, (uv[0] + 1.0) / 2.0) - wanted, dim=-1)
    loss = ((1.0 + (away / TOLERANCE).square()).sqrt() - 1.0).mean() * INDEPENDENT
    gradients = torch.autograd.grad(loss, (one, other))
    mean, *found = LandmarkMisfit(regressor, wanted)(as_array(pose), as_array(latent))
    assert mean == pytest.approx(float(away.detach().mean()), rel=1e-5)
    for mine, theirs in zip(found, gradients, strict=True):
        assert np.abs(mine - theirs.numpy()).max() < 1e-4 * float(theirs.abs().max())
