"""A run on eight rows of numbers, by however many processes were started; what is learned is written to a file.

Called by a test: ``torchrun --nproc-per-node 2 -m tests.training.sharded FOLDER STEPS``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.job import Job
from core.training.processes import processes
from core.training.trainer import TrainerConfig, train

ROWS = 8


class Shares:
    """A step sees all rows, whoever sees them: every process takes an equal share."""

    name = "shares"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x, self.y = (torch.randn(ROWS, 5, generator=generator) for _ in range(2))
        # A start of its own in every process: the first one's must be taken by all.
        torch.manual_seed(7 + processes().rank)
        self.network = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 5))
        self.unused = nn.Linear(3, 3)
        self.modules: dict[str, nn.Module] = {"network": self.network, "unused": self.unused}

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        return [{"params": [*self.network.parameters(), *self.unused.parameters()], "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        team = processes()
        share = slice(team.rank * ROWS // team.count, (team.rank + 1) * ROWS // team.count)
        loss = (self.network(self.x[share]) - self.y[share]).square().mean()
        return loss, {"distance": loss}

    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8] | None:
        return None


def main(folder: Path, steps: int) -> None:
    config = TrainerConfig(folder, minutes=1e6, learning_rate=0.02, warm_up=1, log_every=1, max_steps=steps)
    train(Shares(), config, Job.quiet())
    (folder / f"process_{processes().rank}_of_{processes().count}").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
