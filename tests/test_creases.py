"""Lines that age draws: at the places where skin folds, the same in everybody, and only where there is none yet."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.alignment.pose import average_head
from core.camera import Camera
from core.rendering.creases import EYES, FOLDS, carried, creases_at
from core.rendering.wrinkles import with_wrinkles

SIDE = 256
EVERYWHERE = torch.ones(1, 1, SIDE, SIDE)


@cache
def face() -> NDArray[np.float64]:
    """The average head from in front: 468 landmarks in unit picture coordinates."""
    return (Camera().project(average_head())[0] + 1.0) / 2.0


def darkest(lines: torch.Tensor, around: NDArray[np.float64], reach: float = 0.02) -> float:
    x, y = np.round(around * SIDE).astype(int)
    r = round(reach * SIDE)
    return float(lines[0, 0, y - r : y + r + 1, x - r : x + r + 1].min())


def test_lines_lie_where_skin_folds_and_nowhere_else() -> None:
    lines = creases_at(face(), SIDE)
    for side in range(2):
        assert darkest(lines, face()[FOLDS[side][2]]) < -0.4, "from nose to mouth"
        outwards = face()[EYES[side][0]] - face()[EYES[side][1]]
        assert darkest(lines, face()[EYES[side][0]] + 0.4 * outwards) < -0.2, "beside the eye"
    assert darkest(lines, 0.5 * (face()[9] + face()[10])) < -0.3, "the forehead"
    for place in (50, 280, 4):  # cheeks, tip of the nose
        assert darkest(lines, face()[place], 0.008) > -0.05
    assert float(lines.max()) < 0.35
    assert float((lines < -0.1).float().mean()) < 0.05


def test_lines_are_the_same_at_other_sizes_and_every_time() -> None:
    large = torch.nn.functional.interpolate(creases_at(face(), 2 * SIDE), scale_factor=0.5, mode="area")
    small = creases_at(face(), SIDE)
    assert torch.equal(small, creases_at(face(), SIDE))
    both = torch.stack((large.flatten(), small.flatten()))
    assert float(torch.corrcoef(both)[0, 1]) > 0.9
    assert 0.7 < float(large.std() / small.std()) < 1.4


def test_age_draws_lines_on_plain_skin_and_youth_does_not() -> None:
    skin, lines = torch.full((1, 3, SIDE, SIDE), 0.3), creases_at(face(), SIDE)
    older = with_wrinkles(skin, EVERYWHERE, 1.0, lines)
    assert float((older - skin).min()) < -0.1
    assert torch.equal(with_wrinkles(skin, EVERYWHERE, -1.0, lines), skin)
    dark = torch.full((1, 3, SIDE, SIDE), -0.7)
    lessened = (with_wrinkles(dark, EVERYWHERE, 1.0, lines) - dark).min() / (older - skin).min()
    assert float(lessened) < 0.4, "a shade takes a share of the light that there is"


def test_whoever_has_a_line_gets_less_of_a_second_one() -> None:
    lines = creases_at(face(), SIDE)
    x, y = np.round(0.5 * (face()[9] + face()[10]) * SIDE).astype(int)
    plain = torch.full((1, 3, SIDE, SIDE), 0.3)
    begun = plain.clone()
    for row in range(y - 30, y + 31, 10):
        begun[:, :, row : row + 4, :] -= 0.16
    here = (..., slice(y - 20, y + 20), slice(x - 20, x + 20))
    drawn = [
        with_wrinkles(some, EVERYWHERE, 1.0, lines) - with_wrinkles(some, EVERYWHERE, 1.0) for some in (plain, begun)
    ]
    assert float(drawn[1][here].abs().max()) < 0.5 * float(drawn[0][here].abs().max())


def test_freckles_do_not_deepen_as_lines_do() -> None:
    freckled, lined = (torch.full((1, 3, SIDE, SIDE), 0.3) for _ in range(2))
    freckled[:, :, 100:103, 100:103] -= 0.1
    lined[:, :, 100:103, 60:140] -= 0.1
    deeper = [float((some - with_wrinkles(some, EVERYWHERE, 1.0))[0, 0, 101, 101]) for some in (freckled, lined)]
    assert deeper[1] > 0.05
    assert deeper[0] < 0.3 * deeper[1]


def test_landmarks_go_where_the_face_goes() -> None:
    marks, numbers = torch.from_numpy(face()), np.arange(0, 468, 2)
    old, aside = face()[numbers], np.array((0.02, -0.01))
    np.testing.assert_allclose(carried(marks, old, old + aside, numbers), face() + aside)
    new = old.copy()
    lower = old[:, 1] > 0.6
    new[lower, 1] += 0.03
    moved = carried(marks, old, new, numbers) - face()
    assert moved[152, 1] > 0.025  # the chin, which is one of them
    assert abs(moved[10, 1]) < 0.005
