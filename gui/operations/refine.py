"""Refines the head of the open photo, as one undo step; so is going to another step of the curve afterwards.

Failure and cancel leave the head as it was.
"""

from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from core.errors import CameoError, Cancelled
from core.job import Job
from core.session import Changes
from gui.engine_worker import EngineWorker, Work
from gui.session_model import SessionModel
from gui.widgets.banner import Message


class RefineOperations(QObject):
    """Starts and stops refinements.

    Args:
        session: whose head it is.
        worker: does the work.
        parent: the owner.
    """

    said = Signal(object)
    """A Message for the banner."""
    began = Signal(object)
    """The Job."""
    progressed = Signal(object, float, str)
    """Job, fraction, stage."""
    showed = Signal(object, object)
    """Job, and its Glimpse."""
    ended = Signal()
    """No refinement is running any more."""

    def __init__(self, session: SessionModel, worker: EngineWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._worker = session, worker
        self._job: Job | None = None

    def refine(self, method: str) -> None:
        """Start; nothing happens without a head or while another refinement runs."""
        inversion = self._session.inversion
        if inversion is not None and self._job is None:
            self._submit("Refining the head", partial(_refine, inversion, method), "Refine")

    def pick(self, step: int) -> None:
        """Go to another step of the refinement that made the head."""
        inversion = self._session.inversion
        if inversion is not None and self._job is None:
            self._submit("Going to another step", partial(_pick, inversion, step), f"Refine, step {step}")

    def pause(self, on: bool) -> None:
        """Let it rest, or go on."""
        if self._job is not None:
            self._job.pause() if on else self._job.resume()

    def finish(self) -> None:
        """Stop, and keep what is there."""
        if self._job is not None:
            self._job.finish()

    def cancel(self) -> None:
        """Give up; the head stays as it was, and the next refinement may be asked for at once."""
        if self._job is not None:
            self._job.cancel()
            self._over()

    def on_session_changed(self, changes: Changes, initiator: object) -> None:
        """Another photo: its predecessor's refinement is not wanted any more."""
        if changes & Changes.PHOTO:
            self.cancel()

    def on_job_reported(self, job: Job, fraction: float, stage: str) -> None:
        """A job of the worker got on; ours is passed to the panel."""
        if job is self._job:
            self.progressed.emit(job, fraction, stage)

    def on_job_showed(self, job: Job, value: Any) -> None:
        """A job of the worker found something; ours is passed to the panel."""
        if job is self._job:
            self.showed.emit(job, value)

    def _submit(self, label: str, work: Work, step: str) -> None:
        before = self._session.inversion
        self._job = self._worker.submit(label, work, partial(self._on_done, before, step), self._on_failed)
        self.began.emit(self._job)

    def _on_done(self, before: Any, step: str, refined: Any) -> None:
        self._over()
        if self._session.inversion is before:
            self._session.refine(refined, step)

    def _on_failed(self, error: CameoError) -> None:
        # Who cancelled here has gone on already; another refinement may be running.
        if not isinstance(error, Cancelled) or (self._job is not None and self._job.cancelled):
            self._over()
        if not isinstance(error, Cancelled):
            self.said.emit(Message("error", error.message, error.hint))

    def _over(self) -> None:
        self._job = None
        self.ended.emit()


def _refine(inversion: Any, method: str, engine: Any, job: Job) -> Any:
    return engine.refine(inversion, method, job)


def _pick(inversion: Any, step: int, engine: Any, job: Job) -> Any:
    return engine.pick(inversion, step, job)
