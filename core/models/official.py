"""The released StyleSDF and E3DGE files, as the user downloads them, made into one set of networks.

Their means are stored nowhere: the reference redraws them every run, so they are drawn here with a fixed seed and
belong to what is read. E0's decoder heads that no row uses (0.6 GB) are left in the file. The licence forbids shipping
these files; nothing here fetches them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from core.errors import WeightsCorrupt
from core.models.aligner import ResidualAligner
from core.models.checkpoint import StateDict, from_official, load_into, read_official
from core.models.configuration import OFFICIAL_1024, ModelConfig
from core.models.directions_io import load_boundaries
from core.models.discriminator import VolumeDiscriminator
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.local import LocalEncoder, TextureModulation
from core.models.networks import Networks

__all__ = ["lean", "read_official_networks", "read_pose_network"]

MEAN_DRAWS = 10_000
MEAN_SEED = 2  # the reference's demo scripts seed with 2
Module = TypeVar("Module", bound=nn.Module)


def lean(config: ModelConfig) -> ModelConfig:
    """The same family without decoder heads that no latent row uses."""
    encoder = config.encoder
    used = sorted(set(encoder.decoder_row_heads))
    heads = tuple(encoder.decoder_heads[i] for i in used)
    rows = tuple(used.index(i) for i in encoder.decoder_row_heads)
    return replace(config, encoder=replace(encoder, decoder_heads=heads, decoder_row_heads=rows))


def _without_idle_heads(state: Mapping[str, Tensor], config: ModelConfig) -> StateDict:
    kept = {old: new for new, old in enumerate(sorted(set(config.encoder.decoder_row_heads)))}
    result: StateDict = {}
    for key, value in state.items():
        if key.startswith("styles_stylegan."):
            _, head, rest = key.split(".", 2)
            if int(head) not in kept:
                continue
            key = f"styles_stylegan.{kept[int(head)]}.{rest}"
        result[key] = value
    return result


def _filled(make: Callable[[], Module], state: Mapping[str, Tensor], part: str) -> Module:
    """A network with these weights, never initialised at random."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    load_into(network, state, part)
    return network.eval().requires_grad_(False)


def _entry(parts: Mapping[str, StateDict], name: str, path: Path) -> StateDict:
    if name not in parts:
        raise WeightsCorrupt(
            f"{path.name} has no entry {name!r}", hint="This is another of the released files; check which is which."
        )
    return parts[name]


def read_pose_network(volume_renderer: Path) -> VolumeDiscriminator:
    """E3DGE's pose estimator: the critic in StyleSDF's volume renderer file.

    Raises:
        WeightsMissing: The file is not there.
        WeightsCorrupt: It is damaged or another file.
    """
    parts = read_official(volume_renderer)
    return _filled(VolumeDiscriminator, _entry(parts, "d", volume_renderer), "the pose network")


def read_official_networks(
    full_model: Path, runner: Path, boundaries: Path | None = None, *, config: ModelConfig = OFFICIAL_1024
) -> Networks:
    """The official networks from the user's files.

    Args:
        full_model: StyleSDF's full model, or a toonified one.
        runner: E3DGE's file; without fusion it is the variant with 2D alignment only, without a local branch Toonify's.
        boundaries: Folder of the editing directions.
        config: Sizes.

    Raises:
        WeightsMissing: A file is not there.
        WeightsCorrupt: A file is damaged, another file, or does not fit.
    """
    generator_parts, parts = read_official(full_model), read_official(runner)
    config = replace(config, fusion=config.fusion and "Fuse_sft_block" in parts)
    generator_state = _entry(generator_parts, "g_ema", full_model)
    generator = _filled(lambda: Generator(config.generator), generator_state, "the generator")
    encoder_state = _without_idle_heads(_entry(parts, "encoder", runner), config)
    config = lean(config)
    encoder = _filled(lambda: Encoder(config.encoder), encoder_state, "E0")
    draws = torch.randn(MEAN_DRAWS, config.generator.z_dim, generator=torch.Generator().manual_seed(MEAN_SEED))
    means = generator.mean_latents(draws)
    networks = Networks(
        config,
        generator,
        encoder,
        means[0].expand(config.renderer_rows, -1),
        means[1].expand(config.decoder_rows, -1),
        torch.ones(1, means[0].shape[0]),
        torch.ones(1, means[1].shape[0]),
        directions={} if boundaries is None else load_boundaries(boundaries),
    )
    if "netLocal" not in parts:
        return networks
    local_state, modulation_state = from_official(parts["netLocal"])
    width = config.generator.field.width
    fusion = None
    if config.fusion:
        fusion = _filled(lambda: HybridFusion(config.local.channels), parts["Fuse_sft_block"], "the fusion")
    aligner_state = _entry(parts, "grid_align", runner)
    return replace(
        networks,
        local=_filled(lambda: LocalEncoder(config.local), local_state, "E1"),
        modulation=_filled(lambda: TextureModulation(config.local, width), modulation_state, "the modulation"),
        aligner=_filled(lambda: ResidualAligner(config.aligner), aligner_state, "E_ADA"),
        fusion=fusion,
    )
