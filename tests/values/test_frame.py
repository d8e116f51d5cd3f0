"""A frame can be taken off its backdrop."""

import numpy as np

from core.camera import Camera
from core.edit import LatentEdit
from core.frame import BACKDROP, Frame, RenderRequest


def test_taking_the_backdrop_away_gives_the_colours_that_were_painted() -> None:
    generator = np.random.default_rng(3)
    colours = generator.integers(0, 256, (16, 16, 3))
    alpha = generator.integers(0, 256, (16, 16)).astype(np.uint8)
    share = alpha[..., None] / 255.0
    painted = np.rint(colours * share + np.array(BACKDROP) * (1.0 - share)).astype(np.uint8)
    request = RenderRequest(None, LatentEdit.none, Camera(), 16)
    cutout = Frame(painted, alpha, request, 1.0, clamped=False).cutout()
    np.testing.assert_array_equal(cutout[..., 3], alpha)
    again = cutout[..., :3] * share + np.array(BACKDROP) * (1.0 - share)
    assert np.abs(again - painted).max() <= 1.0
    solid = alpha > 200
    assert np.abs(cutout[solid][:, :3].astype(int) - colours[solid]).max() <= 1
