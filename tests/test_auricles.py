"""Ears are found where the field has them, drawn on what no photo saw, and nowhere else."""

from __future__ import annotations

import copy

import pytest
import torch

from core.models.auricles import AuricleFrames
from core.models.bundle import read_networks
from core.models.networks import Networks
from core.rendering.auricles import Auricles, EarPlaces, ears_of, ears_under
from core.rendering.deformation import Deformation
from core.rendering.tones import CELLS
from core.weights import Registry

FINE = torch.tensor([1e-4])
PLAIN = torch.zeros(1, 3, CELLS, CELLS, CELLS)
SKIN = torch.tensor((0.2, 0.0, -0.2))


@pytest.fixture(scope="module")
def networks() -> Networks:
    return read_networks(Registry().locate("cameo-256").values()).ready(torch.device("cpu"))


@pytest.fixture(scope="module")
def model(networks: Networks) -> AuricleFrames:
    assert networks.auricles is not None
    return networks.auricles


@pytest.fixture(scope="module")
def styles(networks: Networks) -> torch.Tensor:
    return networks.renderer_mean[None]


@pytest.fixture(scope="module")
def ears(networks: Networks, model: AuricleFrames, styles: torch.Tensor) -> EarPlaces:
    found = ears_of(model, networks.generator.field, styles, None, None)
    assert found is not None
    return found


def drawn_on(ears: EarPlaces) -> Auricles:
    return Auricles.of(ears, lambda points: SKIN.expand(len(points), 3), PLAIN)


def test_both_ears_of_the_mean_head_are_found_to_a_millimetre(networks: Networks, ears: EarPlaces) -> None:
    assert ears.numbers.tolist() == [0, 1]
    left, right = ears.places()
    assert bool((left[:, 0] > 0.0).all() and (right[:, 0] < 0.0).all())
    styles = networks.renderer_mean[None]
    distance, _ = networks.generator.field.sdf_with_gradient(ears.undeformed().reshape(1, -1, 3), styles)
    assert float(distance.abs().mean()) < 0.00085  # world units a millimetre


def test_ears_are_laid_on_the_field_from_where_the_latents_thought_they_were(
    networks: Networks, model: AuricleFrames, styles: torch.Tensor, ears: EarPlaces
) -> None:
    beside = copy.deepcopy(model)
    beside.mean[:, 3] += torch.tensor((0.003, 0.0, 0.0))
    found = ears_of(beside, networks.generator.field, styles, None, None)
    assert found is not None
    off = (found.places() - ears.places()).norm(dim=-1).mean()
    assert float(off) < 0.0015


def test_an_ear_under_hair_is_none(networks: Networks, model: AuricleFrames, styles: torch.Tensor) -> None:
    field = networks.generator.field
    everywhere = torch.ones(1, 1, CELLS, CELLS, CELLS)
    assert ears_of(model, field, styles, None, everywhere) is None
    left = everywhere.clone()
    left[..., : CELLS // 2] = 0.0  # x < 0: the right one is bare
    found = ears_of(model, field, styles, None, left)
    assert found is not None
    assert found.numbers.tolist() == [1]


def test_an_ear_that_lies_deep_within_the_head_is_none(
    networks: Networks, model: AuricleFrames, styles: torch.Tensor
) -> None:
    deep = copy.deepcopy(model)
    deep.mean[:, 3, 0] -= 0.02
    assert ears_of(deep, networks.generator.field, styles, None, None) is None


def test_bowls_are_darker_than_rims_and_the_rest_of_the_head_stays_as_it_is(ears: EarPlaces) -> None:
    places, auricles = ears.places(), drawn_on(ears)
    own = SKIN.expand(places[0].shape)
    drawn = auricles.drawn(own, places[0], FINE)
    light = (drawn + 1.0).mean(dim=1) / (SKIN + 1.0).mean()
    assert float(light.min()) < 0.55
    assert float(light.max()) > 0.95
    far = places[0] + torch.tensor((0.0, 0.08, 0.0))
    assert torch.equal(auricles.drawn(own, far, FINE), own)
    assert not bool(auricles.covered(far, FINE).any())
    assert float(auricles.covered(places[0], FINE).mean()) > 0.5


def test_both_ears_are_mirror_images_for_a_symmetric_frame(ears: EarPlaces) -> None:
    same = ears._replace(frames=ears.frames[:1].expand(2, -1, -1))
    auricles = drawn_on(same)
    left = same.places()[0]
    own = SKIN.expand(left.shape)
    there, here = (auricles.drawn(own, one, FINE) for one in (left * torch.tensor((-1.0, 1.0, 1.0)), left))
    torch.testing.assert_close(there, here)


def test_an_ear_has_one_tone_whatever_the_field_smeared_over_it(ears: EarPlaces) -> None:
    places, auricles = ears.places()[0], drawn_on(ears)
    hair = torch.full_like(places, -0.9)
    on_skin, on_hair = (auricles.drawn(own, places, FINE) for own in (SKIN.expand(places.shape), hair))
    within = torch.cat([auricle for _, _, _, auricle in ears.charted(places, FINE)]) > 0.99
    assert int(within.sum()) > 40
    torch.testing.assert_close(on_hair[within], on_skin[within], atol=0.03, rtol=0.0)


def test_a_deformed_head_has_its_ears_where_they_were_moved_to(
    networks: Networks, model: AuricleFrames, styles: torch.Tensor, ears: EarPlaces
) -> None:
    moved = torch.zeros(9, 9, 9, 3)
    moved[..., 1] = -0.004  # the field is asked lower: the head went up
    found = ears_of(model, networks.generator.field, styles, Deformation(moved), None)
    assert found is not None
    up = (found.places() - ears.places()).mean(dim=(0, 1))
    torch.testing.assert_close(up, torch.tensor((0.0, 0.004, 0.0)), atol=1e-4, rtol=0.0)


def test_an_edit_moves_ears_as_the_latents_do(model: AuricleFrames, styles: torch.Tensor, ears: EarPlaces) -> None:
    other = styles + 0.5 * model.w_std
    there = ears.under(styles, other)
    meant = model(other[:, :-1].mean(dim=1)) - model(styles[:, :-1].mean(dim=1))
    torch.testing.assert_close(there.frames - ears.frames, meant[0])
    assert torch.equal(ears.under(styles, styles).frames, ears.frames)


def test_small_pictures_read_a_coarser_relief(ears: EarPlaces) -> None:
    places, auricles = ears.places()[0], drawn_on(ears)
    own = SKIN.expand(places.shape)
    fine, coarse = (auricles.drawn(own, places, torch.tensor([apart])) for apart in (1e-4, 8e-3))
    assert float(coarse.std()) < float(fine.std())


def test_hair_that_is_cut_bares_ears(networks: Networks, model: AuricleFrames, styles: torch.Tensor) -> None:
    field = networks.generator.field
    assert ears_under(None, model, field, styles, styles, None, cut=False) is None
    bared = ears_under(None, model, field, styles, styles, None, cut=True)
    assert bared is not None
    assert bared.numbers.tolist() == [0, 1]
    assert ears_under(None, None, field, styles, styles, None, cut=True) is None
