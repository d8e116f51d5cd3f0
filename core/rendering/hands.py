"""Work shared out between processor cores by the piece, not by the operation.

PyTorch's own threads meet after every operation, and sleep while they wait (docs/decisions/sleeping-threads.md). Waking
one takes about a tenth of a millisecond; a frame has a thousand operations, most of them shorter than that. So here a
core takes a whole piece of the work, a hundred operations long, alone: on two cores frames take half the time that
they take with two sleeping threads, and nobody spins. Only long operations (the decoder's convolutions) are still
shared out from within. A thread is made for each piece and is gone when its work is done: it costs as much as one
waking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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
    """Within it a network pauses after every block: every module of a list of modules, at any depth."""
    blocks = [block for part in module.modules() if isinstance(part, nn.Sequential | nn.ModuleList) for block in part]

    def between(block: nn.Module, inputs: object, output: object) -> None:
        # Whatever goes first must not take over the network's precision.
        with torch.autocast("cpu", enabled=False):
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
    found: dict[int, T] = {}
    failed: list[BaseException] = []
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def carry_out(number: int) -> None:
        try:
            with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
                found[number] = tasks[number]()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            failed.append(error)

    others = [
        threading.Thread(target=carry_out, args=(number,), name=f"cameo-hand-{number}")
        for number in range(1, len(tasks))
    ]
    with alone():
        for other in others:
            other.start()
        carry_out(0)
        for other in others:
            while other.is_alive() and not failed and pause is not resting:
                other.join(PATIENCE)
                try:
                    pause()
                except BaseException as error:  # noqa: BLE001 - the others must have ended first
                    failed.append(error)
            other.join()
    if failed:
        raise failed[0]
    return [found[number] for number in range(len(tasks))]


def both(first: Callable[[], T], second: Callable[[], S], pause: Pause = resting) -> tuple[T, S]:
    """Two different tasks together; see :func:`together`."""
    found = together(*(first, second), pause=pause)
    return found[0], found[1]  # type: ignore[return-value]
