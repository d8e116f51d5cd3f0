"""Single small pictures of many heads: what the reader learns from, at a fiftieth of the cost of a full shard.

One picture a head, colour only, from in front to nearly the side; the same index gives the same picture. A file holds
``FILE_HEADS`` of them and appears under its name only when it is complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.camera import Camera
from core.world import assets
from core.world.identity import Z_SIZE, scene_parameters
from core.world.rasteriser import Renderer
from core.world.scene import build
from core.world.series import Series, Task

SIZE = 96
FILE_HEADS = 256
SEED = 40963  # another stream than the shards'
YAW_SPREAD, PITCH_SPREAD = 0.35, 0.15
FARTHEST = (0.95, 0.4)


def sample(index: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Z (256,) float32 and camera (yaw, pitch) of the snapshot of that index."""
    random = np.random.default_rng((SEED, index))
    z = random.normal(size=Z_SIZE).astype(np.float32)
    yaw = float(np.clip(random.normal() * YAW_SPREAD, -FARTHEST[0], FARTHEST[0]))
    pitch = float(np.clip(random.normal() * PITCH_SPREAD, -FARTHEST[1], FARTHEST[1]))
    return z, (yaw, pitch)


def write(renderer: Renderer, path: Path, first: int, count: int) -> None:
    """Render ``count`` snapshots from ``first`` on and write one file of them.

    Shape:
        colour (N, 96, 96, 4) uint8 straight alpha, z (N, 256), camera (N, 3), landmarks (N, L, 3).
    """
    rows: dict[str, list[np.ndarray]] = {"colour": [], "z": [], "camera": [], "landmarks": []}
    half_fov = Camera().half_fov
    for index in range(first, first + count):
        z, (yaw, pitch) = sample(index)
        scene = build(renderer.pack, scene_parameters(z))
        rows["colour"].append(renderer.colour(scene, yaw, pitch, half_fov))
        rows["z"].append(z)
        rows["camera"].append(np.array([yaw, pitch, half_fov], np.float32))
        rows["landmarks"].append(np.asarray(scene.landmarks, np.float32))
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        arrays: dict[str, Any] = {name: np.stack(values) for name, values in rows.items()}
        np.savez(file, **arrays)
    partial.replace(path)


_renderer: Renderer | None = None


def _open(pack_path: str) -> None:
    global _renderer
    _renderer = Renderer(assets.load_pack(pack_path), SIZE)


def _work(task: Task) -> int:
    assert _renderer is not None
    write(_renderer, Path(task[0]), task[1], task[2])
    return task[2]


SNAPSHOTS = Series("snapshots", FILE_HEADS, _open, _work)
"""Files of ``write``."""
