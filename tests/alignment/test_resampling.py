"""Laws of cutting a square out of a picture: nothing moves, nothing aliases, edges are mirrored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alignment.resampling import cut
from core.alignment.values import apply_affine


def similarity(side: float, angle: float, centre: tuple[float, float]) -> np.ndarray:
    """From picture pixels to the unit square of that side around a centre."""
    linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / side
    return np.concatenate([linear, (0.5 - linear @ np.array(centre))[:, None]], axis=1)


def zone_plate(size: int) -> np.ndarray:
    """Rings whose frequency grows from 0 in the middle to half a cycle a pixel at the edge."""
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    return (127.5 + 127 * np.cos(np.pi / size * (x * x + y * y))).astype(np.uint8)


def test_cutting_the_whole_picture_at_its_own_size_gives_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert np.array_equal(cut(picture, similarity(64, 0.0, (32, 32)), 64), picture)


@settings(max_examples=25, deadline=None)
@given(
    side=st.floats(100, 700),
    angle=st.floats(-3.1, 3.1),
    dx=st.floats(-20, 20),
    dy=st.floats(-20, 20),
    sharp=st.booleans(),
)
def test_a_spot_appears_where_the_affine_says(side: float, angle: float, dx: float, dy: float, sharp: bool) -> None:
    to_unit = similarity(side, angle, (400 + dx, 400 + dy))
    y, x = np.mgrid[:800, :800] + 0.5
    place = np.array([400.0, 400.0])
    radius = max(3.0, side / 48)
    spot = 250 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * radius**2))
    result = cut(spot.astype(np.uint8), to_unit, 96, sharp=sharp).astype(float)
    centres = np.stack(np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5), axis=-1)
    found = (centres * result[..., None]).sum(axis=(0, 1)) / result.sum()
    assert np.abs(found - apply_affine(to_unit, place) * 96).max() < 0.05


@pytest.mark.parametrize("size", [700, 1500, 3000])
def test_detail_finer_than_the_crop_vanishes_instead_of_aliasing(size: int) -> None:
    out = 128
    side = size / 1.45
    result = cut(zone_plate(size), similarity(side, 0.3, (size / 2, size / 2)), out).astype(float)
    y, x = (np.mgrid[:out, :out] + 0.5) / out - 0.5
    radius = np.hypot(x, y)
    frequency = radius * side / size * side / out  # cycles a crop pixel
    inside = radius < 0.5
    contrast = 127 / np.sqrt(2)
    assert result[(frequency > 0.8) & inside].std() < 0.12 * contrast
    kept = (frequency > 0.05) & (frequency < 0.25)
    if kept.sum() > 100:  # the finest plate has too little of it for a figure
        assert result[kept & inside].std() > 0.9 * contrast


def test_what_lies_outside_is_mirrored_or_black() -> None:
    picture = np.random.default_rng(1).integers(1, 256, (80, 80, 3)).astype(np.uint8)
    to_unit = similarity(80, 0.0, (0, 40))  # the left half lies outside
    mirrored = cut(picture, to_unit, 80)
    assert np.array_equal(mirrored[:, 39], mirrored[:, 41])
    assert np.array_equal(mirrored[:, 20], mirrored[:, 60])
    assert not cut(picture, to_unit, 80, fill="black")[:, :39].any()


@pytest.mark.parametrize("centre", [(-500.0, 40.0), (40.0, 5000.0)])
def test_a_square_far_outside_still_gives_a_picture(centre: tuple[float, float]) -> None:
    picture = np.full((60, 70, 3), 200, np.uint8)
    assert (cut(picture, similarity(300, 0.2, centre), 64) == 200).all()
