"""Every part of every small configuration runs forward and backward, starts quietly, and stays within its budget."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.models.aligner import ResidualAligner
from core.models.checkpoint import megabytes
from core.models.configuration import CAMEO_256, TOY, ModelConfig
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.local import LocalEncoder, TextureModulation, lookup
from core.models.volume import look_at_origin


def parts_of(config: ModelConfig) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "generator": Generator(config.generator),
        "encoder": Encoder(config.encoder),
        "local": LocalEncoder(config.local),
        "modulation": TextureModulation(config.local, config.generator.field.width),
        "aligner": ResidualAligner(config.aligner),
        "fusion": HybridFusion(config.local.channels, quiet=config.quiet_fusion),
    }


def run_everything(config: ModelConfig, parts: Mapping[str, nn.Module]) -> torch.Tensor:
    """One small pass through all parts; returns a number that depends on every parameter."""
    generator = parts["generator"]
    assert isinstance(generator, Generator)
    styles = generator.styles(generator.mapping(torch.randn(1, config.generator.z_dim)))
    decoder_styles = generator.decoder_styles(styles[:, 0])
    poses = look_at_origin(torch.tensor([0.3]), torch.tensor([-0.1]))
    volume = generator.render(styles, poses, samples=3)
    side = config.generator.decoder.image_size
    guide = torch.randn(1, config.generator.decoder.guide_channels, side, side)
    picture = generator.decoder(volume.maps(64).feature, decoder_styles, guide=guide)
    found = parts["encoder"](torch.randn(2, config.encoder.in_channels, 256, 256))
    features = parts["local"](torch.randn(1, 3, 256, 256), torch.ones(1, 1, 256, 256))
    aligned = parts["aligner"](torch.randn(2, 6, 256, 256))
    points = torch.rand(1, 50, 3) * 0.2 - 0.1
    f3d = lookup(features, torch.rand(1, 50, 2) * 2 - 1)
    fused = parts["fusion"](0.5 * f3d, torch.ones(1, 50, 1), f3d)
    assert torch.equal(fused, f3d), "the fusion must start as the identity"
    modulation = parts["modulation"](fused, points)
    assert modulation[0].abs().max() == 0, "the modulation must start at zero"
    assert aligned.abs().max() == 0, "the aligner must start at zero"
    assert found.styles.abs().max() < 0.1
    assert found.decoder_styles.abs().max() < 0.1
    assert found.pose.abs().max() == 0
    sample = generator.field(points, styles, modulation=modulation)
    assert (sample.sdf - (points.norm(dim=-1, keepdim=True) - 0.1)).abs().max() < 0.02, "a ball, nearly"
    total = picture.square().mean() + aligned.mean() + fused.mean() + sample.rgb_raw.mean() + found.pose.mean()
    return total + found.styles.square().mean() + found.decoder_styles.mean() + modulation[0].mean()


@pytest.mark.parametrize("config", [TOY, CAMEO_256], ids=lambda c: c.name)
def test_every_parameter_of_a_small_model_gets_a_gradient(config: ModelConfig) -> None:
    parts = parts_of(config)
    run_everything(config, parts).backward()
    for name, module in parts.items():
        silent = [key for key, p in module.named_parameters() if p.grad is None]
        assert not silent, f"{name}: {silent}"
        assert all(bool(p.grad.isfinite().all()) for p in module.parameters() if p.grad is not None)


def test_the_embedded_model_keeps_its_budget_of_work_and_bytes() -> None:
    parts = parts_of(CAMEO_256)
    generator = parts["generator"]
    assert isinstance(generator, Generator)
    assert sum(megabytes(parts, bytes_each=2).values()) <= 30
    with torch.no_grad():
        styles = torch.randn(1, 6, 256)
        with FlopCounterMode(display=False) as decoder:
            generator.decoder(torch.randn(1, 128, 64, 64), styles, guide=torch.randn(1, 6, 256, 256))
        with FlopCounterMode(display=False) as local:
            parts["local"](torch.randn(1, 3, 256, 256), torch.ones(1, 1, 256, 256))
    assert decoder.get_total_flops() <= 8e9
    assert local.get_total_flops() <= 4e9


def test_half_precision_autocast_changes_a_render_only_a_little() -> None:
    torch.manual_seed(0)
    generator = Generator(CAMEO_256.generator)
    styles = generator.styles(torch.randn(1, 256))
    poses = look_at_origin(torch.tensor([0.2]), torch.tensor([0.1]))
    with torch.no_grad():
        exact = generator.render(styles, poses, size=16)
        with torch.autocast("cpu", torch.bfloat16):
            rough = generator.render(styles, poses, size=16)
    assert (exact.rgb - rough.rgb).abs().max() < 0.02
    assert exact.xyz is not None
    assert rough.xyz is not None
    assert (exact.xyz - rough.xyz).abs().max() < 0.02
