"""Laws of lids that an edit moves: the eye opens by its share, corners and everything else stay."""

from __future__ import annotations

import pytest
import torch

from core.rendering.lids import ABOVE, BELOW, LOWER, NARROWER, UPPER, WIDER, with_lids

ELSEWHERE = (33, 133, 263, 362, 1, 4)
NUMBERS = torch.tensor(
    sorted({*ELSEWHERE, *(n for group in (UPPER, LOWER, ABOVE, BELOW) for line in group for n in line)})
)


def places(lines: tuple[tuple[int, ...], ...]) -> list[int]:
    return [NUMBERS.tolist().index(number) for line in lines for number in line]


def face() -> torch.Tensor:
    """Landmarks (1, L, 3) with lids ten units apart and skin ten units farther."""
    found = torch.randn(1, len(NUMBERS), 3, generator=torch.Generator().manual_seed(0))
    for lines, height in ((ABOVE, 20.0), (UPPER, 10.0), (LOWER, 0.0), (BELOW, -10.0)):
        found[0, places(lines), 1] = height
        found[0, places(lines), 0] = torch.arange(14.0)
    return found


def opening(landmarks: torch.Tensor) -> float:
    return float((landmarks[0, places(UPPER), 1] - landmarks[0, places(LOWER), 1]).mean())


@pytest.mark.parametrize(("strength", "wanted"), [(1.0, 1.0 + WIDER), (0.5, 1.0 + 0.5 * WIDER), (-1.0, 1.0 - NARROWER)])
def test_an_eye_opens_by_a_share_of_itself(strength: float, wanted: float) -> None:
    moved = with_lids(face(), NUMBERS, strength)
    assert opening(moved) == pytest.approx(10.0 * wanted, rel=1e-5)


def test_nothing_else_moves_and_the_skin_comes_along() -> None:
    before = face()
    moved = with_lids(before, NUMBERS, 1.0)
    assert torch.equal(moved[0, places((ELSEWHERE,))], before[0, places((ELSEWHERE,))])
    step = (moved - before)[0, :, 1]
    assert (step[places(ABOVE)] > 0.0).all()
    assert (step[places(ABOVE)] < step[places(UPPER)]).all()
    assert (step[places(LOWER)] < step[places(BELOW)]).all()
    assert (step[places(BELOW)] < 0.0).all()


def test_no_edit_and_landmarks_without_names_change_nothing() -> None:
    before = face()
    assert with_lids(before, NUMBERS, 0.0) is before
    unknown = NUMBERS.clone()
    unknown[places(UPPER)[0]] = 999
    assert with_lids(before, unknown, 1.0) is before
