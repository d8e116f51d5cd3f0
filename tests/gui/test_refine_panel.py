"""Refining in the window: one undo step, cancel leaves the head, the panel says what it brought."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from core.__main__ import RefineMethod
from core.errors import CameoError
from core.job import Job
from gui.app import Cameo
from gui.widgets.refine_panel import METHODS, RefinePanel
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
}


@dataclasses.dataclass(frozen=True, eq=False)
class Refined(FakeInversion):
    """A fake inversion that carries a report."""

    refinement: Any = None


def teach(engine: FakeEngine, gate: Gate | None = None, error: CameoError | None = None) -> list[str]:
    """Give the fake engine a ``refine``; returns the methods it was asked for."""
    asked: list[str] = []

    def refine(inversion: FakeInversion, method: str, job: Job) -> Refined:
        asked.append(method)
        job.report(0.5, "tuning, step 3 of 7, difference 0.120")
        if gate is not None:
            gate.wait_for(job, 0.5, "tuning, step 3 of 7, difference 0.120")
        if error is not None:
            raise error
        values = {f.name: getattr(inversion, f.name) for f in dataclasses.fields(FakeInversion)}
        return Refined(**values, refinement=SimpleNamespace(report=REPORT))

    engine.refine = refine  # type: ignore[attr-defined]
    return asked


def press(panel: RefinePanel) -> None:
    QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)


def test_the_panel_offers_the_methods_of_the_command_line() -> None:
    assert [name for name, _, _ in METHODS] == [method.value for method in RefineMethod]


def test_a_refinement_is_one_step_and_the_panel_says_what_it_brought(
    cameo: Cameo, engine: FakeEngine, qtbot: QtBot, open_photo: Callable[[], None]
) -> None:
    open_photo()
    asked = teach(engine)
    before = cameo.session.inversion
    panel = cameo.window.refine_panel
    assert panel.plot.isHidden()
    panel.methods.setCurrentIndex(1)
    press(panel)
    qtbot.waitUntil(lambda: cameo.session.inversion is not before, timeout=WAIT)
    assert asked == ["best"]
    assert cameo.session.undo_label == "Refine"
    assert "0.160 → 0.100" in panel.words.text()
    assert "Step 6 of 7" in panel.words.text()
    assert panel.plot.isVisibleTo(panel)
    panel.plot.grab()
    cameo.session.undo()
    assert cameo.session.inversion is before
    assert panel.plot.isHidden()


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
