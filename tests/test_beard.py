"""Laws of the beard: the tone of the hair, single strands, nothing where none grows, the same at every size."""

from __future__ import annotations

import pytest
import torch

from core.rendering.beard import bearded
from core.rendering.hair_tone import beard_tone, hair_tone

TONE = torch.tensor((0.3, 0.2, 0.1))
SKIN = torch.tensor((0.6, 0.2, 0.0))[None, :, None, None]


def skin(size: int) -> torch.Tensor:
    return SKIN.expand(1, 3, size, size).clone()


def chin(size: int = 128) -> torch.Tensor:
    share = torch.zeros(1, 1, size, size)
    share[:, :, size // 2 :] = 1.0
    return share


def test_a_beard_has_the_colour_of_the_hair_and_grows_nowhere_else() -> None:
    painted = bearded(skin(256), chin(), TONE)
    beard = (painted[0, :, 160:].mean(dim=(1, 2)) + 1.0) * 0.5
    assert (beard / beard.sum() - TONE / TONE.sum()).abs().max() < 0.06
    assert (painted[:, :, :100] - skin(256)[:, :, :100]).abs().max() < 1e-6


def test_it_has_strands_that_hang_down() -> None:
    luma = bearded(skin(256), chin(), TONE).mean(dim=1)[0, 160:]
    along, across = luma.diff(dim=0).abs().mean(), luma.diff(dim=1).abs().mean()
    assert across > 1.5 * along > 0


def test_small_and_large_pictures_show_the_same_beard() -> None:
    small, large = bearded(skin(128), chin(), TONE), bearded(skin(512), chin(), TONE)
    shrunk = torch.nn.functional.interpolate(large, size=128, mode="area")
    assert (shrunk - small).abs().mean() < 0.05


def test_a_bald_head_has_the_tone_of_its_brows() -> None:
    photo = torch.full((1, 3, 128, 128), 0.6)
    photo[:, :, 40:44, 40:80] = -0.5
    brows = torch.zeros(1, 1, 128, 128)
    brows[:, :, 36:48, 36:84] = 1.0
    nothing = torch.zeros(1, 1, 128, 128)
    tone = hair_tone(photo, nothing, torch.ones(1, 1, 128, 128), brows, nothing).shade
    assert (tone - 0.25).abs().max() < 0.02


def test_where_every_place_has_a_tone_of_its_own_new_hair_takes_it() -> None:
    photo = torch.zeros(1, 3, 64, 64)
    tone = torch.full((1, 3, 64, 64), 0.2)
    tone[..., 32:] = 0.7
    found = (bearded(photo, torch.ones(1, 1, 64, 64), tone, 1.0) + 1.0) * 0.5
    assert abs(float(found[..., :30].mean()) - 0.2) < 0.06
    assert abs(float(found[..., 34:].mean()) - 0.7) < 0.06


def test_a_grown_beard_has_a_colour_of_its_own() -> None:
    """That of what the parser takes for one, inside the head; a shade under a lip is none."""
    photo = torch.full((1, 3, 256, 256), 0.2)
    photo[:, :, 160:220, 80:176] = -0.6
    matte, beard = torch.ones(1, 1, 256, 256), torch.zeros(1, 1, 128, 128)
    beard[:, :, 82:108, 42:86] = 0.9
    found = beard_tone(photo, beard, matte)
    assert found is not None
    assert found.tolist() == pytest.approx([0.2] * 3, abs=0.01)
    assert beard_tone(photo, 0.4 * beard, matte) is None
    small = torch.zeros_like(beard)
    small[:, :, 90:94, 60:70] = 1.0
    assert beard_tone(photo, small, matte) is None
    assert beard_tone(photo, beard, torch.zeros_like(matte)) is None
