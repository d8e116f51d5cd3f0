"""Keeps the mesh up to date without getting in the way.

It goes stale with an edit and is rebuilt when the hand rests, coarse first.
"""

import logging
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from core.edit import LatentEdit
from core.errors import CameoError, Cancelled
from core.job import Job
from core.session import Changes
from core.surface import SurfaceMesh
from gui.engine_worker import EngineWorker
from gui.session_model import SessionModel
from gui.widgets.banner import Message

logger = logging.getLogger(__name__)

IDLE_MS = 700
"""Rest of the hand after which the mesh is rebuilt."""
COARSE, FINE = 64, 128
"""Grid points a side: a first mesh comes fast, then the one to look at, for which the first stands in while turned."""


class SurfaceOperations(QObject):
    """Rebuilds the mesh in the background.

    Args:
        session: whose head it is.
        worker: does the work.
        parent: the owner.
    """

    mesh_built = Signal(object, object)
    """A SurfaceMesh, or None when there is none to show, and a coarser one of the same head or None."""
    stale_changed = Signal(bool)
    """Whether the mesh shown is of an older edit."""
    progressed = Signal(float)
    """How far the rebuild is, 0..1; 1 when it is over."""
    said = Signal(object)
    """A Message for the banner."""

    def __init__(self, session: SessionModel, worker: EngineWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._worker = worker
        self._job: Job | None = None
        self._stale = False
        self._mesh: SurfaceMesh | None = None
        self._draft: SurfaceMesh | None = None
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.timeout.connect(self._rebuild_next)
        self._next = COARSE

    @property
    def mesh(self) -> SurfaceMesh | None:
        """The mesh shown."""
        return self._mesh

    @property
    def is_stale(self) -> bool:
        """Whether the mesh shown is of an older edit."""
        return self._stale

    @property
    def is_at_rest(self) -> bool:
        """Whether the finest mesh of the newest edit is there and nothing is under way."""
        return self._mesh is not None and self._job is None and not self._idle.isActive() and not self._stale

    def on_session_changed(self, changes: Changes, initiator: object) -> None:
        """Another head: build at once, coarsely. Another edit: mark, wait for rest."""
        if changes & Changes.INVERSION:
            self._give_up()
            self._set_stale(stale=False)
            self._show(None)
            if self._session.inversion is not None:
                self._rebuild(COARSE)
        elif changes & Changes.EDIT:
            self._give_up()
            self._set_stale(stale=True)
            self._next = COARSE
            self._idle.start()

    def on_job_reported(self, job: Job, fraction: float, stage: str) -> None:
        """A job of the worker got on; ours is shown in the mesh's pane."""
        if job is self._job:
            self.progressed.emit(fraction)

    def stop(self) -> None:
        """No more rebuilding."""
        self._give_up()

    def _give_up(self) -> None:
        self._idle.stop()
        if self._job is not None:
            self._job.cancel()
            self._job = None
            self.progressed.emit(1.0)

    def _rebuild_next(self) -> None:
        self._rebuild(self._next)

    def _rebuild(self, resolution: int) -> None:
        inversion, edit = self._session.inversion, self._session.edit
        self._job = self._worker.submit(
            "Building the mesh",
            partial(_build, inversion, edit, resolution),
            partial(self._on_built, inversion, edit, resolution),
            self._on_failed,
            background=True,
            restarts=True,
        )
        self.progressed.emit(0.0)

    def _on_built(self, inversion: Any, edit: LatentEdit, resolution: int, mesh: SurfaceMesh) -> None:
        if inversion is not self._session.inversion or edit != self._session.edit:
            return
        self._job = None
        self.progressed.emit(1.0)
        self._set_stale(stale=False)
        if resolution == COARSE:
            self._draft = mesh
            self._next = FINE
            self._idle.start()
        self._show(mesh)

    def _on_failed(self, error: CameoError) -> None:
        if isinstance(error, Cancelled):
            return
        self._job = None
        self.progressed.emit(1.0)
        self.said.emit(Message("error", error.message, error.hint))

    def _show(self, mesh: SurfaceMesh | None) -> None:
        self._mesh = mesh
        self.mesh_built.emit(mesh, self._draft if mesh is not None else None)

    def _set_stale(self, *, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.stale_changed.emit(stale)


def _build(inversion: Any, edit: LatentEdit, resolution: int, engine: Any, job: Job) -> SurfaceMesh:
    mesh: SurfaceMesh = engine.mesh(inversion, edit, resolution, job)
    return mesh
