"""Work that needs no network, in a process of its own: it cannot hold the window, nor end the program when it crashes.

Encoding a video or packing a mesh keeps a processor or the interpreter's lock for long stretches. Done in the thread
that owns the engine it would hold back live frames; here it runs beside, is fed values as they are made, and whoever
feeds it may do other things while it is behind. The process is a fresh interpreter on every system (spawn), so the
work and what it is fed must be importable and picklable; it starts anew for every piece of work, while that is made.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from core.errors import CameoError, Cancelled, ExportFailed

AHEAD = 4
"""Values that may wait for the process before whoever feeds it has to wait."""
LOOK_S = 0.01
"""Seconds between two looks at whether the process goes on; ``rest`` is called in between."""
PATIENCE_S = 5.0
"""Seconds that a process that was told to stop has for tidying up."""

RANK = 19
"""How much lower than the program the system ranks the process (Unix)."""

Answer = TypeVar("Answer")

_READY, _TOOK, _DONE, _FAILED = "ready", "took", "done", "failed"


class Aside(Generic[Answer]):
    """One piece of work in a process of its own; a context, which stops the work when it is left by an exception.

    Args:
        work: Called in the process with an iterator over what is sent; a function of a module, or a partial of one.
            When the work is stopped the iterator raises ``Cancelled``, so that the work can tidy up.
    """

    def __init__(self, work: Callable[[Iterator[Any]], Answer]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs,), daemon=True, name="cameo-aside")
        self._process.start()
        theirs.close()
        self._tell(("work", work))
        self._ready, self._behind = False, 0

    def __enter__(self) -> Self:
        return self

    def send(self, value: object, rest: Callable[[], None]) -> None:
        """Hand the work one more value.

        Args:
            value: Anything that can be pickled.
            rest: Called again and again while the process loads or the work is too far behind; may raise, which ends
                the wait.

        Raises:
            ExportFailed: The process died.
            CameoError: What the work raised.
        """
        # Nobody reads the pipe before the process is ready: a large value would be a wait without a rest.
        while not self._ready or self._behind >= AHEAD:
            self._hear(rest)
        self._tell(("value", value))
        self._behind += 1

    def finish(self, rest: Callable[[], None]) -> Answer:
        """Say that nothing more comes, and wait for the answer.

        Args:
            rest: As for :meth:`send`, while values wait. From the moment that the work knows that it has everything,
                a wish to cancel comes too late: what it makes is whole, so the answer is given.

        Raises:
            ExportFailed: The process died.
            CameoError: What the work raised.
        """
        while not self._ready or self._behind:
            self._hear(rest)
        self._tell(("end", None))

        def rest_anyway() -> None:
            with contextlib.suppress(Cancelled):
                rest()

        kind, answer = self._hear(rest_anyway)
        while kind != _DONE:
            kind, answer = self._hear(rest_anyway)
        # An interpreter takes some time to end, too.
        self._process.join(LOOK_S)
        while self._process.is_alive():
            rest_anyway()
            self._process.join(LOOK_S)
        result: Answer = answer
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and not self._ready:
            self._process.kill()  # it has begun nothing yet
        elif kind is not None and self._process.is_alive():
            with contextlib.suppress(OSError):  # it is gone already
                self._pipe.send(("stop", None))
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()

    def _tell(self, message: tuple[str, object]) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            while True:  # what it said last is the reason, if it said anything
                self._hear(lambda: None)

    def _hear(self, rest: Callable[[], None]) -> tuple[str, Any]:
        while not self._pipe.poll(LOOK_S):
            rest()
        try:
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise ExportFailed(
                "The process that writes the file ended before it was done.",
                hint="Close other programs, if memory is short, and try again; what was there before is still there.",
            ) from None
        if kind == _FAILED:
            raise answer
        if kind == _READY:
            self._ready = True
        elif kind == _TOOK:
            self._behind -= 1
        return kind, answer


def _run(pipe: Connection) -> None:
    """What the process does: read ahead in a thread, work, answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which tells us
    # Before anything is loaded: on two cores loading, at the same rank, held back live frames by a quarter of a second.
    if hasattr(os, "nice"):
        os.nice(RANK)
    try:
        _, work = pipe.recv()  # loads what the work needs
    except EOFError:
        return
    waiting: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, waiting), daemon=True).start()
    try:
        pipe.send((_READY, None))
        pipe.send((_DONE, work(_values(pipe, waiting))))
    except CameoError as error:
        pipe.send((_FAILED, error))
    except OSError:  # nobody listens any more
        pass


def _read(pipe: Connection, waiting: queue.SimpleQueue[tuple[str, object]]) -> None:
    """Takes what comes at once, so that whoever sends never waits for a full pipe."""
    kind = "value"
    while kind == "value":
        try:
            message = pipe.recv()
        except (EOFError, OSError):  # the program is gone
            message = ("stop", None)
        kind = message[0]
        waiting.put(message)


def _values(pipe: Connection, waiting: queue.SimpleQueue[tuple[str, object]]) -> Iterator[Any]:
    while True:
        kind, value = waiting.get()
        if kind == "stop":
            raise Cancelled
        if kind == "end":
            return
        yield value
        pipe.send((_TOOK, None))
