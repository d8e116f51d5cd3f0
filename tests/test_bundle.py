"""Laws of the weights file of a whole model: what is written is read, and anything else is refused with a sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from core.errors import WeightsCorrupt, WeightsMissing
from core.models import checkpoint
from core.models.auricles import AuricleFrames
from core.models.bundle import read_networks, write_directions, write_networks, write_part
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Direction, Networks
from tests.toy_head import ATTRIBUTES, toy_networks


@pytest.fixture(scope="module")
def networks() -> Networks:
    regressor = LandmarkRegressor(8, 5, 16)
    return dataclasses.replace(
        toy_networks(), landmarks=regressor, landmark_indices=torch.tensor([4, 33, 133, 263, 362])
    )


def test_what_is_written_is_read(networks: Networks, tmp_path: Path) -> None:
    write_networks(networks, tmp_path / "a.safetensors", dtype=torch.float32)
    again = read_networks([tmp_path / "a.safetensors"])
    assert again.config == networks.config
    assert again.modules.keys() == networks.modules.keys()
    for name, module in networks.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(again.modules[name].state_dict()[key], value), f"{name}.{key}"
    for name in ("renderer_mean", "decoder_mean", "renderer_scale", "decoder_scale", "landmark_indices"):
        assert torch.equal(getattr(again, name), getattr(networks, name))
    assert set(again.directions) == set(ATTRIBUTES)
    assert torch.equal(again.directions["Smile"].decoder, networks.directions["Smile"].decoder)


def test_half_precision_halves_the_file_and_keeps_three_digits(networks: Networks, tmp_path: Path) -> None:
    write_networks(networks, tmp_path / "full.safetensors", dtype=torch.float32)
    write_networks(networks, tmp_path / "half.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.7 * sizes[0]
    again = read_networks([tmp_path / "half.safetensors"])
    weight = networks.generator.field.rgb_linear.weight
    assert torch.allclose(again.generator.field.rgb_linear.weight, weight, rtol=2e-3, atol=1e-6)


def test_optional_parts_may_be_absent_and_needed_ones_may_not(networks: Networks, tmp_path: Path) -> None:
    bare = dataclasses.replace(
        networks, local=None, modulation=None, fusion=None, aligner=None, directions={}, landmarks=None
    )
    write_networks(bare, tmp_path / "bare.safetensors")
    again = read_networks([tmp_path / "bare.safetensors"])
    assert set(again.modules) == {"generator", "encoder"}
    assert again.directions == {}
    checkpoint.save({"generator": networks.generator}, tmp_path / "half.safetensors", notes={"model": "toy"})
    with pytest.raises(WeightsCorrupt, match="encoder"):
        read_networks([tmp_path / "half.safetensors"])


def test_directions_may_have_a_file_of_their_own_which_replaces_those_of_the_networks(
    networks: Networks, tmp_path: Path
) -> None:
    write_networks(networks, tmp_path / "model.safetensors")
    ones = {name: Direction(torch.ones(3, 8), torch.ones(4, 8)) for name in ("Smile", "Hair length")}
    write_directions(ones, networks.config.name, tmp_path / "directions.safetensors")
    again = read_networks([tmp_path / "model.safetensors", tmp_path / "directions.safetensors"])
    assert set(again.directions) == {"Smile", "Hair length"}
    assert torch.equal(again.directions["Smile"].renderer, torch.ones(3, 8))


def test_directions_of_earlier_weights_go_by_the_names_of_today(networks: Networks, tmp_path: Path) -> None:
    old = dataclasses.replace(networks, directions={"Hair": Direction(torch.ones(3, 8), torch.ones(4, 8))})
    write_networks(old, tmp_path / "old.safetensors")
    assert set(read_networks([tmp_path / "old.safetensors"]).directions) == {"Hair length"}


def test_unknown_models_and_missing_files_are_explained(networks: Networks, tmp_path: Path) -> None:
    checkpoint.save({"generator": networks.generator}, tmp_path / "other.safetensors", notes={"model": "other"})
    with pytest.raises(WeightsCorrupt, match="unknown model"):
        read_networks([tmp_path / "other.safetensors"])
    with pytest.raises(WeightsMissing):
        read_networks([tmp_path / "nothing.safetensors"])


def test_ears_have_a_file_of_their_own(networks: Networks, tmp_path: Path) -> None:
    write_networks(networks, tmp_path / "model.safetensors")
    assert read_networks([tmp_path / "model.safetensors"]).auricles is None
    ears = AuricleFrames(networks.config.generator.field.style_dim, 7, (12, 10))
    ears.points.copy_(torch.rand(7, 3))
    ears.relief.copy_(torch.rand(4, 12, 10))
    write_part("auricles", ears, networks.config.name, tmp_path / "ears.safetensors", dtype=torch.float32)
    again = read_networks([tmp_path / "model.safetensors", tmp_path / "ears.safetensors"]).auricles
    assert again is not None
    assert torch.equal(again.points, ears.points)
    assert torch.equal(again.relief, ears.relief)
