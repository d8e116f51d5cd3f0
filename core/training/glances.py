"""What a field practises on: two quick looks at each of many heads."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.training.data import DataMissing

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Glances:
    """Heads of ``core.world.glances``, as the field's losses ask for them.

    Shape:
        z (H, 256), camera (H, 2, 3), depth (H, 2, S, S), normal (H, 2, S, S, 3) int8, part (H, 2, S, S) uint8, colour
        (H, S, S, 4) uint8 straight alpha, of the view ``coloured`` (H,), labels (H, A), landmarks (H, L, 3) in world
        units.
    """

    z: Tensor
    camera: Tensor
    depth: Tensor
    normal: Tensor
    part: Tensor
    colour: Tensor
    coloured: Tensor
    labels: Tensor
    landmarks: Tensor
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def load(cls, folder: Path, device: torch.device, *, limit: int | None = None) -> Glances:
        """Reads all finished files of ``python -m core.world glances``, at most ``limit`` heads, onto ``device``.

        Raises:
            DataMissing: if there are none.
        """
        files = sorted(folder.glob("glances_*.npz"))
        if not files:
            raise DataMissing(f"No glances in {folder}.", hint="Run `python -m core.world glances FOLDER` first.")
        names = [field.name for field in dataclasses.fields(cls) if field.name != "label_names"]
        parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in names}
        label_names: tuple[str, ...] = ()
        heads = 0
        for path in files:
            if limit is not None and heads >= limit:
                break
            with np.load(path, allow_pickle=False) as file:
                if "landmarks" not in file:
                    raise DataMissing(f"{path} is of an older version.", hint="Delete the folder and make it again.")
                for name in names:
                    parts[name].append(file[name] if limit is None else file[name][: limit - heads])
                label_names = tuple(json.loads(str(file["label_names"])))
            heads += len(parts["z"][-1])
        tensors = {}
        for name in names:  # one after the other: the whole is some gigabytes
            tensors[name] = torch.from_numpy(np.concatenate(parts.pop(name))).to(device)
        logger.info("loaded %d heads from %s", heads, folder)
        return cls(**tensors, label_names=label_names)

    def code(self, head: Tensor, view: Tensor) -> Tensor:
        """The z (N, 256) that made each (head, view)."""
        del view
        return self.z[head]

    @property
    def labels_edit(self) -> Tensor:
        """No head has a second state."""
        return self.labels

    def colours(self) -> Tensor:
        """(H, 2, S, S, 4): nothing (alpha 0) where a view has no colour."""
        device = self.colour.device
        both = torch.zeros(len(self), 2, *self.colour.shape[1:], dtype=self.colour.dtype, device=device)
        both[torch.arange(len(self), device=device), self.coloured] = self.colour
        return both
