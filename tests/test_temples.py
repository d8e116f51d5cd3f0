"""Temples of a photo's glasses: found where somebody wears some, where the photo says, and not from its own camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.job import Job
from core.models.bundle import read_networks
from core.models.spectacles import CROP, EYES, SpectaclesDetector, edges, eye_crops, eyes_of
from core.photo import Photo
from core.rendering.eyewear import Eyewear
from core.rendering.temples import AHEAD, FROM, HEIGHTS, RADIUS, _taut, elsewhere, temples_of
from core.tensor_camera import unproject
from core.visibility import SourceView, source_view
from core.weights import Registry
from tests.test_visibility import sphere_surface

SIZE, FRONT, BALL = 256, torch.zeros(1, 2), 0.08
SKIN, DARK = 0.3, -0.8
BROW = 0.045
LANDMARKS = {number: np.array((0.0, 0.0, 0.08)) for pair in EYES for number in pair} | {
    46: np.array((-BROW, 0.02, 0.06)),
    276: np.array((BROW, 0.02, 0.06)),
}


class Believing(SpectaclesDetector):
    """Sees glasses everywhere, or nowhere."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.offset.fill_(score)


def face(
    height: float | None, sides: tuple[int, ...] = (-1, 1), lower: float = 0.0
) -> tuple[Tensor, Tensor, SourceView]:
    """A ball with a dark line from its brows outwards at a height, on its left so much lower: photo, points, view."""
    depth, hit = sphere_surface(FRONT, SIZE)
    points = unproject(depth, FRONT)
    photo = torch.full((1, 3, SIZE, SIZE), SKIN)
    if height is not None:
        for side in sides:
            line = (
                ((points[:, 1:2] - height + lower * (side < 0)).abs() < 0.0012)
                & (side * points[:, :1] > BROW)
                & (hit > 0.5)
            )
            photo = torch.where(line, DARK, photo)
    return photo, points, source_view(photo, depth, hit, hit, FRONT)


def asked(
    height: float | None,
    score: float = 1.0,
    sides: tuple[int, ...] = (-1, 1),
    ears: dict[int, np.ndarray] | None = None,
    lower: float = 0.0,
) -> Eyewear | None:
    photo, points, view = face(height, sides, lower)
    marks = torch.full((468, 2), 0.5)
    marks[list(EYES[0])], marks[list(EYES[1])] = torch.tensor([0.4, 0.5]), torch.tensor([0.6, 0.5])
    return temples_of(
        Believing(score), photo, photo, marks, points, view, LANDMARKS,
        lambda places: np.linalg.norm(places, axis=1) - BALL, ears or {},
    )  # fmt: skip


def test_they_begin_on_the_line_that_the_photo_shows_and_go_straight_back_outside_the_head() -> None:
    found = asked(0.008)
    assert found is not None
    assert found.rims == ()
    assert len(found.arms) == 2
    for sign, arm in zip((-1, 1), found.arms, strict=True):
        assert sign * arm[0, 0] > BROW
        assert abs(arm[0, 1] - 0.008) < 0.002
        assert (np.diff(arm[:, 2]) < 0.0).all(), "to the back"
        assert (np.linalg.norm(arm[1:-7], axis=1) - BALL > 0.0).all(), "beside the head and not in it"
        assert arm[-1, 1] < arm[0, 1] - 0.008, "down behind the ear"
    np.testing.assert_allclose(found.arms[0] * (-1, 1, 1), found.arms[1], atol=0.002)
    assert max(found.dark) < -0.5, "in the colour of the line"
    assert min(found.sheen) > min(found.dark)


def test_nothing_is_drawn_where_nobody_wears_any_and_where_no_line_is_seen() -> None:
    assert asked(0.008, score=-0.1) is None
    assert asked(None) is None
    assert asked(HEIGHTS[1] + 0.012) is None, "that is a brow"


def test_a_side_that_the_photo_does_not_show_has_the_others_mirrored() -> None:
    found = asked(0.01, sides=(1,))
    assert found is not None
    np.testing.assert_allclose(found.arms[0] * (-1, 1, 1), found.arms[1], atol=1e-9)


def test_both_are_at_one_height_and_a_line_that_is_lower_on_one_side_is_a_lens() -> None:
    alike, apart = asked(0.012, lower=0.002), asked(0.012, lower=0.012)
    assert alike is not None
    assert apart is not None
    assert abs(alike.arms[0][0, 1] - 0.010) < 0.0015, "the photo's own, where it shows both"
    np.testing.assert_allclose(apart.arms[0] * (-1, 1, 1), apart.arms[1], atol=1e-9)
    assert abs(apart.arms[0][0, 1] - 0.012) < 0.0015


def test_they_begin_well_ahead_of_the_ears_where_a_photo_grazes_the_head_it_says_nothing() -> None:
    found = asked(0.008)
    assert found is not None
    assert min(arm[0, 2] for arm in found.arms) > AHEAD


def test_they_end_at_the_root_of_an_ear_that_shows() -> None:
    ear = np.array([0.079, 0.004, -0.015]) + 0.004 * np.random.default_rng(0).uniform(-1, 1, (80, 3))
    found = asked(0.008, ears={1: ear})
    assert found is not None
    root = found.arms[1][-8]
    assert np.abs(root[1:] - (0.006, -0.013)).max() < 0.003


def test_a_thread_over_hills_is_straight_between_them_and_touches_the_highest() -> None:
    places = np.linspace(0.0, 1.0, 101)
    hills = 0.02 * np.sin(9.0 * places) + 0.3 * places * (1.0 - places)
    taut = _taut(places, hills)
    assert (taut >= hills - 1e-12).all()
    assert (np.diff(taut, 2) <= 1e-12).all()
    assert taut.max() == hills.max()
    np.testing.assert_allclose(_taut(places, -hills)[[0, -1]], -hills[[0, -1]])


def test_from_the_photos_own_camera_its_glasses_are_its_own() -> None:
    turned = torch.tensor([[0.2, -0.1]])
    shares = [elsewhere(Camera(0.2 + apart, -0.1), turned) for apart in (0.0, FROM[0], 0.15, FROM[1], 1.0)]
    assert shares[:2] == [0.0, 0.0]
    assert 0.0 < shares[2] < 1.0
    assert shares[3] == pytest.approx(1.0)
    assert shares[4] == 1.0
    assert elsewhere(Camera(0.2, 0.4), turned) == 1.0


def test_a_pair_is_as_thick_and_as_dark_as_it_is_said_to_be() -> None:
    arm = np.stack([np.full(40, 0.085), np.zeros(40), np.linspace(0.05, -0.05, 40)], axis=1)
    pair = Eyewear((), (arm,), 1.0, (-0.2, -0.4, -0.6), (-0.2, -0.4, -0.6), RADIUS)
    vertices, _, _ = pair.tubes()
    assert np.abs(np.linalg.norm(vertices[:, :2] - arm[0, :2], axis=1) - RADIUS).max() < 1e-5
    side = torch.tensor([[1.5, 0.0]])
    depth, hit = sphere_surface(side, SIZE)
    picture, _ = pair.worn(torch.full((1, 3, SIZE, SIZE), SKIN), hit, depth, hit, side)
    darkest = picture.flatten(2).min(dim=2).values[0]
    torch.testing.assert_close(darkest, torch.tensor([-0.2, -0.4, -0.6]), atol=0.05, rtol=0.0)


# ----------------------------------------------------------------------------------------------------------- detector


def test_a_crop_is_level_and_the_eyes_are_where_they_are_asked_for() -> None:
    picture = torch.full((1, 3, 256, 256), -1.0)
    picture[..., 118:123, 98:103] = 1.0
    picture[..., 138:143, 158:163] = 1.0
    eyes = torch.tensor([[[100.5 / 256, 120.5 / 256], [160.5 / 256, 140.5 / 256]]])
    crop = eye_crops(picture, eyes)
    assert crop.shape == (1, 1, *CROP)
    bright = (crop[0, 0] > 0.9).nonzero().float()
    left, right = bright[bright[:, 1] < 60].mean(dim=0), bright[bright[:, 1] > 60].mean(dim=0)
    torch.testing.assert_close(left, torch.tensor([25.1, 39.5]), atol=0.8, rtol=0.0)
    torch.testing.assert_close(right, torch.tensor([25.1, 79.5]), atol=0.8, rtol=0.0)


def test_edges_know_directions_and_neither_brightness_nor_contrast() -> None:
    wave = 0.5 + 0.2 * torch.sin(torch.arange(120.0) * 0.5).expand(1, 1, 64, 120)
    upright = edges(wave)
    torch.testing.assert_close(edges(0.5 * wave + 0.3), upright, atol=1e-3, rtol=0.0)
    level = 0.5 + 0.2 * torch.sin(torch.arange(64.0) * 0.5)[:, None].expand(1, 1, 64, 120)
    assert float((edges(level) * upright).sum() / upright.square().sum()) < 0.2
    assert torch.isfinite(edges(torch.zeros(1, 1, 64, 120))).all()


def test_the_embedded_weights_see_that_the_astronaut_wears_none_and_a_drawn_pair_that_she_does() -> None:
    detector = read_networks(Registry().locate("cameo-256").values()).spectacles
    assert detector is not None
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    source = engine.tiers.head(inversion, LatentEdit.none).source
    assert source.marks is not None
    assert source.temples is None
    eyes = eyes_of(source.marks[None]).float()
    scores = []
    for strength in (0.0, 1.0):
        edit = LatentEdit.none.with_strength("Eyeglasses", strength)
        pixels = engine.render(RenderRequest(inversion, edit, inversion.camera, 256)).pixels
        picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        scores.append(float(detector(picture, eyes)))
    assert scores[0] < 0.0 < scores[1], scores
