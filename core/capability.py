"""What a device is good at, tried out once a process: nobody's table of devices is as new as the device.

Processors are asked for an instruction; graphics cards (CUDA, Apple's MPS) are given small tasks whose answers are
known. A device that fails at one, or gives a wrong answer, does without: everything works on plain operations.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from core.recorded import CudaRecorder

__all__ = ["SWITCH", "Capability", "capability_of"]

logger = logging.getLogger(__name__)

SWITCH = "CAMEO_KERNELS"
"""Environment: "off" leaves compiled layers and recorded graphs alone."""
ROWS, WIDTH, ROUNDS = 16384, 256, 5
GAIN = 0.9
"""Of float32's time that bfloat16 may take at most to be worth its rounding."""
ROUNDING = 0.02
"""Largest mean difference of a product of unit size in bfloat16."""


@dataclass(frozen=True)
class Capability:
    """What is worth doing on a device."""

    low: bool
    """Products in bfloat16 instead of float32."""
    compiles: bool
    """Layers by PyTorch's compiler in the program's own process; processors have theirs compiled aside."""
    records: bool
    """Fixed sequences of operations recorded once and played back (CUDA graphs)."""


@cache
def capability_of(device: torch.device) -> Capability:
    """What is worth doing on a device; some milliseconds at the first call."""
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return Capability(supported is not None and bool(supported()), False, False)
    allowed = os.environ.get(SWITCH) != "off"
    found = Capability(
        tried(lambda: _halves_well(device), "half precision"),
        allowed and tried(lambda: _has_compiler(device), "compiler"),
        allowed and tried(lambda: _plays_back(device), "graphs"),
    )
    logger.info("%s: %s", device, found)
    return found


def tried(task: Callable[[], bool], what: str) -> bool:
    """What a task says; False if it fails in any way that a device or its driver may think of."""
    try:
        return task()
    except Exception as error:  # noqa: BLE001 - a driver may raise anything
        logger.info("no %s here: %s", what, error)
        return False


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _halves_well(device: torch.device) -> bool:
    """Whether bfloat16 products are right, and faster than float32 ones."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(ROWS, WIDTH, generator=random).to(device)
    weight = (torch.randn(WIDTH, WIDTH, generator=random) / WIDTH**0.5).to(device)
    with torch.inference_mode():
        full = rows @ weight
        half = (rows.bfloat16() @ weight.bfloat16()).float()
        if not float((full - half).abs().mean()) < ROUNDING:
            return False
        return _seconds(rows.bfloat16(), weight.bfloat16()) < GAIN * _seconds(rows, weight)


def _seconds(rows: Tensor, weight: Tensor) -> float:
    """The shortest of some rounds of products."""
    found = []
    for _ in range(ROUNDS):
        synchronise(rows.device)
        started = time.perf_counter()
        for _ in range(ROUNDS):
            rows @ weight
        synchronise(rows.device)
        found.append(time.perf_counter() - started)
    return min(found)


def _has_compiler(device: torch.device) -> bool:
    """Whether PyTorch's compiler has what it needs; whether it gets the layers right is asked when it has made them."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None and torch.cuda.get_device_capability(device) >= (7, 0)
    return device.type == "mps" and torch.backends.mps.is_macos_or_newer(14, 0)


def _plays_back(device: torch.device) -> bool:
    """Whether a recorded graph answers anew for a new input."""
    if device.type != "cuda":
        return False
    given = torch.arange(8.0, device=device)
    answer, play = CudaRecorder().record(lambda values: 2.0 * values + 1.0, (given,))
    given.copy_(torch.full((8,), 3.0, device=device))
    play()
    synchronise(device)
    return bool((answer == 7.0).all())
