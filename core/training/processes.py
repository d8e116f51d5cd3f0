"""One process, or several that ``torchrun`` started: gradients are averaged, one of them writes.

Every process draws its own heads, so a step of n processes is a step over n batches. Tasks call their networks as they
like, so nothing is wrapped: what a wrapper would do in the backward pass is done after it. With one process there is
nothing to do and Accelerate is not needed.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import CameoError


@dataclasses.dataclass(frozen=True, eq=False)
class Processes:
    """The processes of a run.

    Attributes:
        rank: Which one this is; the one with 0 writes logs, states and sheets.
        count: How many there are.
        local: Which one of its machine this is: the number of its graphics card.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    accelerator: Any = None

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Gives every process the mean of all gradients. A parameter without one counts as zero if others have one."""
        if self.count == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        # Whether a loss joined may differ by chance, and all must send the same.
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        mean = self.accelerator.reduce(torch.cat([g.flatten() for g in gradients]), reduction="mean")
        for p, part in zip(trained, mean.split([p.numel() for p in trained]), strict=True):
            p.grad = part.view_as(p).clone()

    def agree(self, value: float) -> float:
        """The first process's number, for all: clocks differ, and all must stop at the same step."""
        if self.count == 1:
            return value
        mine = torch.tensor(value if self.first else 0.0, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(mine, reduction="sum"))

    def share(self, modules: Iterable[nn.Module]) -> None:
        """Gives every process the first one's parameters and buffers."""
        if self.count == 1:
            return
        from accelerate.utils import broadcast

        with torch.no_grad():
            for module in modules:
                tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
                for tensor in tensors:
                    tensor.copy_(broadcast(tensor.detach().clone()))

    def wait(self) -> None:
        """Returns when all have come here: what the first one wrote can be read."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()


@functools.cache
def processes() -> Processes:
    """This run's processes, as the launcher's environment says.

    Raises:
        CameoError: There are several, and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise CameoError(
            "Several processes need the package accelerate.", hint="Run `pip install accelerate`, or use one process."
        ) from error
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    return Processes(accelerator.process_index, accelerator.num_processes, accelerator.local_process_index, accelerator)
