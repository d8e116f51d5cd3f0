"""Keeps the neural view up to date: every change becomes a wish, the scheduler decides, the worker renders."""

import time
from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal

from core.camera import Camera
from core.edit import LatentEdit
from core.errors import CameoError, Cancelled
from core.frame import Frame, RenderRequest
from core.session import Changes
from gui.engine_worker import EngineWorker
from gui.frame_scheduler import FrameScheduler
from gui.session_model import SessionModel
from gui.view_state import ViewState
from gui.widgets.banner import Message

PATIENCE_MS = 600
"""How long a frame may take before a word says that it is on its way."""


class LiveView(QObject):
    """Wishes for frames and hands out those that should be shown.

    Args:
        session: what to render.
        view: from where.
        worker: renders.
        scheduler: decides.
        clock: seconds, monotonic.
        parent: the owner.
    """

    frame_due = Signal(object)
    """A Frame to show, or None when there is nothing to show."""
    waiting_changed = Signal(bool)
    """Whether a wished frame has not come for so long that a person wonders."""
    said = Signal(object)
    """A Message for the banner."""

    def __init__(
        self,
        session: SessionModel,
        view: ViewState,
        worker: EngineWorker,
        scheduler: FrameScheduler,
        clock: Callable[[], float] = time.monotonic,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._view = view
        self._worker = worker
        self._scheduler = scheduler
        self._clock = clock
        self._layer = view.layer
        self._before = view.before
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._pump)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._say_waiting)

    def on_session_changed(self, changes: Changes, initiator: object) -> None:
        """The document changed: a preview is a moving hand, everything else is at rest."""
        if changes & Changes.INVERSION:
            self._scheduler.clear()
        if changes & (Changes.INVERSION | Changes.EDIT | Changes.HISTORY):
            self._want(moving=changes == Changes.EDIT)

    def on_camera_changed(self, camera: Camera, moving: bool) -> None:
        """The view moved."""
        self._want(moving=moving)

    def on_options_changed(self) -> None:
        """Another layer, or before and after."""
        if (self._view.layer, self._view.before) != (self._layer, self._before):
            self._layer, self._before = self._view.layer, self._view.before
            self._want(moving=False)

    def on_frame(self, frame: Frame) -> None:
        """The worker has rendered."""
        if self._scheduler.done(frame):
            self.frame_due.emit(frame)
            if frame.note:
                self.said.emit(Message("warning", frame.note, "Close other programs to see it larger."))
        self._no_longer_waiting()
        self._pump()

    def on_frame_failed(self, request: RenderRequest, error: CameoError) -> None:
        """The worker could not render."""
        self._scheduler.failed(request)
        self._no_longer_waiting()
        if not isinstance(error, Cancelled):
            self.said.emit(Message("error", error.message, error.hint))

    def stop(self) -> None:
        """No more wishes."""
        self._timer.stop()
        self._patience.stop()
        self._scheduler.clear()

    def current_request(self, size: int | None = None) -> RenderRequest | None:
        """What the view shows at rest; None before the first photo."""
        if self._session.inversion is None:
            return None
        edit = LatentEdit.none if self._view.before else self._session.edit
        request = RenderRequest(
            self._session.inversion, edit, self._view.camera, self._scheduler.still_size, self._view.layer
        )
        return request if size is None else replace(request, size=size)

    def _say_waiting(self) -> None:
        self.waiting_changed.emit(True)

    def _no_longer_waiting(self) -> None:
        self._patience.stop()
        self.waiting_changed.emit(False)

    def _want(self, *, moving: bool) -> None:
        request = self.current_request()
        if request is None:
            self.frame_due.emit(None)
            return
        self._scheduler.want(request, self._clock(), moving=moving)
        self._pump()

    def _pump(self) -> None:
        now = self._clock()
        request = self._scheduler.next(now)
        if request is not None:
            self._worker.request(request)
            if not self._patience.isActive():
                self._patience.start()
        delay = self._scheduler.due_in(now)
        if delay is not None:
            self._timer.start(max(1, round(delay * 1000) + 1))
