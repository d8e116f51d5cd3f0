"""What is being worked on: stage, progress, Cancel. Shows the newest job that a person is waiting for."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from core.job import Job
from gui import theme

STEPS = 1000
"""Resolution of the bar."""


class JobBar(QWidget):
    """Follows the jobs that are not in the background.

    Args:
        parent: the owner.
    """

    cancel_requested = Signal(object)
    """The Job."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs: list[Job] = []
        self.label = QLabel()
        self.label.setProperty("role", "muted")
        self.progress = QProgressBar()
        self.progress.setRange(0, STEPS)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(220)
        self.percent = QLabel()
        self.percent.setProperty("role", "faint")
        self.percent.setFont(theme.font(12, figures=True))
        self.percent.setFixedWidth(38)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setProperty("role", "quiet")
        self.cancel_button.setToolTip("Stop (Esc)")
        self.cancel_button.clicked.connect(self._cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP + 2)
        row.addWidget(self.label)
        row.addWidget(self.progress)
        row.addWidget(self.percent)
        row.addWidget(self.cancel_button)
        self.hide()

    @property
    def job(self) -> Job | None:
        """The job shown."""
        return self._jobs[-1] if self._jobs else None

    def begin(self, job: Job, background: bool) -> None:
        """A job was queued."""
        if background:
            return
        self._jobs.append(job)
        self._show(0.0, "")
        self.cancel_button.setEnabled(True)
        self.show()

    def report(self, job: Job, fraction: float, stage: str) -> None:
        """A job got on."""
        if job is self.job and not job.cancelled:
            self._show(fraction, stage)

    def end(self, job: Job) -> None:
        """A job is over."""
        if job not in self._jobs:
            return
        self._jobs.remove(job)
        if self.job is None:
            self.hide()
        else:
            self._show(self.job.fraction, self.job.stage)
            self.cancel_button.setEnabled(not self.job.cancelled)

    def _show(self, fraction: float, stage: str) -> None:
        label = self.job.label if self.job else ""
        self.label.setText(f"{label} · {stage[:1].upper()}{stage[1:]}" if stage else label)
        self.progress.setValue(round(fraction * STEPS))
        self.percent.setText(f"{fraction:.0%}")

    def _cancel(self) -> None:
        if self.job is not None:
            self.cancel_button.setEnabled(False)
            self.label.setText(f"{self.job.label} · Stopping")
            self.cancel_requested.emit(self.job)
