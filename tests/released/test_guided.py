"""Samples left out of rays: never more weight than was promised."""

from __future__ import annotations

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.job import Job
from core.models.volume import look_at_origin
from core.released.envelope import measured_envelope
from core.released.frozen_field import FrozenField
from core.released.guided import guided_pass, painted
from tests.released.toy_released import toy_generator, toy_latents


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    seed=st.integers(0, 50),
    yaw=st.floats(-1.2, 1.2),
    pitch=st.floats(-0.6, 0.6),
    beta=st.sampled_from((0.002, 0.005, 0.01)),
    tolerance=st.sampled_from((0.003, 0.02, 0.1)),
)
def test_the_error_stays_below_its_bound(seed: int, yaw: float, pitch: float, beta: float, tolerance: float) -> None:
    generator, (styles, _) = toy_generator(seed), toy_latents(seed)
    generator.renderer.sigmoid_beta.fill_(beta)
    samples = generator.renderer.plain_samples(look_at_origin(torch.tensor([yaw]), torch.tensor([pitch])), 24)
    plain = generator.renderer(styles, samples)
    field = FrozenField(generator.field, styles)
    envelope = measured_envelope(field.sdf, 8.0 * beta, styles.device, Job.quiet())
    one = guided_pass(field, envelope, samples, beta, tolerance, Job.quiet())
    rgb, feature = painted(one, field, Job.quiet())
    assert (one.left_out <= tolerance).all()
    rounding = 2e-4
    assert ((rgb - plain.rgb[0]).abs().amax(dim=1) <= 2.0 * one.left_out + rounding).all()
    assert ((feature - plain.feature[0]).abs().amax(dim=1) <= 2.0 * one.left_out + rounding).all()
    assert ((one.depth - plain.depth[0]).abs() <= 0.24 * one.left_out + rounding).all()
    assert len(one.ray) < samples.t.numel()
