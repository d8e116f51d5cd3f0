"""Weights become a run folder again: training goes on from what ships."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from core.models.configuration import TOY_256
from core.models.generator import Generator
from core.models.networks import Networks
from core.training.bundle import renewed, restore
from core.training.trainer import load_averaged


def test_the_field_of_some_weights_can_be_trained_on(tmp_path: Path) -> None:
    networks = Networks.random(TOY_256, seed=3)
    restore(networks, tmp_path)
    generator = Generator(TOY_256.generator)
    load_averaged(tmp_path / "field.pt", {"generator": generator})
    wanted = networks.generator.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in generator.state_dict().items())
    assert {path.name for path in tmp_path.iterdir()} == {
        "field.pt",
        "decoder.pt",
        "encoder.pt",
        "hybrid.pt",
        "latents.pt",
    }


def test_the_local_branch_of_some_weights_can_be_trained_on(tmp_path: Path) -> None:
    networks, other = Networks.random(TOY_256, seed=3), Networks.random(TOY_256, seed=4)
    restore(networks, tmp_path)
    back = renewed(other, tmp_path, "hybrid")
    for part in ("local", "modulation", "fusion", "aligner"):
        assert _same(getattr(back, part), getattr(networks, part)), part
        assert not _same(getattr(other, part), getattr(networks, part)), "the test would not tell them apart"
    assert _same(back.generator.decoder, networks.generator.decoder)
    assert _same(back.generator.field, other.generator.field), "the field is another stage's"
    assert not _same(other.generator.decoder, networks.generator.decoder), "renewed() left its argument alone"


def _same(a: nn.Module | None, b: nn.Module | None) -> bool:
    assert a is not None
    assert b is not None
    wanted = b.state_dict()
    return all(torch.equal(value, wanted[name]) for name, value in a.state_dict().items())
