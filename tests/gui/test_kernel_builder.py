"""Compiling waits until nothing is going on, runs once, and what it made is taken by the engine."""

import sys
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from gui.app import Cameo
from gui.kernel_builder import KernelBuilder
from tests.gui.fake_engine import FakeEngine

WAIT = 10_000


@pytest.fixture
def builder(qtbot: QtBot) -> Iterator[KernelBuilder]:
    made = KernelBuilder("fake-256", idle_ms=400)
    yield made
    made.stop()
    assert not made.is_building


def runs(builder: KernelBuilder, code: str) -> None:
    """Let its process run some other code."""
    builder._arguments = ["-c", code]


def test_it_waits_for_a_pause_and_says_when_layers_are_there(builder: KernelBuilder, qtbot: QtBot) -> None:
    runs(builder, "")
    builder.put_off()  # not armed: nothing is wanted
    builder.arm()
    for _ in range(6):
        qtbot.wait(30)
        builder.put_off()
        assert not builder.is_building
    with qtbot.waitSignal(builder.built, timeout=WAIT):
        pass
    builder.put_off()
    qtbot.wait(600)
    assert not builder.is_building


def test_a_machine_without_a_compiler_stays_as_it_is(builder: KernelBuilder, qtbot: QtBot) -> None:
    runs(builder, "import sys; sys.exit(3)")
    said = []
    builder.built.connect(lambda: said.append(True))
    builder.arm()
    qtbot.waitUntil(lambda: builder.is_building, timeout=WAIT)
    qtbot.waitUntil(lambda: not builder.is_building, timeout=WAIT)
    qtbot.wait(50)
    assert said == []


def test_closing_the_window_ends_it(builder: KernelBuilder, qtbot: QtBot) -> None:
    runs(builder, "import time; time.sleep(60)")
    builder.arm()
    qtbot.waitUntil(lambda: builder.is_building, timeout=WAIT)
    builder.stop()
    assert not builder.is_building


def test_the_process_is_the_public_command() -> None:
    wanted = ["-m", "core", "kernels", "--weights", "cameo-256", "--device", "cpu", "--aside"]
    assert KernelBuilder("cameo-256", "cpu")._arguments == wanted


def test_an_engine_that_wants_layers_gets_them_and_one_that_does_not_is_left_alone(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot
) -> None:
    runs(cameo.kernels, f"assert {sys.version_info[0]} == 3")
    cameo.kernels._timer.setInterval(20)
    with qtbot.waitSignal(cameo.worker.engine_opened, timeout=WAIT):
        cameo.photos.warm_up()
    qtbot.wait(100)
    assert engine.kernels_taken == 0
    cameo.kernels.arm()
    qtbot.waitUntil(lambda: engine.kernels_taken == 1, timeout=WAIT)


def test_opening_an_engine_that_wants_layers_arms_the_builder(cameo: Cameo, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.wants_kernels = True
    runs(cameo.kernels, "")
    cameo.kernels._timer.setInterval(20)
    cameo.photos.warm_up()
    qtbot.waitUntil(lambda: engine.kernels_taken == 1, timeout=WAIT)
