"""Seams of a mesh: what the photo says stays, what it does not say meets it and fades into the generator's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import Cancelled
from core.job import Job
from core.rendering.seams import FADE, seamless

SIDE, SPACING = 60, 0.001
RED, GREY = np.array((0.6, -0.2, -0.2), np.float32), np.zeros(3, np.float32)


def sheet() -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A square of vertices, row by row, and its triangles."""
    line = np.arange(SIDE, dtype=np.float32) * SPACING
    vertices = np.stack((*np.meshgrid(line, line), np.zeros((SIDE, SIDE), np.float32)), axis=-1).reshape(-1, 3)
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).reshape(-1)
    faces = np.concatenate(
        (np.stack((corner, corner + 1, corner + SIDE), 1), np.stack((corner + 1, corner + SIDE + 1, corner + SIDE), 1))
    )
    return vertices, faces.astype(np.int32)


def blended(belief: NDArray[np.float32], own: NDArray[np.float32], photo: NDArray[np.float32]) -> NDArray[np.float32]:
    vertices, faces = sheet()
    known = belief.reshape(-1, 1)
    found = seamless(photo.reshape(-1, 3) * known, known, own.reshape(-1, 3), vertices, faces, Job.quiet())
    return found.reshape(SIDE, SIDE, 3)


def everywhere(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()


def left_half() -> NDArray[np.float32]:
    belief = np.zeros((SIDE, SIDE), np.float32)
    belief[:, : SIDE // 2] = 1.0
    return belief


def test_the_photo_stays_and_what_follows_meets_it_and_fades() -> None:
    found = blended(left_half(), everywhere(GREY), everywhere(RED))
    middle = found[SIDE // 2, :, 0]
    np.testing.assert_array_equal(found[:, : SIDE // 2], everywhere(RED)[:, : SIDE // 2])
    assert abs(middle[SIDE // 2] - RED[0]) < 0.12  # a seam of .6 without it
    assert (np.diff(middle[SIDE // 2 :]) < 1e-4).all()
    faded = middle[SIDE // 2 + round(FADE / SPACING)] / RED[0]
    assert 0.25 < faded < 0.5  # about exp(-1); the sheet's end holds it up a little


def test_a_vertex_that_the_photo_missed_takes_its_neighbours_tone_and_its_own_detail() -> None:
    belief = np.ones((SIDE, SIDE), np.float32)
    belief[20, 20] = 0.0
    own = everywhere(GREY)
    own[20, 20] += 0.05  # a freckle that the generator knows of
    found = blended(belief, own, everywhere(RED))
    assert np.abs(found[20, 20] - RED - 0.05).max() < 0.04


def test_a_difference_of_skin_hardly_reaches_hair() -> None:
    own = everywhere(GREY)
    own[:, 33:] = -0.8  # hair begins three vertices behind the photo's end
    found = blended(left_half(), own, everywhere(RED))
    assert found[30, 32, 0] > 0.4
    assert abs(found[30, 35, 0] + 0.8) < 0.12


def test_without_any_photo_the_generator_stays() -> None:
    own = everywhere(RED)
    np.testing.assert_array_equal(blended(np.zeros((SIDE, SIDE), np.float32), own, everywhere(GREY)), own)


def test_it_can_be_cancelled() -> None:
    job = Job.quiet()
    job.cancel()
    vertices, faces = sheet()
    known = left_half().reshape(-1, 1)
    with pytest.raises(Cancelled):
        seamless(np.zeros_like(vertices), known, np.zeros_like(vertices), vertices, faces, job)
