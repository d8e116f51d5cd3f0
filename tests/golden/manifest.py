"""The state dicts of our networks under the names of the released files: what ``state_dict_manifest.json`` lists."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.models.aligner import ResidualAligner
from core.models.arcface import ArcFace
from core.models.checkpoint import official_state
from core.models.configuration import OFFICIAL_1024, OFFICIAL_1024_TRAINING, ModelConfig
from core.models.discriminator import ImageDiscriminator, VolumeDiscriminator
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.local import LocalEncoder, TextureModulation
from core.models.perceptual import Lpips

Manifest = dict[str, dict[str, tuple[list[int], str]]]


def _local(config: ModelConfig) -> Mapping[str, Tensor]:
    return official_state(LocalEncoder(config.local), TextureModulation(config.local, config.generator.field.width))


def our_manifest() -> Manifest:
    """Section → key → shape, type."""
    with torch.device("meta"):
        generator = Generator(OFFICIAL_1024.generator).state_dict()
        critic = ImageDiscriminator(1024).state_dict()
        states: dict[str, Mapping[str, Tensor]] = {
            "stylesdf_full_model/g_ema": generator,
            "stylesdf_full_model/d": critic,
            "stylesdf_volume_renderer/g_ema": {k: v for k, v in generator.items() if not k.startswith("decoder.")},
            "stylesdf_volume_renderer/d": VolumeDiscriminator().state_dict(),
            "e3dge/encoder": Encoder(OFFICIAL_1024.encoder).state_dict(),
            "e3dge/netLocal": _local(OFFICIAL_1024),
            "e3dge/grid_align": ResidualAligner(OFFICIAL_1024.aligner).state_dict(),
            "e3dge/Fuse_sft_block": HybridFusion(OFFICIAL_1024.local.channels).state_dict(),
            "e3dge/discriminator_1024": critic,
            "e3dge/discriminator_256_training_script_variant": ImageDiscriminator(256, pool=True).state_dict(),
            "e3dge/netLocal_training_script_variant": _local(OFFICIAL_1024_TRAINING),
            "arcface/model_ir_se50": ArcFace().state_dict(),
            "lpips/lin_after_rename": Lpips().lins.state_dict(),
        }
    return {
        section: {key: (list(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in state.items()}
        for section, state in states.items()
    }
