"""Two ways of making the same thing, timed in turns, so that what slows the machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import psutil

__all__ = ["Timed", "alternately", "peak_rss_mb", "timed"]

Fast = TypeVar("Fast")
Slow = TypeVar("Slow")


class Timed(NamedTuple, Generic[Fast, Slow]):
    """Medians in milliseconds, and what was made last."""

    fast_ms: float
    slow_ms: float
    fast: Fast
    slow: Slow

    @property
    def ratio(self) -> float:
        """How many times faster."""
        return self.slow_ms / self.fast_ms


def alternately(fast: Callable[[], Fast], slow: Callable[[], Slow], repeats: int) -> Timed[Fast, Slow]:
    """Run both in turns, once more than counted: the first turn warms up.

    Args:
        fast: The program's own way.
        slow: The plain way.
        repeats: Turns that count.
    """
    if repeats > 1:
        fast()
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        slow_ms, made_slowly = timed(slow)
        fast_ms, made = timed(fast)
        spent[0].append(fast_ms)
        spent[1].append(slow_ms)
    return Timed(statistics.median(spent[0]), statistics.median(spent[1]), made, made_slowly)


def timed(work: Callable[[], Fast]) -> tuple[float, Fast]:
    """Milliseconds of one run, and what it made."""
    started = time.perf_counter()
    made = work()
    return 1000.0 * (time.perf_counter() - started), made


def peak_rss_mb() -> float:
    """The most memory that this process ever held, megabytes."""
    facts = psutil.Process().memory_info()
    try:
        import resource  # not on Windows
    except ImportError:
        return float(getattr(facts, "peak_wset", facts.rss)) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
