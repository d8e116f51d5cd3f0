"""A smooth displacement from what it should be at some places: the mean of a Gaussian process, deaf to mismatches.

As smooth as a head is, 0 far from everything seen, and in noise where ties disagree. Refuses to know heads and photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Process", "Ties"]

Array = NDArray[np.float64]

# The process: standard deviations and lengths of its two parts (world units); depth counts less, so that the back of
# the head follows its rim.
PARTS = ((0.009, 0.09), (0.0035, 0.035))
DEPTH_SHARE = 0.6
# Ties that miss by more than this many errors are doubted (Huber 1964).
DOUBT = 2.0
# Points whose covariances are held at a time.
PORTION = 2048


@dataclass(frozen=True, eq=False)
class Ties:
    """What the displacement should be where. Shape: places (N, 3), wanted (N, 2) right and up, error (N,)."""

    places: Array
    wanted: Array
    error: Array

    def and_also(self, others: Ties) -> Ties:
        """These and others."""
        return Ties(
            np.concatenate((self.places, others.places)),
            np.concatenate((self.wanted, others.wanted)),
            np.concatenate((self.error, others.error)),
        )


class Process:
    """The mean of the Gaussian process given its ties.

    By PyTorch and not by numpy, whose threads would spin between products and take the core of what runs beside.
    """

    def __init__(self, ties: Ties, depth_axis: Array) -> None:
        self._axis = depth_axis
        self._places = self._scaled(ties.places)
        kernel, wanted = _kernel(self._places, self._places), torch.from_numpy(ties.wanted)
        expected = torch.from_numpy(ties.error)
        error = expected
        for _ in range(2):
            factor = torch.linalg.cholesky(kernel + torch.diag(error**2))
            self._weights = torch.cholesky_solve(wanted, factor)
            off = torch.linalg.vector_norm(kernel @ self._weights - wanted, dim=1) / expected
            error = expected * (off / DOUBT).clamp(min=1.0).sqrt()

    def _scaled(self, points: Array) -> Tensor:
        along = points @ self._axis
        return torch.from_numpy(points - (1.0 - DEPTH_SHARE) * along[:, None] * self._axis)

    def __call__(self, points: Array) -> Array:
        """Displacements (N, 2), right and up, at points (N, 3)."""
        parts = [_kernel(some, self._places) @ self._weights for some in torch.split(self._scaled(points), PORTION)]
        found: Array = torch.cat(parts).numpy()
        return found


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Covariances (N, M) of places (N, 3) and (M, 3)."""
    # Exponentials in float32: they take a third of the time, and are right to a ten-millionth.
    square = torch.cdist(a, b).square_().float()
    (first, near), (second, far) = ((size, -0.5 / length**2) for size, length in PARTS)
    total = (square * near).exp_().double().mul_(first**2)
    return total.add_(square.mul_(far).exp_(), alpha=second**2)
