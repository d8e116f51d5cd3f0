"""What a person does in the window, from the first drop to the saved file."""

from pathlib import Path

import av
import numpy as np
import trimesh
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from gui.widgets.export_dialog import ExportSpec
from tests.journeys.conftest import LEFT, PHOTO, Person


def pixels_of(image: QImage) -> np.ndarray:
    """(H, W, 3) uint8."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in levels."""
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def test_a_dropped_photo_becomes_a_head_beside_the_photo(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    assert person.window.pages.currentIndex() == 1
    assert person.window.photo_panel.name.text() == PHOTO.name
    inside = person.frame.alpha > 128
    assert 0.05 < inside.mean() < 0.95
    assert person.frame.pixels[inside].std() > 5
    assert len(person.cameo.surfaces.mesh.faces) > 1000
    if person.window.stage.mesh_view is not None:
        picture = pixels_of(person.window.stage.mesh_view.picture())
        assert picture.std() > 10


def test_the_sample_portrait_opens_at_a_click(person: Person) -> None:
    QTest.mouseClick(person.window.welcome.sample_card, LEFT)
    person.wait_until(person.settled)


def test_dragging_a_slider_changes_the_picture_and_undo_brings_it_back(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    before = person.frame.pixels
    person.drag_slider("Smile", 55)
    person.wait_until(person.settled)
    after = person.frame.pixels
    assert difference(before, after) > 0.3
    person.window.actions_table["undo"].trigger()
    person.wait_until(person.settled)
    assert difference(before, person.frame.pixels) < 0.05


def test_orbiting_moves_both_views_and_reset_brings_both_back(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    stage, home = person.window.stage, person.cameo.view.camera
    before = person.frame.pixels
    person.drag(stage.frame_view, QPoint(120, 120), QPoint(70, 10))
    person.wait_until(person.settled)
    assert difference(before, person.frame.pixels) > 1.0
    assert person.cameo.view.camera.yaw < home.yaw
    if stage.mesh_view is not None:
        assert stage.mesh_view.camera == person.cameo.view.camera
        turned = pixels_of(stage.mesh_view.picture())
        person.drag(stage.mesh_view, QPoint(120, 120), QPoint(-40, 0))
        assert stage.mesh_view.camera == person.cameo.view.camera
        assert difference(turned, pixels_of(stage.mesh_view.picture())) > 0.3
        person.wait_until(person.settled)
    QTest.mouseDClick(stage.frame_view, LEFT, pos=QPoint(100, 100))
    person.wait_until(lambda: person.cameo.view.camera == home)
    person.wait_until(person.settled)
    assert difference(before, person.frame.pixels) < 0.05


def test_a_head_can_be_turned_only_as_far_as_the_model_was_trained(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    view = person.window.stage.frame_view
    for _ in range(6):
        person.drag(view, QPoint(20, 100), QPoint(300, 0))
        assert person.cameo.view.limits.contains(person.cameo.view.camera)
    QTest.mousePress(view, LEFT, pos=QPoint(20, 100))
    QTest.mouseMove(view, QPoint(200, 100))
    assert not person.window.stage.frame_pane.top_chip.isHidden()
    QTest.mouseRelease(view, LEFT, pos=QPoint(200, 100))
    assert person.window.stage.frame_pane.top_chip.isHidden()
    person.wait_until(person.settled)


def test_reset_takes_every_edit_back(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    person.drag_slider("Age", 40)
    person.drag_slider("Hair length", -40)
    person.wait_until(person.settled)
    person.window.attribute_panel.reset_button.click()
    assert person.cameo.session.edit.is_empty
    person.wait_until(person.settled)


def test_an_exported_mesh_and_turntable_open_in_other_programs(person: Person, tmp_path: Path) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    mesh = ExportSpec("mesh", tmp_path / "head.glb", mesh_resolution=64)
    film = ExportSpec("turntable", tmp_path / "head.mp4", frames=4, fps=5, size=128)
    picture = ExportSpec("picture", tmp_path / "head.png", size=128)
    for spec in (mesh, film, picture):
        person.cameo.exports.export(spec, person.cameo.live.current_request())
        person.wait_until(lambda spec=spec: person.window.banner.text == f"Saved {spec.path.name}")
    loaded = trimesh.load(mesh.path, force="mesh")
    assert loaded.faces.shape[0] > 500
    assert loaded.visual.kind == "vertex"
    with av.open(str(film.path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 4
    assert frames[0].shape == (128, 128, 3)
    assert difference(frames[0], frames[1]) > 0.1
    assert QImage(str(picture.path)).hasAlphaChannel()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.glb", "head.mp4", "head.png"]
    person.window.banner.dismiss()


def test_a_text_file_gets_a_banner_and_nothing_is_lost(person: Person, tmp_path: Path) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    person.drag_slider("Smile", 40)
    inversion, edit = person.cameo.session.inversion, person.cameo.session.edit
    text = tmp_path / "letter.txt"
    text.write_text("Dear Ada")
    person.drop(text)
    person.wait_until(lambda: not person.window.banner.isHidden())
    assert "letter.txt" in person.window.banner.text
    assert person.window.banner.hint
    assert person.cameo.session.inversion is inversion
    assert person.cameo.session.edit == edit
    assert person.window.pages.currentIndex() == 1


def test_cancelling_midway_leaves_the_window_as_it_was(person: Person) -> None:
    person.drop(PHOTO)
    working = person.window.welcome.working
    person.wait_until(lambda: working.job is not None and "Opening" not in working.job.label)
    QTest.mouseClick(working.cancel_button, LEFT)
    person.wait_until(lambda: working.job is None)
    assert person.cameo.session.inversion is None
    assert person.window.welcome.currentWidget() is person.window.welcome.empty
    person.drop(PHOTO)
    person.wait_until(person.settled)


def test_a_second_drop_takes_the_place_of_the_first(person: Person, tmp_path: Path) -> None:
    other = tmp_path / "other.jpg"
    other.write_bytes(PHOTO.read_bytes())
    person.drop(PHOTO)
    person.drop(other)
    person.wait_until(person.settled)
    assert person.cameo.session.photo.path == other


def test_closing_midway_ends_everything(person: Person) -> None:
    person.drop(PHOTO)
    working = person.window.welcome.working
    person.wait_until(lambda: working.job is not None and "Opening" not in working.job.label)
    person.window.close()
    assert not person.window.isVisible()
    assert not person.cameo.worker.is_running


def test_closing_with_a_head_open_ends_everything(person: Person) -> None:
    person.drop(PHOTO)
    person.wait_until(person.settled)
    person.drag_slider("Smile", 40)
    QTest.keyClick(person.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    person.wait_until(lambda: not person.window.isVisible())
    assert not person.cameo.worker.is_running
