"""A dressed application, a fake engine, and the real window around it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from gui import theme
from gui.app import Cameo
from gui.engine_worker import EngineWorker
from tests.gui.fake_engine import FakeEngine

PHOTO = Path(__file__).parents[1] / "data" / "astronaut.jpg"


@pytest.fixture(autouse=True)
def _dressed(qapp: object) -> None:
    if not qapp.styleSheet():
        theme.apply(qapp)


@pytest.fixture
def photo_path() -> Path:
    return PHOTO


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def worker(engine: FakeEngine, qtbot: QtBot) -> Iterator[EngineWorker]:
    """A worker that is stopped afterwards; its thread must be gone."""
    made = EngineWorker(lambda: engine)
    yield made
    assert made.stop()


@pytest.fixture
def cameo(engine: FakeEngine, qtbot: QtBot) -> Iterator[Cameo]:
    """The whole program with a fake engine, shown."""
    made = Cameo(lambda: engine, opengl=None, sample=PHOTO)
    qtbot.addWidget(made.window)
    made.window.show()
    qtbot.waitExposed(made.window)
    yield made
    made.stop()
    assert not made.worker.is_running


@pytest.fixture
def open_photo(cameo: Cameo, qtbot: QtBot) -> Callable[[], None]:
    """Opens the astronaut and waits for head, frame and mesh."""

    def run() -> None:
        cameo.photos.reconstruct(PHOTO)
        qtbot.waitUntil(lambda: cameo.session.inversion is not None, timeout=10_000)
        qtbot.waitUntil(lambda: cameo.window.stage.frame_view.frame is not None, timeout=10_000)

    return run
