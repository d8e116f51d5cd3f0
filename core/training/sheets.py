"""Contact sheets: what a stage makes, as one picture that a person looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def contact_sheet(rows: Sequence[Tensor]) -> NDArray[np.uint8]:
    """Rows of pictures (N, 3, S, S) in [0, 1] → one picture (rows * S, N * S, 3)."""
    strip = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    return (strip.clamp(0, 1).permute(1, 2, 0) * 255).byte().cpu().numpy()
