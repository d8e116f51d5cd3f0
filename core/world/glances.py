"""Two quick looks at many heads: geometry from both, colour from one, at a ninth of the cost of a full shard.

What a field generalises from is the number of different heads. A shard's five views of two states, drawn large, teach
one head well; these teach many. The same index gives the same head; a file appears under its name when it is complete.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from core.camera import Camera
from core.world import assets
from core.world.dataset import WIDE_HALF_FOV
from core.world.identity import LABELS, Z_SIZE, labels, scene_parameters
from core.world.rasteriser import Renderer
from core.world.scene import build
from core.world.series import Series, Task

SIZE = 96
FILE_HEADS = 256
SEED = 81929  # another stream than the shards' and the snapshots'
VIEWS = 2


def sample(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Z (256,) float32; cameras (2, 3) yaw, pitch, half field of view [rad]: as for a photo, and from anywhere."""
    random = np.random.default_rng((SEED, index))
    z = random.normal(size=Z_SIZE).astype(np.float32)
    half_fov = Camera().half_fov
    photo = (np.clip(random.normal() * 0.35, -1.0, 1.0), np.clip(random.normal() * 0.15, -0.4, 0.4), half_fov)
    if random.random() < 0.5:
        other = (random.uniform(-1.6, 1.6), np.clip(random.normal() * 0.2, -0.5, 0.5), half_fov)
    else:
        other = (random.uniform(-np.pi, np.pi), random.uniform(-0.7, 1.0), WIDE_HALF_FOV)
    return z, np.array([photo, other], np.float32)


def write(shape: Renderer, paint: Renderer, path: Path, first: int, count: int) -> None:
    """Look at ``count`` heads from ``first`` on and write one file of them.

    Shape:
        z (N, 256), camera (N, 2, 3), depth (N, 2, 96, 96) float32, normal (N, 2, 96, 96, 3) int8, part (N, 2, 96, 96)
        uint8, colour (N, 96, 96, 4) uint8 straight alpha, of the view ``coloured`` (N,), labels (N, A), landmarks
        (N, L, 3) in the world frame.
    """
    names = ("z", "camera", "depth", "normal", "part", "colour", "coloured", "labels", "landmarks")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for index in range(first, first + count):
        z, cameras = sample(index)
        parameters = scene_parameters(z)
        scene, coloured = build(shape.pack, parameters), int(index % 4 == 3)  # three of four have a face to be read
        seen = [shape.geometry(scene, *camera) for camera in cameras.astype(float).tolist()]
        for name, values in zip(("depth", "normal", "part"), zip(*seen, strict=True), strict=True):
            rows[name].append(np.stack(values))
        rows["colour"].append(paint.colour(scene, *cameras[coloured].astype(float).tolist()))
        rows["coloured"].append(np.array(coloured, np.int64))
        rows["z"].append(z)
        rows["camera"].append(cameras)
        rows["labels"].append(np.array([labels(parameters)[name] for name in LABELS], np.float32))
        rows["landmarks"].append(np.asarray(scene.landmarks, np.float32))
    arrays: dict[str, Any] = {name: np.stack(values) for name, values in rows.items()}
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, label_names=np.array(json.dumps(LABELS)), **arrays)
    partial.replace(path)


_renderers: tuple[Renderer, Renderer] | None = None


def _open(pack_path: str) -> None:
    global _renderers
    pack = assets.load_pack(pack_path)
    _renderers = Renderer(pack, 2 * SIZE), Renderer(pack, SIZE)


def _work(task: Task) -> int:
    assert _renderers is not None
    write(*_renderers, Path(task[0]), task[1], task[2])
    return task[2]


GLANCES = Series("glances", FILE_HEADS, _open, _work)
"""Files of ``write``."""
