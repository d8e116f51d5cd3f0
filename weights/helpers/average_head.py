"""Fits the average head that the first pose is solved on: MediaPipe's 468 points, in the frame of the synthetic world.

The detector puts its points not quite where a mesh has them, and every head has its own proportions. So the average
is fitted to what the detector *says* about renders whose cameras are known: each point lies where its detections in all
of them meet (linear least squares in the projection equations, reweighted), then the head is made symmetric. Run it
again when the world's heads change::

    python -m weights.helpers.average_head PACK.npz --heads 200
"""

import argparse
from pathlib import Path

import numpy as np

from core.alignment import detect_faces
from core.alignment.values import Array
from core.camera import HALF_FOV, Camera
from core.errors import NoFaceFound
from core.job import Job
from core.photo import Photo
from core.weights import Registry
from core.world.assets import load_pack
from core.world.identity import Z_SIZE, scene_parameters
from core.world.rasteriser import Renderer
from core.world.scene import build

OUT = Path(__file__).resolve().parent / "average_head.npy"
SEED, SIZE, GREY = 20, 512, 110
ROUNDS, OUTLIER = 6, 0.06  # of reweighting; residual in picture units (-1..1) that halves a detection's weight


def observe(pack_path: Path, heads: int) -> list[tuple[Camera, Array]]:
    """Cameras and detected landmarks (468, 2), -1..1, of random heads of the world."""
    renderer = Renderer(load_pack(pack_path), SIZE)
    random = np.random.default_rng(SEED)
    seen = []
    for _ in range(heads):
        scene = build(renderer.pack, scene_parameters(random.normal(size=Z_SIZE).astype(np.float32)))
        yaw, pitch = np.clip(random.normal(size=2) * (0.4, 0.15), (-1.0, -0.4), (1.0, 0.4))
        colour = renderer.render(scene, float(yaw), float(pitch), HALF_FOV).colour.astype(np.float32)
        alpha = colour[..., 3:] / 255.0
        picture = (colour[..., :3] * alpha + GREY * (1.0 - alpha)).astype(np.uint8)
        try:
            face = detect_faces(Photo.from_pixels(picture), Job.quiet())[0]
        except NoFaceFound:
            continue
        if face.landmarks is not None:
            seen.append((Camera(float(yaw), float(pitch)), face.landmarks / SIZE * 2.0 - 1.0))
    renderer.close()
    return seen


def meet(seen: list[tuple[Camera, Array]]) -> Array:
    """Where the detections of each landmark meet: (468, 3), world frame."""
    focal = Camera().focal(2)
    weights = np.ones((len(seen), 468))
    points = np.zeros((468, 3))
    for _ in range(ROUNDS):
        normal, right = np.zeros((468, 3, 3)), np.zeros((468, 3))
        for (camera, uv), weight in zip(seen, weights, strict=True):
            axes = camera.rotation.T
            for measured, axis in ((uv[:, 0], axes[0]), (-uv[:, 1], axes[1])):
                # focal * (axis . X) = measured * (1 - back . X), the projection of core.camera
                row = focal * axis[None] + measured[:, None] * axes[2][None]
                normal += weight[:, None, None] * row[:, :, None] * row[:, None, :]
                right += (weight * measured)[:, None] * row
        points = np.linalg.solve(normal, right[..., None])[..., 0]
        residual = np.stack([np.linalg.norm(camera.project(points)[0] - uv, axis=1) for camera, uv in seen])
        weights = 1.0 / (1.0 + (residual / OUTLIER) ** 2)
    return points


def symmetric(points: Array, canonical: Array) -> Array:
    """The head made equal to its mirror image; partners are those of the canonical face."""
    partner = np.argmin(np.linalg.norm(canonical[:, None] * [-1, 1, 1] - canonical[None], axis=2), axis=1)
    return (points + points[partner] * [-1, 1, 1]) / 2


def main() -> None:
    """Fit, store and register the average head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--heads", type=int, default=200)
    options = parser.parse_args()
    registry = Registry()
    canonical = np.load(registry.locate("mediapipe-face")["canonical"])
    head = symmetric(meet(observe(options.pack, options.heads)), canonical)
    np.save(OUT, head.astype(np.float32))
    registry.add(
        "average-head",
        {"points": "helpers/average_head.npy"},
        purpose="alignment",
        licence="Apache-2.0",
        origin="Cameo: weights/helpers/average_head.py on its own synthetic world",
    )


if __name__ == "__main__":
    main()
