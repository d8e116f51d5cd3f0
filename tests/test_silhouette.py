"""Laws of the outline polish: the head grows to its matte, stays where it fits, and takes no photo's colours."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.refinement import silhouette
from core.rendering.precision import distance
from core.rendering.surfaces import crossings
from core.tensor_camera import project
from tests.toy_head import toy_networks

ANGLES = torch.tensor([[0.1, 0.0]])


@pytest.fixture(scope="module")
def networks() -> Networks:
    """A ball whose radius is a linear function of its latent's first number."""
    plain = toy_networks()
    field = plain.generator.field
    layer = field.pts_linears[-1]
    with torch.no_grad():
        for linear in (layer.gamma, layer.beta):
            linear.weight.zero_()
            linear.bias.zero_()
        layer.weight.zero_()
        layer.bias.zero_()
        layer.beta.weight[:, 0] = 1.0
        field.sigma_linear.weight.fill_(-0.05)
        field.sigma_linear.bias.fill_(0.3)
    regressor = LandmarkRegressor(8, 4, 8)
    with torch.no_grad():
        for parameter in regressor.layers.parameters():
            parameter.zero_()
        regressor.mean.copy_(
            torch.tensor([[0.0, 0.03, 0.06], [0.02, 0.0, 0.06], [-0.02, 0.0, 0.06], [0.0, -0.07, 0.0]])
        )
    return dataclasses.replace(plain, landmarks=regressor.requires_grad_(False))


def outline(networks: Networks, styles: torch.Tensor) -> torch.Tensor:
    found = crossings(distance(networks.generator.field, styles), ANGLES)
    return found.hit.float().reshape(1, 1, 64, 64)


def landmarks(networks: Networks) -> torch.Tensor:
    assert networks.landmarks is not None
    uv, _ = project(networks.landmarks(torch.zeros(1, 8)), ANGLES)
    return (uv[0] + 1) / 2


def share_wrong(networks: Networks, styles: torch.Tensor, matte: torch.Tensor) -> float:
    upper = slice(0, 40)
    return (outline(networks, styles) - matte)[..., upper, :].abs().mean().item()


@pytest.mark.parametrize("wanted", [1.2, -1.2])
def test_the_head_moves_to_its_matte(networks: Networks, wanted: float) -> None:
    truth, start = torch.zeros(1, 3, 8), torch.zeros(1, 3, 8)
    truth[..., 0] = wanted
    matte = outline(networks, truth)
    before = share_wrong(networks, start, matte)
    step = silhouette.fit_silhouette(networks, start, ANGLES, matte, landmarks(networks))
    moved = start.clone()
    moved[:, :-1] += step
    assert before > 0.02
    assert share_wrong(networks, moved, matte) < 0.6 * before


def test_what_fits_stays(networks: Networks) -> None:
    styles = torch.zeros(1, 3, 8)
    step = silhouette.fit_silhouette(networks, styles, ANGLES, outline(networks, styles), landmarks(networks))
    assert step.abs().max() < 0.25


def test_without_landmarks_nothing_moves_and_inference_tensors_are_fine(networks: Networks) -> None:
    bare = dataclasses.replace(networks, landmarks=None)
    with torch.inference_mode():
        styles = torch.zeros(1, 3, 8)
        matte = torch.ones(1, 1, 64, 64)
        places = torch.full((4, 2), 0.5)
        assert silhouette.fit_silhouette(bare, styles, ANGLES.clone(), matte, places).abs().max() == 0
        silhouette.fit_silhouette(networks, styles, ANGLES.clone(), matte, landmarks(networks))
