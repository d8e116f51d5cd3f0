"""The whole program around a fake engine: what a person does, and what comes of it when things go wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.errors import CameoError, WeightsMissing
from gui.app import Cameo
from gui.view_state import Layout
from gui.widgets.export_dialog import ExportSpec
from tests.gui.fake_engine import FakeEngine, Gate

WAIT = 10_000
# Exports start a process of their own, which takes ten seconds where two other programs run.
EXPORT_WAIT = 30_000
LEFT = Qt.MouseButton.LeftButton


def drop(cameo: Cameo, path: Path) -> None:
    """What the desktop does when a file is dropped on the window."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    area = cameo.window.area
    common = (Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(area, QDragEnterEvent(QPoint(50, 50), *common))
    QApplication.sendEvent(area, QDropEvent(QPointF(50, 50), *common))


def drag_slider(cameo: Cameo, name: str, pixels: int) -> None:
    """Take a handle, move it in steps, let go."""
    slider = cameo.window.attribute_panel.rows[name].slider
    start = slider.handle_centre().toPoint()
    QTest.mousePress(slider, LEFT, pos=start)
    for step in range(1, 6):
        QTest.mouseMove(slider, start + QPoint(pixels * step // 5, 0))
    QTest.mouseRelease(slider, LEFT, pos=start + QPoint(pixels, 0))


def test_the_first_start_shows_where_to_drop_and_opens_the_sample_at_a_click(cameo: Cameo, qtbot: QtBot) -> None:
    assert cameo.window.pages.currentIndex() == 0
    QTest.mouseClick(cameo.window.welcome.sample_card, LEFT)
    qtbot.waitUntil(lambda: cameo.session.inversion is not None, timeout=WAIT)
    assert cameo.window.pages.currentIndex() == 1


def test_a_dropped_photo_shows_stage_and_cancel_and_then_the_head(
    cameo: Cameo, engine: FakeEngine, photo_path: Path, qtbot: QtBot
) -> None:
    engine.invert_gate = Gate()
    drop(cameo, photo_path)
    working = cameo.window.welcome.working
    qtbot.waitUntil(lambda: working.stage.text() == "Encoding", timeout=WAIT)
    assert cameo.window.welcome.currentWidget() is working
    assert working.cancel_button.isEnabled()
    assert working.progress.value() == 400
    engine.invert_gate.open()
    stage = cameo.window.stage
    qtbot.waitUntil(lambda: stage.frame_view.frame is not None, timeout=WAIT)
    assert stage.frame_view.frame.request.camera == cameo.session.inversion.camera
    assert cameo.window.photo_panel.name.text() == photo_path.name
    qtbot.waitUntil(lambda: bool(engine.meshed), timeout=WAIT)


def test_a_second_drop_cancels_the_first(cameo: Cameo, engine: FakeEngine, photo_path: Path, qtbot: QtBot) -> None:
    first = engine.invert_gate = Gate()
    drop(cameo, photo_path)
    qtbot.waitUntil(first.reached.is_set, timeout=WAIT)
    engine.invert_gate = None
    other = photo_path.parent / "quadrants.heic"
    drop(cameo, other)
    qtbot.waitUntil(lambda: cameo.session.inversion is not None, timeout=WAIT)
    assert cameo.session.photo.path == other
    assert cameo.window.banner.isHidden()


def test_cancelling_midway_goes_back_to_the_drop_zone(
    cameo: Cameo, engine: FakeEngine, photo_path: Path, qtbot: QtBot
) -> None:
    engine.invert_gate = Gate()
    drop(cameo, photo_path)
    qtbot.waitUntil(engine.invert_gate.reached.is_set, timeout=WAIT)
    QTest.mouseClick(cameo.window.welcome.working.cancel_button, LEFT)
    qtbot.waitUntil(lambda: not cameo.worker.is_busy, timeout=WAIT)
    qtbot.waitUntil(lambda: cameo.window.welcome.working.job is None, timeout=WAIT)
    assert cameo.window.welcome.currentWidget() is cameo.window.welcome.empty
    assert cameo.session.inversion is None
    assert cameo.window.banner.isHidden()


def test_cancelling_the_next_photo_leaves_the_open_head_and_its_edit(
    cameo: Cameo, engine: FakeEngine, photo_path: Path, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    drag_slider(cameo, "Smile", 40)
    before, edit = cameo.session.inversion, cameo.session.edit
    engine.invert_gate = Gate()
    drop(cameo, photo_path)
    qtbot.waitUntil(engine.invert_gate.reached.is_set, timeout=WAIT)
    assert cameo.window.job_bar.isVisible()
    QTest.keyClick(cameo.window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: cameo.window.job_bar.job is None, timeout=WAIT)
    assert cameo.session.inversion is before
    assert cameo.session.edit == edit


def test_a_text_file_gets_a_banner_and_nothing_is_lost(
    cameo: Cameo, tmp_path: Path, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    drag_slider(cameo, "Age", 30)
    before, edit = cameo.session.inversion, cameo.session.edit
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    drop(cameo, text)
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=WAIT)
    assert "notes.txt" in cameo.window.banner.text
    assert cameo.window.banner.hint
    assert cameo.session.inversion is before
    assert cameo.session.edit == edit
    QTest.keyClick(cameo.window, Qt.Key.Key_Escape)
    assert cameo.window.banner.isHidden()


def test_a_photo_without_a_face_says_so_on_the_first_page(
    cameo: Cameo, engine: FakeEngine, photo_path: Path, qtbot: QtBot
) -> None:
    engine.faces = 0
    drop(cameo, photo_path)
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=WAIT)
    assert "No face" in cameo.window.banner.text
    assert cameo.window.welcome.currentWidget() is cameo.window.welcome.empty


def test_missing_weights_are_said_before_anybody_chooses_a_photo(qtbot: QtBot, photo_path: Path) -> None:
    def open_engine() -> FakeEngine:
        raise WeightsMissing("The weights cameo-256 are not installed.", hint="Run make install.")

    cameo = Cameo(open_engine, opengl=None, sample=photo_path)
    qtbot.addWidget(cameo.window)
    cameo.window.show()
    cameo.photos.warm_up()
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=WAIT)
    assert cameo.window.banner.hint == "Run make install."
    cameo.stop()


def test_one_drag_of_a_slider_is_live_and_one_undo_step(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    slider = cameo.window.attribute_panel.rows["Smile"].slider
    start = slider.handle_centre().toPoint()
    QTest.mousePress(slider, LEFT, pos=start)
    QTest.mouseMove(slider, start + QPoint(20, 0))
    view = cameo.window.stage.frame_view
    qtbot.waitUntil(lambda: not view.frame.request.edit.is_empty, timeout=WAIT)
    assert cameo.session.undo_label == ""
    QTest.mouseMove(slider, start + QPoint(50, 0))
    QTest.mouseRelease(slider, LEFT, pos=start + QPoint(50, 0))
    assert cameo.session.undo_label == "Smile"
    qtbot.waitUntil(lambda: view.frame.request.edit == cameo.session.edit, timeout=WAIT)
    qtbot.waitUntil(lambda: view.frame.request.size == 512, timeout=WAIT)
    cameo.window.actions_table["undo"].trigger()
    assert cameo.session.edit.is_empty
    assert slider.value == 0.0
    cameo.window.actions_table["redo"].trigger()
    assert slider.value > 0.0


def test_a_double_click_on_a_slider_is_one_undo_step(
    cameo: Cameo, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    drag_slider(cameo, "Hair length", 40)
    edit = cameo.session.edit
    slider = cameo.window.attribute_panel.rows["Hair length"].slider
    QTest.mouseDClick(slider, LEFT, pos=slider.handle_centre().toPoint())
    assert cameo.session.edit.is_empty
    cameo.window.actions_table["undo"].trigger()
    assert cameo.session.edit == edit


def test_reset_all_is_one_undo_step(cameo: Cameo, open_photo: Callable[[], None]) -> None:
    open_photo()
    drag_slider(cameo, "Hair length", 40)
    drag_slider(cameo, "Age", -40)
    edit = cameo.session.edit
    cameo.window.attribute_panel.reset_button.click()
    assert cameo.session.edit.is_empty
    cameo.window.actions_table["undo"].trigger()
    assert cameo.session.edit == edit


def test_before_shows_the_unedited_head_as_long_as_it_is_held(
    cameo: Cameo, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    drag_slider(cameo, "Smile", 40)
    view = cameo.window.stage.frame_view
    qtbot.waitUntil(lambda: view.frame.request.edit == cameo.session.edit, timeout=WAIT)
    QTest.keyPress(cameo.window, Qt.Key.Key_Backslash)
    qtbot.waitUntil(lambda: view.frame.request.edit.is_empty, timeout=WAIT)
    assert not cameo.session.edit.is_empty
    QTest.keyRelease(cameo.window, Qt.Key.Key_Backslash)
    qtbot.waitUntil(lambda: view.frame.request.edit == cameo.session.edit, timeout=WAIT)
    QTest.mousePress(cameo.window.before_button, LEFT)
    assert cameo.view.before
    QTest.mouseRelease(cameo.window.before_button, LEFT)
    assert not cameo.view.before


def test_the_mesh_goes_stale_with_an_edit_and_is_rebuilt_when_the_hand_rests(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    qtbot.waitUntil(lambda: bool(engine.meshed), timeout=WAIT)
    drag_slider(cameo, "Hair length", 40)
    assert cameo.surfaces.is_stale
    qtbot.waitUntil(lambda: not cameo.surfaces.is_stale, timeout=WAIT)
    assert engine.meshed[-1][0] == cameo.session.edit


def test_a_mesh_under_way_is_given_up_when_the_edit_goes_on(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    qtbot.waitUntil(lambda: len(engine.meshed) == 2, timeout=WAIT)
    engine.mesh_gate = Gate()
    drag_slider(cameo, "Hair length", 40)
    qtbot.waitUntil(engine.mesh_gate.reached.is_set, timeout=WAIT)
    engine.mesh_gate = None
    drag_slider(cameo, "Hair length", -20)
    qtbot.waitUntil(lambda: not cameo.surfaces.is_stale, timeout=WAIT)
    assert [edit for edit, _ in engine.meshed[2:]] == [cameo.session.edit]


def test_dragging_the_view_moves_the_one_camera_and_the_picture_follows(
    cameo: Cameo, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    view = cameo.window.stage.frame_view
    before = cameo.view.camera
    QTest.mousePress(view, LEFT, pos=QPoint(100, 100))
    QTest.mouseMove(view, QPoint(160, 110))
    QTest.mouseRelease(view, LEFT, pos=QPoint(160, 110))
    assert cameo.view.camera != before
    qtbot.waitUntil(lambda: view.frame.request.camera == cameo.view.camera, timeout=WAIT)
    cameo.window.actions_table["home"].trigger()
    qtbot.waitUntil(lambda: cameo.view.camera == cameo.view.home, timeout=WAIT)


def test_another_face_of_the_photo_can_be_chosen(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    engine.faces = 3
    open_photo()
    panel = cameo.window.photo_panel
    qtbot.waitUntil(lambda: "3 faces" in panel.faces.text(), timeout=WAIT)
    assert "face 1 is used" in cameo.window.banner.text
    first = cameo.session.inversion
    QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.face_rectangle(1).center().toPoint())
    qtbot.waitUntil(lambda: cameo.session.inversion is not first, timeout=WAIT)
    assert cameo.view.home.yaw == pytest.approx(0.32)
    qtbot.waitUntil(lambda: panel.canvas._chosen == 1, timeout=WAIT)


def test_a_doubtful_head_is_shown_with_a_warning(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None]
) -> None:
    engine.warnings = ("The reconstruction does not resemble the photo (0.81).",)
    open_photo()
    assert "does not resemble" in cameo.window.banner.text
    assert cameo.window.banner.message.tone == "warning"


def test_pasting_without_a_picture_says_what_to_do(cameo: Cameo) -> None:
    QGuiApplication.clipboard().setText("only words")
    cameo.window.actions_table["paste"].trigger()
    assert "clipboard" in cameo.window.banner.text


def test_exports_are_written_while_the_head_can_still_be_edited(
    cameo: Cameo, engine: FakeEngine, tmp_path: Path, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    qtbot.waitUntil(lambda: len(engine.meshed) == 2, timeout=EXPORT_WAIT)
    engine.mesh_gate = Gate()
    spec = ExportSpec("mesh", tmp_path / "head.glb", mesh_resolution=32)
    cameo.exports.export(spec, cameo.live.current_request())
    qtbot.waitUntil(engine.mesh_gate.reached.is_set, timeout=EXPORT_WAIT)
    drag_slider(cameo, "Smile", 40)
    view = cameo.window.stage.frame_view
    qtbot.waitUntil(lambda: view.frame.request.edit == cameo.session.edit, timeout=EXPORT_WAIT)
    gate, engine.mesh_gate = engine.mesh_gate, None
    gate.open()
    qtbot.waitUntil(lambda: spec.path.exists(), timeout=EXPORT_WAIT)
    qtbot.waitUntil(lambda: cameo.window.banner.text == "Saved head.glb", timeout=EXPORT_WAIT)
    cameo.window.banner.dismiss()


def test_a_cancelled_export_leaves_nothing_and_keeps_the_old_file(
    cameo: Cameo, engine: FakeEngine, tmp_path: Path, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    target = tmp_path / "head.glb"
    target.write_bytes(b"old")
    qtbot.waitUntil(lambda: len(engine.meshed) == 2, timeout=WAIT)
    engine.mesh_gate = Gate()
    cameo.exports.export(ExportSpec("mesh", target, mesh_resolution=32), cameo.live.current_request())
    qtbot.waitUntil(engine.mesh_gate.reached.is_set, timeout=WAIT)
    QTest.mouseClick(cameo.window.job_bar.cancel_button, LEFT)
    qtbot.waitUntil(lambda: "stopped" in cameo.window.banner.text, timeout=WAIT)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_export_that_fails_says_what_to_do(
    cameo: Cameo, tmp_path: Path, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    (tmp_path / "folder.glb").mkdir()
    spec = ExportSpec("mesh", tmp_path / "folder.glb", mesh_resolution=32)
    cameo.exports.export(spec, cameo.live.current_request())
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=EXPORT_WAIT)
    assert cameo.window.banner.message.tone == "error"


def test_a_frame_that_cannot_be_rendered_is_said_and_the_old_one_stays(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    qtbot.waitUntil(lambda: len(engine.meshed) == 2, timeout=WAIT)
    before = cameo.window.stage.frame_view.frame
    engine.render_error = CameoError("There is not enough memory.", hint="Close other programs.")
    cameo.view.orbit(0.2, 0.0)
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=WAIT)
    assert cameo.window.stage.frame_view.frame is before


def test_closing_midway_ends_the_thread_and_saves_nothing_half(
    cameo: Cameo, engine: FakeEngine, photo_path: Path, qtbot: QtBot
) -> None:
    engine.invert_gate = Gate()
    drop(cameo, photo_path)
    qtbot.waitUntil(engine.invert_gate.reached.is_set, timeout=WAIT)
    cameo.window.close()
    assert not cameo.window.isVisible()
    assert not cameo.worker.is_running


def test_actions_are_enabled_exactly_when_they_make_sense(cameo: Cameo, open_photo: Callable[[], None]) -> None:
    actions = cameo.window.actions_table
    for name in ("export_mesh", "undo", "redo", "reset_edit", "home", "compare"):
        assert not actions[name].isEnabled(), name
    open_photo()
    assert actions["export_mesh"].isEnabled()
    assert not actions["undo"].isEnabled()
    drag_slider(cameo, "Smile", 40)
    assert actions["undo"].isEnabled()
    assert actions["undo"].text() == "Undo Smile"
    assert actions["reset_edit"].isEnabled()


def test_layouts_open_and_close_the_views(cameo: Cameo, open_photo: Callable[[], None]) -> None:
    open_photo()
    stage = cameo.window.stage
    cameo.window.actions_table["layout_picture"].trigger()
    assert cameo.view.layout is Layout.PICTURE
    assert not stage.mesh_pane.isVisible()
    cameo.window.actions_table["layout_mesh"].trigger()
    assert not stage.frame_pane.isVisible()
    cameo.window.actions_table["layout_both"].trigger()
    assert stage.frame_pane.isVisible()
    assert stage.mesh_pane.isVisible()


def test_layers_are_rendered_when_chosen(cameo: Cameo, open_photo: Callable[[], None], qtbot: QtBot) -> None:
    open_photo()
    cameo.window.actions_table["layer_normals"].trigger()
    view = cameo.window.stage.frame_view
    qtbot.waitUntil(lambda: view.frame.request.layer == "normals", timeout=WAIT)
    assert cameo.window.stage.frame_pane.title.text() == "Normals"


def test_an_error_nobody_foresaw_keeps_the_window_and_its_head(
    cameo: Cameo, open_photo: Callable[[], None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from gui.app import install_excepthook

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    open_photo()
    install_excepthook(cameo)
    with caplog.at_level("ERROR"):
        sys.excepthook(ValueError, ValueError("surprise"), None)
    assert "surprise" in cameo.window.banner.text
    assert cameo.window.isVisible()


def test_a_picture_that_takes_long_is_announced(
    cameo: Cameo, engine: FakeEngine, open_photo: Callable[[], None], qtbot: QtBot
) -> None:
    open_photo()
    qtbot.waitUntil(lambda: len(engine.meshed) == 2, timeout=WAIT)
    gate = engine.frame_gate = Gate()
    cameo.view.orbit(0.2, 0.0)
    figures = cameo.window.stage.frame_pane.figures
    qtbot.waitUntil(lambda: figures.text() == "Rendering…", timeout=WAIT)
    gate.open()
    qtbot.waitUntil(lambda: "ms" in figures.text(), timeout=WAIT)
