"""A world of coloured ellipsoids in the format of the world's shards: exact depth, normals and flow."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from core.camera import Camera
from core.world.parts import PARTS

VIEWS = 5
HALF_FOV = np.radians(6.0)
INDICES = (33, 133, 362, 263, 61, 291, 1)
LANDMARKS = {"landmarks": [{"mediapipe": index, "vertex": i} for i, index in enumerate(INDICES)]}


def write(folder: Path, heads: int = 9, seed: int = 0) -> Path:
    """Writes one shard of ``heads`` ellipsoids below ``folder``; returns the folder."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((heads, 256)).astype(np.float32)
    z_edit = z.copy()
    z_edit[:, 0] += 1
    arrays: dict[str, np.ndarray] = {
        "z": z,
        "z_edit": z_edit,
        "labels": z[:, :2],
        "labels_edit": z_edit[:, :2],
        "camera": np.zeros((heads, VIEWS, 3), np.float32),
        "colour": np.zeros((heads, VIEWS, 256, 256, 4), np.uint8),
        "depth": np.zeros((heads, VIEWS, 128, 128), np.float16),
        "normal": np.zeros((heads, VIEWS, 128, 128, 3), np.int8),
        "part": np.zeros((heads, VIEWS, 128, 128), np.uint8),
        "other": np.zeros((heads, 2, 128, 128, 3), np.float16),
        "landmarks": np.zeros((heads, len(INDICES), 3), np.float32),
        "landmarks_edit": np.zeros((heads, len(INDICES), 3), np.float32),
    }
    for head in range(heads):
        yaw, pitch = rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.2)
        cameras = [(yaw, pitch), (rng.uniform(-0.7, 0.7), 0.1), (rng.uniform(-3, 3), 0.3), (yaw, pitch)]
        cameras.append(cameras[1])
        for view, (a, b) in enumerate(cameras):
            state = z_edit[head] if view >= 3 else z[head]
            axes = _axes(state)
            arrays["camera"][head, view] = a, b, HALF_FOV
            depth, normal, colour = _picture(Camera(a, b), axes, state, 128)
            arrays["depth"][head, view] = depth
            arrays["normal"][head, view] = np.round(normal * 127)
            # The upper half is hair.
            part = np.where(np.arange(128)[:, None] < 60, PARTS.index("hair"), PARTS.index("skin"))
            arrays["part"][head, view] = np.where(depth > 0, part, 0)
            arrays["colour"][head, view] = colour.repeat(2, 0).repeat(2, 1)
            if view >= 3:
                origin, directions = Camera(a, b).rays(128)
                points = origin + directions * depth[..., None]
                arrays["other"][head, view - 3] = np.where(depth[..., None] > 0, points / axes * _axes(z[head]), 0)
        for name, state in (("landmarks", z[head]), ("landmarks_edit", z_edit[head])):
            arrays[name][head] = _landmarks(state)
    shard = folder / "shard_00000"
    shard.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(shard / f"{name}.npy", values)
    (shard / "label_names.json").write_text(json.dumps(["Smile", "Age"]))
    (folder / "landmark_vertices.json").write_text(json.dumps(LANDMARKS))
    return folder


def write_snapshots(folder: Path, heads: int = 9, seed: int = 1) -> Path:
    """Writes one file of snapshots of ellipsoids below ``folder``; returns the folder."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((heads, 256)).astype(np.float32)
    colour = np.zeros((heads, 96, 96, 4), np.uint8)
    camera = np.zeros((heads, 3), np.float32)
    for head in range(heads):
        yaw, pitch = rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.2)
        camera[head] = yaw, pitch, HALF_FOV
        colour[head] = _picture(Camera(yaw, pitch), _axes(z[head]), z[head], 96)[2]
    landmarks = rng.standard_normal((heads, len(INDICES), 3)).astype(np.float32) * 0.03
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "snapshots_0000000.npz", colour=colour, z=z, camera=camera, landmarks=landmarks)
    return folder


def write_glances(folder: Path, heads: int = 9, seed: int = 2) -> Path:
    """Writes two quick looks at each of some ellipsoids below ``folder``; returns the folder."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((heads, 256)).astype(np.float32)
    camera = np.zeros((heads, 2, 3), np.float32)
    depth, part = np.zeros((heads, 2, 96, 96), np.float32), np.zeros((heads, 2, 96, 96), np.uint8)
    normal, colour = np.zeros((heads, 2, 96, 96, 3), np.int8), np.zeros((heads, 96, 96, 4), np.uint8)
    coloured = np.arange(heads) % 2
    for head in range(heads):
        for view in range(2):
            yaw, pitch = rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.2)
            camera[head, view] = yaw, pitch, HALF_FOV
            depth[head, view], found, seen = _picture(Camera(yaw, pitch), _axes(z[head]), z[head], 96)
            normal[head, view] = np.round(found * 127)
            part[head, view] = np.where(depth[head, view] > 0, PARTS.index("skin"), 0)
            if view == coloured[head]:
                colour[head] = seen
    folder.mkdir(parents=True, exist_ok=True)
    looks = {"camera": camera, "depth": depth, "normal": normal, "part": part, "colour": colour}
    looks["landmarks"] = np.stack([_landmarks(state) for state in z]).astype(np.float32)
    names = np.array(json.dumps(["Smile", "Age"]))
    np.savez(folder / "glances_0000000.npz", z=z, coloured=coloured, labels=z[:, :2], label_names=names, **looks)
    return folder


def write_landmarks(folder: Path, heads: int = 64, seed: int = 3) -> Path:
    """Writes the landmarks of some ellipsoids below ``folder``; returns the folder."""
    z = np.random.default_rng(seed).standard_normal((heads, 256)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "landmarks_0000000.npz", z=z, landmarks=np.stack([_landmarks(state) for state in z]))
    return folder


def _landmarks(z: np.ndarray) -> np.ndarray:
    unit = np.array(
        [[-0.5, 0.3, 0.8], [-0.2, 0.3, 0.9], [0.2, 0.3, 0.9], [0.5, 0.3, 0.8], [-0.3, -0.4, 0.85],
         [0.3, -0.4, 0.85], [0.0, 0.0, 1.0]]
    )  # fmt: skip
    return (unit / np.linalg.norm(unit, axis=1, keepdims=True) * _axes(z)).astype(np.float32)


def _axes(z: np.ndarray) -> np.ndarray:
    return 0.07 + 0.008 * np.tanh(z[:3])


def _picture(camera: Camera, axes: np.ndarray, z: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, world normals and straight RGBA of an ellipsoid with the given half-axes."""
    origin, directions = camera.rays(size)
    o, d = origin / axes, directions / axes
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum() - 1
    root = b * b - a * c
    hit = root > 0
    t = np.where(hit, (-b - np.sqrt(np.maximum(root, 0))) / a, 0)
    points = origin + directions * t[..., None]
    normal = points / axes**2
    normal = np.where(hit[..., None], normal / np.linalg.norm(normal, axis=-1, keepdims=True), 0)
    colour = 0.5 + 0.4 * np.sin(points * 60 + z[3:6])
    rgba = np.concatenate([colour, np.ones_like(t)[..., None]], -1) * hit[..., None]
    return t, normal, (rgba * 255).astype(np.uint8)


if __name__ == "__main__":
    toy = write(Path(sys.argv[1]))
    write_snapshots(toy / "snapshots")
    write_glances(toy / "glances")
    write_landmarks(toy / "landmarks")
