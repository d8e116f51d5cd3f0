"""Judges of edits that have seen neither Cameo nor its world: expression, age and gender networks, and landmarks.

The networks are face-api's (MIT): small depthwise convolutions on 112 px, run here as functions of their tensors.
``make install-eval`` fetches them; without them landmarks judge what they can. Scores are logits or lengths, never
probabilities: a smile that is already certain can still become broader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.alignment.mediapipe import MediaPipeDetector
from core.job import Job

Pixels = NDArray[np.uint8]
Array = NDArray[np.float64]

FILE = Path(__file__).resolve().parents[2] / "weights" / "fetched" / "scorers.npz"
ABSENT = (
    "The expression, age and gender networks are not there, so landmarks and classifiers of the world judge alone: run "
    "`make install-eval`."
)
INPUT = 112
MEANS = (122.782, 117.001, 104.298)
HAPPY = 1  # of neutral, happy, sad, angry, fearful, disgusted, surprised
# face-api cuts faces at the box of 68 landmarks, brows to chin, enlarged by a fifth; these are MediaPipe's numbers of
# brows, chin and the sides of the jaw.
BOX_POINTS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 152, 148, 377, 172, 397, 132, 361, 234, 454)
BOX_MARGIN = 0.2
MOUTH, LIPS, EYES = (61, 291), (13, 14), ((159, 145), (386, 374))
EYE_CORNERS = ((33, 133), (362, 263))
JAW, CHEEKS = (172, 397), (50, 205, 280, 425)


@dataclass(frozen=True)
class FaceBox:
    """Where a face lies in a square picture, as slices of its pixels."""

    rows: slice
    columns: slice

    @classmethod
    def around(cls, landmarks: Array, size: int) -> FaceBox:
        """The box of MediaPipe's landmarks (468, 2) in pixels of a picture of that side."""
        points = landmarks[list(BOX_POINTS)]
        low, high = points.min(axis=0), points.max(axis=0)
        margin = (high - low) * BOX_MARGIN / 2.0
        x0, y0 = np.clip(np.floor(low - margin), 0, size - 2).astype(int)
        x1, y1 = np.clip(np.ceil(high + margin), 1, size).astype(int)
        return cls(slice(int(y0), int(max(y1, y0 + 1))), slice(int(x0), int(max(x1, x0 + 1))))

    def chip(self, pixels: Pixels) -> Tensor:
        """The face (1, 3, 112, 112) in 0..255, black beside it where it is not square."""
        face = torch.from_numpy(np.ascontiguousarray(pixels[self.rows, self.columns])).permute(2, 0, 1)[None].float()
        height, width = face.shape[-2:]
        scale = INPUT / max(height, width)
        small = (max(1, round(height * scale)), max(1, round(width * scale)))
        face = functional.interpolate(face, size=small, mode="bilinear", antialias=True, align_corners=False)
        down, across = INPUT - small[0], INPUT - small[1]
        return functional.pad(face, (across // 2, across - across // 2, down // 2, down - down // 2))


class Networks:
    """face-api's expression network, and its age and gender network.

    Args:
        tensors: ``expression/…`` and ``age_gender/…`` in TensorFlow's layout, as ``weights.fetch_scorers`` writes them.

    Raises:
        KeyError: One is not there.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self._tensors = {}
        for name, values in tensors.items():
            value = torch.from_numpy(np.asarray(values, np.float32))
            if value.ndim == 4:  # (height, width, in, out or multiplier) -> (out, in, height, width)
                value = value.permute(2, 3, 0, 1) if name.endswith("depthwise_filter") else value.permute(3, 2, 0, 1)
            self._tensors[name] = value.contiguous()

    @classmethod
    def load(cls, path: Path = FILE) -> Networks | None:
        """The networks of a file; None when it is not there."""
        if not path.is_file():
            return None
        with np.load(path) as arrays:
            return cls({name: arrays[name] for name in arrays.files})

    @torch.inference_mode()
    def __call__(self, pixels: Pixels, box: FaceBox) -> dict[str, float]:
        """Scores of a face: ``happy`` and ``male`` (log odds), ``age`` (years)."""
        chip = box.chip(pixels)
        x = (chip - torch.tensor(MEANS)[:, None, None]) / 255.0
        moods = self._expression(x)[0]
        others = torch.cat((moods[:HAPPY], moods[HAPPY + 1 :]))
        age, gender = self._age_gender(x)
        return {
            "happy": float(moods[HAPPY] - others.logsumexp(0)),
            "age": float(age[0, 0]),
            "male": float(gender[0, 0] - gender[0, 1]),
        }

    def _expression(self, x: Tensor) -> Tensor:
        for number in range(4):
            name = f"expression/dense{number}"
            if number == 0:
                first = functional.relu(self._conv(x, f"{name}/conv0", 2))
            else:
                first = functional.relu(self._separable(x, f"{name}/conv0", 2))
            total, out = first, first
            for layer in (1, 2, 3):
                total = total + self._separable(out, f"{name}/conv{layer}")
                out = functional.relu(total)
            x = out
        pooled = functional.avg_pool2d(x, 7, 2).flatten(1)
        return pooled @ self._tensors["expression/fc/weights"] + self._tensors["expression/fc/bias"]

    def _age_gender(self, x: Tensor) -> tuple[Tensor, Tensor]:
        root = "age_gender"
        x = functional.relu(self._conv(x, f"{root}/entry_flow/conv_in", 2))
        x = self._reduced(x, f"{root}/entry_flow/reduction_block_0", activate=False)
        x = self._reduced(x, f"{root}/entry_flow/reduction_block_1")
        for number in range(2):
            y = x
            for layer in range(3):
                y = self._separable(functional.relu(y), f"{root}/middle_flow/main_block_{number}/separable_conv{layer}")
            x = x + y
        x = self._reduced(x, f"{root}/exit_flow/reduction_block")
        x = functional.relu(self._separable(x, f"{root}/exit_flow/separable_conv"))
        pooled = functional.avg_pool2d(x, 7, 2).flatten(1)
        age, gender = (
            pooled @ self._tensors[f"{root}/fc/{name}/weights"] + self._tensors[f"{root}/fc/{name}/bias"]
            for name in ("age", "gender")
        )
        return age, gender

    def _reduced(self, x: Tensor, name: str, *, activate: bool = True) -> Tensor:
        y = self._separable(functional.relu(x) if activate else x, f"{name}/separable_conv0")
        y = self._separable(functional.relu(y), f"{name}/separable_conv1")
        y = functional.max_pool2d(functional.pad(y, _same(y, 3, 2), value=-torch.inf), 3, 2)
        return y + self._conv(x, f"{name}/expansion_conv", 2)

    def _conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        filters = self._tensors[f"{name}/filters"]
        x = functional.pad(x, _same(x, filters.shape[-1], stride))
        return functional.conv2d(x, filters, self._tensors[f"{name}/bias"], stride)

    def _separable(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        depthwise = self._tensors[f"{name}/depthwise_filter"]
        x = functional.pad(x, _same(x, depthwise.shape[-1], stride))
        x = functional.conv2d(x, depthwise, None, stride, groups=x.shape[1])
        return functional.conv2d(x, self._tensors[f"{name}/pointwise_filter"], self._tensors[f"{name}/bias"])


def _same(x: Tensor, kernel: int, stride: int) -> tuple[int, int, int, int]:
    """TensorFlow's padding "same": the odd pixel goes to the right and below."""
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[-1], x.shape[-2])]
    return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2


def landmarks_of(pixels: Pixels) -> Array | None:
    """MediaPipe's 468 landmarks of the largest face, in pixels; None when no face is found."""
    faces = MediaPipeDetector().detect(pixels, Job.quiet())
    return faces[0].landmarks if faces else None


def landmark_scores(landmarks: Array) -> dict[str, float]:
    """Lengths of a face in units of its eye distance: the same at any size, and nearly at any small turn.

    Args:
        landmarks: (468, 2) in pixels, v down.

    Returns:
        ``corner_lift`` (how far mouth corners stand above the middle of the lips), ``mouth_width``, ``lip_gap``,
        ``eye_opening``, ``jaw_width``.
    """
    eyes = [landmarks[list(pair)].mean(axis=0) for pair in EYE_CORNERS]
    unit = float(np.linalg.norm(eyes[1] - eyes[0]))
    across = (eyes[1] - eyes[0]) / unit
    down = np.array([-across[1], across[0]])
    corners, lips = landmarks[list(MOUTH)], landmarks[list(LIPS)]
    return {
        "corner_lift": float((lips.mean(axis=0) - corners.mean(axis=0)) @ down / unit),
        "mouth_width": float(np.linalg.norm(corners[1] - corners[0]) / unit),
        "lip_gap": float((lips[1] - lips[0]) @ down / unit),
        "eye_opening": float(np.mean([(landmarks[low] - landmarks[high]) @ down for high, low in EYES]) / unit),
        "jaw_width": float(np.linalg.norm(landmarks[JAW[1]] - landmarks[JAW[0]]) / unit),
    }


def colour_scores(pixels: Pixels, landmarks: Array) -> dict[str, float]:
    """Colours of a face, by its landmarks (468, 2) in pixels: ``cheek_darkness``, 0 (white) .. 1."""
    patches = []
    for u, v in landmarks[list(CHEEKS)].round().astype(int):
        patches.append(pixels[max(0, v - 3) : v + 4, max(0, u - 3) : u + 4].reshape(-1, 3))
    return {"cheek_darkness": 1.0 - float(np.concatenate(patches).mean()) / 255.0}
