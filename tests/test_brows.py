"""Laws of brows on a photo: their own hairs grow or give way, skin and everything else stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.rendering.brows import LOWER, UPPER, brows_at, with_brows

NUMBERS = np.array(sorted({number for line in (*UPPER, *LOWER) for number in line}))
SIZE, SKIN, HAIR = 256, 0.4, -0.6
TOP, BOTTOM, LEFT, RIGHT = 0.40, 0.43, 0.28, 0.42


def places() -> np.ndarray:
    """Brows between two heights on both sides of the nose, unit picture coordinates."""
    found = np.zeros((len(NUMBERS), 2))
    for lines, height in ((UPPER, TOP), (LOWER, BOTTOM)):
        for side, line in enumerate(lines):
            for step, number in enumerate(line):
                u = RIGHT - (RIGHT - LEFT) * step / (len(line) - 1)
                found[list(NUMBERS).index(number)] = (1.0 - u if side else u), height
    return found


def brows() -> torch.Tensor:
    found = brows_at(places(), NUMBERS, SIZE)
    assert found is not None
    return found


def photo(size: int = SIZE) -> torch.Tensor:
    picture = torch.full((1, 3, size, size), SKIN)
    rows, columns = slice(round(TOP * size), round(BOTTOM * size)), slice(round(LEFT * size), round(RIGHT * size))
    picture[..., rows, columns] = HAIR
    picture[..., rows, size - columns.stop : size - columns.start] = HAIR
    return picture


def dark(picture: torch.Tensor) -> float:
    """How much hair a picture shows: what it is darker than skin, all together."""
    return float((SKIN - picture.mean(dim=1)).clamp(min=0.0).mean())


@pytest.mark.parametrize("size", [128, 256, 512])
def test_hairs_grow_and_give_way_at_any_resolution(size: int) -> None:
    before = photo(size)
    thicker, half, thinner = (dark(with_brows(before, brows(), strength)) for strength in (1.0, 0.5, -1.0))
    assert 1.2 * dark(before) < thicker < 2.0 * dark(before)
    assert dark(before) < half < thicker
    assert thinner < 0.85 * dark(before)


@pytest.mark.parametrize("strength", [1.0, -1.0])
def test_plain_skin_and_what_is_far_from_brows_stay(strength: float) -> None:
    plain = torch.full((1, 3, SIZE, SIZE), SKIN) + 0.02 * torch.randn(
        1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)
    )
    assert (with_brows(plain, brows(), strength) - plain).abs().max() < 0.01
    lips = photo()
    lips[..., 180:190, 90:160] = HAIR
    changed = with_brows(lips, brows(), strength)
    assert torch.equal(changed[..., 130:, :], lips[..., 130:, :])
    assert torch.equal(changed[..., :80, :], lips[..., :80, :])


def test_no_step_at_nothing() -> None:
    before = photo()
    assert (with_brows(before, brows(), 1e-3) - before).abs().max() < 0.02


def test_brows_under_bangs_are_left_alone() -> None:
    assert torch.equal(with_brows(photo(), brows(), 1.0, torch.zeros(1, 1, 64, 64)), photo())


def test_landmarks_without_names_have_no_brows() -> None:
    assert brows_at(places(), NUMBERS + 1000, SIZE) is None
