"""Tuned weights as a difference: what a refinement leaves behind, small enough to be saved with a session.

Only changed tensors are kept, as float16 differences, with the hash of the weights they belong to. The networks
themselves are never touched: an inversion that carries a delta gets a generator of its own.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from torch import Tensor

from core.errors import WeightsCorrupt
from core.models.generator import Generator
from core.models.networks import Networks
from core.refinement.variables import parameter_groups
from core.rendering.hands import Pause, resting

LARGEST = 6.0e4
"""Differences are kept within float16's range."""


@dataclass(frozen=True, eq=False)
class Delta:
    """Differences of a generator's tensors to those it was loaded with."""

    base: str
    """``weights_hash`` of the generator that it is added to."""
    tensors: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    share: float = 1.0
    """λ of ``θ₀ + λ(θ − θ₀)`` that the differences are already multiplied by."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        for values in self.tensors.values():
            values.flags.writeable = False

    @property
    def bytes(self) -> int:
        """Size in memory and, nearly, in a file."""
        return sum(values.nbytes for values in self.tensors.values())


@dataclass(frozen=True, eq=False)
class Refinement:
    """What an inversion carries after it was refined."""

    delta: Delta
    report: Mapping[str, Any]
    """As it stands in ``report.json`` under ``refinement``."""
    origin: Any
    """The inversion as it was before: undo, and the start of another refinement."""
    waypoints: Mapping[int, Any] = field(default_factory=dict)
    """Points of the curve that one can go to instead, by their step."""


def weights_hash(generator: Generator) -> str:
    """SHA-256 over names and float32 bytes of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().float().cpu().numpy()).tobytes())
    return digest.hexdigest()


def _hash_of(base: Generator) -> str:
    """``weights_hash`` of a generator as it was loaded, found once: such a one never changes."""
    if base not in _hashes:
        _hashes[base] = weights_hash(base)
    return _hashes[base]


_hashes: WeakKeyDictionary[Generator, str] = WeakKeyDictionary()


def difference(base: Generator, tuned: Mapping[str, Tensor], share: float = 1.0) -> Delta:
    """The delta that leads from a generator to tuned tensors.

    Args:
        base: As it was loaded.
        tuned: Tensors by name; those that are missing did not change.
        share: λ of ``θ₀ + λ(θ − θ₀)`` (specification §2.10).
    """
    before = base.state_dict()
    changed = {}
    for name, values in tuned.items():
        step = (values.detach() - before[name]) * share
        if bool(step.abs().amax() > 0):
            changed[name] = step.clamp(-LARGEST, LARGEST).cpu().numpy().astype(np.float16)
    return Delta(_hash_of(base), changed, share)


def scaled(delta: Delta, share: float) -> Delta:
    """λ times a delta."""
    if share <= 0.0:
        return Delta(delta.base, {}, 0.0)
    if share == 1.0:
        return delta
    # By torch: most differences are below float16's normal numbers, which numpy takes fifty times as long to multiply.
    by = float(np.float16(share))
    changed = {
        name: torch.from_numpy(values.copy()).float().mul_(by).half().numpy() for name, values in delta.tensors.items()
    }
    return Delta(delta.base, changed, delta.share * share)


def tuned_networks(networks: Networks, delta: Delta, pause: Pause = resting) -> Networks:
    """Networks whose generator is a tuned copy; all else is shared.

    The local branch is left out: it says what the latents missed of the photo, which the tuned weights now say
    themselves. With both, the photo would be added twice. The same holds for the photo's tones.

    Raises:
        WeightsCorrupt: The delta belongs to other weights, or does not fit them.
    """
    if delta.base != _hash_of(networks.generator):
        raise WeightsCorrupt(
            "This refinement belongs to other weights.", hint="Reconstruct and refine the photo again."
        )
    if delta.share <= 0.0:
        return networks
    pause()
    generator = copy.deepcopy(networks.generator)
    pause()
    state = generator.state_dict()
    with torch.no_grad():
        for name, values in delta.tensors.items():
            if name not in state or tuple(state[name].shape) != values.shape or not np.isfinite(values).all():
                raise WeightsCorrupt(f"The refinement's “{name}” does not fit the weights.", hint="Refine again.")
            pause()
            state[name].add_(torch.from_numpy(values.astype(np.float32)).to(state[name].device))
    appearance = parameter_groups(networks.generator)["geometry"].keys().isdisjoint(delta.tensors)
    return replace(
        networks,
        generator=generator.requires_grad_(False).eval(),
        local=None,
        tuned=delta.share,
        untuned=networks.generator if appearance else None,
    )


def delta_bytes(delta: Delta) -> bytes:
    """The delta as a safetensors file."""
    tensors = {name: np.ascontiguousarray(values) for name, values in delta.tensors.items()}
    return save(tensors, {"base": delta.base, "share": repr(delta.share)})


def read_delta(path: Path) -> Delta:
    """The delta of a file.

    Raises:
        WeightsCorrupt: It is none.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            written = file.metadata() or {}
        base, share = written["base"], float(written.get("share", "1"))
        tensors = load_file(path)
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise WeightsCorrupt("The refinement cannot be read.", hint="Refine the photo again.") from error
    if any(values.dtype != np.float16 for values in tensors.values()):
        raise WeightsCorrupt("The refinement has numbers of a wrong kind.", hint="Refine the photo again.")
    return Delta(base, tensors, share)
