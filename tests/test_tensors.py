"""Pixels to tensors and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.tensors import alpha_tensor, choose_device, generator, picture_pixels, picture_tensor, require_shape


def test_pixels_survive_the_way_to_a_tensor_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = picture_tensor(pixels)
    assert tensor.shape == (1, 3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    np.testing.assert_array_equal(picture_pixels(tensor), pixels)


def test_values_beyond_the_range_are_clamped() -> None:
    assert picture_pixels(torch.full((3, 1, 1), 3.0)).tolist() == [[[255, 255, 255]]]
    assert picture_pixels(torch.full((3, 1, 1), -3.0)).tolist() == [[[0, 0, 0]]]


def test_a_matte_keeps_its_values() -> None:
    assert alpha_tensor(np.full((2, 3), 0.25, dtype=np.float32)).tolist() == [[[[0.25] * 3] * 2]]


def test_shapes_are_checked() -> None:
    tensor = torch.zeros(2, 3)
    assert require_shape(tensor, None, 3) is tensor
    with pytest.raises(ValueError, match="expected shape"):
        require_shape(tensor, 3, 3)


def test_seeded_randomness_repeats_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(torch.randn(3, generator=generator(1)), torch.randn(3, generator=generator(1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_device_is_taken_by_name() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
