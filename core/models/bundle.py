"""One model as safetensors files: networks, mean latents, directions, and which configuration they belong to.

The layout is a table of parts (``core.models.checkpoint``): one a network under its name in ``Networks``, ``latents``
with means and scales, ``directions`` with one pair of tensors an attribute. Parts may be spread over files in any way
(directions usually have one of their own); the configuration's name stands in every file's header. Optional networks
may be absent, but never half there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from core.edit import known_as
from core.errors import WeightsCorrupt
from core.models import checkpoint
from core.models.aligner import ResidualAligner
from core.models.auricles import auricles_like
from core.models.configuration import CAMEO_256, OFFICIAL_1024, TOY, TOY_256, ModelConfig
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.landmarks import LandmarkRegressor
from core.models.local import LocalEncoder, TextureModulation
from core.models.networks import Direction, Networks
from core.models.parsing import parser_like
from core.models.reader import reader_like
from core.models.spectacles import SpectaclesDetector

__all__ = [
    "CONFIGURATIONS",
    "read_networks",
    "write_directions",
    "write_networks",
    "write_part",
]

CONFIGURATIONS = {config.name: config for config in (CAMEO_256, OFFICIAL_1024, TOY, TOY_256)}
MODEL_NOTE = "model"
INDICES = "indices"
DIRECTIONS = "directions"
LATENTS = ("renderer_mean", "renderer_scale", "decoder_mean", "decoder_scale")


def write_networks(networks: Networks, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write all parts into one file.

    Args:
        networks: What to write.
        path: The file.
        dtype: Type of the stored numbers; half precision is enough for inference and halves the download.
    """
    parts: dict[str, nn.Module | dict[str, Tensor]] = dict(networks.modules)
    if networks.landmarks is not None and networks.landmark_indices is not None:
        parts["landmarks"] = {**networks.landmarks.state_dict(), INDICES: networks.landmark_indices}
    parts["latents"] = {name: getattr(networks, name) for name in LATENTS}
    if networks.directions:
        parts[DIRECTIONS] = _tensors(networks.directions)
    checkpoint.save(parts, path, dtype=dtype, notes={MODEL_NOTE: networks.config.name})


def write_directions(
    directions: Mapping[str, Direction], model: str, path: Path, *, dtype: torch.dtype = torch.float16
) -> None:
    """Write the directions of a model into a file of their own: they are found anew more often than networks trained.

    Args:
        directions: Attribute -> direction.
        model: The configuration's name.
        path: The file.
        dtype: Type of the stored numbers.
    """
    checkpoint.save({DIRECTIONS: _tensors(directions)}, path, dtype=dtype, notes={MODEL_NOTE: model})


def write_part(part: str, module: nn.Module, model: str, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a part of a model into a file of its own: parser, auricles, spectacles, which stand on little else.

    Args:
        part: Its name in ``Networks.modules``.
        module: The network.
        model: The configuration's name.
        path: The file.
        dtype: Type of the stored numbers.
    """
    checkpoint.save({part: module}, path, dtype=dtype, notes={MODEL_NOTE: model})


def _tensors(directions: Mapping[str, Direction]) -> dict[str, Tensor]:
    return {
        f"{name}.{space}": getattr(direction, space)
        for name, direction in directions.items()
        for space in ("renderer", "decoder")
    }


def read_networks(paths: Iterable[Path]) -> Networks:
    """Read the files of one model, strictly.

    Raises:
        WeightsMissing: A file is not there.
        WeightsCorrupt: A file is damaged, of an unknown model, or its parts do not fit the networks.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    name = ""
    for path in paths:
        for part, state in checkpoint.load(path).items():
            if part == DIRECTIONS:  # of a later file: they replace what an earlier one holds, all of it
                parts[part] = state
            else:
                parts.setdefault(part, {}).update(state)
        name = checkpoint.metadata(path).get(MODEL_NOTE, name)
    config = CONFIGURATIONS.get(name)
    if config is None:
        raise WeightsCorrupt(f"These weights are of an unknown model “{name}”.", hint="Update the program.")
    for needed in ("generator", "encoder", "latents"):
        if needed not in parts:
            raise WeightsCorrupt(f"The weights lack their part “{needed}”.", hint="Get the weights again.")
    modules = {part: _filled(part, config, parts[part]) for part in _BUILDERS if part in parts}
    return Networks(
        config,
        modules["generator"],  # type: ignore[arg-type]  # the table below says which class stands where
        modules["encoder"],  # type: ignore[arg-type]
        *_latents(parts["latents"]),
        modules.get("local"),  # type: ignore[arg-type]
        modules.get("modulation"),  # type: ignore[arg-type]
        modules.get("fusion"),  # type: ignore[arg-type]
        modules.get("aligner"),  # type: ignore[arg-type]
        _directions(parts.get(DIRECTIONS, {})),
        *_landmarks(config, parts.get("landmarks")),
        modules.get("reader"),  # type: ignore[arg-type]
        modules.get("parser"),  # type: ignore[arg-type]
        modules.get("auricles"),  # type: ignore[arg-type]
        modules.get("spectacles"),  # type: ignore[arg-type]
    )


_BUILDERS = {
    "generator": lambda config, _: Generator(config.generator),
    "encoder": lambda config, _: Encoder(config.encoder),
    "local": lambda config, _: LocalEncoder(config.local),
    "modulation": lambda config, _: TextureModulation(config.local, config.generator.field.width),
    "fusion": lambda config, _: HybridFusion(config.local.channels, quiet=config.quiet_fusion),
    "aligner": lambda config, _: ResidualAligner(config.aligner),
    "reader": lambda config, state: reader_like(state, config.generator.field.style_dim),
    "parser": lambda config, state: parser_like(state),
    "auricles": lambda config, state: auricles_like(state, config.generator.field.style_dim),
    "spectacles": lambda config, _: SpectaclesDetector(),
}


def _filled(part: str, config: ModelConfig, state: dict[str, Tensor]) -> nn.Module:
    # Initial values are thrown away at once, and drawing them would disturb the caller's random state.
    with torch.random.fork_rng(devices=[]):
        module: nn.Module = _BUILDERS[part](config, state)
    checkpoint.load_into(module, state, part)
    return module


def _landmarks(config: ModelConfig, state: dict[str, Tensor] | None) -> tuple[LandmarkRegressor | None, Tensor | None]:
    if state is None:
        return None, None
    indices = state.pop(INDICES, None)
    if indices is None:
        raise WeightsCorrupt("The weights do not say which landmarks theirs are.", hint="Get the weights again.")
    width = state["layers.0.weight"].shape[0] if "layers.0.weight" in state else 1
    with torch.random.fork_rng(devices=[]):
        regressor = LandmarkRegressor(config.generator.field.style_dim, len(indices), width)
    checkpoint.load_into(regressor, state, "landmarks")
    return regressor, indices.long()


def _latents(state: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    missing = [name for name in LATENTS if name not in state]
    if missing:
        raise WeightsCorrupt(f"The weights lack {missing[0]}.", hint="Get the weights again.")
    return state["renderer_mean"], state["decoder_mean"], state["renderer_scale"], state["decoder_scale"]


def _directions(state: dict[str, Tensor]) -> dict[str, Direction]:
    names = sorted({key.rpartition(".")[0] for key in state})
    try:
        return {known_as(name): Direction(state[f"{name}.renderer"], state[f"{name}.decoder"]) for name in names}
    except KeyError as error:
        raise WeightsCorrupt(f"The weights lack the direction {error}.", hint="Get the weights again.") from error
