"""Eyes and lips move by their own sliders only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.edit import LatentEdit
from core.rendering import lids, mouth, restraint

RINGS = (lids.UPPER, lids.LOWER, lids.ABOVE, lids.BELOW, restraint.BROW_SIDE, restraint.CHEEK_SIDE)
LIPS = (mouth.UPPER, mouth.LOWER, mouth.OVER, mouth.UNDER)
AROUND = (restraint.OVER_LIP, restraint.UNDER_LIP)
NUMBERS = torch.tensor(
    sorted({n for line in (*(line for ring in RINGS for line in ring), *LIPS, *AROUND) for n in line})
)
EYES, MOUTH = 60.0, 0.0


def at(line: tuple[int, ...]) -> list[int]:
    return [NUMBERS.tolist().index(number) for number in line]


def face(apart: float = 4.0, gap: float = 2.0) -> Tensor:
    """Landmarks (1, L, 3) of a face with lids so far apart, and inner lips."""
    found = torch.zeros(1, len(NUMBERS), 3)
    for ring, height in zip(RINGS, (0.5 * apart, -0.5 * apart, apart, -apart, 1.6 * apart, -1.6 * apart), strict=True):
        for side, line in enumerate(ring):
            found[0, at(line), 0] = torch.linspace(-5.0, 5.0, len(line)) + (20.0 if side else -20.0)
            found[0, at(line), 1] = EYES + height
    for line, height in zip(LIPS, (0.5 * gap, -0.5 * gap, 0.5 * gap + 3.0, -0.5 * gap - 3.0), strict=True):
        found[0, at(line), 0] = torch.linspace(-8.0, 8.0, len(line))
        found[0, at(line)[1:-1], 1] = MOUTH + height
        found[0, [at(line)[0], at(line)[-1]], 1] = MOUTH
    return found


def opening(landmarks: Tensor) -> float:
    up, low = (landmarks[0, at(ring[0]), 1] for ring in (lids.UPPER, lids.LOWER))
    return float((up - low).mean())


def gap(landmarks: Tensor) -> float:
    return float((landmarks[0, at(mouth.UPPER), 1] - landmarks[0, at(mouth.LOWER), 1])[1:-1].mean())


def test_lids_keep_their_opening_and_go_where_the_face_goes() -> None:
    before, after = face(4.0), face(2.5)
    after[..., 1] += 3.0
    kept = restraint.with_lids_kept(before, after, NUMBERS)
    assert opening(kept) == pytest.approx(4.0, abs=1e-5)
    up, low = at(lids.UPPER[0]), at(lids.LOWER[0])
    torch.testing.assert_close(kept[0, up] + kept[0, low], after[0, up] + after[0, low])
    torch.testing.assert_close(kept[0, at(mouth.UPPER)], after[0, at(mouth.UPPER)])


def test_cheeks_that_rise_push_no_lid() -> None:
    before = face()
    after = before.clone()
    for ring in (lids.BELOW, restraint.CHEEK_SIDE):
        for line in ring:
            after[0, at(line), 1] += 2.0
    kept = restraint.with_lids_kept(before, after, NUMBERS)
    torch.testing.assert_close(kept[0, at(lids.BELOW[1])], before[0, at(lids.BELOW[1])])
    risen = (kept - before)[0, at(restraint.CHEEK_SIDE[1]), 1]
    assert ((risen > 0.2) & (risen < 1.0)).all()


@pytest.mark.parametrize(("meant", "wanted"), [(2.0, 2.0), (6.0, 6.0), (-1.0, 0.0)])
def test_lips_part_as_far_as_is_meant_and_corners_stay_the_edits(meant: float, wanted: float) -> None:
    before, after = face(gap=2.0), face(gap=5.0)
    for line in LIPS:
        after[0, [at(line)[0], at(line)[-1]], 1] += 1.5  # corners that a smile lifts
    kept = restraint.with_lips_kept(before, after, face(gap=meant), NUMBERS)
    assert gap(kept) == pytest.approx(wanted, abs=1e-4)
    corners = [at(mouth.UPPER)[0], at(mouth.UPPER)[-1]]
    torch.testing.assert_close(kept[0, corners], after[0, corners])
    middle = at(mouth.UPPER)[5], at(mouth.LOWER)[5]
    torch.testing.assert_close(kept[0, middle[0]] + kept[0, middle[1]], after[0, middle[0]] + after[0, middle[1]])


def test_lips_that_nobody_asked_for_stay_as_they_are_even_where_latents_have_them_shut() -> None:
    before, after = face(gap=-1.0), face(gap=-2.5)
    kept = restraint.with_lips_kept(before, after, before, NUMBERS)
    assert gap(kept) == pytest.approx(-1.0, abs=1e-4)


def test_the_skin_around_lips_goes_with_them() -> None:
    before, after = face(gap=2.0), face(gap=6.0)
    kept = restraint.with_lips_kept(before, after, before, NUMBERS)
    for line, way in ((restraint.OVER_LIP, -1.0), (restraint.UNDER_LIP, 1.0)):
        torch.testing.assert_close(
            (kept - after)[0, at(line), 1], torch.full((len(line),), way * 2.0 * restraint.BEYOND), atol=1e-4, rtol=0
        )


def test_what_may_move_lips() -> None:
    edit = LatentEdit.none.with_strength("Smile", 1.5).with_strength("Mouth open", -0.5).with_strength("Age", 1.0)
    assert dict(restraint.allowed(edit).items()) == {"Mouth open": -0.5}
    assert dict(restraint.allowed(LatentEdit.none.with_strength("Smile", -1.0)).items()) == {"Smile": -1.0}


def test_landmarks_without_names_change_nothing() -> None:
    before, after, unknown = face(), face(2.0, 5.0), NUMBERS + 1000
    assert restraint.with_lids_kept(before, after, unknown) is after
    assert restraint.with_lips_kept(before, after, before, unknown) is after


def test_a_mouth_keeps_its_shape_but_for_what_is_meant() -> None:
    before = face()
    corners = at((mouth.UPPER[0], mouth.UPPER[-1]))
    meant = before.clone()
    meant[0, corners, 1] += 2.0  # a smile that was asked for
    after = meant.clone()
    after[0, corners, 1] += 1.5  # and one that came along
    after[..., 1] -= 4.0
    kept = restraint.with_mouth_kept(before, after, meant, NUMBERS)
    lips = at(mouth.UPPER)
    rise = kept[0, corners, 1] - kept[0, lips[1:-1], 1].mean()
    torch.testing.assert_close(rise, meant[0, corners, 1] - meant[0, lips[1:-1], 1].mean(), atol=1e-4, rtol=0.0)
    # It goes where the face goes, and the rest of the face is left alone.
    assert float(kept[0, lips, 1].mean() - meant[0, lips, 1].mean()) == pytest.approx(-4.0, abs=0.2)
    eyes = at(lids.UPPER[0])
    torch.testing.assert_close(kept[0, eyes], after[0, eyes])


def test_a_mouth_grows_with_the_face() -> None:
    before = face()
    after = before.clone()
    mouth_points = at(tuple({n for line in (*LIPS, *AROUND) for n in line}))
    middle = before[0, mouth_points].mean(dim=0)
    after[0, mouth_points] = middle + 1.1 * (before[0, mouth_points] - middle)
    torch.testing.assert_close(restraint.with_mouth_kept(before, after, before, NUMBERS), after, atol=1e-4, rtol=0.0)


def test_a_smile_may_move_the_mouth() -> None:
    edit = LatentEdit.none.with_strength("Smile", 1.0).with_strength("Age", 1.0).with_strength("Mouth open", 0.5)
    assert dict(restraint.of_the_mouth(edit).items()) == {"Smile": 1.0, "Mouth open": 0.5}
