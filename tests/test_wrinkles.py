"""Age on the photo: creases of skin deepen and fill; edges, eyes and hair stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.rendering import lids
from core.rendering.wrinkles import skin_at, with_wrinkles
from tests.toy_face import numbers, places

SIDE = 256
EVERYWHERE = torch.ones(1, 1, SIDE, SIDE)


def skin(crease: float = 0.0, edge: float = 0.0) -> Tensor:
    """Plain skin with a line across its upper half, five pixels wide, and a step in its lower half."""
    picture = torch.full((1, 3, SIDE, SIDE), 0.3)
    picture[:, :, 62:67, 40:216] -= crease
    picture[:, :, 190:, :] -= edge
    return picture


def depth(picture: Tensor) -> float:
    return float(picture[0, :, 20, 128].mean() - picture[0, :, 64, 128].mean())


@pytest.mark.parametrize(
    ("strength", "least", "most"), [(1.0, 1.5, 2.5), (0.5, 1.2, 1.8), (-1.0, 0.3, 0.7), (-0.5, 0.6, 0.9)]
)
def test_a_crease_deepens_and_fills(strength: float, least: float, most: float) -> None:
    before = skin(crease=0.08)
    after = with_wrinkles(before, EVERYWHERE, strength)
    assert least < depth(after) / depth(before) < most
    assert float((after - before)[0, :, 128].abs().max()) < 1e-6  # plain skin stays plain
    torch.testing.assert_close(after[:, 0], after[:, 2])  # a matter of light, not of colour


def test_what_is_no_skin_stays() -> None:
    before = skin(crease=0.08)
    region = EVERYWHERE.clone()
    region[..., :140] = 0.0
    after = with_wrinkles(before, region, 1.0)
    torch.testing.assert_close(after[..., :139], before[..., :139])
    assert depth(after) == depth(before)
    assert not torch.equal(after[..., 150:], before[..., 150:])


def test_edges_too_strong_for_skin_stay() -> None:
    before = skin(edge=0.9)
    for strength in (1.0, -1.0):
        # Beside a step of .9 the next wrinkle is .06 deep at the most.
        assert float((with_wrinkles(before, EVERYWHERE, strength) - before).abs().max()) < 0.07


def test_no_age_is_the_photo_itself() -> None:
    before = skin(0.08)
    assert with_wrinkles(before, EVERYWHERE, 0.0) is before


def test_it_is_the_same_at_other_sizes() -> None:
    large = torch.nn.functional.interpolate(skin(crease=0.08), scale_factor=2, mode="bilinear")
    found = with_wrinkles(large, EVERYWHERE, 1.0)
    small = torch.nn.functional.interpolate(found, scale_factor=0.5, mode="area")
    assert depth(small) == pytest.approx(depth(with_wrinkles(skin(crease=0.08), EVERYWHERE, 1.0)), rel=0.15)


# ------------------------------------------------------------------------------------------------------ where skin is


def test_skin_is_the_face_without_eyes_lips_and_nostrils() -> None:
    found = skin_at(places(), numbers(), SIDE)
    assert found is not None

    def at(u: float, v: float) -> float:
        return float(found[0, 0, round(v * SIDE), round(u * SIDE)])

    assert at(0.36, 0.58) > 0.9, "a cheek"
    assert at(0.5, 0.3) > 0.9, "the forehead"
    for elsewhere in ((0.38, 0.44), (0.62, 0.44), (0.5, 0.68), (0.5, 0.56), (0.05, 0.5), (0.5, 0.95)):
        assert at(*elsewhere) < 0.2, elsewhere


def test_landmarks_without_names_say_nothing() -> None:
    unknown = numbers()
    unknown[list(unknown).index(lids.UPPER[0][0])] = 9999
    assert skin_at(places(), unknown, SIDE) is None
