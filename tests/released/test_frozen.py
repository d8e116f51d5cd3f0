"""Frozen networks give the numbers of the plain ones."""

from __future__ import annotations

import torch

from core.job import Job
from core.released.frozen_decoder import FrozenDecoder
from core.released.frozen_field import FrozenField
from tests.released.toy_released import toy_generator, toy_hybrid, toy_latents


def test_a_frozen_field_says_what_the_field_says() -> None:
    field, (styles, _) = toy_generator().field, toy_latents()
    points = 0.1 * torch.randn(1, 5000, 3, generator=torch.Generator().manual_seed(1))
    view = torch.nn.functional.normalize(torch.randn(1, 5000, 3, generator=torch.Generator().manual_seed(2)), dim=-1)
    plain = field(points, styles, view)
    frozen = FrozenField(field, styles)
    hidden = frozen.hidden(points[0])
    feature, raw = frozen.appearance(hidden, view[0])
    torch.testing.assert_close(frozen.sdf_from(hidden, points[0]), plain.sdf[0, :, 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(frozen.sdf(points[0]), plain.sdf[0, :, 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(feature, plain.feature[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(raw, plain.rgb_raw[0], atol=1e-4, rtol=0)
    low = FrozenField(field, styles, low=True)
    torch.testing.assert_close(low.sdf(points[0]), plain.sdf[0, :, 0], atol=2e-3, rtol=0)


def test_a_frozen_decoder_paints_what_the_decoder_paints() -> None:
    decoder, (_, styles) = toy_hybrid().generator.decoder, toy_latents()
    features = torch.randn(1, 16, 64, 64, generator=torch.Generator().manual_seed(1))
    for resolution in (128, None):
        plain = decoder(features, styles, resolution=resolution)
        found = FrozenDecoder(decoder, styles, resolution=resolution)(features, Job.quiet())
        torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-4)
    low = FrozenDecoder(decoder, styles, low=True)(features, Job.quiet())
    assert (low - plain).square().mean().sqrt() < 0.02 * plain.std()
