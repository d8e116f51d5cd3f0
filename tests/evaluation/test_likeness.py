"""Figures of a head beside its photo, on drawn silhouettes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evaluation.likeness import outline_figures

SIZE = 256


def figures(head: NDArray[np.bool_], matte: NDArray[np.bool_], photo_left: float = 0.0) -> dict[str, float]:
    """Of a head and a matte, the chin at three quarters of the picture; the photo begins so far to the right [0..1]."""
    camera = SimpleNamespace(yaw=0.0, pitch=0.0)
    aligned = SimpleNamespace(
        matte256=matte.astype(np.float32),
        landmarks=np.array([[0.5, 0.2], [0.5, 0.75]]),
        # The photo has 100 pixels to the width of the crop.
        to_photo=np.array([[100.0, 0.0, -100.0 * photo_left], [0.0, 100.0, 0.0]]),
        photo_size=(200, 200),
    )
    frame = SimpleNamespace(alpha=np.where(head, 255, 0).astype(np.uint8))
    engine = SimpleNamespace(render=lambda request: frame)
    return outline_figures(engine, SimpleNamespace(camera=camera, aligned=aligned))  # type: ignore[arg-type]


def block(left: int, right: int, low: int = SIZE) -> NDArray[np.bool_]:
    found = np.zeros((SIZE, SIZE), bool)
    found[:low, left:right] = True
    return found


def test_a_head_like_its_matte_is_nowhere_beyond_it() -> None:
    assert figures(block(64, 192), block(64, 192)) == {"beyond": 0.0, "missed": 0.0}


def test_what_stands_out_and_what_is_missed_are_shares_of_the_matte() -> None:
    found = figures(block(32, 128), block(64, 192))
    assert found["beyond"] == pytest.approx(0.25)
    assert found["missed"] == pytest.approx(0.5)


def test_necks_and_what_lies_outside_the_photo_are_not_judged() -> None:
    assert figures(block(64, 192), block(64, 192, low=192)) == {"beyond": 0.0, "missed": 0.0}
    assert figures(block(0, 192), block(64, 192), photo_left=0.25) == {"beyond": 0.0, "missed": 0.0}
