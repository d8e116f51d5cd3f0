"""Laws of the opened mouth: teeth hang from the upper lip, below it is dark, and nothing opens that was not opened."""

from __future__ import annotations

import numpy as np
import torch

from core.rendering.mouth import LOWER, OVER, UNDER, UPPER, Opening, lips, opening, with_mouth

NUMBERS = np.array(sorted({*UPPER, *LOWER, *OVER, *UNDER}))
SIZE = 256


def places(top: float, bottom: float) -> np.ndarray:
    """Landmarks of a mouth from u = .4 to .6 whose inner lips lie at two heights, the outer ones .03 farther."""
    found = np.zeros((len(NUMBERS), 2))
    for line, height in ((OVER, top - 0.03), (UNDER, bottom + 0.03), (UPPER, top), (LOWER, bottom)):
        for step, number in enumerate(line):
            found[list(NUMBERS).index(number)] = 0.4 + 0.2 * step / (len(line) - 1), height
    return found


def shown(before: tuple[float, float], after: tuple[float, float], photo: torch.Tensor) -> torch.Tensor:
    mouth = opening(places(*before), places(*after), NUMBERS, SIZE)
    assert isinstance(mouth, Opening)
    return with_mouth(torch.full((1, 3, SIZE, SIZE), 0.3), photo, mouth)


def row(height: float) -> int:
    return int(height * SIZE)


def test_lips_that_do_not_part_change_nothing() -> None:
    assert opening(places(0.68, 0.68), places(0.68, 0.68), NUMBERS, SIZE) is None
    assert opening(places(0.66, 0.72), places(0.66, 0.70), NUMBERS, SIZE) is None


def test_shut_lips_open_on_teeth_and_a_dark_mouth() -> None:
    picture = shown((0.68, 0.68), (0.67, 0.74), torch.full((1, 3, SIZE, SIZE), 0.3))
    luma = picture.mean(dim=1)[0]
    middle = slice(row(0.48), row(0.52))
    assert luma[row(0.675), middle].mean() > 0.2
    assert luma[row(0.715), middle].mean() < -0.6
    assert (luma[row(0.78), middle] - 0.3).abs().max() < 1e-5
    assert (luma[: row(0.66)] - 0.3).abs().max() < 1e-5


def test_the_teeth_of_the_photo_go_with_the_upper_lip_and_are_not_stretched() -> None:
    photo = torch.full((1, 3, SIZE, SIZE), 0.3)
    photo[:, :, row(0.66) : row(0.70)] = 0.9
    luma = shown((0.66, 0.70), (0.67, 0.76), photo).mean(dim=1)[0]
    middle = slice(row(0.48), row(0.52))
    assert luma[row(0.685), middle].min() > 0.8
    assert luma[row(0.73), middle].max() < -0.5


def test_a_mouth_that_opens_a_little_changes_little() -> None:
    photo = torch.full((1, 3, SIZE, SIZE), 0.3)
    small = (shown((0.68, 0.68), (0.68, 0.682), photo) - 0.3).abs().mean()
    large = (shown((0.68, 0.68), (0.68, 0.72), photo) - 0.3).abs().mean()
    assert small < 0.05 * large


def test_lips_are_between_their_outer_edges() -> None:
    found = lips(places(0.68, 0.70), NUMBERS, SIZE)
    assert found is not None
    assert found[0, 0, row(0.69), row(0.5)] == 1
    assert found[0, 0, row(0.60), row(0.5)] == 0
    assert found[0, 0, row(0.69), row(0.3)] == 0
