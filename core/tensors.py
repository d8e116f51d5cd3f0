"""Where pictures become tensors and tensors pictures, and on which device.

Pixels are uint8 or floats in 0 … 1, channels last; tensors are floats in [-1, 1], channels first. No other place
changes ranges. Randomness always has a seed and never touches the global generator.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["alpha_tensor", "choose_device", "generator", "picture_pixels", "picture_tensor", "require_shape"]


def require_shape(tensor: Tensor, *shape: int | None) -> Tensor:
    """The tensor itself, if its shape is as said; None fits any length.

    Raises:
        ValueError: It is not.
    """
    fits = tensor.ndim == len(shape) and all(
        wanted is None or wanted == have for wanted, have in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"expected shape {shape}, got {tuple(tensor.shape)}")
    return tensor


def picture_tensor(pixels: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """Pixels (H, W, 3) uint8 → tensor (1, 3, H, W) in [-1, 1]."""
    # A copy: pixels of values are read-only, which from_numpy warns about.
    values = torch.tensor(pixels, device=device)
    return values.permute(2, 0, 1)[None].float() / 127.5 - 1


def alpha_tensor(matte: NDArray[np.float32], device: torch.device | str = "cpu") -> Tensor:
    """Matte (H, W) in 0 … 1 → tensor (1, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(matte, dtype=np.float32)).to(device)[None, None]


def picture_pixels(picture: Tensor) -> NDArray[np.uint8]:
    """Tensor (1, 3, H, W) or (3, H, W) in [-1, 1], clamped → pixels (H, W, 3) uint8."""
    values = picture.detach().reshape(-1, *picture.shape[-2:]).float()
    return ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def choose_device(name: str = "auto") -> torch.device:
    """A device by name; "auto" takes CUDA, then Apple's, then the CPU."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator of its own."""
    return torch.Generator(device).manual_seed(seed)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is not enough: PyTorch has a type for it on graphics cards only."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
