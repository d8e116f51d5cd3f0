"""The figures of a report: how close a reconstruction comes to its photo, over the head only.

Everything is measured on the 8-bit pictures that a person gets to see, at 256 px. Pasting the photo's background back
would flatter, so both pictures are the same grey outside the head matte.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation import metrics
from core.frame import Frame, RenderRequest
from core.inversion import Inversion

# Side in pixels at which everything is measured.
SIZE = 256
# Radians to either side of the photo's own pose at which identity is asked again.
SIDE_YAW = 0.35


def side_views(engine: Engine, inversion: Inversion, yaw: float = SIDE_YAW) -> tuple[Frame, Frame]:
    """The unedited head from the left and right of the photo's own pose."""
    camera = inversion.camera
    left, right = (
        engine.render(
            RenderRequest(inversion, LatentEdit.none, Camera(camera.yaw + turn, camera.pitch, camera.half_fov), SIZE)
        )
        for turn in (-yaw, yaw)
    )
    return left, right


def measure(engine: Engine, inversion: Inversion) -> dict[str, float]:
    """All figures of one photo; every one is a finite number."""
    aligned = inversion.aligned
    inside = aligned.matte256 > 0.5
    photo, picture = _tensor(aligned.crop256), _tensor(inversion.reconstruction)
    mask = torch.from_numpy(inside)[None, None]
    same = engine.embed(aligned.crop256, inside)
    distances = [
        float(np.linalg.norm(same - engine.embed(frame.pixels, frame.alpha > 127)))
        for frame in side_views(engine, inversion)
    ]
    grey = torch.zeros_like(photo)
    photo_head, picture_head = torch.where(mask, photo, grey), torch.where(mask, picture, grey)
    return {
        "mae": metrics.mae(photo_head, picture_head, mask),
        "mae_whole": metrics.mae(photo, picture),
        "ssim": metrics.ssim(photo_head, picture_head, mask),
        "ssim_e3dge": metrics.ssim_e3dge(photo_head, picture_head, mask),
        "psnr": metrics.psnr(photo_head, picture_head, mask),
        "identity_distance": float(np.linalg.norm(same - engine.embed(inversion.reconstruction, inside))),
        "identity_yaw35": sum(distances) / len(distances),
    }


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1.0
