"""Renders heads into shards for training: same index, same bytes, whatever the number of workers.

A shard is a folder of `.npy` arrays (memory-mappable) of 128 heads, each with two states (before and after an edit of
one to three attributes) and five views. A shard appears under its name only when it is complete, so an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.camera import Camera
from core.job import Job
from core.world import assets
from core.world.identity import (
    EDIT_WEIGHTS,
    EDITABLE,
    IDENTITY_BLOCKS,
    LABELS,
    Z_SIZE,
    labels,
    scene_parameters,
)
from core.world.rasteriser import Renderer
from core.world.scene import build

logger = logging.getLogger(__name__)

SHARD_HEADS = 128
SIZE = 256
VIEWS = 5
FLOW_VIEWS = (3, 4)  # views of the edited state: where each point was before
WIDE_HALF_FOV = float(np.radians(9.5))  # sees all hair and the end of the neck
SEED = 20251


@dataclass(frozen=True, eq=False)
class Head:
    """One sample: two codes and the five cameras."""

    z: np.ndarray  # (256,) float32
    z_edit: np.ndarray  # (256,) float32
    cameras: np.ndarray  # (5, 3) float32 yaw, pitch, half_fov in radians


def sample_head(index: int) -> Head:
    """The head of that index, from its own random stream."""
    random = np.random.default_rng((SEED, index))
    z = random.normal(size=Z_SIZE).astype(np.float32)
    z_edit = z.copy()
    names = list(EDITABLE)
    chance = np.array([EDIT_WEIGHTS[name] for name in names])
    count = int(random.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
    for name in random.choice(names, size=count, replace=False, p=chance / chance.sum()):
        for part in EDITABLE[str(name)]:
            where = IDENTITY_BLOCKS[part] if isinstance(part, str) else slice(part, part + 1)
            z_edit[where] = random.normal(size=z_edit[where].shape)
    half_fov = Camera().half_fov
    photo = (np.clip(random.normal() * 0.35, -1.0, 1.0), np.clip(random.normal() * 0.15, -0.4, 0.4), half_fov)
    side = (random.uniform(-1.6, 1.6), np.clip(random.normal() * 0.2, -0.5, 0.5), half_fov)
    around = (random.uniform(-np.pi, np.pi), random.uniform(-0.7, 1.0), WIDE_HALF_FOV)
    return Head(z, z_edit, np.array([photo, side, around, photo, side], np.float32))


def render_shard(renderer: Renderer, first: int, count: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Render heads one by one.

    Yields:
        number of heads done and the arrays of the latest one, keyed as in the shard, without the leading axis.
    """
    for done in range(count):
        head = sample_head(first + done)
        before, after = scene_parameters(head.z), scene_parameters(head.z_edit)
        scenes = build(renderer.pack, before), build(renderer.pack, after)
        buffers = []
        for view, (yaw, pitch, half_fov) in enumerate(head.cameras.astype(float)):
            if view in FLOW_VIEWS:
                buffers.append(renderer.render(scenes[1], yaw, pitch, half_fov, other=scenes[0]))
            else:
                buffers.append(renderer.render(scenes[0], yaw, pitch, half_fov))
        yield (
            done + 1,
            {
                "z": head.z,
                "z_edit": head.z_edit,
                "labels": np.array([labels(before)[name] for name in LABELS], np.float32),
                "labels_edit": np.array([labels(after)[name] for name in LABELS], np.float32),
                "camera": head.cameras,
                "colour": np.stack([b.colour for b in buffers]),
                "depth": np.stack([b.depth for b in buffers]),
                "normal": np.stack([b.normal for b in buffers]),
                "part": np.stack([b.part for b in buffers]),
                "other": np.stack([buffers[view].other_position for view in FLOW_VIEWS]),
                "landmarks": scenes[0].landmarks,
                "landmarks_edit": scenes[1].landmarks,
            },
        )


def shard_path(out: Path, first: int) -> Path:
    """Folder of the shard that starts at head `first`."""
    return out / f"shard_{first:07d}"


def write_shard(renderer: Renderer, out: Path, first: int, count: int) -> None:
    """Render and write one shard: into a temporary folder, renamed when complete."""
    final = shard_path(out, first)
    temporary = out / f".{final.name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}
    for done, sample in render_shard(renderer, first, count):
        if done == 1:
            arrays = {name: np.zeros((count, *value.shape), value.dtype) for name, value in sample.items()}
        for name, value in sample.items():
            arrays[name][done - 1] = value
    for name, value in arrays.items():
        np.save(temporary / f"{name}.npy", value)
    (temporary / "label_names.json").write_text(json.dumps(LABELS))
    temporary.replace(final)


_renderer: Renderer | None = None  # one context a worker process


def _open(pack_path: str) -> None:
    global _renderer
    _renderer = Renderer(assets.load_pack(pack_path), SIZE)


def _work(task: tuple[str, int, int]) -> int:
    if _renderer is None:
        message = "worker has no renderer"
        raise RuntimeError(message)
    out, first, count = task
    write_shard(_renderer, Path(out), first, count)
    return count


def generate(
    out_folder: Path | str, first: int, count: int, workers: int, pack: Path | str, job: Job | None = None
) -> list[Path]:
    """Render heads first .. first + count - 1 into shards.

    Args:
        out_folder: where the shards go; finished ones are kept and skipped.
        first: index of the first head, a multiple of 128.
        count: how many heads; the last shard may be shorter.
        workers: processes; 1 = in this one.
        pack: the pack file.
        job: progress and cancel.

    Returns:
        all shards of the range, in order.
    """
    out = Path(out_folder)
    out.mkdir(parents=True, exist_ok=True)
    job = job or Job(
        "Rendering heads", on_report=lambda fraction, stage: logger.info("%3.0f%% %s", 100 * fraction, stage)
    )
    starts = range(first, first + count, SHARD_HEADS)
    tasks = [
        (str(out), start, min(SHARD_HEADS, first + count - start))
        for start in starts
        if not shard_path(out, start).exists()
    ]
    total, done, began = sum(task[2] for task in tasks), 0, time.monotonic()

    def progress() -> None:
        speed = done / max(1e-6, time.monotonic() - began)
        job.report(done / max(1, total), f"{done} of {total} heads, {speed:.1f} a second")

    job.report(0.0, f"{total} of {count} heads to render")
    if workers <= 1 and tasks:
        renderer = Renderer(assets.load_pack(pack), SIZE)
        for task in tasks:
            write_shard(renderer, out, task[1], task[2])
            done += task[2]
            progress()
        renderer.close()
    elif tasks:
        context = multiprocessing.get_context("spawn")
        with context.Pool(min(workers, len(tasks)), _open, (str(pack),)) as pool:
            for rendered in pool.imap_unordered(_work, tasks):
                done += rendered
                progress()
    return [shard_path(out, start) for start in starts]
