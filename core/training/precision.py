"""How numbers lie in memory during training: half precision and channels last on CUDA, neither on a CPU."""

from __future__ import annotations

import torch


def mixed_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 on CUDA; nothing elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def layout(device: torch.device) -> torch.memory_format:
    """Memory format of pictures and convolutions.

    Channels last is faster on CUDA. On a CPU torch (2.14) writes past its memory in the backward pass of convolutions
    followed by PReLU in that layout, for small widths: "free(): invalid next size", "double free or corruption".
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
