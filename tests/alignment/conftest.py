"""The one real face of the test data, found and aligned once."""

from pathlib import Path

import numpy as np
import pytest

from core.alignment import AlignedFace, DetectedFace, align, detect_faces
from core.job import Job
from core.photo import Photo

DATA = Path(__file__).resolve().parents[1] / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "assets"


@pytest.fixture(scope="session")
def astronaut() -> Photo:
    return Photo.load(DATA / "astronaut.jpg")


@pytest.fixture(scope="session")
def face(astronaut: Photo) -> DetectedFace:
    return detect_faces(astronaut, Job.quiet())[0]


@pytest.fixture(scope="session")
def aligned(astronaut: Photo, face: DetectedFace) -> AlignedFace:
    return align(astronaut, face)


def placed(photo: Photo, side: int, canvas: tuple[int, int], corners: list[tuple[int, int]]) -> Photo:
    """A grey canvas (height, width) with the photo shrunk to ``side`` pixels at each (left, top) corner."""
    import cv2

    small = cv2.resize(photo.pixels, (side, side), interpolation=cv2.INTER_AREA)
    pixels = np.full((*canvas, 3), 128, np.uint8)
    for left, top in corners:
        pixels[top : top + side, left : left + side] = small
    return Photo.from_pixels(pixels)
