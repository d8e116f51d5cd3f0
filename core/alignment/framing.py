"""The FFHQ frame of a face: which square of the photo becomes the crop, as one similarity and its inverse.

StyleSDF, E3DGE and cameo-256 all see faces in this frame (Karras et al. 2019, FFHQ's alignment script): an upright
square centred a tenth of the way from eyes to mouth, as wide as four eye distances or 3.6 eye-to-mouth distances.
"""

import numpy as np

from core.alignment.values import Array, DetectedFace, invert_affine


def frame_face(face: DetectedFace) -> Array:
    """The similarity (2, 3) from photo pixels to unit coordinates of the face's FFHQ crop."""
    return frame_points(face.eye_left, face.eye_right, face.mouth_left, face.mouth_right)


def frame_points(eye_left: Array, eye_right: Array, mouth_left: Array, mouth_right: Array) -> Array:
    """FFHQ's quad from four points (2,), any unit; the two half-axes x and y are perpendicular and of equal length.

    Returns:
        (2, 3) affine: centre - x - y maps to (0, 0), centre + x + y to (1, 1).

    Raises:
        ValueError: if the points coincide.
    """
    eyes = (eye_left + eye_right) / 2
    eye_to_eye = eye_right - eye_left
    eye_to_mouth = (mouth_left + mouth_right) / 2 - eyes
    x = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]])
    length = np.hypot(*x)
    half = max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    if not (np.isfinite(length) and length > 0 and half > 0):
        raise ValueError("eyes and mouth coincide: no frame")
    x = x / length * half
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * eye_to_mouth
    to_photo = np.stack([2 * x, 2 * y, centre - x - y], axis=1)
    return invert_affine(to_photo)
