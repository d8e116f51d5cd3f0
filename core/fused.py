"""The field's layers by PyTorch's compiler on graphics cards, in the program's own process.

What ``core.kernels`` does for processors with a library made aside, Triton and Metal do only within PyTorch. To make
it takes seconds to a minute the first time; what was made lies in the person's cache, from which the next start takes
it in seconds. So ``python -m core kernels`` makes it aside, and the engine takes it when nobody waits. It is checked
against the plain layers, and without it all is as before.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from core.capability import capability_of
from core.kernels import FAILED, TOLERANCE, Chain, ChainKernel, Layers, folder, form_of, kernel_of, layers_of, plainly

__all__ = ["FusedChain", "compiled_for", "fused_of", "prepare", "worth_preparing"]

logger = logging.getLogger(__name__)

BACKEND = "inductor"
COUNTS = (1000, 4096, 20000)
"""Numbers of points that are tried: the compiler must see that they differ."""

_made: dict[str, FusedChain | None] = {}
"""By device: compiled layers, or None where they could not be made."""
_checked: set[tuple[str, Chain]] = set()
"""Forms of layers that were compared on a device; others would be compiled unchecked, while somebody waits."""


class FusedChain:
    """Compiled layers of one device.

    Args:
        ask: The compiled form of :func:`core.kernels.plainly`.
    """

    def __init__(self, ask: Callable[[Tensor, list[Tensor], list[Tensor]], Tensor]) -> None:
        self._ask = ask

    def hidden(self, points: Tensor, layers: Layers) -> Tensor:
        """Last activation of points, as ``plainly`` says it; by that where gradients are wanted. Shape: as there."""
        if points.requires_grad or not len(points):
            return plainly(points, layers)
        return self._ask(points, [weight for weight, _ in layers], [offset for _, offset in layers])

    def agrees(self, chain: Chain, device: torch.device) -> bool:
        """Whether it says what the plain layers of this form say."""
        for count in COUNTS:
            points, layers = chain.made_up(count)
            points = points.to(device)
            layers = [(weight.to(device), offset.to(device)) for weight, offset in layers]
            with torch.inference_mode():
                found, wanted = self.hidden(points, layers), plainly(points, layers)
            if found.shape != wanted.shape or found.dtype != wanted.dtype:
                return False
            if not float((found.float() - wanted.float()).abs().mean()) < TOLERANCE[chain.low]:
                return False
        return True


def _chained(points: Tensor, weights: list[Tensor], offsets: list[Tensor]) -> Tensor:
    return plainly(points, list(zip(weights, offsets, strict=True)))


def fused_of(device: torch.device, chain: Chain | None) -> FusedChain | None:
    """The compiled layers of a device if they were prepared, for layers of this form, in this process."""
    return _made.get(str(device)) if chain is not None and (str(device), chain) in _checked else None


def compiled_for(layers: Layers) -> ChainKernel | FusedChain | None:
    """Compiled layers in place of these, where this machine has them for their device."""
    device = layers[0][0].device
    return kernel_of(layers_of(layers)) if device.type == "cpu" else fused_of(device, form_of(layers))


def worth_preparing(device: torch.device) -> bool:
    """Whether compiled layers would help there, were not tried in this process, and did not fail in another one."""
    return str(device) not in _made and not _failed(device).exists() and capability_of(device).compiles


def _failed(device: torch.device) -> Path:
    """What says that they could not be made by this PyTorch; nobody tries again unasked."""
    return folder() / f"fused-{device.type}-{torch.__version__}{FAILED}"


def prepare(device: torch.device, chains: tuple[Chain, ...]) -> bool:
    """Compile the layers for a device, or take them from the cache: seconds. Safe beside other work.

    Args:
        device: Where.
        chains: Their forms.

    Returns:
        Whether they may be used; if not, the log says why and nobody tries again unasked.
    """
    failed = _failed(device)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder() / "inductor"))
    made: FusedChain | None = None
    try:
        made = FusedChain(torch.compile(_chained, dynamic=True, backend=BACKEND))
        if not all(made.agrees(chain, device) for chain in chains):
            logger.warning("compiled layers on %s answer otherwise than plain ones and are left alone", device)
            made = None
        _checked.update((str(device), chain) for chain in chains)
    except Exception as error:  # noqa: BLE001 - whatever a compiler and its finding may raise
        logger.warning("compiled layers cannot be had on %s: %s", device, error)
        made = None
    _made[str(device)] = made
    with contextlib.suppress(OSError):
        if made is not None:
            failed.unlink(missing_ok=True)
        else:
            failed.parent.mkdir(parents=True, exist_ok=True)
            failed.write_text("see the log", encoding="utf-8")
    return made is not None
