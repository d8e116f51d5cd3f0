"""Metrics against independent formulas, and with masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from core.evaluation import metrics


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 40, 40, generator=rng) * 2 - 1
    return x, (x + 0.2 * torch.randn(1, 3, 40, 40, generator=rng)).clamp(-1, 1)


def test_equal_pictures_are_as_like_as_can_be() -> None:
    x, _ = pair()
    assert metrics.mae(x, x) == 0
    assert metrics.psnr(x, x) == 100
    assert metrics.ssim(x, x) == pytest.approx(1, abs=1e-5)
    assert metrics.ssim_e3dge(x, x) == pytest.approx(1, abs=1e-5)


def test_similarity_agrees_with_scikit_image_away_from_the_border() -> None:
    x, y = pair()
    ours = metrics.ssim_map(x.double(), y.double(), window=11, sigma=1.5, dynamic_range=2.0)[0, :, 6:-6, 6:-6].numpy()
    _, theirs = structural_similarity(
        x[0].double().numpy(),
        y[0].double().numpy(),
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=2.0,
        full=True,
    )
    np.testing.assert_allclose(ours, theirs[:, 6:-6, 6:-6], atol=1e-9)


def test_the_paper_s_similarity_is_half_way_to_one() -> None:
    x, y = pair()
    plain = metrics.ssim_map(x, y, window=5, sigma=1.5, dynamic_range=1.0).mean().item()
    assert metrics.ssim_e3dge(x, y) == pytest.approx((1 + plain) / 2, abs=1e-5)


def test_a_difference_outside_the_mask_does_not_count() -> None:
    x, _ = pair()
    y = x.clone()
    y[..., :20] = -y[..., :20]
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 20:] = 1
    assert metrics.mae(x, y, mask) == 0
    assert metrics.ssim(x, y, mask) == pytest.approx(1, abs=1e-5)
    assert metrics.mae(x, y) > 0.1


def test_the_signal_to_noise_ratio_is_that_of_pictures_from_zero_to_one() -> None:
    x = torch.zeros(1, 3, 8, 8)
    assert metrics.psnr(x, x + 0.2) == pytest.approx(20, abs=1e-4)


def test_an_empty_mask_is_refused() -> None:
    x, y = pair()
    with pytest.raises(ValueError, match="empty"):
        metrics.mae(x, y, torch.zeros(1, 1, 40, 40))
