"""Where half precision is faster and not seen.

On a CPU with bfloat16 products the decoder takes half the time, and its error stays below 0.01 in [-1, 1]. The field
does not gain (its sines and small batches cost more than its products), and E_ADA's flow must be exact enough that
nothing moves when nothing is edited: both stay in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.capability import capability_of
from core.models.field import Field

Sdf = Callable[[Tensor], Tensor]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones on a device."""
    return capability_of(device).low


def packed(maps: Tensor) -> Tensor:
    """Maps with their channels side by side, which convolutions of few channels read faster.

    Only where gradients are off: the backward pass of such layouts crashes in PyTorch 2.14 on CPUs.

    Shape:
        maps (B, C, H, W); returns the same.
    """
    if torch.is_grad_enabled():
        return maps
    dense = maps.contiguous(memory_format=torch.channels_last)
    # A single map counts as so laid out whatever the stride of its batch; but oneDNN takes one that is odd for another
    # layout, and everything after it takes half as long again.
    odd = dense.stride(0) != dense[0].numel()
    return dense.clone(memory_format=torch.channels_last) if odd else dense


def distance(field: Field, styles: Tensor) -> Sdf:
    """The signed distance of one head.

    Shape:
        styles (1, rows, style_dim); the function maps (1, N, 3) to (1, N, 1).
    """
    return lambda points: field.sdf(points, styles)
