"""A fixed sequence of operations, recorded once for every form of its inputs and played back: no call an operation.

On a graphics card a decoder's sixty small operations take longer to ask for than to do. A CUDA graph asks once. Inputs
are copied to where the recording reads them, the answer is a copy of where it writes. What cannot be recorded, or
answers otherwise than the function itself, is left to the function.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from weakref import WeakMethod

import torch
from torch import Tensor

__all__ = ["CudaRecorder", "Recorded", "Recorder", "weakly"]

logger = logging.getLogger(__name__)

Function = Callable[..., Tensor]

KEPT = 3
"""Forms of the inputs that are kept; the one that was not asked for longest goes, with its memory."""
WARM_UP = 2
"""Runs before recording, in which libraries choose their ways."""
DIFFERENCE = 1e-2
"""Mean difference, relative to the answer's own size, beyond which a recording is not believed (half precision)."""


def weakly(method: Function) -> Function:
    """A bound method that does not keep its object: an object that keeps its own recordings goes when nobody needs it.

    A circle would wait for Python to look for circles, with graphics memory in its hands.
    """
    held = WeakMethod(method)

    def ask(*inputs: object) -> Tensor:
        found = held()
        assert found is not None
        return found(*inputs)

    return ask


class Recorder(Protocol):
    """Who records."""

    def record(self, ask: Function, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Callable[[], None]]:
        """Record a function of these very tensors: where its answer will lie, and what plays it back."""


class CudaRecorder:
    """Records CUDA graphs."""

    def record(self, ask: Function, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Callable[[], None]]:
        """See :class:`Recorder`."""
        stream = torch.cuda.Stream(inputs[0].device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(inputs[0].device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                ask(*inputs)
        torch.cuda.current_stream(inputs[0].device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may ask the device for something meanwhile: a compiler tries what it made.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            answer = ask(*inputs)
        return answer, graph.replay


class Recorded:
    """A function of tensors that is recorded when inputs of the same form come a second time.

    Args:
        ask: The function: always the same operations for inputs of one form, nothing drawn by chance.
        recorder: Who records.
    """

    def __init__(self, ask: Function, recorder: Recorder | None = None) -> None:
        self._ask = ask
        self._recorder = CudaRecorder() if recorder is None else recorder
        self._kept: OrderedDict[tuple[object, ...], _Tape | None] = OrderedDict()
        self._failed = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What the function says."""
        if self._failed or torch.is_grad_enabled():
            return self._ask(*inputs)
        form = tuple((one.shape, one.stride(), one.dtype, one.device) for one in inputs)
        if form not in self._kept:  # a single picture of a kind is not worth it
            self._remember(form, None)
            return self._ask(*inputs)
        tape = self._kept[form]
        if tape is None:
            answer = self._ask(*inputs)
            tape = self._taped(inputs, answer)
            if tape is None:
                return answer
        self._remember(form, tape)
        try:
            return tape.answer_for(inputs)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._give_up(f"a recorded graph cannot be played back: {error}")
            return self._ask(*inputs)

    def _give_up(self, why: str) -> None:
        logger.warning("%s", why)
        self._failed = True
        self._kept.clear()

    def _taped(self, inputs: tuple[Tensor, ...], wanted: Tensor) -> _Tape | None:
        """A recording that answers as it should; None, now and always, if there is none to be had."""
        try:
            # Ordinary tensors: those of inference mode could not be written to outside of it.
            with torch.inference_mode(mode=False), torch.no_grad():
                places = tuple(torch.empty_like(one).copy_(one) for one in inputs)
                tape = _Tape(places, *self._recorder.record(self._ask, places))
            found = tape.answer_for(inputs)
            away = float((found.float() - wanted.float()).abs().mean())
            if found.shape == wanted.shape and away <= DIFFERENCE * float(wanted.float().abs().mean()):
                return tape
            self._give_up("a recorded graph answers otherwise than its function and is left alone")
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._give_up(f"operations cannot be recorded here: {error}")
        return None

    def _remember(self, form: tuple[object, ...], tape: _Tape | None) -> None:
        self._kept[form] = tape
        self._kept.move_to_end(form)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


class _Tape:
    """One recording."""

    def __init__(self, places: tuple[Tensor, ...], answer: Tensor, play: Callable[[], None]) -> None:
        self._places, self._answer, self._play = places, answer, play

    def answer_for(self, inputs: tuple[Tensor, ...]) -> Tensor:
        for place, value in zip(self._places, inputs, strict=True):
            place.copy_(value)
        self._play()
        return self._answer.clone()
