"""Reading the released layout, on toy-sized files of the same shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import WeightsCorrupt
from core.models.checkpoint import official_state
from core.models.configuration import TOY, LocalConfig, ModelConfig
from core.models.discriminator import VolumeDiscriminator
from core.models.networks import Networks
from core.models.official import lean, read_official_networks, read_pose_network

# The release's quirks at toy size: idle heads, one head for all decoder rows, leftovers, no pose head.
RELEASE = replace(
    TOY,
    encoder=replace(TOY.encoder, in_channels=3, decoder_row_heads=(0,) * 4, pose_outputs=0, quiet_heads=False),
    local=LocalConfig(stem=4, entry=8, middle=8, channels=8, stacks=1, groups=2),
)


def write_files(folder: Path, config: ModelConfig = RELEASE) -> tuple[Path, Path, Networks]:
    networks = Networks.random(config, 3)
    assert networks.local is not None
    assert networks.modulation is not None
    assert networks.aligner is not None
    full, runner = folder / "full.pt", folder / "runner.pt"
    torch.save({"g_ema": networks.generator.state_dict(), "g": {}, "d": {}}, full)
    content = {
        "iter": 5,
        "encoder": {f"module.{k}": v for k, v in networks.encoder.state_dict().items()},
        "netLocal": official_state(networks.local, networks.modulation),
        "grid_align": networks.aligner.state_dict(),
        "optimizer_e_optimizer": {"state": {}, "param_groups": []},
    }
    if networks.fusion is not None:
        content["Fuse_sft_block"] = networks.fusion.state_dict()
    torch.save(content, runner)
    return full, runner, networks


def test_the_user_s_files_become_networks_that_answer_the_same(tmp_path: Path) -> None:
    full, runner, written = write_files(tmp_path)
    read = read_official_networks(full, runner, config=RELEASE)
    photo = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        expected = written.encoder.eval()(photo)
        found = read.encoder(photo)
    assert torch.equal(found.styles, expected.styles)
    assert torch.equal(found.decoder_styles, expected.decoder_styles)
    assert len(read.encoder.styles_stylegan) == 1, "idle heads stay in the file"
    assert read.fusion is not None
    assert read.modules.keys() == written.modules.keys()


def test_means_are_drawn_the_same_every_time(tmp_path: Path) -> None:
    full, runner, written = write_files(tmp_path)
    first, second = (read_official_networks(full, runner, config=RELEASE) for _ in range(2))
    assert torch.equal(first.renderer_mean, second.renderer_mean)
    w = written.generator.mapping(torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(first.renderer_mean[0], w.mean(dim=0), atol=0.1, rtol=0)


def test_a_file_without_fusion_is_the_variant_with_2d_alignment_only(tmp_path: Path) -> None:
    full, runner, _ = write_files(tmp_path, replace(RELEASE, fusion=False))
    read = read_official_networks(full, runner, config=RELEASE)
    assert read.fusion is None
    assert not read.config.fusion
    assert read.local is not None


def test_swapped_files_are_refused(tmp_path: Path) -> None:
    full, runner, _ = write_files(tmp_path)
    with pytest.raises(WeightsCorrupt, match="g_ema"):
        read_official_networks(runner, full, config=RELEASE)


def test_the_other_class_of_local_branch_is_refused(tmp_path: Path) -> None:
    other = replace(RELEASE, local=replace(RELEASE.local, stem_norm="batch", modulation="linear"))
    full, runner, _ = write_files(tmp_path, other)
    with pytest.raises(WeightsCorrupt, match="do not fit"):
        read_official_networks(full, runner, config=RELEASE)


def test_the_pose_network_comes_from_the_volume_renderer_s_file(tmp_path: Path) -> None:
    critic = VolumeDiscriminator()
    torch.save({"d": critic.state_dict(), "g_ema": {}}, tmp_path / "volume.pt")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        read = read_pose_network(tmp_path / "volume.pt")(images)
        assert torch.equal(read.viewpoint, critic(images).viewpoint)


def test_a_lean_configuration_keeps_the_heads_that_rows_use() -> None:
    encoder = replace(TOY.encoder, decoder_row_heads=(2, 2, 0, 2))
    assert lean(replace(TOY, encoder=encoder)).encoder.decoder_row_heads == (1, 1, 0, 1)
