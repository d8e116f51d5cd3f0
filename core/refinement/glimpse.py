"""What a refinement shows while it runs: where it is, its curve so far, and how the head looks now.

A value without torch, so that it may travel to a window.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SURE_AFTER = 20
"""Steps after which the time left is worth saying; so many of the last ones count."""


@dataclass(frozen=True, eq=False)
class Glimpse:
    """One look at a running refinement.

    Shape:
        pictures (256, 256, 3) each, by the generator's own colours: the photo's camera, then from the left and right.
    """

    step: int
    steps: int
    seconds_left: float | None
    """None until it can be told."""
    curve: tuple[Mapping[str, float], ...]
    kept: int
    """Step that would be kept if it ended now."""
    pictures: tuple[NDArray[np.uint8], ...] = ()
    """Of the last measurement."""


class Clock:
    """How long what is left will take, from the pace of the last steps.

    The median: a pause, or a frame that was served in between, is no pace.
    """

    def __init__(self) -> None:
        self._paces: deque[float] = deque(maxlen=SURE_AFTER)

    def tick(self, seconds: float, work: float) -> None:
        """A step took so long and did so much."""
        self._paces.append(seconds / max(work, 1e-9))

    def seconds_left(self, work: float) -> float | None:
        """For so much more work; None before ``SURE_AFTER`` steps."""
        return statistics.median(self._paces) * work if len(self._paces) >= SURE_AFTER else None
