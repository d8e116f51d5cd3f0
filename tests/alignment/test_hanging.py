"""Hair that hangs beside a face, on painted pictures: long, short, over clothes of its own colour."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.alignment.hanging import CHIN, EYES, JAW, MOUTH, NOSE_BRIDGE, Hanging, hanging_hair

S = 256
SKIN, BROWN, RED, BLACK, BLUE = (205, 160, 135), (95, 62, 40), (170, 30, 40), (24, 22, 24), (60, 90, 140)
CHIN_ROW = 175


def painted(*, hair_to: int, clothes: tuple[int, int, int], hair: tuple[int, int, int] = BROWN) -> Hanging | None:
    """A face in the middle, hair around it down to a row, a neck and shoulders, on blue."""
    picture = np.full((S, S, 3), BLUE, np.uint8)
    person, face, body = (np.zeros((S, S), np.uint8) for _ in range(3))

    def draw(colour: tuple[int, int, int], mask: NDArray[np.uint8]) -> None:
        picture[mask > 0] = colour
        person[mask > 0] = 1

    shoulders, crown, neck = (np.zeros((S, S), np.uint8) for _ in range(3))
    cv2.ellipse(shoulders, (128, 285), (230, 95), 0, 0, 360, 1, -1)
    draw(clothes, shoulders)
    cv2.ellipse(crown, (128, 100), (75, 80), 0, 180, 360, 1, -1)
    if hair_to > 100:
        cv2.rectangle(crown, (53, 100), (203, hair_to), 1, -1)
    draw(hair, crown)
    cv2.rectangle(neck, (105, 150), (151, 215), 1, -1)
    draw(SKIN, neck)
    cv2.ellipse(face, (128, 120), (45, 60), 0, 0, 360, 1, -1)
    draw(SKIN, face)
    body = np.maximum(body, neck)
    # Nothing is one colour in a photo.
    picture = np.clip(picture + np.random.default_rng(0).normal(0, 4, picture.shape), 0, 255).astype(np.uint8)

    points = np.zeros((468, 2))
    for number, place in zip(
        (NOSE_BRIDGE, CHIN, *JAW, *MOUTH, *EYES),
        ((128, 105), (128, CHIN_ROW), (90, 165), (166, 165), (113, 150), (143, 150), (100, 105), (156, 105)),
        strict=True,
    ):
        points[number] = place
    reach = np.ones((S, S), bool)
    return hanging_hair(picture, person.astype(np.float32), face > 0, body > 0, points, reach)


def test_long_hair_is_found_to_its_end_and_the_blouse_below_it_is_not() -> None:
    found = painted(hair_to=215, clothes=RED)
    assert found is not None
    for left, right in ((60, 80), (176, 196)):
        assert found.hair[110:210, left:right].mean() > 0.97
    assert not found.hair[225:].any()
    assert found.clothes[235:, 20:236].mean() > 0.8
    assert not (found.hair & found.clothes).any()


def test_short_hair_hangs_nowhere_and_a_suit_is_not_taken_for_it() -> None:
    assert painted(hair_to=100, clothes=BROWN) is None


@pytest.mark.parametrize("hair", [BLACK, BROWN])
def test_hair_over_clothes_of_its_own_colour_does_not_end_at_the_shoulders_edge(hair: tuple[int, int, int]) -> None:
    found = painted(hair_to=190, clothes=hair, hair=hair)
    assert found is not None
    assert found.hair[110 : CHIN_ROW - 8, 60:80].mean() > 0.97
    # What cannot be told ends at the chin, and nothing is called clothes for certain.
    assert not found.hair[CHIN_ROW + 4 :].any()
    assert not found.clothes.any()


def test_a_hood_is_no_hair() -> None:
    """Beside the face is somebody, but not in the colour of what is above the eyes."""
    picture = np.full((S, S, 3), BLUE, np.uint8)
    face = np.zeros((S, S), np.uint8)
    cv2.ellipse(face, (128, 120), (45, 60), 0, 0, 360, 1, -1)
    picture[20:105, 53:203] = BROWN
    picture[105:, 53:203] = RED
    picture[face > 0] = SKIN
    points = np.zeros((468, 2))
    points[NOSE_BRIDGE], points[CHIN] = (128, 105), (128, CHIN_ROW)
    points[list(JAW)], points[list(MOUTH)], points[list(EYES)] = (128, 165), (128, 150), (128, 105)
    person = (picture != BLUE).any(axis=2).astype(np.float32)
    assert hanging_hair(picture, person, face > 0, np.zeros((S, S), bool), points, np.ones((S, S), bool)) is None
