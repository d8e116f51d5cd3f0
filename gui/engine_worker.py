"""One thread, one engine, a queue of jobs and one slot for the frame that is wanted.

Everything heavy goes through here. Jobs run in order; live frames are served between jobs and at every yield point of
a running job, so that a long export never freezes the picture under the hand; a background job rests meanwhile, and
may be set aside for a job that somebody waits for. The slot holds one request: a newer wish overwrites it. Results
come back through queued signals and are handed out in the window's thread. The engine is made in the worker's thread
by an injected factory, so this file imports neither torch nor the engine. The shape follows Anki's task manager and
StyleGAN3's asynchronous renderer.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from core.camera import CameraLimits
from core.edit import Attribute
from core.errors import CameoError, Cancelled
from core.frame import RenderRequest
from core.job import Job

logger = logging.getLogger(__name__)

STOP_PATIENCE_S = 20.0
"""How long ``stop`` waits for the thread; the longest stretch without a report is importing torch on a slow disk."""

Work = Callable[[Any, Job], Any]
"""A job's function: (engine, job) -> result, run in the worker's thread."""


@dataclass(frozen=True)
class EngineFacts:
    """What the window may know about an open engine."""

    weights_name: str
    device_name: str
    limits: CameraLimits
    attributes: tuple[Attribute, ...]
    wants_kernels: bool = False
    """Whether layers compiled for this machine are missing (see ``gui.kernel_builder``)."""


@dataclass(eq=False)
class _Order:
    """A job on its way through the worker."""

    work: Work
    on_done: Callable[[Any], None]
    on_error: Callable[[CameoError], None]
    background: bool
    restarts: bool
    needs_engine: bool
    job: Job = field(default_factory=Job.quiet)
    result: Any = None
    error: CameoError | None = None


class _Superseded(Exception):
    """A frame was given up for a newer one."""


class _SetAside(Exception):
    """A background job was given up for one that somebody waits for; it begins anew afterwards."""


class EngineWorker(QObject):
    """Runs jobs and frames on one engine in one thread.

    Args:
        open_engine: makes the engine; called once, in the worker's thread, when it is first needed.
        parent: the owner.
    """

    engine_opened = Signal(object)
    """EngineFacts, once."""
    frame_rendered = Signal(object)
    """A Frame."""
    frame_failed = Signal(object, object)
    """The RenderRequest and the CameoError."""
    job_began = Signal(object, bool)
    """A Job, and whether it runs in the background."""
    job_reported = Signal(object, float, str)
    """Job, fraction 0..1, stage."""
    job_showed = Signal(object, object)
    """Job, and a value that it found on the way."""
    job_ended = Signal(object)
    """A Job that is done, failed or cancelled; sent before its callback is called."""
    _ended = Signal(object)

    def __init__(self, open_engine: Callable[[], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open_engine = open_engine
        self._engine: Any = None
        self._condition = threading.Condition()
        self._queue: deque[_Order] = deque()
        self._slot: RenderRequest | None = None
        self._running: _Order | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ended.connect(self._hand_out, Qt.ConnectionType.QueuedConnection)

    @property
    def is_running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_busy(self) -> bool:
        """Whether a job that is not in the background runs or waits."""
        with self._condition:
            orders = [*self._queue, *([self._running] if self._running else [])]
            return any(not order.background and not order.job.cancelled for order in orders)

    def submit(
        self,
        label: str,
        work: Work,
        on_done: Callable[[Any], None],
        on_error: Callable[[CameoError], None],
        *,
        background: bool = False,
        restarts: bool = False,
        needs_engine: bool = True,
    ) -> Job:
        """Queue a job.

        Args:
            label: what it is, for a person.
            work: called as ``work(engine, job)`` in the worker's thread.
            on_done: called with the result, in the window's thread.
            on_error: called with the error, in the window's thread; a cancelled job gives ``Cancelled``.
            background: let every other job go first, and do not show it as something to wait for.
            restarts: a background job that costs little may be set aside at any report, when somebody waits for
                another, and begun anew after it.
            needs_engine: open the engine first; without, ``work`` gets whatever engine is open, or None.

        Returns:
            The job, whose ``cancel`` may be called at once.
        """
        if restarts and not background:
            raise ValueError("only a job in the background may be set aside")
        order = _Order(work, on_done, on_error, background, restarts, needs_engine)

        def report(fraction: float, stage: str) -> None:
            if not self._stopping:
                self.job_reported.emit(order.job, fraction, stage)

        def show(value: Any) -> None:
            if not self._stopping:
                self.job_showed.emit(order.job, value)

        serve = partial(self._serve_all, order) if background else self._serve_one
        order.job = Job(label, on_report=report, on_yield=serve, on_show=show)
        with self._condition:
            if self._stopping:
                raise RuntimeError("the worker has been stopped")
            self._queue.append(order)
            self._start_thread()
            self._condition.notify()
        self.job_began.emit(order.job, background)
        return order.job

    def request(self, request: RenderRequest) -> None:
        """Wish for a frame; a wish that has not been begun is forgotten."""
        with self._condition:
            if self._stopping:
                return
            self._slot = request
            self._start_thread()
            self._condition.notify()

    def cancel_all(self) -> None:
        """Cancel every job, running or waiting, and forget the wished frame."""
        with self._condition:
            self._slot = None
            for order in (*self._queue, *([self._running] if self._running else [])):
                order.job.cancel()
            self._condition.notify()

    def stop(self) -> bool:
        """Cancel everything and wait for the thread; no signal is sent afterwards.

        Returns:
            Whether the thread has ended.
        """
        with self._condition:
            self._stopping = True
        self.cancel_all()
        thread = self._thread
        if thread is None:
            return True
        thread.join(STOP_PATIENCE_S)
        if thread.is_alive():
            logger.warning("the engine's thread did not end within %.0f s", STOP_PATIENCE_S)
        return not thread.is_alive()

    # -- the worker's thread -------------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cameo-engine", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        frame_last = False
        while True:
            with self._condition:
                # Without an engine a wish waits for the job that opens it.
                while not (self._stopping or self._queue or (self._slot and self._engine)):
                    self._condition.wait()
                if self._stopping:
                    self._engine = None
                    return
                # A frame goes first, but never twice in a row while a job waits: the job serves frames as it runs.
                can_render = self._slot is not None and self._engine is not None
                frame_first = can_render and not (frame_last and self._queue)
                order = None if frame_first else self._take()
                self._running = order
            frame_last = frame_first
            if order is None:
                self._serve_slot()
            else:
                self._carry_out(order)

    def _take(self) -> _Order:
        chosen = next((order for order in self._queue if not order.background), self._queue[0])
        self._queue.remove(chosen)
        return chosen

    def _carry_out(self, order: _Order) -> None:
        try:
            order.job.report(0.0, "Starting")
            engine = self._opened(order.job) if order.needs_engine else self._engine
            order.result = order.work(engine, order.job)
        except _SetAside:
            with self._condition:
                self._running = None
                self._queue.appendleft(order)
            return
        except CameoError as error:
            order.error = error
        except Exception as error:  # noqa: BLE001 - the worker's door: nothing may end the thread
            order.error = _unexpected(order.job.label, error)
        with self._condition:
            self._running = None
            stopping = self._stopping
        if not stopping:
            self._ended.emit(order)

    def _opened(self, job: Job) -> Any:
        if self._engine is None:
            job.report(0.0, "Loading the model")
            self._engine = self._open_engine()
            engine = self._engine
            facts = EngineFacts(
                engine.weights_name,
                engine.device_name,
                engine.limits,
                tuple(engine.attributes),
                engine.wants_kernels,
            )
            logger.info("engine open: %s on %s", facts.weights_name, facts.device_name)
            if not self._stopping:
                self.engine_opened.emit(facts)
        return self._engine

    def _serve_one(self) -> None:
        """At a yield point of a job that somebody waits for: one frame, then the job goes on."""
        self._serve_slot()

    def _serve_all(self, order: _Order) -> None:
        """At a yield point of a background job: it rests as long as a hand keeps wishing for frames.

        If it may begin anew it makes room for any job that somebody waits for, unless it is all but done: the mesh of
        a head whose successor has been dropped onto the window would be seen by nobody.
        """
        with self._condition:
            waited_for = any(not (other.background or other.job.cancelled) for other in self._queue)
            if order.restarts and waited_for and order.job.fraction < 1.0:
                raise _SetAside
        while self._serve_slot():
            pass

    def _serve_slot(self) -> bool:
        """Render what is wished for, if anything is; says whether something was."""
        with self._condition:
            if self._slot is None or self._engine is None or self._stopping:
                return False
            request, self._slot = self._slot, None
        try:
            frame = self._engine.render(request, partial(self._give_way, request))
        except _Superseded:
            logger.debug("gave up a frame of %d px for a newer wish", request.size)
        except CameoError as error:
            self._say_failed(request, error)
        except Exception as error:  # noqa: BLE001 - the worker's door: nothing may end the thread
            self._say_failed(request, _unexpected("Rendering", error))
        else:
            if not self._stopping:
                self.frame_rendered.emit(frame)
        return True

    def _give_way(self, request: RenderRequest) -> None:
        """Between two stages of a frame: a newer wish that is quicker to grant, or of another head, goes first.

        A moving hand's small frames are finished: given up for every newer wish, none would ever be seen.
        """
        with self._condition:
            newer = self._slot
            stale = newer is not None and (newer.size < request.size or newer.inversion is not request.inversion)
            if stale or self._stopping:
                raise _Superseded

    def _say_failed(self, request: RenderRequest, error: CameoError) -> None:
        if not self._stopping:
            self.frame_failed.emit(request, error)

    # -- the window's thread -------------------------------------------------------------------------------------------

    def _hand_out(self, order: _Order) -> None:
        if self._stopping:
            return
        self.job_ended.emit(order.job)
        if order.job.cancelled:
            # A result that arrives after the wish to stop must not be taken: whoever cancelled has gone on.
            order.on_error(order.error if isinstance(order.error, Cancelled) else Cancelled())
        elif order.error is not None:
            order.on_error(order.error)
        else:
            order.on_done(order.result)


def _unexpected(label: str, error: Exception) -> CameoError:
    """Words for an error that nobody foresaw; the log has the whole story."""
    logger.error("%s failed unexpectedly", label, exc_info=error)
    message = f"{label} failed unexpectedly: {type(error).__name__}."
    made = CameoError(message, hint="Nothing has been lost. Please try again; the log has the details.")
    made.__cause__ = error
    return made
