"""Every widget by itself: what a hand does to it, and what it says."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QByteArray, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from core.camera import Camera
from core.edit import ATTRIBUTES, LatentEdit
from core.frame import Frame, RenderRequest
from core.job import Job
from core.photo import Photo
from core.settings import Settings
from gui.session_model import SessionModel
from gui.view_state import ViewState
from gui.widgets.attribute_panel import AttributePanel
from gui.widgets.banner import LEAVES_MS, Banner, Message
from gui.widgets.camera_panel import CameraPanel
from gui.widgets.drop_area import photo_in
from gui.widgets.export_dialog import FORMATS, ExportDialog
from gui.widgets.frame_view import FrameView
from gui.widgets.job_bar import JobBar
from gui.widgets.photo_panel import PhotoPanel
from gui.widgets.pixels import feathered, image_from, thumbnail
from gui.widgets.stage import NO_OPENGL, Stage
from gui.widgets.strength_slider import StrengthSlider
from gui.widgets.welcome import Welcome
from tests.gui.fake_engine import FakeEngine

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def model(qtbot: QtBot) -> SessionModel:
    return SessionModel()


def with_head(model: SessionModel, engine: FakeEngine, faces: int = 1) -> None:
    """Put a head in, without any thread."""
    photo = Photo.from_pixels(np.full((80, 100, 3), 99, np.uint8))
    engine.faces = faces
    engine._check_thread = lambda: None
    model.replace(photo, engine.invert(photo, Job.quiet()))


# -- slider ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def slider(qtbot: QtBot) -> StrengthSlider:
    made = StrengthSlider(-2.0, 2.0)
    qtbot.addWidget(made)
    made.resize(220, 22)
    made.show()
    return made


def test_dragging_the_handle_moves_often_and_settles_once(slider: StrengthSlider, qtbot: QtBot) -> None:
    moved, settled = [], []
    slider.moved.connect(moved.append)
    slider.settled.connect(lambda: settled.append(1))
    start = slider.handle_centre().toPoint()
    QTest.mousePress(slider, LEFT, pos=start)
    for x in range(10, 80, 10):
        QTest.mouseMove(slider, start + QPoint(x, 0))
    QTest.mouseRelease(slider, LEFT, pos=start + QPoint(70, 0))
    assert len(moved) > 4
    assert moved == sorted(moved)
    assert settled == [1]
    assert slider.value == moved[-1] == pytest.approx(1.4, abs=0.1)


def test_a_double_click_goes_back_to_zero_as_one_change(slider: StrengthSlider, qtbot: QtBot) -> None:
    slider.set_value(1.5)
    settled, zeroed = [], []
    slider.settled.connect(lambda: settled.append(1))
    slider.zeroed.connect(lambda: zeroed.append(1))
    QTest.mouseDClick(slider, LEFT, pos=QPoint(30, 11))
    qtbot.wait(QApplication.doubleClickInterval() + 60)
    assert slider.value == 0.0
    assert zeroed == [1]
    assert settled == []


def test_a_click_beside_the_handle_brings_it_there_and_settles_later(slider: StrengthSlider, qtbot: QtBot) -> None:
    with qtbot.waitSignal(slider.settled, timeout=2000):
        QTest.mouseClick(slider, LEFT, pos=QPoint(210, 11))
    assert slider.value == 2.0


def test_zero_is_easy_to_hit(slider: StrengthSlider) -> None:
    slider.set_value(1.0)
    start = slider.handle_centre().toPoint()
    QTest.mousePress(slider, LEFT, pos=start)
    QTest.mouseMove(slider, QPoint(113, 11))
    assert slider.value == 0.0


def test_values_stay_in_range_however_far_the_hand_goes(slider: StrengthSlider) -> None:
    QTest.mousePress(slider, LEFT, pos=slider.handle_centre().toPoint())
    QTest.mouseMove(slider, QPoint(9000, 5))
    assert slider.value == 2.0
    QTest.mouseMove(slider, QPoint(-9000, 5))
    assert slider.value == -2.0


def test_arrow_keys_step_and_backspace_zeroes(slider: StrengthSlider) -> None:
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert slider.value == pytest.approx(0.05)
    QTest.keyClick(slider, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert slider.value == pytest.approx(0.3)
    QTest.keyClick(slider, Qt.Key.Key_Backspace)
    assert slider.value == 0.0


def test_a_slider_that_only_goes_up_starts_at_its_left_end(qtbot: QtBot) -> None:
    beard = StrengthSlider(0.0, 2.0)
    qtbot.addWidget(beard)
    beard.resize(220, 22)
    assert beard.handle_centre().x() < 20
    beard.grab()


# -- attribute panel ---------------------------------------------------------------------------------------------------


@pytest.fixture
def panel(model: SessionModel, qtbot: QtBot) -> AttributePanel:
    made = AttributePanel(model, ATTRIBUTES)
    qtbot.addWidget(made)
    return made


def test_sliders_sleep_until_there_is_a_head(panel: AttributePanel, model: SessionModel, engine: FakeEngine) -> None:
    assert not panel.isEnabled()
    with_head(model, engine)
    assert panel.isEnabled()


def test_every_attribute_has_a_row_and_says_what_it_does(panel: AttributePanel) -> None:
    assert list(panel.rows) == [attribute.name for attribute in ATTRIBUTES]
    for attribute in ATTRIBUTES:
        assert attribute.description in panel.rows[attribute.name].slider.toolTip()


def test_the_panel_shows_an_edit_that_came_from_elsewhere(
    panel: AttributePanel, model: SessionModel, engine: FakeEngine
) -> None:
    with_head(model, engine)
    model.preview(LatentEdit.none.with_strength("Age", -1.25))
    assert panel.rows["Age"].slider.value == -1.25
    assert panel.rows["Age"].number.value() == -1.25


def test_typing_a_number_moves_the_slider_and_settles(panel: AttributePanel, qtbot: QtBot) -> None:
    row = panel.rows["Smile"]
    moved: list[tuple[str, float]] = []
    panel.moved.connect(lambda name, strength: moved.append((name, strength)))
    with qtbot.waitSignal(panel.settled) as settled:
        row.number.setValue(0.75)
    assert moved == [("Smile", 0.75)]
    assert settled.args == ["Smile"]
    assert row.slider.value == 0.75


def test_reset_shows_only_when_there_is_something_to_reset(
    panel: AttributePanel, model: SessionModel, engine: FakeEngine
) -> None:
    with_head(model, engine)
    assert panel.reset_button.isHidden()
    model.preview(LatentEdit.none.with_strength("Hair length", 1.0))
    assert not panel.reset_button.isHidden()


def test_a_model_with_other_attributes_gets_other_rows(panel: AttributePanel) -> None:
    panel.set_attributes(ATTRIBUTES[:5])
    assert list(panel.rows) == ["Smile", "Mouth open", "Eyes open", "Brows", "Age"]
    assert list(panel.groups) == ["Expression", "Face"]


def test_a_folded_group_hides_its_sliders_and_says_that_one_is_moved(
    panel: AttributePanel, model: SessionModel, engine: FakeEngine, qtbot: QtBot
) -> None:
    with_head(model, engine)
    panel.show()
    qtbot.waitExposed(panel)
    hair, slider = panel.groups["Hair"], panel.rows["Beard"].slider
    assert slider.isVisible()
    hair.heading.click()
    assert not slider.isVisible()
    assert panel.rows["Smile"].slider.isVisible()
    model.preview(LatentEdit.none.with_strength("Beard", 1.0))
    assert hair.heading.text().startswith("Hair")
    assert hair.heading.text() != "Hair"
    hair.heading.click()
    assert slider.isVisible()
    assert hair.heading.text() == "Hair"


# -- banner and job bar ------------------------------------------------------------------------------------------------


def test_a_banner_shows_what_happened_and_what_to_do(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    banner.show_message(Message("error", "No face was found.", "Choose another photo."))
    assert (banner.text, banner.hint) == ("No face was found.", "Choose another photo.")
    assert not banner.isHidden()
    assert not banner._leave.isActive()
    banner.dismiss()
    assert banner.isHidden()
    assert banner.text == ""


def test_good_news_leaves_by_itself_and_its_button_tells_which(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    message = Message("good", "Saved head.glb", "", "Show in folder", Path("head.glb"))
    banner.show_message(message)
    assert banner._leave.isActive()
    assert banner._leave.interval() == LEAVES_MS["good"]
    with qtbot.waitSignal(banner.acted) as acted:
        banner._button.click()
    assert acted.args == [message]
    banner.dismiss()


def test_the_job_bar_follows_its_job_and_no_other(qtbot: QtBot) -> None:
    bar, job, other = JobBar(), Job("Reconstructing"), Job("Building the mesh")
    qtbot.addWidget(bar)
    bar.begin(other, True)
    assert bar.isHidden()
    bar.begin(job, False)
    bar.report(other, 0.9, "Other")
    bar.report(job, 0.42, "Encoding")
    assert bar.label.text() == "Reconstructing · Encoding"
    assert bar.percent.text() == "42%"
    with qtbot.waitSignal(bar.cancel_requested) as cancelled:
        bar.cancel_button.click()
    assert cancelled.args == [job]
    assert "Stopping" in bar.label.text()
    bar.end(other)
    assert bar.job is job
    bar.end(job)
    assert bar.isHidden()


# -- views -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(qtbot: QtBot) -> tuple[Stage, ViewState]:
    view = ViewState()
    made = Stage(view, None)
    qtbot.addWidget(made)
    made.resize(800, 500)
    made.show()
    return made, view


def frame(size: int = 16) -> Frame:
    request = RenderRequest(None, LatentEdit.none, Camera(), size)
    pixels = np.full((size, size, 3), 200, np.uint8)
    return Frame(pixels, np.full((size, size), 255, np.uint8), request, 12.0, clamped=False)


def test_a_drag_over_the_picture_turns_the_head_with_the_hand(stage: tuple[Stage, ViewState], qtbot: QtBot) -> None:
    view = stage[0].frame_view
    angles: list[tuple[float, float]] = []
    stage[0].orbited.connect(lambda yaw, pitch: angles.append((yaw, pitch)))
    QTest.mousePress(view, LEFT, pos=QPoint(100, 100))
    QTest.mouseMove(view, QPoint(130, 100))
    with qtbot.waitSignal(stage[0].released):
        QTest.mouseRelease(view, LEFT, pos=QPoint(130, 100))
    yaw, pitch = np.sum(angles, axis=0)
    # The hand goes right, so the face turns right, so the camera goes left.
    assert yaw < 0
    assert pitch == pytest.approx(0.0)


def test_arrow_keys_over_a_view_orbit_and_a_double_click_goes_home(
    stage: tuple[Stage, ViewState], qtbot: QtBot
) -> None:
    view = stage[0].frame_view
    with qtbot.waitSignal(stage[0].orbited) as orbited:
        QTest.keyClick(view, Qt.Key.Key_Left)
    assert orbited.args[0] > 0
    with qtbot.waitSignal(stage[0].home_requested):
        QTest.mouseDClick(view, LEFT, pos=QPoint(50, 50))


def test_the_view_says_when_the_camera_is_at_its_limit(stage: tuple[Stage, ViewState]) -> None:
    stage[1].orbit(9.0, 0.0)
    assert not stage[0].frame_pane.top_chip.isHidden()
    stage[1].settle()
    assert stage[0].frame_pane.top_chip.isHidden()


def test_without_opengl_the_mesh_pane_says_so(stage: tuple[Stage, ViewState]) -> None:
    assert stage[0].mesh_view is None
    notice = stage[0].mesh_pane.findChild(QLabel, "noOpenGL")
    assert notice.text() == NO_OPENGL


def test_a_stale_mesh_is_marked_and_a_rebuild_shows_its_progress(stage: tuple[Stage, ViewState]) -> None:
    chip = stage[0].mesh_pane.bottom_chip
    stage[0].set_stale(True)
    assert "edit" in chip.text()
    stage[0].set_mesh_progress(0.4)
    assert "40%" in chip.text()
    stage[0].set_mesh_progress(1.0)
    assert chip.isHidden()


def test_a_frame_is_painted_on_the_backdrop_where_it_is_opaque(qtbot: QtBot) -> None:
    view = FrameView()
    qtbot.addWidget(view)
    view.resize(200, 200)
    view.show_frame(frame())
    middle = view.grab().toImage().pixelColor(100, 100)
    assert (middle.red(), middle.green(), middle.blue()) == (200, 200, 200)
    view.show_frame(None)
    assert view.grab().toImage().pixelColor(100, 100).red() < 80


def test_a_head_fades_only_where_its_picture_ends() -> None:
    cutout = np.full((100, 100, 4), 255, np.uint8)
    faded = feathered(cutout)
    assert faded[10:90, 10:90].min() == 255
    assert faded[0, :, 3].max() < 20
    assert faded[:, 99, 3].max() < 20
    np.testing.assert_array_equal(faded[..., :3], cutout[..., :3])


def test_the_line_of_the_comparison_can_be_dragged_and_the_photo_is_left_of_it(qtbot: QtBot) -> None:
    view = FrameView()
    qtbot.addWidget(view)
    view.resize(200, 200)
    view.show()
    view.show_frame(frame())
    view.set_photo(image_from(np.full((8, 8, 3), 10, np.uint8)))
    view.set_comparing(on=True)
    orbits: list[object] = []
    view.drag.orbited.connect(lambda yaw, pitch: orbits.append(yaw))
    QTest.mousePress(view, LEFT, pos=QPoint(100, 50))
    QTest.mouseMove(view, QPoint(150, 50))
    QTest.mouseRelease(view, LEFT, pos=QPoint(150, 50))
    assert orbits == []
    image = view.grab().toImage()
    assert image.pixelColor(125, 150).red() == 10
    assert image.pixelColor(175, 150).red() == 200


def test_the_camera_panel_shows_degrees_and_asks_for_directions(qtbot: QtBot) -> None:
    view = ViewState()
    panel = CameraPanel(view)
    qtbot.addWidget(panel)
    view.look_from(Camera(0.5, 0.1))
    assert panel.yaw.value() == pytest.approx(28.6, abs=0.05)
    with qtbot.waitSignal(panel.look_requested) as asked:
        panel.directions[2].click()
    assert asked.args[0] == Camera(0.0, 0.0)
    with qtbot.waitSignal(panel.look_requested) as asked:
        panel.pitch.setValue(10.0)
    assert asked.args[0].pitch == pytest.approx(np.radians(10.0))


# -- photo, welcome, drop ----------------------------------------------------------------------------------------------


def test_a_click_on_another_face_asks_for_it(model: SessionModel, engine: FakeEngine, qtbot: QtBot) -> None:
    panel = PhotoPanel(model)
    qtbot.addWidget(panel)
    panel.resize(288, 800)
    panel.show()
    with_head(model, engine, faces=3)
    panel.set_faces(engine.detect(model.photo, Job.quiet()), 0)
    assert "3 faces" in panel.faces.text()
    with qtbot.waitSignal(panel.face_chosen) as chosen:
        QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.face_rectangle(2).center().toPoint())
    assert chosen.args == [2]
    with qtbot.assertNotEmitted(panel.face_chosen):
        QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.face_rectangle(0).center().toPoint())


def test_doubts_about_the_head_stay_readable_beside_it(model: SessionModel, engine: FakeEngine, qtbot: QtBot) -> None:
    panel = PhotoPanel(model)
    qtbot.addWidget(panel)
    engine.warnings = ("The reconstruction does not resemble the photo (distance 0.81).",)
    with_head(model, engine)
    assert any("does not resemble" in label.text() for label in panel.findChildren(QLabel))
    assert "0.31" in panel.likeness.text()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 4000), (4000, 1), (33, 17)])
def test_photos_of_any_shape_can_be_shown(
    width: int, height: int, model: SessionModel, engine: FakeEngine, qtbot: QtBot
) -> None:
    panel = PhotoPanel(model)
    qtbot.addWidget(panel)
    panel.canvas.show_photo(Photo.from_pixels(np.zeros((height, width, 3), np.uint8)))
    panel.grab()
    assert not thumbnail(np.zeros((height, width, 3), np.uint8), 100).isNull()


def test_the_sample_is_offered_only_when_it_is_there(photo_path: Path, tmp_path: Path, qtbot: QtBot) -> None:
    with_sample, without = Welcome(photo_path), Welcome(tmp_path / "none.png")
    for page in (with_sample, without):
        qtbot.addWidget(page)
    assert without.sample_card is None
    with qtbot.waitSignal(with_sample.sample_requested):
        QTest.mouseClick(with_sample.sample_card, LEFT)


def test_a_dropped_file_pasted_pixels_and_a_copied_path_are_photos(photo_path: Path, qtbot: QtBot) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(photo_path))])
    assert photo_in(mime) == photo_path
    mime = QMimeData()
    mime.setText(str(photo_path))
    assert photo_in(mime) == photo_path
    mime = QMimeData()
    image = QImage(5, 4, QImage.Format.Format_RGB32)
    image.fill(0xFF123456)
    mime.setImageData(image)
    pasted = photo_in(mime)
    assert isinstance(pasted, bytes)
    np.testing.assert_array_equal(Photo.from_bytes(pasted).pixels[0, 0], (0x12, 0x34, 0x56))


@pytest.mark.parametrize("text", ["", "hello", "two\nlines", "relative.jpg", "/no/such/file.jpg"])
def test_other_things_in_the_clipboard_are_no_photo(text: str, qtbot: QtBot) -> None:
    mime = QMimeData()
    mime.setText(text)
    mime.setData("application/octet-stream", QByteArray(b"abc"))
    assert photo_in(mime) is None


# -- export dialog -----------------------------------------------------------------------------------------------------


@pytest.fixture
def dialog(tmp_path: Path, qtbot: QtBot) -> ExportDialog:
    made = ExportDialog("mesh", tmp_path, "ada", LatentEdit.none)
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize(("kind", "suffix"), [(kind, suffix) for kind, all_ in FORMATS.items() for suffix, _ in all_])
def test_the_suffix_follows_the_chosen_format(dialog: ExportDialog, kind: str, suffix: str, tmp_path: Path) -> None:
    dialog.choose_kind(kind)
    dialog.choose_format(suffix)
    assert dialog.spec().path == tmp_path / f"ada.{suffix}"
    assert dialog.spec().kind == kind
    assert dialog.export_button.isEnabled()


def test_a_name_typed_by_hand_survives_another_format(dialog: ExportDialog, tmp_path: Path) -> None:
    dialog.destination.setText(str(tmp_path / "grace.glb"))
    dialog.choose_format("ply")
    assert dialog.spec().path == tmp_path / "grace.ply"


def test_a_destination_that_cannot_be_is_refused_beforehand(dialog: ExportDialog, tmp_path: Path) -> None:
    for text in ("", str(tmp_path / "ada.obj"), str(tmp_path / "missing" / "ada.glb")):
        dialog.destination.setText(text)
        assert not dialog.export_button.isEnabled(), text
        assert dialog.note.text()


def test_replacing_a_file_is_announced(dialog: ExportDialog, tmp_path: Path) -> None:
    (tmp_path / "old.glb").write_bytes(b"old")
    dialog.destination.setText(str(tmp_path / "old.glb"))
    assert "replaced" in dialog.note.text()
    assert dialog.export_button.isEnabled()


def test_the_dialog_starts_from_the_settings(dialog: ExportDialog, tmp_path: Path) -> None:
    dialog.prefer(Settings(mesh_format="ply", mesh_resolution=200, turntable_format="gif", turntable_frames=24))
    assert dialog.spec().path == tmp_path / "ada.ply"
    assert dialog.spec().mesh_resolution == 192
    dialog.choose_kind("turntable")
    assert dialog.spec().path == tmp_path / "ada.gif"
    assert dialog.spec().frames == 24


def test_a_photo_stands_in_until_the_first_frame_of_its_head(qtbot: QtBot) -> None:
    view = FrameView()
    qtbot.addWidget(view)
    view.resize(200, 200)
    view.show_frame(frame())
    before = view.grab().toImage().pixelColor(100, 100)
    photo = np.zeros((60, 90, 3), np.uint8)
    photo[..., 1] = 255
    view.set_pending(photo)
    assert view.grab().toImage().pixelColor(100, 100) == Qt.GlobalColor.green
    view.set_pending(None)
    assert view.grab().toImage().pixelColor(100, 100) == before
    view.set_pending(photo)
    view.show_frame(frame())
    assert view.grab().toImage().pixelColor(100, 100) == before
