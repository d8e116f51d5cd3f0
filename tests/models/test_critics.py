"""Discriminators, face embedding and perceptual distance."""

from __future__ import annotations

import pytest
import torch

from core.models.arcface import ArcFace
from core.models.discriminator import (
    CAMEO_CHANNELS,
    ImageDiscriminator,
    VolumeDiscriminator,
    minibatch_deviation,
)
from core.models.perceptual import Lpips


@pytest.mark.parametrize(("batch", "group"), [(1, 1), (2, 2), (3, 3), (6, 3), (8, 4), (5, 1)])
def test_the_deviation_channel_is_shared_within_groups(batch: int, group: int) -> None:
    x = torch.randn(batch, 4, 3, 3)
    deviation = minibatch_deviation(x)
    assert deviation.shape == (batch, 1, 3, 3)
    assert len(deviation[:, 0, 0, 0].unique()) <= batch // group


def test_equal_pictures_have_no_deviation() -> None:
    assert minibatch_deviation(torch.ones(4, 2, 3, 3)).max() < 1e-3


def test_the_picture_critic_runs_at_any_power_of_two_and_its_second_derivative_exists() -> None:
    critic = ImageDiscriminator(32, dict.fromkeys((4, 8, 16, 32), 8), in_channels=4)
    images = torch.randn(2, 4, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is not None for p in critic.parameters() if p.ndim > 1 or p.shape[0] > 1)


def test_the_reduced_critic_is_for_256_pixels() -> None:
    with torch.device("meta"):
        critic = ImageDiscriminator(256, CAMEO_CHANNELS)
    assert sum(p.numel() for p in critic.parameters()) < 9e6


def test_the_volume_critic_answers_with_a_logit_and_a_viewpoint() -> None:
    verdict = VolumeDiscriminator((4, 8, 8, 8, 8, 8))(torch.randn(2, 3, 64, 64))
    assert verdict.logit.shape == (2, 1)
    assert verdict.viewpoint.shape == (2, 2)


def test_face_embeddings_have_unit_length() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        embedding = ArcFace().eval()(torch.rand(1, 3, 64, 64))
    assert embedding.shape == (1, 512)
    assert embedding.norm().item() == pytest.approx(1, abs=1e-5)


def test_perceptual_distance_is_zero_to_oneself_and_positive_to_others() -> None:
    torch.manual_seed(0)
    metric = Lpips().eval()
    for lin in metric.lins:
        lin[1].weight.data.abs_()  # the released ones are positive too
    x, y = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    assert metric(x, x).abs().max() == 0
    assert metric(x, y).min() > 0
