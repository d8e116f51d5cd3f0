"""Augmentation keeps what losses rely on: premultiplied colours, ranges, and alphas that only ever shrink."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.training.augmentation import jittered_framing, photographic, side_lit, torn_matte
from core.training.data import encoder_input, premultiplied


@pytest.fixture
def picture() -> Tensor:
    torch.manual_seed(0)
    straight = torch.rand(6, 4, 48, 48)
    straight[:, 3] = (straight[:, 3] * 3 - 1).clamp(0, 1)
    return premultiplied(straight)


def test_photographic_changes_colours_and_leaves_alpha_alone(picture: Tensor) -> None:
    out = photographic(picture)
    torch.testing.assert_close(out[:, 3], picture[:, 3])
    assert (out[:, :3] - picture[:, :3]).abs().mean() > 0.01


def test_photographic_pictures_stay_premultiplied(picture: Tensor) -> None:
    out = photographic(picture)
    assert out.min() >= 0
    assert (out[:, :3] - out[:, 3:]).max() <= 1e-6


def test_a_torn_matte_never_grows_and_colours_follow_it(picture: Tensor) -> None:
    out = torn_matte(picture)
    assert (out - picture).max() <= 1e-6
    seen = picture[:, 3:] > 0.05
    share = out[:, 3:] / picture[:, 3:].clamp(min=1e-6)
    torch.testing.assert_close((out[:, :3] - picture[:, :3] * share) * seen, torch.zeros_like(out[:, :3]))


def test_framings_of_amount_zero_are_the_identity() -> None:
    assert jittered_framing(3, torch.device("cpu"), 0.0).abs().sum() == 0
    assert jittered_framing(200, torch.device("cpu")).std(0).max() < 0.06


def test_the_encoder_sees_mid_grey_where_nothing_is() -> None:
    out = encoder_input(torch.zeros(1, 4, 2, 2))
    assert out.abs().sum() == 0
    white = encoder_input(torch.ones(1, 4, 2, 2))
    assert (white == 1).all()


def test_light_from_one_side_darkens_the_other_and_leaves_the_matte() -> None:
    torch.manual_seed(0)
    picture = torch.full((64, 4, 32, 32), 0.5)
    found = side_lit(picture, share=0.5, darkest=1.6)
    assert torch.equal(found[:, 3], picture[:, 3])
    light = found[:, 0] / picture[:, 0]
    assert float(light.max()) <= 1.0
    assert float(light.min()) >= float(torch.tensor(-1.6).exp()) - 1e-6
    contrast = light.flatten(1).max(dim=1).values / light.flatten(1).min(dim=1).values
    assert 0.2 < float((contrast > 1.1).float().mean()) < 0.7
    assert torch.equal(side_lit(picture, share=0.0), picture)
