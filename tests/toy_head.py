"""A model of toy size whose heads are smooth balls: enough to test what pictures, meshes and reports promise."""

from __future__ import annotations

from pathlib import Path

import torch

from core.camera import CameraLimits
from core.models.bundle import write_networks
from core.models.configuration import TOY, ModelConfig
from core.models.networks import Networks
from core.weights import InputContract, Registry

# Two threads on a busy machine wait for one another; one is enough for toys.
torch.set_num_threads(1)

NAME = "toy"
ATTRIBUTES = ("Smile", "Beard")
LIMITS = CameraLimits(1.2, -0.6, 0.6)


def toy_networks(seed: int = 0, config: ModelConfig = TOY) -> Networks:
    """A ball of radius 0.08 with gentle bumps that depend on the latents."""
    networks = Networks.random(config, seed, ATTRIBUTES)
    field = networks.generator.field
    with torch.no_grad():
        field.sigma_linear.weight.mul_(0.02)
        field.sigma_linear.bias.fill_(0.2)
        networks.generator.renderer.sigmoid_beta.fill_(0.0025)
        # Zero-initialised ends would hide the paths behind them.
        for name in ("aligner", "modulation", "fusion"):
            for parameter in networks.modules[name].parameters():
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return networks.ready(torch.device("cpu"))


def toy_registry(folder: Path) -> Registry:
    """A weights folder with the toy model in it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_networks(toy_networks(), folder / "toy.safetensors", dtype=torch.float32)
    registry = Registry(folder)
    registry.add(
        NAME,
        {"model": "toy.safetensors"},
        purpose="head",
        licence="Apache-2.0",
        contract=InputContract(128, LIMITS, ATTRIBUTES),
    )
    return registry
