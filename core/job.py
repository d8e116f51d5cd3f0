"""One running piece of heavy work: how far it is, and the wish to stop it.

Heavy functions take a ``Job`` and call ``report`` often. That one call publishes progress, raises ``Cancelled`` when a
person asked to stop, and yields: the owner of the engine may serve a live frame there. Work that lasts minutes can be
paused there, and asked to finish with what it has; what it found on the way it may ``show``. This file knows neither
threads nor windows; who listens is decided by the callbacks. The shape follows Anki's throttling progress handler.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from core.errors import Cancelled

PUBLISH_INTERVAL = 0.05
"""Seconds between two published reports: faster than the eye follows a bar, slow enough not to flood a signal queue."""
REST_S = 0.02
"""Seconds that a paused job sleeps between two looks at whether a frame is wanted."""


class _State:
    """What a job and its parts share."""

    def __init__(
        self,
        on_report: Callable[[float, str], None] | None,
        on_yield: Callable[[], None] | None,
        on_show: Callable[[Any], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.on_report = on_report
        self.on_yield = on_yield
        self.on_show = on_show
        self.clock = clock
        self.cancelled = threading.Event()
        self.finishing = threading.Event()
        self.going_on = threading.Event()
        self.going_on.set()
        self.fraction = 0.0
        self.stage = ""
        self.published_at = -math.inf
        self.published_stage: str | None = None
        self.yielding = False


class Job:
    """Progress, cancellation and yield point of one piece of heavy work.

    The thread that works calls ``report`` and ``show``; ``cancel``, ``pause``, ``resume`` and ``finish`` are for any.

    Args:
        label: what the work is, for a person ("Reconstructing").
        on_report: called with (fraction, stage), at most every 0.05 s and always when the stage changes or the work
            is done.
        on_yield: called at every report, and again and again while the job is paused; never from within itself.
        on_show: called with whatever the work shows.
        clock: seconds, monotonic; a test passes its own.
    """

    def __init__(
        self,
        label: str,
        *,
        on_report: Callable[[float, str], None] | None = None,
        on_yield: Callable[[], None] | None = None,
        on_show: Callable[[Any], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = label
        self._state = _State(on_report, on_yield, on_show, clock)
        self._start = 0.0
        self._end = 1.0

    @classmethod
    def quiet(cls) -> "Job":
        """A job nobody listens to."""
        return cls("")

    @property
    def fraction(self) -> float:
        """How much of the *whole* job is done, 0..1; never goes backwards."""
        return self._state.fraction

    @property
    def stage(self) -> str:
        """What is being done at the moment."""
        return self._state.stage

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._state.cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop: its next ``report`` raises ``Cancelled``. May be called from any thread."""
        self._state.cancelled.set()
        self._state.going_on.set()

    @property
    def paused(self) -> bool:
        """Whether the work rests at its next report."""
        return not self._state.going_on.is_set()

    def pause(self) -> None:
        """Ask the work to rest at its next ``report``; frames are served meanwhile. May be called from any thread."""
        if not self.cancelled:
            self._state.going_on.clear()

    def resume(self) -> None:
        """Let the work go on. May be called from any thread."""
        self._state.going_on.set()

    @property
    def finishing(self) -> bool:
        """Whether somebody asked to stop and keep what is there; work that can looks here between two steps."""
        return self._state.finishing.is_set()

    def finish(self) -> None:
        """Ask the work to end with what it has so far. May be called from any thread."""
        self._state.finishing.set()
        self._state.going_on.set()

    def show(self, value: Any) -> None:
        """Show something that was found on the way, such as a point of a curve; no yield point.

        Args:
            value: a value, never changed afterwards: it may cross to another thread.
        """
        if self._state.on_show is not None:
            self._state.on_show(value)

    def part(self, start: float, end: float) -> "Job":
        """A view of this job for one of its stages.

        Args:
            start: fraction of this job at which the stage begins.
            end: fraction at which it ends.

        Returns:
            A job whose 0..1 maps to start..end of this one and which shares cancellation and callbacks.
        """
        if not 0.0 <= start <= end <= 1.0:
            raise ValueError(f"a part must lie within 0..1, got {start}..{end}")
        view = Job.__new__(Job)
        view.label = self.label
        view._state = self._state
        span = self._end - self._start
        view._start = self._start + start * span
        view._end = self._start + end * span
        return view

    def report(self, fraction: float, stage: str) -> None:
        """Say how far the work is.

        A live frame may be rendered inside this call, so whoever calls it must not be in the middle of a change. While
        the job is paused the call does not return.

        Args:
            fraction: how much of this job or part is done; values outside 0..1 are clipped.
            stage: what is being done, for a person.

        Raises:
            Cancelled: somebody asked to stop.
        """
        if math.isnan(fraction):
            raise ValueError("the fraction of a job cannot be NaN")
        state = self._state
        self._raise_if_cancelled()
        whole = self._start + min(max(fraction, 0.0), 1.0) * (self._end - self._start)
        state.fraction = max(state.fraction, whole)
        state.stage = stage
        self._publish()
        self._yield()
        # From within a frame that is served while the work rests: that frame must not rest too.
        while self.paused and not state.yielding:
            state.going_on.wait(REST_S)
            self._yield()
        self._raise_if_cancelled()

    def _publish(self) -> None:
        state = self._state
        if state.on_report is None:
            return
        now = state.clock()
        due = now - state.published_at >= PUBLISH_INTERVAL
        if due or state.stage != state.published_stage or state.fraction >= 1.0:
            state.published_at = now
            state.published_stage = state.stage
            state.on_report(state.fraction, state.stage)

    def _yield(self) -> None:
        state = self._state
        if state.on_yield is None or state.yielding:
            return
        state.yielding = True
        try:
            state.on_yield()
        finally:
            state.yielding = False

    def _raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled
