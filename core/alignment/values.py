"""What alignment says about a photo, as plain values: a face that was found, and a framing of it.

Photo coordinates are pixels with the edge convention: the centre of the top left pixel is (0.5, 0.5), so that one
photo in two sizes differs by a factor only. "Left" and "right" are as seen in the picture.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face found in a photo; every detector gives the five points, MediaPipe the 468 landmarks too.

    Attributes:
        box: (4,) left, top, right, bottom of the face without hair, photo pixels.
        eye_left: (2,) mean of the corners of the eye on the picture's left (the subject's right); likewise the rest.
        landmarks: (468, 2) in MediaPipe's order, photo pixels, or None.
        score: detector's confidence, 0 to 1.
    """

    box: Array
    eye_left: Array
    eye_right: Array
    mouth_left: Array
    mouth_right: Array
    nose: Array
    landmarks: Array | None
    score: float

    @property
    def side(self) -> float:
        """Longer side of the box in photo pixels; what "smaller than 64 px" is about."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def points(self) -> Array:
        """The five points (5, 2): eyes, nose, mouth corners; left before right."""
        return np.stack([self.eye_left, self.eye_right, self.nose, self.mouth_left, self.mouth_right])


class Framing(NamedTuple):
    """How the canonical camera's picture lies in an FFHQ crop: q - 1/2 = e^log_scale R(roll) (c - 1/2) + (dx, dy).

    c and q are unit picture coordinates (0 to 1, v down) of the camera's picture and of the crop; a positive roll turns
    the picture clockwise. The identity says that the FFHQ crop is the camera's picture.
    """

    log_scale: float = 0.0
    roll: float = 0.0
    dx: float = 0.0
    dy: float = 0.0

    def matrix(self) -> Array:
        """The affine (2, 3) that takes camera picture coordinates c to crop coordinates q."""
        scale, cosine, sine = np.exp(self.log_scale), np.cos(self.roll), np.sin(self.roll)
        linear = scale * np.array([[cosine, -sine], [sine, cosine]])
        shift = 0.5 + np.array([self.dx, self.dy]) - linear @ np.array([0.5, 0.5])
        return np.concatenate([linear, shift[:, None]], axis=1)


def apply_affine(affine: Array, points: Array) -> Array:
    """Map points (..., 2) through an affine (2, 3)."""
    return points @ affine[:, :2].T + affine[:, 2]


def within(places: Array, to_photo: Array, photo_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which unit crop coordinates lie within the photo.

    Shape:
        places (..., 2), to_photo (2, 3), photo_size width and height in pixels; returns (...).
    """
    there = apply_affine(to_photo, places.reshape(-1, 2)).reshape(places.shape)
    found: NDArray[np.bool_] = np.all((there > 0.0) & (there < np.array(photo_size)), axis=-1)
    return found


def invert_affine(affine: Array) -> Array:
    """The exact inverse (2, 3) of an affine (2, 3)."""
    linear = np.linalg.inv(affine[:, :2])
    return np.concatenate([linear, -(linear @ affine[:, 2:])], axis=1)


def compose_affine(outer: Array, inner: Array) -> Array:
    """The affine (2, 3) that applies ``inner`` first, then ``outer``."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.concatenate([linear, outer[:, :2] @ inner[:, 2:] + outer[:, 2:]], axis=1)


def overlap(a: Array, b: Array) -> float:
    """Overlap of two boxes: intersection over union, or over the smaller one if that lies mostly inside."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    extent = np.maximum(high - low, 0.0)
    common = float(extent[0] * extent[1])
    area_a, area_b = float(np.prod(a[2:] - a[:2])), float(np.prod(b[2:] - b[:2]))
    union = common / max(area_a + area_b - common, 1e-9)
    inside = common / max(min(area_a, area_b), 1e-9)
    return max(union, inside if inside > 0.7 else 0.0)
