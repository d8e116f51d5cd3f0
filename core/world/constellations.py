"""The landmarks of many heads and nothing else: no picture is drawn, so a head costs some hundredths of a second.

The same index gives the same head; a file appears under its name when it is complete.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.world import assets
from core.world.identity import Z_SIZE, scene_parameters
from core.world.scene import build
from core.world.series import Series, Task

FILE_HEADS = 1024
SEED = 163847  # another stream than those of shards, snapshots and glances


def sample(index: int) -> np.ndarray:
    """Z (256,) float32 of the head of that index."""
    return np.random.default_rng((SEED, index)).normal(size=Z_SIZE).astype(np.float32)


def write(pack: assets.Pack, path: Path, first: int, count: int) -> None:
    """Build ``count`` heads from ``first`` on and write z (N, 256) and landmarks (N, L, 3), world frame."""
    codes = np.stack([sample(index) for index in range(first, first + count)])
    found = [np.asarray(build(pack, scene_parameters(z)).landmarks, np.float32) for z in codes]
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, z=codes, landmarks=np.stack(found))
    partial.replace(path)


_pack: assets.Pack | None = None


def _open(pack_path: str) -> None:
    global _pack
    _pack = assets.load_pack(pack_path)


def _work(task: Task) -> int:
    assert _pack is not None
    write(_pack, Path(task[0]), task[1], task[2])
    return task[2]


CONSTELLATIONS = Series("landmarks", FILE_HEADS, _open, _work)
"""Files of ``write``."""
