"""The outline that a photo asks for, within the camera's picture and above it."""

import numpy as np
import torch
from numpy.typing import NDArray

from core.refinement.wanted_outline import AROUND, HIGHEST, SIDE, Around, WantedOutline

Array = NDArray[np.float64]
MIDDLE, RADIUS = (60.0, 36.0), 42.0


def _disc(middle: tuple[float, float], radius: float, size: int, scale: float = 1.0) -> Array:
    """A soft disc of a picture ``scale`` times as wide, in pixels of SIDE of the narrow one."""
    pixel = SIDE * scale / size
    steps = (np.arange(size) + 0.5) * pixel - 0.5 - SIDE * (scale - 1.0) / 2.0
    away = radius - np.hypot(steps[None] - middle[0], steps[:, None] - middle[1])
    soft: Array = np.clip(away / pixel + 0.5, 0.0, 1.0)
    return soft


def _matte() -> torch.Tensor:
    return torch.from_numpy(_disc(MIDDLE, RADIUS, 256)).float()[None, None]


def _around(*discs: tuple[tuple[float, float], float]) -> Around:
    person = np.max([_disc(middle, radius, 256, AROUND) for middle, radius in discs], axis=0)
    return Around(person.astype(np.float32), np.ones((256, 256), bool))


def test_within_the_picture_the_matte_speaks_alone() -> None:
    found = WantedOutline.of(_matte(), None, 0.9).places
    assert found[:, 1].min() > 1.0
    assert np.abs(np.hypot(found[:, 0] - MIDDLE[0], found[:, 1] - MIDDLE[1]) - RADIUS).max() < 0.6


def test_above_the_picture_the_photo_goes_on() -> None:
    found = WantedOutline.of(_matte(), None, 0.9, _around((MIDDLE, RADIUS))).places
    above = found[found[:, 1] < -1.0]
    assert len(above) > 8
    away = found[:, :2] - MIDDLE
    assert np.abs(np.hypot(*away.T) - RADIUS).max() < 0.8, "one outline, without a step where the picture ends"
    outwards = away / np.hypot(*away.T)[:, None]
    assert ((found[:, 2:] * outwards).sum(1) > 0.95).all()


def test_people_beside_the_picture_are_nobody() -> None:
    bystander = (SIDE + 8.0, 40.0), 12.0
    alone = WantedOutline.of(_matte(), None, 0.9, _around((MIDDLE, RADIUS))).places
    beside = WantedOutline.of(_matte(), None, 0.9, _around((MIDDLE, RADIUS), bystander)).places
    assert np.array_equal(alone, beside)


def test_where_the_photo_ends_nothing_is_said() -> None:
    around = _around((MIDDLE, RADIUS))
    around.known[:40] = False
    assert WantedOutline.of(_matte(), None, 0.9, around).places[:, 1].min() > 1.0


def test_no_crown_is_wanted_above_the_scene() -> None:
    tall = (60.0, 30.0), 44.5
    matte = torch.from_numpy(_disc(*tall, 256)).float()[None, None]
    found = WantedOutline.of(matte, None, 0.9, _around(tall)).places
    assert found[:, 1].min() == HIGHEST


def test_below_the_chin_upright_outlines_alone_are_judged() -> None:
    wanted = WantedOutline.of(_matte(), None, 0.5)
    lower = wanted.places[(wanted.places[:, 1] + 0.5) / SIDE > 0.5]
    assert (np.abs(lower[:, 2]) > 0.85).all()
    level = np.array([[60.0, 70.0, 0.0, 1.0], [60.0, 70.0, 1.0, 0.0], [60.0, 100.0, 1.0, 0.0]])
    assert wanted.judged(level).tolist() == [False, True, False]
    assert wanted.judged(level, 10.0).tolist() == [True, True, False]
