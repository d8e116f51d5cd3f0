"""People of evaluation: always the same ones, never those of training, and a floor that means something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.camera import Camera
from core.errors import CameoError
from core.evaluation import people as room
from core.evaluation.likeness import PHOTO_SIZE
from core.evaluation.people import People
from core.world.dataset import sample_head


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    if not room.PACK.exists():
        pytest.skip("no pack; build it with `python -m core world pack MAKEHUMAN_FOLDER`")
    drawn = People()
    try:
        drawn.view(drawn.person(0), Camera(), 64)
    except CameoError as error:
        pytest.skip(f"no off-screen OpenGL: {error}")
    yield drawn
    drawn.close()


def test_a_missing_pack_is_said(tmp_path: Path) -> None:
    with pytest.raises(CameoError, match="is not there"):
        People(tmp_path / "pack.npz")


def test_nobody_was_trained_on(people: People) -> None:
    codes = {people.code(index).tobytes() for index in range(200)}
    assert len(codes) == 200
    assert not codes & {sample_head(index).z.tobytes() for index in range(200)}


def test_streams_hold_other_people(people: People) -> None:
    assert not np.array_equal(People(stream=1).code(0), people.code(0))


def test_a_person_is_always_the_same(people: People) -> None:
    camera = people.cameras(3, 4)[2]
    assert camera == people.cameras(3, 9)[2]
    first, again = (people.view(people.person(3), camera, 64).colour for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_photo_shows_the_person_before_a_wall(people: People) -> None:
    photo = people.photo(people.person(1), Camera())
    assert photo.shape == (PHOTO_SIZE, PHOTO_SIZE, 3)
    assert np.ptp(photo[:8].astype(int), axis=1).max() <= 1
    assert photo.std() > 10
