"""Laws of the hair fit: it reads z back, fills outlines better, and can be told from a head that must stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.errors import CameoError
from core.models.bundle import read_networks, write_networks
from core.models.configuration import TOY
from core.models.hair import HairPrior
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.refinement.hair import DEMAND, Haired, Outline, disagreement, fit_hair, improves, missing, overlap, read_back
from core.training.hair import ROWS, hair_coordinates, hair_prior
from core.visibility import project, rays
from core.weights import Registry
from core.world.identity import scene_parameters
from tests.toy_head import toy_networks

DIM = TOY.generator.field.style_dim


@pytest.fixture(scope="module")
def networks() -> Networks:
    """Balls whose size follows the latent: a head whose hair is one number."""
    networks = toy_networks(3)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for layer in networks.generator.field.pts_linears:
            layer.beta.weight.mul_(8.0)
        networks.generator.field.sigma_linear.weight.mul_(3.0)
    return networks


@pytest.fixture(scope="module")
def regressor() -> LandmarkRegressor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = LandmarkRegressor(DIM, 30, 16)
        found.mean.copy_(0.05 * torch.nn.functional.normalize(torch.randn(30, 3), dim=-1))
        found.mean[0] = torch.tensor((0.0, -0.1, 0.02))
        found.scale = 1e-5
    return found.requires_grad_(False)


@pytest.fixture(scope="module")
def prior() -> HairPrior:
    random = torch.Generator().manual_seed(2)
    return HairPrior(torch.arange(4), 1.5 * torch.randn(24, 4, generator=random), torch.zeros(24))


def outline_of(networks: Networks, regressor: LandmarkRegressor, latent: Tensor) -> Outline:
    angles, side = torch.tensor((0.2, 0.0)), 64
    origin, directions = rays(angles[None], side)
    t = torch.linspace(0.88, 1.12, 48)
    points = (origin[:, None, None] + directions[:, :, None] * t[:, None]).reshape(1, -1, 3)
    styles = networks.generator.styles(latent)
    inside = (networks.generator.field.sdf(points, styles).reshape(-1, len(t)) < 0).any(dim=1)
    uv, _ = project(regressor(latent), angles[None])
    return Outline(
        inside.float().reshape(1, 1, side, side), torch.full((1, 3, side, side), 0.5), (uv[0] + 1) / 2, angles
    )


def test_z_is_read_back_so_that_its_latent_is_the_same(networks: Networks) -> None:
    z = torch.randn(5, DIM, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        w = networks.generator.mapping(z)
    again = networks.generator.mapping(read_back(networks.generator.mapping, w, w.std(dim=0) + 1e-3))
    assert (again - w).norm() < 0.35 * (w - w.mean(dim=0)).norm()


def test_long_hair_that_is_missed_is_filled_better() -> None:
    registry = Registry()
    try:
        networks = read_networks(registry.locate("cameo-256").values())
    except CameoError:
        pytest.skip("the weights are not installed")
    assert networks.landmarks is not None
    prior, generator = hair_prior(), networks.ready(torch.device("cpu")).generator
    z = 0.5 * torch.randn(1, 256, generator=torch.Generator().manual_seed(0))
    long, bald = z.clone(), z.clone()
    long[:, prior.coordinates], bald[:, prior.coordinates] = prior.table[-1], prior.table[0]
    long[:, 4], bald[:, 4] = 2.5, -2.5
    with torch.inference_mode():
        start, truth = generator.mapping(bald), generator.mapping(long)
        outline = outline_of(networks, networks.landmarks, truth)
        found = fit_hair(generator, networks.landmarks, prior, start, start, outline)
        assert missing(generator, start, outline) > DEMAND > missing(generator, truth, outline)
    assert found.after > found.before + 0.02


def test_the_same_photo_gives_the_same_head(networks: Networks, regressor: LandmarkRegressor, prior: HairPrior) -> None:
    with torch.no_grad():
        latent = networks.generator.mapping(torch.zeros(1, DIM))
        outline = outline_of(networks, regressor, latent)
    both = [fit_hair(networks.generator, regressor, prior, latent, latent, outline) for _ in range(2)]
    assert torch.equal(both[0].latent, both[1].latent)
    assert not both[0].latent.requires_grad


def haired(before: float, after: float, near: float, far: float) -> Haired:
    return Haired(torch.zeros(1, DIM), torch.zeros(1, DIM), before, after, near, far, -1)


def test_a_fit_that_loses_outline_or_landmarks_is_not_taken() -> None:
    assert improves(haired(0.80, 0.85, 0.005, 0.005))
    assert not improves(haired(0.80, 0.70, 0.005, 0.005))
    assert not improves(haired(0.80, 0.85, 0.005, 0.007))
    assert not improves(haired(0.0, 0.0, 0.005, 0.007))


def test_outlines_that_agree_overlap_wholly() -> None:
    gap, wanted = torch.tensor([-0.01, -0.01, 0.05]), torch.tensor([1.0, 1.0, 0.0])
    assert overlap(gap, wanted) == pytest.approx(1.0)
    assert overlap(-gap, wanted) == pytest.approx(0.0)
    assert disagreement(gap, wanted) < disagreement(-gap, wanted)


def test_hair_travels_with_the_weights(prior: HairPrior, tmp_path: Path) -> None:
    networks = dataclasses.replace(toy_networks(), hair=prior)
    write_networks(networks, tmp_path / "a.safetensors", dtype=torch.float32)
    again = read_networks([tmp_path / "a.safetensors"]).hair
    assert again is not None
    assert torch.equal(again.coordinates, prior.coordinates)
    assert torch.equal(again.table, prior.table)
    write_networks(toy_networks(), tmp_path / "b.safetensors")
    assert read_networks([tmp_path / "b.safetensors"]).hair is None


def test_the_table_of_the_world_has_every_style_and_no_ponytails() -> None:
    prior, again = hair_prior(), hair_prior()
    assert torch.equal(prior.table, again.table)
    assert prior.table.shape == (sum(count for count, _ in ROWS.values()), len(hair_coordinates()))
    assert not {"ponytail01", "braid01"} & set(ROWS)
    assert (prior.cost >= 0).all()
    # The places are hair: nothing else of a head changes with them.
    z = torch.zeros(256)
    z[prior.coordinates] = prior.table[0]
    changed, plain = scene_parameters(z.numpy()), scene_parameters(torch.zeros(256).numpy())
    assert changed.phenotypes == plain.phenotypes
    assert changed.beard == plain.beard
