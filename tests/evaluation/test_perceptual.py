"""The perceptual distance, with a network of the right shape and random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.evaluation.perceptual import BLOCKS, Perceptual, vgg_file
from core.training.losses import VGG_PLAN, PerceptualDistance


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    arrays = {}
    for name, inputs, outputs in VGG_PLAN:
        arrays[f"{name}_weight"] = random.normal(size=(outputs, inputs, 3, 3)).astype(np.float16) / inputs**0.5
        arrays[f"{name}_bias"] = np.zeros(outputs, np.float16)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.npz"
    np.savez(path, **arrays)
    return path


def test_equal_pictures_are_no_distance_apart(file: Path) -> None:
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    assert Perceptual(file)(picture, picture) == 0.0


def test_it_is_the_norm_that_training_uses(file: Path) -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 3, 32, 32, generator=random) * 2 - 1 for _ in range(2))
    assert Perceptual(file)(a, b) == pytest.approx(float(PerceptualDistance(file)(a, b)), rel=1e-5)
    assert sum(count for _, count in BLOCKS) == len(VGG_PLAN)


def test_a_file_is_taken_where_it_is_named_or_where_it_usually_lies(file: Path, tmp_path: Path) -> None:
    assert vgg_file(file) == file
    assert vgg_file(tmp_path / "nothing.npz", (file,)) is None
    assert vgg_file(None, (tmp_path / "nothing.npz", file)) == file
    assert vgg_file(None, ()) is None
