"""Refining in the window: one undo step, cancel leaves the head, a live curve, and another point of it afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from core.__main__ import PolishedFirst, RefineMethod
from core.errors import CameoError
from core.job import Job
from core.refinement.glimpse import Glimpse
from gui.app import Cameo
from gui.widgets.refine_panel import METHODS, POLISHES, RefinePanel
from tests.gui.fake_engine import FakeEngine, FakeInversion, Gate

WAIT = 10_000
FIGURES = {"mae": 0.16, "ssim": 0.5, "identity_distance": 0.6, "novel_identity": 0.6}
CURVE = [{"step": step, "mae": 0.16 - 0.01 * step, "novel_identity": 0.6 - 0.02 * step} for step in range(8)]
REPORT = {
    "before": FIGURES,
    "after": FIGURES | {"mae": 0.1, "novel_identity": 0.48},
    "curve": CURVE,
    "kept_step": 6,
    "steps": 7,
    "seconds": 31.0,
    "rolled_back": True,
    "share": 1.0,
    "points": [0, 3, 6, 7],
}
GLIMPSE = Glimpse(20, 30, 12.0, tuple(CURVE[:4]), 3, (np.full((256, 256, 3), 90, np.uint8),) * 3)


@dataclasses.dataclass(frozen=True, eq=False)
class Refined(FakeInversion):
    """A fake inversion that carries a report."""

    refinement: Any = None


def refined(inversion: FakeInversion, report: dict[str, Any]) -> Refined:
    values = {f.name: getattr(inversion, f.name) for f in dataclasses.fields(FakeInversion)}
    return Refined(**values, refinement=SimpleNamespace(report=report))


def teach(engine: FakeEngine, gate: Gate | None = None, error: CameoError | None = None) -> list[str]:
    """Give the fake engine a ``refine``; returns the methods it was asked for."""
    asked: list[str] = []

    def refine(inversion: FakeInversion, method: str, job: Job) -> Refined:
        asked.append(method)
        job.show(GLIMPSE)
        job.report(0.5, "tuning, step 3 of 7, difference 0.120")
        if gate is not None:
            gate.wait_for(job, 0.5, "tuning, step 3 of 7, difference 0.120")
        if error is not None:
            raise error
        return refined(inversion, REPORT)

    def pick(inversion: FakeInversion, step: int, job: Job) -> Refined:
        asked.append(str(step))
        return refined(inversion, REPORT | {"kept_step": step})

    engine.refine, engine.pick = refine, pick  # type: ignore[attr-defined]
    return asked


def press(panel: RefinePanel, button: QPushButton | None = None) -> None:
    QTest.mouseClick(button or panel.button, Qt.MouseButton.LeftButton)


def test_the_panel_offers_the_methods_of_the_command_line() -> None:
    assert [name for name, _, _ in METHODS] == [method.value for method in RefineMethod]
    assert [name for name, _, _ in POLISHES] == [polish.value for polish in PolishedFirst]


def test_a_refinement_is_one_step_and_the_panel_says_what_it_brought(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    asked = teach(engine)
    before = cameo.session.inversion
    panel = cameo.window.refine_panel
    assert panel.curve is None
    panel.methods.setCurrentIndex(1)
    QTest.mouseClick(panel.polishes["light"], Qt.MouseButton.LeftButton)
    press(panel)
    qtbot.waitUntil(lambda: cameo.session.inversion is not before, timeout=WAIT)
    assert asked == ["light+best"]
    assert cameo.session.undo_label == "Refine"
    assert "0.160 → 0.100" in panel.words.text()
    assert "Step 6 of 7" in panel.words.text()
    assert panel.curve is not None
    assert panel.curve.isVisibleTo(panel)
    assert (panel.curve.chosen, panel.curve.points) == (6, (0, 3, 6, 7))
    panel.curve.grab()
    cameo.session.undo()
    assert cameo.session.inversion is before
    assert panel.curve.isHidden()


def test_another_point_of_the_curve_can_be_taken_and_undone(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    asked = teach(engine)
    panel = cameo.window.refine_panel
    press(panel)
    qtbot.waitUntil(lambda: panel.curve is not None and panel.curve.points != (), timeout=WAIT)
    first = cameo.session.inversion
    assert panel.curve is not None
    spots = {spot.data(): spot for spot in panel.curve._dots.points()}
    for step in (6, 1):  # the chosen one, and one that was not kept
        panel.curve._dots.sigClicked.emit(panel.curve._dots, [spots[step]], None)
    panel.curve._dots.sigClicked.emit(panel.curve._dots, [spots[3]], None)
    qtbot.waitUntil(lambda: cameo.session.inversion is not first, timeout=WAIT)
    assert asked == ["fast", "3"]
    assert panel.curve.chosen == 3
    assert cameo.session.undo_label == "Refine, step 3"
    cameo.session.undo()
    assert cameo.session.inversion is first
    assert panel.curve.chosen == 6


def test_while_it_runs_curve_previews_pause_and_stop(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    gate = Gate()
    teach(engine, gate)
    before, panel = cameo.session.inversion, cameo.window.refine_panel
    assert not panel.pause.isVisibleTo(panel)
    press(panel)
    qtbot.waitUntil(lambda: "about 12 s left" in panel.words.text(), timeout=WAIT)
    assert panel.curve is not None
    assert panel.curve.isVisibleTo(panel)
    assert panel.curve.chosen == 3
    assert all(label.isVisibleTo(panel) and not label.pixmap().isNull() for label in panel.previews)
    press(panel, panel.pause)
    assert panel.pause.text() == "Go on"
    assert panel.words.text() == "Paused · about 12 s left"
    press(panel, panel.pause)
    assert panel.pause.text() == "Pause"
    press(panel, panel.pause)
    press(panel, panel.keep)
    gate.open()
    qtbot.waitUntil(lambda: cameo.session.inversion is not before, timeout=WAIT)
    assert not panel.previews[0].isVisibleTo(panel)
    assert not panel.keep.isVisibleTo(panel)


def test_cancelling_leaves_the_head(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    gate = Gate()
    teach(engine, gate)
    before, panel = cameo.session.inversion, cameo.window.refine_panel
    press(panel)
    qtbot.waitUntil(gate.reached.is_set, timeout=WAIT)
    qtbot.waitUntil(lambda: "s left" in panel.words.text(), timeout=WAIT)
    assert panel.button.text() == "Cancel"
    assert not panel.methods.isEnabled()
    press(panel)
    qtbot.waitUntil(lambda: panel.button.text() == "Refine", timeout=WAIT)
    assert panel.curve is not None
    assert panel.curve.isHidden()
    assert cameo.session.inversion is before
    assert cameo.session.undo_label == ""
    assert cameo.window.banner.isHidden()


def test_a_failure_is_said_and_leaves_the_head(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    teach(engine, error=CameoError("These weights cannot be refined.", hint="Use cameo-256."))
    before = cameo.session.inversion
    press(cameo.window.refine_panel)
    qtbot.waitUntil(lambda: not cameo.window.banner.isHidden(), timeout=WAIT)
    assert cameo.session.inversion is before
    assert cameo.window.refine_panel.button.text() == "Refine"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_gained_is_said(
    share: float, cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    teach(engine)
    REPORT["share"] = share
    press(cameo.window.refine_panel)
    panel = cameo.window.refine_panel
    qtbot.waitUntil(lambda: "Own colours" in panel.words.text(), timeout=WAIT)
    assert ("Nothing was gained" in panel.words.text()) == (share == 0.0)
