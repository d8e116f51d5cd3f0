"""Weights in and out: strict, atomic, and under the released names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import WeightsCorrupt, WeightsMissing
from core.models import checkpoint
from core.models.configuration import OFFICIAL_1024, TOY, LocalConfig
from core.models.directions_io import apply_directions, load_boundaries
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.local import LocalEncoder, TextureModulation

LEFTOVERS = LocalConfig(stem=4, entry=8, middle=8, channels=8, stacks=1, groups=2)


def test_a_saved_network_comes_back_the_same(tmp_path: Path) -> None:
    saved, fresh = Generator(TOY.generator), Generator(TOY.generator)
    checkpoint.save({"generator": saved, "means": {"w": torch.ones(3)}}, tmp_path / "w.safetensors", notes={"a": "b"})
    parts = checkpoint.load(tmp_path / "w.safetensors")
    checkpoint.load_into(fresh, parts["generator"], "the generator")
    for a, b in zip(saved.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(parts["means"]["w"], torch.ones(3))
    assert checkpoint.metadata(tmp_path / "w.safetensors") == {"a": "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_half_precision_on_disk_comes_back_as_float32(tmp_path: Path) -> None:
    checkpoint.save({"p": {"x": torch.tensor([0.1]), "n": torch.tensor(3)}}, tmp_path / "w", dtype=torch.float16)
    part = checkpoint.load(tmp_path / "w")["p"]
    assert part["x"].dtype == torch.float32
    assert part["n"].dtype == torch.int64


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
def test_a_state_that_does_not_fit_is_refused(change: str) -> None:
    network = HybridFusion(4)
    state = network.state_dict()
    if change == "missing":
        del state["scale.0.bias"]
    elif change == "unknown":
        state["extra"] = torch.zeros(1)
    else:
        state["scale.0.bias"] = torch.zeros(5)
    with pytest.raises(WeightsCorrupt, match=change):
        checkpoint.load_into(network, state, "the fusion")


def test_absent_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        checkpoint.load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"not weights at all")
    with pytest.raises(WeightsCorrupt):
        checkpoint.load(tmp_path / "bad")
    with pytest.raises(WeightsMissing):
        checkpoint.read_official(tmp_path / "none")
    with pytest.raises(WeightsCorrupt):
        checkpoint.read_official(tmp_path / "bad")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w"
    checkpoint.save({"p": {"x": torch.ones(2)}}, path)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        checkpoint.save({"p": {"x": "not a tensor"}}, path)  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_released_files_are_read_without_optimisers_and_parallel_prefixes(tmp_path: Path) -> None:
    content = {
        "iter": 7,
        "encoder": {"module.a": torch.ones(2)},
        "optimizer_e_optimizer": {"state": {}},
        "d": {"b": torch.zeros(1)},
    }
    torch.save(content, tmp_path / "w.pt")
    parts = checkpoint.read_official(tmp_path / "w.pt")
    assert parts.keys() == {"encoder", "d"}
    assert torch.equal(parts["encoder"]["a"], torch.ones(2))


def test_old_and_bare_released_files_are_read_too(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(checkpoint.read_official(tmp_path / "old.pth")[""]["x"], torch.ones(2))


def test_the_released_local_branch_splits_and_joins_without_loss() -> None:
    width = OFFICIAL_1024.generator.field.width
    encoder, modulation = LocalEncoder(LEFTOVERS), TextureModulation(LEFTOVERS, width)
    joined = checkpoint.official_state(encoder, modulation)
    assert "local_feat_to_tex_modulations_linear.fc_0.weight" in joined
    first, second = checkpoint.from_official(joined)
    checkpoint.load_into(LocalEncoder(LEFTOVERS), first, "E1")
    checkpoint.load_into(TextureModulation(LEFTOVERS, width), second, "the modulation")


def test_editing_boundaries_are_read_and_move_both_spaces_without_touching_the_arguments(tmp_path: Path) -> None:
    for space, size in (("renderer", 8), ("decoder", 6)):
        (tmp_path / f"{space}_Smiling").mkdir()
        np.save(tmp_path / f"{space}_Smiling" / "boundary.npy", np.full((1, size), 0.5, dtype=np.float32))
    directions = load_boundaries(tmp_path, ["Smiling"])
    styles, decoder_styles = torch.zeros(1, 3, 8), torch.zeros(1, 4, 6)
    moved = apply_directions(styles, decoder_styles, directions, {"Smiling": 2.0})
    assert torch.equal(moved[0], torch.ones(1, 3, 8))
    assert torch.equal(moved[1], torch.ones(1, 4, 6))
    assert styles.abs().max() == 0
    with pytest.raises(WeightsMissing):
        load_boundaries(tmp_path)
