"""Laws of work in a process of its own: answers and errors come back, nothing is left when it is stopped or dies."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from core.aside import AHEAD, Aside
from core.errors import Cancelled, ExportFailed
from core.export import write_video


def total(numbers: Iterator[int]) -> tuple[int, int, bool]:
    return sum(numbers), os.getpid(), "torch" in sys.modules


def weight(values: Iterator[bytes]) -> int:
    return sum(len(value) for value in values)


def refuse(numbers: Iterator[int]) -> None:
    raise ExportFailed(f"No {next(numbers)}.", hint="Another.")


def die(numbers: Iterator[int]) -> None:
    next(numbers)
    os._exit(3)


def slowly(numbers: Iterator[int]) -> int:
    count = 0
    for _ in numbers:
        time.sleep(0.03)
        count += 1
    return count


def takes_its_time(numbers: Iterator[int]) -> str:
    for _ in numbers:
        pass
    time.sleep(0.2)
    return "whole"


def nothing() -> None:
    pass


def test_the_answer_comes_from_another_process_which_knows_no_torch() -> None:
    with Aside(total) as aside:
        for number in range(10):
            aside.send(number, nothing)
        answer, process, torch_is_there = aside.finish(nothing)
    assert answer == 45
    assert process != os.getpid()
    assert not torch_is_there
    assert not multiprocessing.active_children()


def fed(
    work: Callable[[Iterator[Any]], Any], values: Iterable[object], at_the_end: Callable[[], None] = nothing
) -> Any:
    with Aside(work) as aside:
        for value in values:
            aside.send(value, nothing)
        at_the_end()
        return aside.finish(nothing)


def test_an_error_comes_back_as_it_was_raised() -> None:
    with pytest.raises(ExportFailed, match=r"No 7\.") as caught:
        fed(refuse, [7])
    assert caught.value.hint == "Another."


def test_a_process_that_dies_is_an_error_with_a_hint_and_not_a_wait_for_ever() -> None:
    with pytest.raises(ExportFailed, match="ended before") as caught:
        fed(die, range(3 * AHEAD))
    assert caught.value.hint
    assert not multiprocessing.active_children()


def test_who_feeds_slow_work_may_rest_meanwhile() -> None:
    rests = []
    with Aside(slowly) as aside:
        for number in range(3 * AHEAD):
            aside.send(number, lambda: rests.append(time.monotonic()))
        assert aside.finish(nothing) == 3 * AHEAD
    assert rests


def test_a_large_value_does_not_wait_without_a_rest_for_the_process_to_load() -> None:
    """A pipe holds 64 KB; whoever writes more waits until somebody reads."""
    started, rests = time.monotonic(), []
    with Aside(weight) as aside:
        aside.send(b"." * 4_000_000, lambda: rests.append(time.monotonic()))
        sent = time.monotonic()
        assert aside.finish(lambda: rests.append(time.monotonic())) == 4_000_000
        ended = time.monotonic()
    assert len([at for at in rests if at < sent]) > 3, f"loading took {sent - started:.2f} s"
    # Also while the process goes: leaving the context has nothing left to wait for.
    assert time.monotonic() - ended < 0.05


def cancelled() -> None:
    raise Cancelled


def test_cancelling_midway_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "turntable.mp4"
    path.write_bytes(b"before")
    with pytest.raises(Cancelled):
        fed(partial(write_video, path=path), AHEAD * [np.zeros((64, 64, 3), np.uint8)], cancelled)
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_cancellation_that_comes_too_late_leaves_a_whole_answer() -> None:
    with Aside(takes_its_time) as aside:
        aside.send(1, nothing)
        time.sleep(0.3)  # the work has taken it: only the end is left to tell
        assert aside.finish(cancelled) == "whole"


def test_a_cancellation_while_the_process_loads_ends_it_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(Cancelled):
        fed(takes_its_time, [], cancelled)
    assert time.monotonic() - started < 0.5
    assert not multiprocessing.active_children()


def test_a_video_written_aside_opens_with_all_frames(tmp_path: Path) -> None:
    path = tmp_path / "turntable.mp4"
    with Aside(partial(write_video, path=path)) as aside:
        for shade in range(12):
            aside.send(np.full((64, 64, 3), 20 * shade, np.uint8), nothing)
        aside.finish(nothing)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
