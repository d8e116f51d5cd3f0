"""The second detector: RetinaFace (Deng et al. 2020) as facexlib builds it, with five points a face.

facexlib would fetch its weights from the network by itself; here the network is built bare and filled from the file
that the user installed, strictly, so nothing is ever fetched. This module imports torch, hence it is imported late.
"""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.alignment.resampling import Pixels
from core.alignment.values import DetectedFace, overlap
from core.errors import WeightsCorrupt, WeightsMissing
from core.job import Job
from core.models.checkpoint import read_official
from core.weights import default_folder

if TYPE_CHECKING:
    from facexlib.detection.retinaface import RetinaFace

FILES = {"detection_mobilenet0.25_Final.pth": "mobile0.25", "detection_Resnet50_Final.pth": "resnet50"}
ENVIRONMENT = "CAMEO_RETINAFACE"
LONGEST = (512, 1280)  # the photo is looked at shrunk to these: large faces, whose anchors end at 512, and small ones
SAME = 0.3  # overlap from which two looks saw one face
MOBILE_BYTES = 10_000_000  # the mobilenet file has 1.8 MB, the ResNet-50 one 109 MB
CONFIDENCE, OVERLAP = 0.8, 0.4  # facexlib's own


def find_weights() -> Path:
    """The installed weights file: named by ``CAMEO_RETINAFACE`` (file or folder), or in the weights folder.

    Raises:
        WeightsMissing: there is none.
    """
    named = os.environ.get(ENVIRONMENT)
    places = [Path(named)] if named else [default_folder(), default_folder() / "facexlib"]
    for place in places:
        if place.is_file():
            return place
        for name in FILES:
            if (place / name).is_file():
                return place / name
    raise WeightsMissing(
        "The weights of the facexlib detector are not installed.",
        hint=f"Put facexlib's {next(iter(FILES))} into {default_folder()}, or use the detector mediapipe.",
    )


class RetinaFaceDetector:
    """Finds faces with facexlib's RetinaFace; one instance for one call.

    Args:
        weights: file of facexlib's release, mobilenet or ResNet-50; None looks for an installed one.

    Raises:
        WeightsMissing: no file.
        WeightsCorrupt: the file does not fit the network strictly.
    """

    def __init__(self, weights: Path | None = None) -> None:
        path = weights or find_weights()
        if not path.is_file():
            raise WeightsMissing(f"There is no file {path}.", hint="Check the path of the detector's weights.")
        self._network = _load(path)

    def detect(self, pixels: Pixels, job: Job) -> tuple[DetectedFace, ...]:
        """Find all faces of an upright picture (H, W, 3), largest first; faces carry no landmarks."""
        faces: list[DetectedFace] = []
        for index, longest in enumerate(LONGEST):
            job.report(index / len(LONGEST), "looking for faces")
            for face in self._at(pixels, longest):
                if all(overlap(face.box, other.box) <= SAME for other in faces):
                    faces.append(face)
        return tuple(sorted(faces, key=lambda face: -face.side))

    def _at(self, pixels: Pixels, longest: int) -> list[DetectedFace]:
        scale = min(1.0, longest / max(pixels.shape[:2]))
        height, width = (max(1, round(extent * scale)) for extent in pixels.shape[:2])
        picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else pixels
        to_photo = np.array([pixels.shape[1] / width, pixels.shape[0] / height])
        bgr = np.ascontiguousarray(np.asarray(picture)[..., ::-1]).astype(np.float32)
        with torch.inference_mode():
            rows = np.asarray(self._network.detect_faces(bgr, CONFIDENCE, OVERLAP, use_origin_size=True), np.float64)
        return [_face(row, to_photo) for row in rows]


def _face(row: NDArray[np.float64], to_photo: NDArray[np.float64]) -> DetectedFace:
    """A row of facexlib: box, score, then eyes, nose and mouth corners (left in the picture first)."""
    box = (row[:4].reshape(2, 2) * to_photo).ravel()
    eye_left, eye_right, nose, mouth_left, mouth_right = row[5:15].reshape(5, 2) * to_photo
    return DetectedFace(
        box=box,
        eye_left=eye_left,
        eye_right=eye_right,
        mouth_left=mouth_left,
        mouth_right=mouth_right,
        nose=nose,
        landmarks=None,
        score=float(row[4]),
    )


def _load(path: Path) -> "RetinaFace":
    from facexlib.detection.retinaface import RetinaFace

    kind = FILES.get(path.name, "mobile0.25" if path.stat().st_size < MOBILE_BYTES else "resnet50")
    try:
        stored = read_official(path)[""]
        with warnings.catch_warnings():  # facexlib asks torchvision for an empty ResNet in a way that is deprecated
            warnings.simplefilter("ignore", UserWarning)
            network = RetinaFace(kind, device="cpu")
        network.load_state_dict(stored, strict=True)
    except (RuntimeError, KeyError) as error:
        raise WeightsCorrupt(
            f"{path.name} does not hold the weights of facexlib's detector.", hint="Get the file again."
        ) from error
    network.eval()
    return network
