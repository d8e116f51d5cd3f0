"""Decides which picture to render next and at what size: pure, no clock, no thread, no Qt.

The newest wish wins. While the hand moves, frames are as large as the frame budget allows by the milliseconds measured
so far; once it rests, one frame of full size follows, and after a longer rest a fine one, in which the photo's own
pixels are looked up at twice the decoder's size. Times are passed in, so every rule here is tested without
waiting. The idea of states with a time budget is nerfstudio's render state machine, of "only the newest" StyleGAN3's
visualiser.
"""

from dataclasses import replace

from core.frame import Frame, RenderRequest

SETTLE_S = 0.15
"""Rest of the hand after which the full-size frame is wanted, in seconds."""
LINGER_S = 0.6
"""Rest after which the fine frame is wanted, in seconds: nobody who is still searching has to wait for one."""
BUDGET_MS = 66.0
"""What a frame may cost while the hand moves: fifteen pictures a second, four refreshes of most screens."""
SMALLEST = 128
"""Pixels a side below which a face is no longer judged, only guessed."""
STEP = 32
"""Sizes are multiples of this many pixels: fewer sizes, so that measured times apply again."""
MEMORY = 0.35
"""Weight of the newest measurement in the running mean of milliseconds."""
STEP_UP = 0.8
"""A larger size must fit into this share of the budget, so that sizes do not flicker between two neighbours."""


class FrameScheduler:
    """What to render next.

    Args:
        still_size: pixels a side at rest.
        fine_size: pixels a side after a longer rest; none by default.
        budget_ms: what a frame may cost while the hand moves.
    """

    def __init__(self, still_size: int = 256, fine_size: int | None = None, budget_ms: float = BUDGET_MS) -> None:
        self._still_size = still_size
        self._fine_size = fine_size or still_size
        self._budget_ms = budget_ms
        self._wanted: RenderRequest | None = None
        self._rested_at = 0.0
        self._issued: RenderRequest | None = None
        self._measured: dict[int, float] = {}
        self._moving_size = min(SMALLEST, still_size)

    @property
    def still_size(self) -> int:
        """Pixels a side at rest."""
        return self._still_size

    @property
    def fine_size(self) -> int:
        """Pixels a side after a longer rest."""
        return self._fine_size

    @property
    def moving_size(self) -> int:
        """Pixels a side while the hand moves, as the measurements have it now."""
        return self._moving_size

    def want(self, request: RenderRequest, now: float, *, moving: bool) -> None:
        """Wish for a picture; forgets the wish before.

        Args:
            request: what to show; its size is replaced by the scheduler's.
            now: seconds, on the same clock as every other call.
            moving: whether a hand is at it, so that speed matters more than size.
        """
        self._wanted = request
        self._rested_at = now if moving else now - SETTLE_S

    def clear(self) -> None:
        """Forget every wish, as when the photo is gone; frames under way will not be shown."""
        self._wanted = None
        self._issued = None

    def next(self, now: float) -> RenderRequest | None:
        """What to hand to the worker now, or None; every answer is given once."""
        request = self._due(now)
        if request is None or request == self._issued:
            return None
        self._issued = request
        return request

    def due_in(self, now: float) -> float | None:
        """Seconds until ``next`` may have an answer again without a new wish; None when it will not."""
        if self._wanted is None:
            return None
        if self._due(now) != self._issued:
            return 0.0
        rest = now - self._rested_at
        if rest < SETTLE_S:
            return SETTLE_S - rest
        if rest < LINGER_S and self._fine_size != self._still_size:
            return LINGER_S - rest
        return None

    def done(self, frame: Frame) -> bool:
        """Take in a finished frame: learn its cost and say whether it should be shown.

        A frame of an older edit or camera is shown, since it is newer than what is on the screen; a frame of another
        inversion never.
        """
        self._learn(frame.request.size, frame.milliseconds)
        return self._wanted is not None and frame.request.inversion is self._wanted.inversion

    def failed(self, request: RenderRequest) -> None:
        """A request could not be rendered: it is not asked for again until something else is wanted."""
        self._issued = request

    def _due(self, now: float) -> RenderRequest | None:
        if self._wanted is None:
            return None
        rest = now - self._rested_at
        size = self._moving_size if rest < SETTLE_S else self._still_size if rest < LINGER_S else self._fine_size
        return replace(self._wanted, size=size)

    def _learn(self, size: int, milliseconds: float) -> None:
        before = self._measured.get(size, milliseconds)
        self._measured[size] = before + MEMORY * (milliseconds - before)
        self._moving_size = self._affordable()

    def _affordable(self) -> int:
        smallest = min(SMALLEST, self._still_size)
        best = smallest
        for size in range(smallest, self._still_size + 1, STEP):
            share = 1.0 if size <= self._moving_size else STEP_UP
            if self._expected(size) <= self._budget_ms * share:
                best = size
        return best

    def _expected(self, size: int) -> float:
        # Cost grows with the pixels; the nearest size that was measured is the best witness.
        nearest = min(self._measured, key=lambda known: abs(known - size))
        return self._measured[nearest] * (size / nearest) ** 2
