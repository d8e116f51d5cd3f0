"""Laws of choosing between the two heads that a photo is read as."""

from __future__ import annotations

import pytest
import torch

from core.alignment import Framing
from core.camera import Camera
from core.reading import READER_MAY_MISS, SWOLLEN, WHOLE, Fit, Reading, better_fit

NOTHING = Reading(torch.zeros(1), torch.zeros(1), Framing(), Camera())


def fit(outline: float = 0.02, swelling: float = 0.0) -> Fit:
    return Fit(NOTHING, None, outline, swelling)


def nobody_asks(_: Fit) -> float:
    return 1.0


def test_the_readers_head_is_shown_while_its_outline_is_about_as_good() -> None:
    own = fit(0.02)
    good, bad = fit(0.02 * READER_MAY_MISS * 0.99), fit(0.02 * READER_MAY_MISS * 1.01)
    assert better_fit(own, good, nobody_asks) is good
    assert better_fit(own, bad, nobody_asks) is own


def test_a_swollen_head_is_not_shown() -> None:
    own, swollen = fit(0.02), fit(0.001, SWOLLEN * 1.01)
    assert better_fit(own, swollen, nobody_asks) is own


@pytest.mark.parametrize(
    ("reader", "own", "taken"),
    [
        (WHOLE - 0.01, WHOLE + 0.01, "own"),  # in pieces, and the other one is whole
        (WHOLE - 0.01, WHOLE - 0.02, "reader"),  # both are in pieces: the outline decides
        (WHOLE + 0.01, 1.0, "reader"),  # whole enough
    ],
)
def test_a_head_in_pieces_gives_way_to_a_whole_one(reader: float, own: float, taken: str) -> None:
    by = {"reader": fit(0.01), "own": fit(0.02)}
    shares = {id(by["reader"]): reader, id(by["own"]): own}
    assert better_fit(by["own"], by["reader"], lambda one: shares[id(one)]) is by[taken]


def test_the_spare_head_must_be_sound_itself() -> None:
    own, reader = fit(0.02, SWOLLEN * 1.01), fit(0.01)
    assert better_fit(own, reader, lambda one: 0.5 if one is reader else 1.0) is reader
