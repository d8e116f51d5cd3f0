"""Operations against naive loops and independent formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.models.layers import EqualLinear, ModulatedConv, ResidualUnit
from core.models.local import ENCODING_WIDTH, lookup, positional_encoding
from core.models.ops import biased_leaky_relu, resampling_kernel, upfirdn2d


def naive_upfirdn2d(image: np.ndarray, kernel: np.ndarray, up: int, down: int, pad: tuple[int, int]) -> np.ndarray:
    """One channel, by the definition: zeros after every sample, padding, true convolution, decimation."""
    height, width = image.shape
    wide = np.zeros((height * up, width * up))
    wide[::up, ::up] = image
    before, after = pad
    padded = np.zeros((wide.shape[0] + before + after, wide.shape[1] + before + after))
    for i in range(wide.shape[0]):
        for j in range(wide.shape[1]):
            if 0 <= i + before < padded.shape[0] and 0 <= j + before < padded.shape[1]:
                padded[i + before, j + before] = wide[i, j]
    kh, kw = kernel.shape
    rows, columns = padded.shape[0] - kh + 1, padded.shape[1] - kw + 1
    full = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for a in range(kh):
                for b in range(kw):
                    full[i, j] += padded[i + a, j + b] * kernel[kh - 1 - a, kw - 1 - b]
    return full[::down, ::down]


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(4, 7),
    width=st.integers(4, 7),
    up=st.integers(1, 2),
    down=st.integers(1, 2),
    pad=st.tuples(st.integers(-1, 3), st.integers(-1, 3)),
    seed=st.integers(0, 1000),
)
def test_resampling_is_what_its_definition_says(
    height: int, width: int, up: int, down: int, pad: tuple[int, int], seed: int
) -> None:
    assume(height * up + sum(pad) >= 3)  # less than the kernel leaves no picture
    rng = np.random.default_rng(seed)
    image, kernel = rng.standard_normal((height, width)), rng.standard_normal((3, 2))
    ours = upfirdn2d(torch.from_numpy(image)[None, None], torch.from_numpy(kernel), up, down, pad)
    np.testing.assert_allclose(ours[0, 0].numpy(), naive_upfirdn2d(image, kernel, up, down, pad), atol=1e-12)


def test_the_resampling_kernel_sums_to_its_gain_and_is_symmetric() -> None:
    kernel = resampling_kernel(4.0)
    assert kernel.sum() == pytest.approx(4)
    assert torch.equal(kernel, kernel.T)
    assert torch.equal(kernel, kernel.flip(0))


def test_biased_activation_scales_and_leaks() -> None:
    x = torch.tensor([[2.0, -2.0]])
    y = biased_leaky_relu(x, torch.tensor([1.0, -1.0]))
    assert y.tolist() == [[pytest.approx(3 * math.sqrt(2)), pytest.approx(-0.6 * math.sqrt(2))]]


def naive_modulated_conv(layer: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """One kernel a sample, built as the paper says."""
    scales = style @ layer.modulation.weight.T / math.sqrt(style.shape[1]) + layer.modulation.bias
    pictures = []
    for picture, scale in zip(x, scales, strict=True):
        kernel = layer.weight[0] * layer.scale * scale[None, :, None, None]
        if layer.demodulate:
            kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.blur is None:
            y = torch.nn.functional.conv2d(picture[None], kernel, padding=layer.padding)
        else:
            y = torch.nn.functional.conv_transpose2d(picture[None], kernel.transpose(0, 1), stride=2)
            y = layer.blur(y)
        pictures.append(y)
    return torch.cat(pictures)


@pytest.mark.parametrize("upsample", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulating_the_input_equals_modulating_the_kernel(upsample: bool, demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(4, 3, 3, 6, demodulate=demodulate, upsample=upsample).double()
    x, style = torch.randn(2, 4, 5, 5).double(), torch.randn(2, 6).double()
    torch.testing.assert_close(layer(x, style), naive_modulated_conv(layer, x, style))


def test_an_equalised_layer_keeps_the_variance() -> None:
    torch.manual_seed(0)
    for multiplier in (1.0, 0.01):
        layer = EqualLinear(256, 256, lr_multiplier=multiplier)
        assert layer(torch.randn(512, 256)).std().item() == pytest.approx(1, abs=0.05)


def test_a_residual_unit_without_change_of_width_subsamples_its_shortcut() -> None:
    unit = ResidualUnit(4, 4, 2).eval()
    for parameter in unit.res_layer[4].parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(unit(x), x[:, :, ::2, ::2])


def test_looking_up_pixel_centres_returns_the_pixels_and_outside_is_zero() -> None:
    features = torch.randn(1, 3, 4, 6)
    v, u = torch.meshgrid((torch.arange(4) + 0.5) / 2 - 1, (torch.arange(6) + 0.5) / 3 - 1, indexing="ij")
    uv = torch.stack([u, v], dim=-1).reshape(1, -1, 2)
    torch.testing.assert_close(lookup(features, uv), features.flatten(2).transpose(1, 2))
    assert lookup(features, torch.full((1, 1, 2), 1.5)).abs().max() == 0


def test_the_positional_encoding_keeps_the_point_and_doubles_its_frequency() -> None:
    x = torch.tensor([[0.3, -0.2, 0.1]])
    code = positional_encoding(x)
    assert code.shape == (1, ENCODING_WIDTH)
    assert torch.equal(code[:, :3], x)
    torch.testing.assert_close(code[:, 39:42], torch.sin(64 * x))
    torch.testing.assert_close(code[:, 42:], torch.cos(64 * x))
