"""How numbers lie in memory during training: half precision where the machine has it, channels last on CUDA."""

from __future__ import annotations

import torch

from core.rendering.precision import has_fast_bfloat16


def mixed_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 on CUDA and on processors that multiply it (twice the speed of E0's steps); else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or has_fast_bfloat16(device))


def layout(device: torch.device) -> torch.memory_format:
    """Memory format of pictures and convolutions.

    Channels last is faster on CUDA. On a CPU torch (2.14) writes past its memory in the backward pass of convolutions
    followed by PReLU in that layout, for small widths: "free(): invalid next size", "double free or corruption".
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
