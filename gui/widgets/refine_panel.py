"""Optimise the head for its photo: method, progress and previews, and afterwards what it brought.

While it runs the curve grows and three small pictures show the head as it is now. Afterwards the curve marks the stop
that was chosen, and a click takes another one.
"""

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.job import Job
from core.session import Changes
from gui import theme
from gui.session_model import SessionModel
from gui.widgets.pixels import thumbnail

if TYPE_CHECKING:
    from gui.widgets.refine_curve import RefineCurve

METHODS = (
    ("fast", "Fast", "Under a minute on two cores: the photo's look."),
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
POLISHES = (
    ("camera", "Camera", "First move the camera a little until the photo fits"),
    ("light", "Light", "First find the light that falls on this photo, as far as the model knows lights"),
)
"""Name, label, tip: the names are those of ``--polish``."""
PREVIEW_PX = 84
PREVIEWS = ("The head now, by its own colours, from the photo's viewpoint", "From the left", "From the right")


class RefinePanel(QWidget):
    """Method, buttons, progress and what the last refinement found.

    Args:
        session: whose head it is; the panel only reads it.
        parent: the owner.
    """

    refine_requested = Signal(str)
    """A method's name, after what is polished first: "best", "camera+light+best"."""
    cancel_requested = Signal()
    """Give up what is running; the head stays as it was."""
    pause_requested = Signal(bool)
    """Rest, or go on."""
    finish_requested = Signal()
    """Stop and keep what is there."""
    pick_requested = Signal(int)
    """Go to another step of the last refinement."""

    def __init__(self, session: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Job | None = None
        self._left = ""
        heading = QLabel("REFINE")
        heading.setProperty("role", "heading")
        self.methods = QComboBox()
        self.methods.setAccessibleName("Method of refinement")
        for name, label, tip in METHODS:
            self.methods.addItem(label, name)
            self.methods.setItemData(self.methods.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.polishes = {name: QCheckBox(label) for name, label, _ in POLISHES}
        for name, _, tip in POLISHES:
            self.polishes[name].setToolTip(tip)
            self.polishes[name].setAccessibleName(tip)
        self.button = QPushButton("Refine")
        self.button.setToolTip("Optimise the head until it is this very person; one step back undoes it")
        self.button.clicked.connect(self._on_clicked)
        self.pause = QPushButton("Pause")
        self.pause.setToolTip("Let the refinement rest; the head can be looked at meanwhile")
        self.pause.clicked.connect(self._on_pause)
        self.keep = QPushButton("Stop and keep")
        self.keep.setToolTip("End now, with the best step so far")
        self.keep.clicked.connect(self.finish_requested)
        self.words = QLabel()
        self.words.setProperty("role", "muted")
        self.words.setWordWrap(True)
        self.previews = tuple(QLabel() for _ in PREVIEWS)
        for picture, said in zip(self.previews, PREVIEWS, strict=True):
            picture.setFixedSize(PREVIEW_PX, PREVIEW_PX)
            picture.setToolTip(said)
        self.curve: RefineCurve | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.GAP)
        self._column.addWidget(heading)
        self._column.addLayout(_row(self.methods, self.button))
        self._polish = QLabel("Polish first")
        self._polish.setProperty("role", "muted")
        self._column.addLayout(_row(self._polish, *self.polishes.values()))
        self._column.addLayout(_row(self.pause, self.keep))
        self._column.addWidget(self.words)
        self._column.addLayout(_row(*self.previews))
        session.changed.connect(self.on_session_changed)
        self._show()

    def begin(self, job: Job) -> None:
        """A refinement, or the way to another step of one, began."""
        self._job, self._left = job, ""
        self._show()

    def report(self, job: Job, fraction: float, stage: str) -> None:
        """It got on: the stage, and the time left as soon as it can be told."""
        if job is self._job and not job.paused:
            self.words.setText(stage[:1].upper() + stage[1:] + self._left)

    def look(self, job: Job, glimpse: Any) -> None:
        """A ``core.refinement.glimpse.Glimpse`` of it: curve, pictures, time left."""
        if job is not self._job:
            return
        seconds = glimpse.seconds_left
        if seconds is not None:
            self._left = f" · about {seconds / 60:.0f} min left" if seconds > 90 else f" · about {seconds:.0f} s left"
        for label, pixels in zip(self.previews, glimpse.pictures, strict=False):
            label.setPixmap(thumbnail(pixels, PREVIEW_PX, self.devicePixelRatioF()))
            label.show()
        if len(glimpse.curve) > 1:
            self._plot().show_curve(glimpse.curve, glimpse.kept, steps=glimpse.steps)
            self._plot().show()

    def end(self) -> None:
        """It is over, however it ended."""
        self._job = None
        self._show()

    def on_session_changed(self, changes: Changes, initiator: object) -> None:
        """Another head: show what refined it, if anything did."""
        if changes & Changes.INVERSION and self._job is None:
            self._show()

    def _on_clicked(self) -> None:
        if self._job is not None:
            self.cancel_requested.emit()
        else:
            first = [name for name, box in self.polishes.items() if box.isChecked()]
            self.refine_requested.emit("+".join((*first, self.methods.currentData())))

    def _on_pause(self) -> None:
        if self._job is None:
            return
        self.pause_requested.emit(not self._job.paused)
        self.pause.setText("Go on" if self._job.paused else "Pause")
        if self._job.paused:
            self.words.setText("Paused" + self._left)

    def _plot(self) -> "RefineCurve":
        """The curve; pyqtgraph is only imported by whoever refines."""
        if self.curve is None:
            from gui.widgets.refine_curve import RefineCurve

            self.curve = RefineCurve()
            self.curve.step_clicked.connect(self.pick_requested)
            self._column.addWidget(self.curve)
        return self.curve

    def _show(self) -> None:
        running = self._job is not None
        self.setEnabled(self._session.inversion is not None)
        for choice in (self.methods, *self.polishes.values()):
            choice.setEnabled(not running)
        self.button.setText("Cancel" if running else "Refine")
        self.pause.setText("Pause")
        for button in (self.pause, self.keep):
            button.setVisible(running)
        for label in self.previews:
            label.setVisible(running and not label.pixmap().isNull())
            if not running:
                label.clear()
        refinement = getattr(self._session.inversion, "refinement", None)
        report = None if refinement is None else refinement.report
        if report is not None:
            points = () if running else report.get("points", ())
            self._plot().show_curve(report["curve"], report["kept_step"], points)
        if self.curve is not None:
            self.curve.setVisible(report is not None)
        if not running:
            self.words.setText("" if report is None else _sentence(report))
        self.words.setVisible(running or report is not None)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(theme.GAP)
    for number, widget in enumerate(widgets):
        row.addWidget(widget, 1 if number == 0 else 0)
    return row


def _sentence(report: Any) -> str:
    """What a refinement brought, in words; honest about steps that were taken back."""
    before, after = report["before"], report["after"]
    words = (
        f"Own colours: difference {before['mae']:.3f} → {after['mae']:.3f}, identity from the sides "
        f"{before['novel_identity']:.2f} → {after['novel_identity']:.2f}, {report['seconds']:.0f} s."
    )
    if report["rolled_back"]:
        words += f" Step {report['kept_step']} of {report['steps']} is kept."
    if report.get("share", 1.0) == 0.0:
        words += " Nothing was gained; the head is as it was."
    return words
