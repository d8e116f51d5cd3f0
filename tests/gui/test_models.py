"""Session model and view state: who hears of what, and where the camera may go."""

import math

import numpy as np
import pytest
from PySide6.QtCore import QVariantAnimation
from pytestqt.qtbot import QtBot

from core.camera import Camera, CameraLimits
from core.edit import LatentEdit
from core.photo import Photo
from core.session import Changes
from gui.session_model import SessionModel
from gui.view_state import BREADTH, ZOOM_HIGH, ZOOM_LOW, Layout, ViewState, picture_side

LIMITS = CameraLimits(yaw=1.0, pitch_low=-0.3, pitch_high=0.4)
SMILE = LatentEdit.none.with_strength("Smile", 1.0)


@pytest.fixture
def model(qtbot: QtBot) -> SessionModel:
    made = SessionModel()
    made.replace(Photo.from_pixels(np.zeros((8, 8, 3), np.uint8)), object())
    return made


@pytest.fixture
def view(qtbot: QtBot) -> ViewState:
    made = ViewState()
    made.set_limits(LIMITS)
    return made


def test_a_change_is_told_once_with_who_did_it(model: SessionModel) -> None:
    told: list[tuple[Changes, object]] = []
    model.changed.connect(lambda changes, initiator: told.append((changes, initiator)))
    slider = object()
    model.preview(SMILE, slider)
    assert told == [(Changes.EDIT, slider)]


def test_nothing_is_told_when_nothing_changed(model: SessionModel) -> None:
    told: list[object] = []
    model.changed.connect(lambda changes, initiator: told.append(changes))
    model.preview(LatentEdit.none)
    model.commit("Nothing")
    model.undo()
    assert told == []


def test_one_drag_of_many_values_is_one_step(model: SessionModel) -> None:
    for tenth in range(1, 11):
        model.preview(LatentEdit.none.with_strength("Smile", tenth / 10))
    model.commit("Smile")
    assert model.undo_label == "Smile"
    model.undo()
    assert model.edit.is_empty
    assert model.undo_label == ""
    model.redo()
    assert model.edit == SMILE


def test_another_photo_takes_edit_and_history_with_it(model: SessionModel) -> None:
    model.preview(SMILE)
    model.commit("Smile")
    model.replace(Photo.from_pixels(np.zeros((8, 8, 3), np.uint8)), object())
    assert model.edit.is_empty
    assert model.undo_label == ""


def test_the_camera_stops_at_the_limits_and_says_so(view: ViewState, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.limit_reached) as told:
        view.orbit(5.0, 0.0)
    assert told.args == [True]
    assert view.camera.yaw == LIMITS.yaw
    view.orbit(-0.5, 0.0)
    assert not view.at_limit


@pytest.mark.parametrize(("dyaw", "dpitch"), [(9.0, 0.0), (-9.0, 0.0), (0.0, 9.0), (0.0, -9.0), (3.0, -3.0)])
def test_no_drag_leaves_the_limits(view: ViewState, dyaw: float, dpitch: float) -> None:
    for _ in range(7):
        view.orbit(dyaw, dpitch)
        assert LIMITS.contains(view.camera)


def test_pushing_on_against_the_limit_never_jumps_to_the_other_side(view: ViewState) -> None:
    for _ in range(100):
        view.orbit(0.3, 0.0)
        assert view.camera.yaw > 0


def test_a_model_for_the_whole_way_round_can_be_turned_for_ever(view: ViewState) -> None:
    view.set_limits(CameraLimits(yaw=math.pi, pitch_low=-0.5, pitch_high=0.5))
    seen = set()
    for _ in range(40):
        view.orbit(0.3, 0.0)
        seen.add(round(view.camera.yaw, 1))
    assert min(seen) < -2
    assert max(seen) > 2
    assert not view.at_limit


def test_letting_go_takes_the_notice_of_the_limit_away(view: ViewState) -> None:
    view.orbit(5.0, 0.0)
    view.settle()
    assert not view.at_limit


def test_home_is_the_photos_camera(view: ViewState) -> None:
    view.set_home(Camera(0.2, -0.1))
    view.orbit(0.4, 0.1)
    view.zoom_by(2.0)
    view.go_home()
    assert (view.camera.yaw, view.camera.pitch, view.zoom) == (0.2, -0.1, 1.0)


def test_who_looks_from_the_photos_camera_goes_along_when_it_turns_out_to_be_elsewhere(view: ViewState) -> None:
    view.set_home(Camera(0.2, -0.1))
    view.zoom_by(2.0)
    view.move_home(Camera(0.25, -0.1))
    assert (view.camera.yaw, view.zoom) == (0.25, 2.0)
    view.orbit(0.4, 0.0)
    away = view.camera
    view.move_home(Camera(0.3, 0.0))
    assert view.camera == away
    view.go_home()
    assert view.camera.yaw == 0.3


def test_comparing_goes_home_and_turning_away_ends_it(view: ViewState) -> None:
    view.set_home(Camera(0.2, 0.0))
    view.orbit(0.4, 0.0)
    view.set_flag("compare", on=True)
    assert view.camera.yaw == 0.2
    view.orbit(0.1, 0.0)
    assert not view.compare


def test_a_glide_moves_in_small_steps_and_ends_exactly_there(view: ViewState) -> None:
    steps: list[tuple[float, bool]] = []
    view.camera_changed.connect(lambda camera, moving: steps.append((camera.yaw, moving)))
    view.glide_to(Camera(0.8, 0.1))
    # The animation's own clock is set by hand: on a busy machine a real one may be at its end at the first look.
    animation = view.findChild(QVariantAnimation)
    assert animation is not None
    animation.pause()
    for share in (0.2, 0.4, 0.6, 0.8, 1.0):
        animation.setCurrentTime(round(share * animation.duration()))
    assert view.camera == Camera(0.8, 0.1)
    yaws = [yaw for yaw, _ in steps]
    assert yaws == sorted(yaws)
    assert len(yaws) >= 5
    assert [moving for _, moving in steps] == [True] * (len(steps) - 1) + [False]


def test_a_hand_on_the_view_stops_a_glide(view: ViewState, qtbot: QtBot) -> None:
    view.glide_to(Camera(0.8, 0.1))
    view.orbit(-0.1, 0.0)
    here = view.camera
    qtbot.wait(350)
    assert view.camera == here


def test_a_glide_beyond_the_limits_ends_at_them(view: ViewState, qtbot: QtBot) -> None:
    view.glide_to(Camera(2.0, 0.0))
    qtbot.waitUntil(lambda: view.camera.yaw == LIMITS.yaw, timeout=3000)


def test_zoom_stays_in_its_range(view: ViewState) -> None:
    view.zoom_by(1000.0)
    assert view.zoom == ZOOM_HIGH
    view.zoom_by(1e-6)
    assert view.zoom == ZOOM_LOW


def test_options_are_told_only_when_they_change(view: ViewState) -> None:
    told: list[int] = []
    view.options_changed.connect(lambda: told.append(1))
    view.set_layout(Layout.BOTH)
    view.set_layer("picture")
    view.set_flag("wireframe", on=False)
    assert told == []
    view.set_layout(Layout.MESH)
    view.set_layer("normals")
    view.set_flag("wireframe", on=True)
    assert len(told) == 3
    with pytest.raises(ValueError, match="unknown layer"):
        view.set_layer("sound")


def test_the_picture_fits_a_wide_view_and_may_overhang_a_narrow_one() -> None:
    assert picture_side(800, 400, 1.0) == 400
    assert picture_side(400, 800, 1.0) == BREADTH * 400
    assert picture_side(0, 0, 1.0) == 1.0
