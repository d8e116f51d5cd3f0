"""Which numbers of the generator's z mean hair, and a table of likely values: what a fit may choose hair from.

A value that travels with the weights, because only the world that the generator learnt from knows what z means, and
the product runs without that world.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["HairPrior"]


@dataclass(frozen=True, eq=False)
class HairPrior:
    """A table of hair.

    Shape:
        coordinates (H,) int64, places in z; table (K, H), standard normal values for them, one head of hair a row; cost
        (K,) >= 0, what choosing a row costs in nats, for styles that the generator draws badly.
    """

    coordinates: Tensor
    table: Tensor
    cost: Tensor

    def to(self, device: torch.device) -> HairPrior:
        """The same on a device."""
        return HairPrior(self.coordinates.to(device), self.table.to(device), self.cost.to(device))
