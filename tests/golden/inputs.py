"""What goes into the golden runs, drawn by the README's rule or read from the folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.bench.made_up import draw

Arrays = dict[str, NDArray[np.generic]]
FILES = ("generator", "e3dge", "mesh32", "misc")
EDITED = ("Bangs", "Smiling", "No_Beard", "Young")


@dataclass(frozen=True)
class Folder:
    """A folder of goldens: its parameters and, by file, its arrays."""

    path: Path
    salt: str
    image_phase: float
    misc_image_phases: tuple[float, float]
    mesh_view: tuple[float, float]

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Read ``parameters.json``."""
        values = json.loads((path / "parameters.json").read_text("utf-8"))
        return cls(
            path,
            values["salt"],
            values["image_phase"],
            tuple(values["misc_image_phases"]),
            tuple(values["mesh_view"]),
        )

    def arrays(self, name: str) -> Arrays:
        """All arrays of ``name.npz``."""
        with np.load(self.path / f"{name}.npz") as file:
            return dict(file)

    def manifest(self) -> dict[str, dict[str, tuple[list[int], str]]]:
        """Part → key → shape, type."""
        manifest: dict[str, dict[str, tuple[list[int], str]]] = json.loads(
            (self.path / "state_dict_manifest.json").read_text("utf-8")
        )
        return manifest


def image(phase: float) -> Tensor:
    """The made-up photo. Shape: (1, 3, 256, 256)."""
    centres = (np.arange(256) + 0.5) / 256
    v, u = np.meshgrid(centres, centres, indexing="ij")
    turn = 2 * np.pi
    channels = [
        0.5 * np.sin(turn * (3 * u + 2 * v) + c + phase)
        + 0.3 * np.cos(turn * 5 * u * v + 2 * c)
        + 0.15 * np.sin(turn * (17 * u - 11 * v) + 0.7 * c)
        for c in range(3)
    ]
    return torch.from_numpy(np.clip(np.stack(channels), -1, 1).astype(np.float32))[None]


def seeded(salt: str) -> Arrays:
    """The seeded inputs by the names they have in the files."""
    arrays: Arrays = {
        "z": draw(salt, "z", "0", (1, 256)),
        "mean_z": draw(salt, "z", "mean", (16, 256)),
        "wplus_renderer": 0.5 * draw(salt, "wp", "r", (1, 9, 256)),
        "wplus_decoder": 0.5 * draw(salt, "wp", "d", (1, 10, 512)),
        "query_pts": np.clip(0.08 * draw(salt, "q", "pts", (1, 200, 1, 1, 3)), -0.12, 0.12).reshape(200, 3),
        "mean_latent_renderer": 0.3 * draw(salt, "mean", "0", (256,)),
        "mean_latent_decoder": 0.3 * draw(salt, "mean", "1", (512,)),
    }
    for attribute in EDITED:
        for space, width in (("renderer", 256), ("decoder", 512)):
            vector = draw(salt, "boundary", f"{space}_{attribute}", (1, width))
            arrays[f"boundary_{space}_{attribute}"] = vector / np.linalg.norm(vector)
    return {name: array.astype(np.float32) for name, array in arrays.items()}
