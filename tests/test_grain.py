"""Grain of skin: as strong as the photo's, fixed to the head, and only where it is skin."""

from __future__ import annotations

import torch

from core.rendering import grain
from core.rendering.grain import Grain, grain_of
from core.rendering.tones import CELLS, EXTENT

EVERYWHERE = torch.ones(1, 1, 64, 64)
FINE = torch.tensor([1e-5])


def photo(strength: float, width: int = 2) -> torch.Tensor:
    """Skin of brightness .5 whose brightness varies by a share of it, in blocks of so many pixels."""
    noise = torch.randn(1, 1, 1024 // width, 1024 // width, generator=torch.Generator().manual_seed(0))
    noise = torch.nn.functional.interpolate(noise, size=(1024, 1024), mode="nearest")
    return (0.5 * (1.0 + strength * noise)).clamp(0, 1).expand(1, 3, -1, -1) * 2.0 - 1.0


def places(count: int = 4000) -> torch.Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.2


def test_smooth_skin_has_none_and_rough_skin_has_as_much_as_the_photo() -> None:
    smooth, rough, rougher = (grain_of(photo(strength), EVERYWHERE, None) for strength in (0.0, 0.04, 0.08))
    assert smooth is not None
    assert rough is not None
    assert rougher is not None
    assert max(smooth.strengths) < 1e-4
    assert abs(rougher.strengths[0] / rough.strengths[0] - 2.0) < 0.1
    # Blocks of a pixel of the measured picture: fine, and hardly coarse.
    assert rough.strengths[0] > 2.0 * rough.strengths[-1] > 0.0


def test_lashes_and_lips_are_no_grain() -> None:
    drawn = photo(0.02)
    drawn[..., 200:260, :] = -0.9
    plain, lined = grain_of(photo(0.02), EVERYWHERE, None), grain_of(drawn, EVERYWHERE, None)
    assert plain is not None
    assert lined is not None
    assert abs(lined.strengths[-1] / plain.strengths[-1] - 1.0) < 0.2


def test_without_skin_nothing_is_known() -> None:
    assert grain_of(photo(0.02), torch.zeros(1, 1, 64, 64), None) is None


def test_what_it_shades_varies_as_much_as_it_says() -> None:
    octave = Grain((0.03, 0.0, 0.0), None).shade(places(), FINE)
    assert abs(float(octave.std()) - 0.03) < 0.006  # read between the noise's points: a little less
    assert abs(float(octave.mean()) - 1.0) < 0.002


def test_points_too_far_apart_for_a_wave_do_not_alias() -> None:
    far = grain.WAVE * grain.OCTAVES[-1] * grain.PIXEL / grain.NEEDED[0]
    assert torch.equal(Grain((0.03, 0.03, 0.03), None).shade(places(50), torch.tensor([1.01 * far])), torch.ones(50, 1))


def test_hair_has_none() -> None:
    hair = torch.zeros(1, 1, CELLS, CELLS, CELLS)
    hair[..., CELLS // 2 :] = 1.0  # where x is positive
    shade = Grain((0.03, 0.03, 0.03), hair).shade(places(), FINE)[:, 0]
    x = places()[:, 0]
    assert (shade[x > EXTENT / 10] == 1.0).all()
    assert shade[x < -EXTENT / 10].std() > 0.02


def test_the_noise_repeats_without_a_seam() -> None:
    period = grain.CELLS * grain.OCTAVES[0] * grain.PIXEL / grain.FINE
    some, one = places(200), Grain((0.03, 0.0, 0.0), None)
    moved = one.shade(some + torch.tensor([period, 0.0, 0.0]), FINE)
    assert torch.allclose(one.shade(some, FINE), moved, atol=2e-4)
    # Also across the place where it begins anew nothing jumps.
    line = torch.stack([torch.linspace(0.0, period, 20001), torch.zeros(20001), torch.zeros(20001)], dim=1)
    assert one.shade(line, FINE)[:, 0].diff().abs().max() < 0.002
