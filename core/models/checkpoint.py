"""Weights in and out: our safetensors files, the released files of StyleSDF and E3DGE, and the names of both.

The only place that unpickles, always with ``weights_only``; the only place that knows the layout of the released files.
Strict: a missing, foreign or misshapen tensor is an error, because a network with random leftovers "works" and draws
garbage.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import WeightsCorrupt, WeightsMissing

__all__ = [
    "OFFICIAL_PARTS",
    "StateDict",
    "from_official",
    "load",
    "load_into",
    "metadata",
    "official_state",
    "read_official",
    "save",
    "to_official",
]

StateDict = dict[str, Tensor]

MODULATION = "local_feat_to_tex_modulations_linear."
OFFICIAL_PARTS = ("encoder", "netLocal", "grid_align", "Fuse_sft_block")
"""The entries of E3DGE's file that inference needs; the variant with 2D alignment only lacks ``Fuse_sft_block``."""


def save(
    parts: Mapping[str, nn.Module | Mapping[str, Tensor]],
    path: Path,
    *,
    dtype: torch.dtype = torch.float32,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write parts to one safetensors file, beside the target first and then in its place.

    Args:
        parts: Part name → module or tensors; keys become ``part/key``.
        path: File to write.
        dtype: Type of the stored floating-point tensors.
        notes: Text to keep in the file's header.
    """
    tensors: StateDict = {}
    for part, content in parts.items():
        state = content.state_dict() if isinstance(content, nn.Module) else content
        for key, value in state.items():
            value = value.detach().to("cpu", copy=True)
            tensors[f"{part}/{key}"] = (value.to(dtype) if value.is_floating_point() else value).contiguous()
    beside = path.with_name(path.name + ".part")
    try:
        save_file(tensors, beside, metadata=dict(notes or {}))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path, *, dtype: torch.dtype = torch.float32) -> dict[str, StateDict]:
    """Read the parts of a safetensors file.

    Args:
        path: File that :func:`save` wrote.
        dtype: Type that floating-point tensors get.

    Returns:
        Part name → state dict, on the CPU.

    Raises:
        WeightsMissing: There is no such file.
        WeightsCorrupt: It is not a safetensors file, or cut short.
    """
    if not path.is_file():
        raise WeightsMissing(f"no weights at {path}", hint="Put the weights file back, or install Cameo again.")
    parts: dict[str, StateDict] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                part, _, key = name.partition("/")
                value = file.get_tensor(name)
                parts.setdefault(part, {})[key] = value.to(dtype) if value.is_floating_point() else value
    except SafetensorError as error:
        raise WeightsCorrupt(
            f"{path.name} cannot be read: {error}", hint="The file is damaged or incomplete; fetch it again."
        ) from error
    return parts


def metadata(path: Path) -> dict[str, str]:
    """The notes in a safetensors file's header."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def load_into(module: nn.Module, state: Mapping[str, Tensor], part: str) -> None:
    """Fill a network, strictly.

    Args:
        module: Network.
        state: Its tensors.
        part: What to call it in the error.

    Raises:
        WeightsCorrupt: A tensor is missing, foreign or has another shape.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - state.keys())
    foreign = sorted(state.keys() - own.keys())
    shapes = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or foreign or shapes:
        parts = [
            f"{len(names)} {what} ({names[0]}, …)"
            for what, names in (("missing", missing), ("unknown", foreign), ("of another shape", shapes))
            if names
        ]
        raise WeightsCorrupt(
            f"the weights of {part} do not fit the network: {'; '.join(parts)}",
            hint="This is a file of another model or version; choose the one that belongs to these settings.",
        )
    module.load_state_dict(dict(state))


def read_official(path: Path) -> dict[str, StateDict]:
    """Read a released ``.pt`` file: its state dicts, without optimiser states.

    Raises:
        WeightsMissing: There is no such file.
        WeightsCorrupt: It is not a file of tensors.
    """
    if not path.is_file():
        raise WeightsMissing(f"no weights at {path}", hint="Download the released file to this place.")
    try:
        # Old files are not zip archives and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))  # noqa: TID251
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsCorrupt(
            f"{path.name} cannot be read: {error}", hint="The download is damaged or incomplete; fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise WeightsCorrupt(f"{path.name} holds no state dicts", hint="This is not a released StyleSDF or E3DGE file.")
    if all(isinstance(value, Tensor) for value in content.values()):
        content = {"": content}
    return {
        name: {key.removeprefix("module."): value for key, value in entry.items()}
        for name, entry in content.items()
        if isinstance(entry, dict) and not name.startswith("optimizer") and _tensors_only(entry)
    }


def _tensors_only(entry: Mapping[object, object]) -> bool:
    return bool(entry) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in entry.items())


def from_official(net_local: Mapping[str, Tensor]) -> tuple[StateDict, StateDict]:
    """Split the released ``netLocal`` into ours: E1 and texture modulation. All other parts have the same names."""
    encoder = {key: value for key, value in net_local.items() if not key.startswith(MODULATION)}
    modulation = {
        "linear." + key.removeprefix(MODULATION): value
        for key, value in net_local.items()
        if key.startswith(MODULATION)
    }
    return encoder, modulation


def to_official(encoder: Mapping[str, Tensor], modulation: Mapping[str, Tensor]) -> StateDict:
    """The inverse of :func:`from_official`."""
    return {**encoder, **{MODULATION + key.removeprefix("linear."): value for key, value in modulation.items()}}


def official_state(encoder: nn.Module, modulation: nn.Module) -> StateDict:
    """The released ``netLocal`` state dict of our two modules."""
    return to_official(encoder.state_dict(), modulation.state_dict())


def megabytes(modules: Mapping[str, nn.Module], bytes_each: int = 2) -> dict[str, float]:
    """Size of each part's tensors in 10⁶ bytes at so many bytes a number."""
    return {
        name: bytes_each * sum(math.prod(t.shape) for t in module.state_dict().values()) / 1e6
        for name, module in modules.items()
    }
