"""The real window, once around a fake engine and once around the real one with its embedded weights."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui import theme
from gui.app import FINE_PX, SAMPLE, Cameo
from gui.widgets.mesh_view import OpenGLFacts, opengl_facts
from tests.gui.fake_engine import FakeEngine

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"
LEFT = Qt.MouseButton.LeftButton

FAKE_WAIT, REAL_WAIT = 10_000, 120_000
"""Milliseconds: the real engine also imports torch and may share its two cores."""


class Person:
    """Hands and eyes of somebody at the window.

    Args:
        cameo: the program.
        qtbot: drives Qt.
        patience_ms: how long to wait for the engine.
    """

    def __init__(self, cameo: Cameo, qtbot: QtBot, patience_ms: int) -> None:
        self.cameo = cameo
        self.window = cameo.window
        self._qtbot = qtbot
        self._patience_ms = patience_ms

    @property
    def frame(self) -> Any:
        """The neural frame on the screen."""
        return self.window.stage.frame_view.frame

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Look at the window until something is so."""
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=self._patience_ms)

    def drop(self, path: Path) -> None:
        """Drop a file on the window."""
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        common = (Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.window.area, QDragEnterEvent(QPoint(50, 50), *common))
        QApplication.sendEvent(self.window.area, QDropEvent(QPointF(50, 50), *common))

    def drag(self, widget: QWidget, start: QPoint, by: QPoint) -> None:
        """Press, move in steps, let go."""
        QTest.mousePress(widget, LEFT, pos=start)
        for step in range(1, 9):
            QTest.mouseMove(widget, start + QPoint(by.x() * step // 8, by.y() * step // 8))
        QTest.mouseRelease(widget, LEFT, pos=start + by)

    def drag_slider(self, name: str, pixels: int) -> None:
        """Drag the handle of a slider."""
        slider = self.window.attribute_panel.rows[name].slider
        self.drag(slider, slider.handle_centre().toPoint(), QPoint(pixels, 0))

    def has_head(self) -> bool:
        """Whether picture and mesh of the newest state are there."""
        shown = self.frame is not None and self.frame.request.inversion is self.cameo.session.inversion
        return shown and not self.cameo.surfaces.is_stale and self.cameo.surfaces.mesh is not None

    def settled(self) -> bool:
        """Whether what is seen is the newest edit from the newest camera, at its finest size."""
        frame = self.frame
        return (
            self.has_head()
            and frame.request.edit == self.cameo.session.edit
            and frame.request.camera == self.cameo.view.camera
            and frame.request.size == FINE_PX
        )


@pytest.fixture(autouse=True)
def _dressed(qapp: QApplication) -> None:
    if not qapp.styleSheet():
        theme.apply(qapp)


@pytest.fixture(params=[pytest.param("fake"), pytest.param("real", marks=pytest.mark.slow)])
def engine_factory(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Makes the engine: the fake one, or the real one when its weights are there."""
    if request.param == "fake":
        return partial(FakeEngine, steps=80)
    if not (ROOT / "weights" / "cameo-256").is_dir():
        pytest.skip("weights/cameo-256 is not there")

    def open_engine() -> Any:
        return importlib.import_module("core.engine").Engine.open("cameo-256", "cpu", None)

    return open_engine


@pytest.fixture
def opengl(qapp: QApplication) -> OpenGLFacts | None:
    """None on the offscreen platform; the journeys run under Xvfb too, where there is one."""
    return opengl_facts()


@pytest.fixture
def person(engine_factory: Callable[[], Any], opengl: OpenGLFacts | None, qtbot: QtBot) -> Iterator[Person]:
    """Somebody in front of the open window."""
    cameo = Cameo(engine_factory, opengl, SAMPLE if SAMPLE.is_file() else PHOTO)
    qtbot.addWidget(cameo.window)
    cameo.window.show()
    qtbot.waitExposed(cameo.window)
    yield Person(cameo, qtbot, FAKE_WAIT if isinstance(engine_factory, partial) else REAL_WAIT)
    cameo.stop()
    assert not cameo.worker.is_running
