"""Adam and learning-rate schedules in plain tensor operations.

``torch.optim`` is not imported at run time: it brings torch.compile and Triton along, which takes seconds and, in a
process where Mesa draws with an LLVM of its own, ends the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Shares of the steps in which the rate rises and falls (NVIDIA's projector)."""


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) over groups of tensors, each with its own rate.

    Args:
        groups: (tensors, learning rate) each; tensors are changed in place.
        betas: Decay of the first and second moment.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[Tensor], float]], betas: tuple[float, float] = (0.9, 0.999)):
        self.tensors = [tensor for tensors, _ in groups for tensor in tensors]
        self.rates = [rate for tensors, rate in groups for _ in tensors]
        self.betas = betas
        self._mean = [torch.zeros_like(tensor) for tensor in self.tensors]
        self._square = [torch.zeros_like(tensor) for tensor in self.tensors]
        # Every tensor counts its own steps: one that a loss does not reach must not be corrected as if it had moved.
        self._steps = [0] * len(self.tensors)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], factor: float = 1.0) -> None:
        """One update; ``factor`` multiplies all rates, tensors without a gradient stay."""
        first, second = self.betas
        for i, (tensor, gradient) in enumerate(zip(self.tensors, gradients, strict=True)):
            if gradient is None:
                continue
            self._steps[i] += 1
            mean = self._mean[i].mul_(first).add_(gradient, alpha=1.0 - first)
            square = self._square[i].mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
            spread = (square / (1.0 - second ** self._steps[i])).sqrt_().add_(1e-8)
            length = factor * self.rates[i] / (1.0 - first ** self._steps[i])
            tensor.addcdiv_(mean, spread, value=-length)


def constant(step: int, steps: int) -> float:
    """Always 1."""
    del step, steps
    return 1.0


def step_decay(step: int, steps: int) -> float:
    """E3DGE's SG2 runner: three quarters of the rate after every hundred steps (specification §1.3)."""
    del steps
    return float(0.75 ** (step // 100))


def warmup_cosine(step: int, steps: int) -> float:
    """NVIDIA's projector: ``[½ − ½cos(π·min(1, (1−t)/0.25))] · min(1, t/0.05)`` with t = step/steps (§1.1, item 7)."""
    t = step / steps
    return (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / RAMP_DOWN))) * min(1.0, t / RAMP_UP)


def fading(step: int, steps: int) -> float:
    """Ours for short runs: five steps to the full rate, then straight down to a twentieth of it."""
    return min(1.0, (step + 1) / 5.0) * (1.0 - 0.95 * step / steps)


SCHEDULES: Mapping[str, Callable[[int, int], float]] = {
    "constant": constant,
    "step": step_decay,
    "cosine": warmup_cosine,
    "fading": fading,
}
"""Schedules by name: (step, steps) → factor of the rate."""
