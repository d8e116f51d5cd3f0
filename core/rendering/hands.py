"""Work shared out between processor cores by the piece, not by the operation.

PyTorch's own threads meet after every operation, and sleep while they wait (docs/decisions/sleeping-threads.md). Waking
one takes about a tenth of a millisecond; a frame has a thousand operations, most of them shorter than that. So here a
core takes a whole piece of the work, a hundred operations long, alone: on two cores frames take half the time that
they take with two sleeping threads, and nobody spins. Only long operations (the decoder's convolutions) are still
shared out from within. The threads are kept: a new one for each piece takes a third of a millisecond.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from torch import nn

__all__ = ["Pause", "alone", "both", "hands", "resting", "stepping", "together"]

T = TypeVar("T")
S = TypeVar("S")


# Seconds between two pauses of a thread that waits for another one.
PATIENCE = 0.02
# Called between the stages of long work: may raise to give it up, or do something more urgent first.
Pause = Callable[[], None]


def resting() -> None:
    """Nothing is more urgent."""


@contextmanager
def stepping(module: nn.Module, pause: Pause) -> Iterator[None]:
    """Within it a network pauses after every block: every module of a list of modules, at any depth.

    What is made of such blocks pauses there on the way back as well, when its gradient is asked for.
    """
    blocks = [block for part in module.modules() if isinstance(part, nn.Sequential | nn.ModuleList) for block in part]

    def between(block: nn.Module, inputs: object, output: object) -> None:
        # Whatever goes first must not take over the network's precision.
        with torch.autocast("cpu", enabled=False):
            pause()
        if isinstance(output, torch.Tensor) and output.requires_grad:
            output.register_hook(returning)

    def returning(gradient: torch.Tensor) -> None:
        pause()

    hooks = [block.register_forward_hook(between) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def hands(device: torch.device) -> int:
    """How many pieces work is worth cutting into: 1 on a graphics card, and within a piece."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextmanager
def alone() -> Iterator[None]:
    """Within it operations are not shared out: for many short ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def together(*tasks: Callable[[], T], pause: Pause = resting) -> list[T]:
    """Results of tasks that run at the same time, each on a core of its own; within a piece, one after the other.

    Args:
        tasks: The first one is this thread's.
        pause: Called now and then while this thread has nothing left to do but wait for the others.

    Raises:
        BaseException: What the first task that failed raised; the others have then ended, too.
    """
    if len(tasks) == 1 or torch.get_num_threads() == 1:
        return [task() for task in tasks]
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def carried_out(task: Callable[[], T]) -> T:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return task()

    others: list[tuple[_Hand, Future[T]]] = []
    found: list[T] = []
    failed: list[BaseException] = []

    def kept(get: Callable[[], T]) -> None:
        try:
            found.append(get())
        except BaseException as error:  # noqa: BLE001 - raised again below, when the others have ended
            failed.append(error)

    with alone():
        for task in tasks[1:]:
            hand, future = _free_hand(), Future[T]()
            others.append((hand, future))
            hand.take(partial(carried_out, task), future)
        kept(tasks[0])
        for hand, future in others:
            while pause is not resting and not failed and not _done(future):
                try:
                    pause()
                except BaseException as error:  # noqa: BLE001 - likewise
                    failed.append(error)
            kept(future.result)
            _free.append(hand)
    if failed:
        raise failed[0]
    return found


class _Hand:
    """A thread that waits for the next piece. To make a new one took four times as long as to wake one."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        threading.Thread(target=self._run, name="cameo-hand", daemon=True).start()

    def take(self, piece: Callable[[], T], future: Future[T]) -> None:
        """Carry out a piece; the future tells what became of it."""
        self._pieces.put((piece, future))

    def _run(self) -> None:
        while True:
            piece, future = self._pieces.get()
            try:
                future.set_result(piece())
            except BaseException as error:  # noqa: BLE001 - the future raises it again
                future.set_exception(error)
            # Nothing of a piece is kept while waiting for the next one.
            del piece, future


# Hands that wait for work.
_free: deque[_Hand] = deque()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)


def _free_hand() -> _Hand:
    try:
        return _free.pop()
    except IndexError:
        return _Hand()


def _done(future: Future[T]) -> bool:
    """Whether it is done, after some patience."""
    return bool(wait((future,), PATIENCE).done)


def both(first: Callable[[], T], second: Callable[[], S], pause: Pause = resting) -> tuple[T, S]:
    """Two different tasks together; see :func:`together`."""
    found = together(*(first, second), pause=pause)
    return found[0], found[1]  # type: ignore[return-value]
