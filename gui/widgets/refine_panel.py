"""Optimise the head for its photo: method, progress, and afterwards what it brought, as figures and as a curve."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.job import Job
from core.session import Changes
from gui import theme
from gui.session_model import SessionModel

METHODS = (
    ("fast", "Fast", "Under a minute on two cores: the photo's look on the same shape."),
    ("best", "Best", "Some minutes: the photo's look from all sides it can be seen from."),
    ("sg2", "SG2 (W)", "Latents only, as in the papers; long."),
    ("sg2plus", "SG2+ (W+)", "Latents row by row; long."),
    ("pti", "PTI", "Pivotal tuning, as in the paper; long, and the sides suffer."),
    ("pti-split", "PTI, split rates", "Pivotal tuning that spares the shape; long."),
    ("pti-appearance", "PTI, appearance only", "Pivotal tuning with the shape held; long."),
    ("hfgi3d", "HFGI3D", "Pseudo-views, full schedule; very long."),
    ("density", "Shape held (HFGI3D, D)", "Tuning with the shape held by a loss; very long."),
)
"""Name, label, tip: the names are those of ``--refine``."""
CURVE_PX = 110
SURE_AFTER = 0.08
"""Fraction of the job after which the time left is worth saying: about the first 20 steps."""


class Curves(QWidget):
    """Two lines over the steps, each from 0 to its largest value, and the step that was kept."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve: Sequence[Any] = ()
        self._kept = 0
        self.setFixedHeight(CURVE_PX)
        self.setToolTip(
            "While it was optimised: difference at the photo (bright), identity distance from the sides (grey), "
            "and the step that was kept. Lower is better."
        )

    def show_curve(self, curve: Sequence[Any], kept: int) -> None:
        """Points of the report's curve, and the kept step."""
        self._curve, self._kept = curve, kept
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the lines."""
        if len(self._curve) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, height = self.width() - 4.0, self.height() - 4.0
        last = max(1, self._curve[-1]["step"])
        painter.setPen(QPen(theme.colour("faint"), 1.0, Qt.PenStyle.DashLine))
        x = 2.0 + width * self._kept / last
        painter.drawLine(QPointF(x, 2.0), QPointF(x, height))
        for key, colour in (("novel_identity", "muted"), ("mae", "accent")):
            highest = max(point[key] for point in self._curve) or 1.0
            painter.setPen(QPen(theme.colour(colour), 2.0))
            places = [
                QPointF(2.0 + width * point["step"] / last, 2.0 + height * (1.0 - point[key] / highest))
                for point in self._curve
            ]
            painter.drawPolyline(places)
        painter.end()


class RefinePanel(QWidget):
    """Method, button, progress and what the last refinement found.

    Args:
        session: whose head it is; the panel only reads it.
        clock: seconds; a test passes its own.
        parent: the owner.
    """

    refine_requested = Signal(str)
    """A method's name."""
    cancel_requested = Signal()
    """Give up what is running; the head stays as it was."""

    def __init__(
        self, session: SessionModel, clock: Callable[[], float] = time.monotonic, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._clock = session, clock
        self._job: Job | None = None
        self._began = 0.0
        heading = QLabel("REFINE")
        heading.setProperty("role", "heading")
        self.methods = QComboBox()
        self.methods.setAccessibleName("Method of refinement")
        for name, label, tip in METHODS:
            self.methods.addItem(label, name)
            self.methods.setItemData(self.methods.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.button = QPushButton("Refine")
        self.button.setToolTip("Optimise the head until it is this very person; one step back undoes it")
        self.button.clicked.connect(self._on_clicked)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self.methods, 1)
        row.addWidget(self.button)
        self.words = QLabel()
        self.words.setProperty("role", "muted")
        self.words.setWordWrap(True)
        self.plot = Curves()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        for part in (heading, row, self.words, self.plot):
            column.addLayout(part) if isinstance(part, QHBoxLayout) else column.addWidget(part)
        session.changed.connect(self.on_session_changed)
        self._show()

    def begin(self, job: Job) -> None:
        """A refinement began."""
        self._job, self._began = job, self._clock()
        self._show()

    def report(self, job: Job, fraction: float, stage: str) -> None:
        """It got on: the stage, and the time left as soon as it can be told."""
        if job is not self._job:
            return
        words = stage[:1].upper() + stage[1:]
        if fraction > SURE_AFTER:
            left = (self._clock() - self._began) * (1.0 - fraction) / fraction
            words += f" · about {left / 60:.0f} min left" if left > 90 else f" · about {left:.0f} s left"
        self.words.setText(words)

    def end(self) -> None:
        """It is over, however it ended."""
        self._job = None
        self._show()

    def on_session_changed(self, changes: Changes, initiator: object) -> None:
        """Another head: show what refined it, if anything did."""
        if changes & Changes.INVERSION:
            self._show()

    def _on_clicked(self) -> None:
        if self._job is not None:
            self.cancel_requested.emit()
        else:
            self.refine_requested.emit(self.methods.currentData())

    def _show(self) -> None:
        running = self._job is not None
        self.setEnabled(self._session.inversion is not None)
        self.methods.setEnabled(not running)
        self.button.setText("Cancel" if running else "Refine")
        refinement = getattr(self._session.inversion, "refinement", None)
        report = None if refinement is None else refinement.report
        self.plot.setVisible(report is not None)
        if report is not None:
            self.plot.show_curve(report["curve"], report["kept_step"])
        if not running:
            self.words.setText("" if report is None else _sentence(report))
        self.words.setVisible(bool(running or report is not None))


def _sentence(report: Any) -> str:
    """What a refinement brought, in words; honest about steps that were taken back."""
    before, after = report["before"], report["after"]
    words = (
        f"Own colours: difference {before['mae']:.3f} → {after['mae']:.3f}, identity from the sides "
        f"{before['novel_identity']:.2f} → {after['novel_identity']:.2f}, {report['seconds']:.0f} s."
    )
    if report["rolled_back"]:
        words += f" Step {report['kept_step']} of {report['steps']} was the best and is kept."
    if report.get("share", 1.0) == 0.0:
        words += " Nothing was gained; the head is as it was."
    return words
