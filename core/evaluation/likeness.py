"""The figures of a report: how close a reconstruction comes to its photo, over the head only.

Everything is measured on the 8-bit pictures that a person gets to see, at 256 px. Pasting the photo's background back
would flatter, so both pictures are the same grey outside the head matte.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.alignment.values import within
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation import metrics
from core.evaluation.perceptual import Perceptual
from core.frame import Frame, RenderRequest
from core.inversion import Inversion

# Side in pixels at which everything is measured.
SIZE = 256
# Pictures of people of the world that stand for photos: pixels a side, and half the field of view [rad], which leaves
# hair and a little wall around the canonical frame.
PHOTO_SIZE = 512
PHOTO_HALF_FOV = float(np.radians(9.0))
# Radians to either side of the photo's own pose at which identity is asked again.
SIDE_YAW = 0.35
# And again where the photo has seen hardly half of the head.
FAR_YAW = 0.6


def side_views(engine: Engine, inversion: Inversion, yaw: float = SIDE_YAW) -> tuple[Frame, Frame]:
    """The unedited head from the left and right of the photo's own pose, ``yaw`` radians away."""
    camera = inversion.camera
    left, right = (
        engine.render(
            RenderRequest(inversion, LatentEdit.none, Camera(camera.yaw + turn, camera.pitch, camera.half_fov), SIZE)
        )
        for turn in (-yaw, yaw)
    )
    return left, right


def side_distances(engine: Engine, inversion: Inversion, yaw: float = SIDE_YAW) -> list[float]:
    """Identity distance of the photo to the left and the right view, ``yaw`` radians away."""
    aligned = inversion.aligned
    same = engine.judge.embed(aligned.crop256, aligned.matte256 > 0.5)
    return [
        float(np.linalg.norm(same - engine.judge.embed(frame.pixels, frame.alpha > 127)))
        for frame in side_views(engine, inversion, yaw)
    ]


def measure(engine: Engine, inversion: Inversion) -> dict[str, float]:
    """All figures of one photo that the report shows; every one is a finite number."""
    aligned = inversion.aligned
    inside = aligned.matte256 > 0.5
    distances = side_distances(engine, inversion)
    same = engine.judge.embed(aligned.crop256, inside)
    return {
        **compare(aligned.crop256, inversion.reconstruction, inside),
        "identity_distance": float(np.linalg.norm(same - engine.judge.embed(inversion.reconstruction, inside))),
        "identity_yaw35": sum(distances) / len(distances),
    }


def outline_figures(engine: Engine, inversion: Inversion) -> dict[str, float]:
    """How far head and matte are apart above the chin, within the photo: what differences over the matte overlook.

    Returns:
        ``beyond``: what of the head lies outside the matte, ``missed``: what of the matte the head leaves out, both as
        shares of the matte.
    """
    aligned = inversion.aligned
    frame = engine.render(RenderRequest(inversion, LatentEdit.none, inversion.camera, SIZE))
    chin = SIZE if aligned.landmarks is None else int(np.ceil(aligned.landmarks[:, 1].max() * SIZE))
    steps = (np.arange(SIZE) + 0.5) / SIZE
    judged = within(np.stack(np.meshgrid(steps, steps), axis=-1), aligned.to_photo, aligned.photo_size)
    judged[chin:] = False
    head, wanted = frame.alpha > 127, aligned.matte256 > 0.5
    whole = max(1, int((wanted & judged).sum()))
    return {
        "beyond": float((head & ~wanted & judged).sum()) / whole,
        "missed": float((wanted & ~head & judged).sum()) / whole,
    }


def compare(photo: NDArray[np.uint8], picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> dict[str, float]:
    """Differences of two pictures over a mask; ``mae_whole`` over all pixels.

    Shape:
        photo and picture (S, S, 3) uint8, inside (S, S).

    Raises:
        ValueError: The mask is empty.
    """
    mask = torch.from_numpy(inside)[None, None]
    first, second = as_tensor(photo), as_tensor(picture)
    first_head, second_head = greyed(first, mask), greyed(second, mask)
    return {
        "mae": metrics.mae(first_head, second_head, mask),
        "mae_whole": metrics.mae(first, second),
        "ssim": metrics.ssim(first_head, second_head, mask),
        "ssim_e3dge": metrics.ssim_e3dge(first_head, second_head, mask),
        "psnr": metrics.psnr(first_head, second_head, mask),
    }


def perceptual_distance(
    perceptual: Perceptual, photo: NDArray[np.uint8], picture: NDArray[np.uint8], inside: NDArray[np.bool_]
) -> float:
    """VGG16 perceptual distance of two heads, both on the same grey. Shapes as in :func:`compare`."""
    mask = torch.from_numpy(inside)[None, None]
    return perceptual(greyed(as_tensor(photo), mask), greyed(as_tensor(picture), mask))


def greyed(picture: Tensor, mask: Tensor) -> Tensor:
    """The picture (B, C, H, W) in [-1, 1], mid-grey outside the mask (B, 1, H, W)."""
    return torch.where(mask, picture, torch.full_like(picture, metrics.GREY))


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(S, S, 3) uint8 to (1, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1.0


def over(picture: NDArray[np.uint8], wall: NDArray[np.float64] | float) -> NDArray[np.uint8]:
    """A picture (S, S, 4) with straight alpha over a wall (colour or (S, S, 3)): (S, S, 3) uint8."""
    alpha = picture[..., 3:].astype(np.float64) / 255.0
    return np.asarray(np.clip(np.rint(picture[..., :3] * alpha + wall * (1.0 - alpha)), 0, 255), np.uint8)
