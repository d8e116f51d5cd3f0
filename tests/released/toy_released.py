"""A released-style family at toy size: the same layout, view directions and forced background, around a bumpy ball."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.models.configuration import (
    TOY,
    AlignerConfig,
    DecoderConfig,
    FieldConfig,
    GeneratorConfig,
    LocalConfig,
    ModelConfig,
    VolumeConfig,
)
from core.models.generator import Generator
from core.models.hybrid import HybridRenderer

torch.set_num_threads(1)

TOY_RELEASED = ModelConfig(
    "toy-released",
    GeneratorConfig(
        FieldConfig(width=16, depth=3, style_dim=8, view_directions=True, sdf_scale=0.04, sdf_sphere_radius=0.08),
        VolumeConfig(size=64, samples=24, initial_beta=0.005),
        DecoderConfig(16, ((64, 8), (128, 8), (256, 8)), style_dim=8, mapping_in=8, mapping_layers=2),
        z_dim=8,
        mapping_layers=2,
    ),
    TOY.encoder,
    LocalConfig(stem=8, entry=8, middle=8, channels=16, stacks=1, groups=2, leftovers=False),
    AlignerConfig(channels=(4, 8, 8, 8), units=2),
)
SMALL_DECODER = replace(TOY_RELEASED.generator.decoder, channels=((16, 8), (32, 8)))


def toy_generator(seed: int = 0) -> Generator:
    """Field and decoder with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(TOY_RELEASED.generator).eval().requires_grad_(False)


def toy_hybrid(seed: int = 0) -> HybridRenderer:
    """Everything with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HybridRenderer.build(TOY_RELEASED, 1024).eval().requires_grad_(False)
        for part in (network.modulation, network.fusion):
            assert part is not None
            for parameter in part.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape))
        for module in network.modules():
            if hasattr(module, "noise") and hasattr(module.noise, "weight"):
                module.noise.weight.fill_(0.1)
    return network


def toy_latents(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Latent rows of field and decoder."""
    random = torch.Generator().manual_seed(seed)
    config = TOY_RELEASED
    styles = torch.randn(1, config.renderer_rows, 8, generator=random)
    return styles, torch.randn(1, config.decoder_rows, 8, generator=random)
