"""Losses as laws: what they vanish on, what they ignore, and which way they pull."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.training.decoder_task import blinded, picture_losses
from core.training.losses import (
    VGG_PLAN,
    PerceptualDistance,
    discriminator_loss,
    generator_loss,
    masked_mean,
    r1_penalty,
    total_loss,
)


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory: pytest.TempPathFactory) -> PerceptualDistance:
    """The distance on random convolutions: its laws need no trained ones."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, inputs, outputs in VGG_PLAN:
        arrays[f"{name}_weight"] = rng.normal(0, (2 / 9 / inputs) ** 0.5, (outputs, inputs, 3, 3)).astype(np.float32)
        arrays[f"{name}_bias"] = np.zeros(outputs, np.float32)
    path: Path = tmp_path_factory.mktemp("vgg") / "vgg.npz"
    np.savez(path, **arrays)
    return PerceptualDistance(path)


def pictures(seed: int) -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_perceptual_distance_of_a_picture_to_itself_is_zero(perceptual: PerceptualDistance) -> None:
    assert float(perceptual(pictures(0), pictures(0))) == 0
    assert float(perceptual(pictures(0), pictures(1))) > 0


def test_perceptual_gradients_reach_the_first_picture_only(perceptual: PerceptualDistance) -> None:
    a, b = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    perceptual(a, b).backward()
    assert a.grad is not None
    assert a.grad.abs().sum() > 0
    assert b.grad is None
    assert all(not p.requires_grad for p in perceptual.parameters())


def test_a_masked_mean_does_not_see_what_is_masked() -> None:
    values = torch.tensor([[1.0, 3.0, torch.inf]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    assert float(masked_mean(values.nan_to_num(posinf=1e9), mask)) == 2
    assert float(masked_mean(torch.ones(2, 3), torch.zeros(2, 3))) == 0


def test_every_part_of_a_loss_needs_a_weight() -> None:
    parts = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    assert float(total_loss(parts, {"a": 10.0, "b": 1.0, "unused": 5.0})) == 23
    with pytest.raises(KeyError):
        total_loss(parts, {"a": 1.0})


def test_generator_and_discriminator_pull_against_each_other() -> None:
    fake = torch.tensor([0.3], requires_grad=True)
    (down,) = torch.autograd.grad(generator_loss(fake), fake)
    (up,) = torch.autograd.grad(discriminator_loss(torch.zeros(1), fake), fake)
    assert down < 0 < up


def test_r1_is_the_squared_gradient_of_a_linear_discriminator() -> None:
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    weight = discriminator[1].weight
    assert isinstance(weight, Tensor)
    penalty = r1_penalty(discriminator, torch.randn(3, 3, 2, 2))
    torch.testing.assert_close(penalty, weight.square().sum())


def test_a_perfect_picture_costs_nothing() -> None:
    real, alpha = pictures(3), torch.rand(1, 1, 32, 32)
    assert all(float(value) == 0 for value in picture_losses(real, alpha, real, alpha, None).values())


def test_a_blind_guide_keeps_only_the_alpha_of_the_field() -> None:
    guide = torch.rand(2, 6, 4, 4)
    blind = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    out = blinded(guide, blind)
    torch.testing.assert_close(out[0], guide[0])
    torch.testing.assert_close(out[1, 4], guide[1, 4])
    assert out[1, [0, 1, 2, 3, 5]].abs().sum() == 0
