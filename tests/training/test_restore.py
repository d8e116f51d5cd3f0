"""Weights become a run folder again: training goes on from what ships."""

from __future__ import annotations

from pathlib import Path

import torch

from core.models.configuration import TOY_256
from core.models.generator import Generator
from core.models.networks import Networks
from core.training.bundle import restore
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
        "latents.pt",
    }
