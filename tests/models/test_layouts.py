"""The big configurations, by shapes alone: nothing is computed on the meta device."""

from __future__ import annotations

import pytest
import torch

from core.models.configuration import CAMEO_256, OFFICIAL_1024, PAPER_1024, TOY, ModelConfig
from core.models.encoder import Encoder
from core.models.generator import Generator

ALL = [OFFICIAL_1024, PAPER_1024, CAMEO_256, TOY]


@pytest.mark.parametrize("config", ALL, ids=lambda c: c.name)
def test_the_encoder_gives_one_offset_a_latent_row(config: ModelConfig) -> None:
    with torch.device("meta"):
        found = Encoder(config.encoder)(torch.zeros(2, config.encoder.in_channels, 256, 256))
    generator = config.generator
    assert found.styles.shape == (2, config.renderer_rows, generator.field.style_dim)
    assert found.decoder_styles.shape == (2, config.decoder_rows, generator.decoder.style_dim)
    assert (found.pose is None) == (config.encoder.pose_outputs == 0)


@pytest.mark.parametrize("config", ALL, ids=lambda c: c.name)
def test_the_decoder_makes_a_picture_of_its_size(config: ModelConfig) -> None:
    decoder = config.generator.decoder
    with torch.device("meta"):
        network = Generator(config.generator)
        features = torch.zeros(1, decoder.in_channels, decoder.start_size, decoder.start_size)
        picture = network.decoder(features, torch.zeros(1, decoder.rows, decoder.style_dim))
    assert picture.shape == (1, decoder.out_channels, decoder.image_size, decoder.image_size)


def test_the_paper_s_heads_read_32_for_geometry_64_for_colour_and_128_for_the_decoder() -> None:
    heads = PAPER_1024.encoder
    assert [head.level for head in heads.renderer_heads] == [32] * 8 + [64]
    assert [head.level for head in heads.decoder_heads] == [128] * 10
    assert heads.decoder_row_heads == tuple(range(10)), "one head a latent"
    assert all(2**head.convs == head.level for head in heads.renderer_heads + heads.decoder_heads)


def test_the_release_repeats_its_first_decoder_head() -> None:
    torch.manual_seed(0)
    config = TOY.encoder
    repeated = type(config)(**{**config.__dict__, "decoder_row_heads": (0, 0, 0, 0)})
    found = Encoder(repeated).eval()(torch.randn(1, 4, 256, 256))
    assert (found.decoder_styles == found.decoder_styles[:, :1]).all()


def test_a_preview_stops_at_a_lower_resolution_with_the_same_weights() -> None:
    torch.manual_seed(0)
    decoder = Generator(TOY.generator).decoder
    features, styles = torch.randn(1, 8, 64, 64), torch.randn(1, 4, 8)
    assert decoder(features, styles, resolution=64).shape == (1, 5, 64, 64)


def test_noise_can_be_left_out_or_brought_along() -> None:
    torch.manual_seed(0)
    decoder = Generator(TOY.generator).decoder
    for name, parameter in decoder.named_parameters():
        if name.endswith("noise.weight"):
            parameter.data.fill_(0.5)
    features, styles = torch.randn(1, 8, 64, 64), torch.randn(1, 4, 8)
    stored = decoder(features, styles)
    assert torch.equal(stored, decoder(features, styles)), "stored noise never flickers"
    assert not torch.allclose(stored, decoder(features, styles, noise=False))
    zeros = [torch.zeros_like(noise) for noise in decoder.noises.all()]
    assert torch.equal(decoder(features, styles, noise=zeros), decoder(features, styles, noise=False))
