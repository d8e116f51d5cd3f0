"""A first guess at the camera: where must it stand so that an average head's landmarks fall where the face's are?

Solves for exactly what the encoder's pose head predicts, six numbers: yaw and pitch of the camera, and the framing of
its picture in the FFHQ crop. The average head is the synthetic world's, as the detector sees it (see
weights/helpers/average_head.py); its frontal FFHQ crop is the canonical camera's picture. Expression bends lips and
jaw, so they count less.
"""

import numpy as np
from scipy.optimize import least_squares

from core.alignment.framing import frame_points
from core.alignment.values import Array, Framing, apply_affine
from core.camera import PITCH_SPREAD, Camera
from core.weights import Registry

AVERAGE = "average-head"
LOWER_FACE = 0.8  # lips and jaw, which move, begin this far below the nose tip, in units of eyes to nose tip
LOWER_FACE_WEIGHT = 0.25
EYE_LEFT, EYE_RIGHT, MOUTH, NOSE = (33, 133), (362, 263), (61, 291), 4
ROBUST = 0.015  # residuals beyond this, in crop units, count less than squared
PITCH_LIMIT = 1.3
FEW_POINTS_NOISE = 0.04  # crop units; how far expression and identity move five points, all together


def average_head() -> Array:
    """The average head's 468 points (468, 3) in the world frame: its frontal FFHQ crop is the camera's picture."""
    points = np.load(Registry().locate(AVERAGE)["points"]).astype(np.float64)
    front = Camera()
    for _ in range(12):  # it is so but for a percent already; under perspective that is made exact round by round
        uv = (front.project(points)[0] + 1.0) / 2.0
        square = frame_points(*five_points(uv)[[0, 1, 3, 4]])
        size = np.sqrt(np.linalg.det(square[:, :2]))
        centre = np.linalg.solve(square[:, :2], 0.5 - square[:, 2])
        points *= size
        points[:, 1] += (centre[1] - 0.5) * 2.0 * np.tan(front.half_fov)
    return points


def five_points(landmarks: Array) -> Array:
    """Eyes (mean of corners), nose and mouth corners (5, D) of 468 landmarks (468, D)."""
    return np.stack(
        [
            landmarks[list(EYE_LEFT)].mean(axis=0),
            landmarks[list(EYE_RIGHT)].mean(axis=0),
            landmarks[NOSE],
            landmarks[MOUTH[0]],
            landmarks[MOUTH[1]],
        ]
    )


def first_pose(landmarks: Array) -> tuple[Camera, Framing]:
    """Camera and framing of a face.

    Args:
        landmarks: (468, 2) or the five points (5, 2), in unit coordinates of the FFHQ crop.

    Returns:
        The camera (positive yaw: the face looks to the picture's left) and the framing of its picture in the crop.
    """
    head = average_head()
    weights = np.where(head[:, 1] < _lower_face(head), LOWER_FACE_WEIGHT, 1.0)
    prior = 0.0
    if len(landmarks) == 5:  # a smile looks like pitch to five points: expect little of it
        head, weights, prior = five_points(head), np.ones(5), FEW_POINTS_NOISE / PITCH_SPREAD

    def residuals(numbers: Array) -> Array:
        camera = Camera(float(numbers[0]), float(numbers[1]))
        picture = (camera.project(head)[0] + 1.0) / 2.0
        away = (apply_affine(Framing(*numbers[2:]).matrix(), picture) - landmarks) * weights[:, None]
        return np.append(away.ravel(), prior * numbers[1])

    reach = np.array([1.6, PITCH_LIMIT, 1.5, np.pi, 1.0, 1.0])
    start = np.clip(_weak_perspective(head, landmarks, weights), -0.95 * reach, 0.95 * reach)
    found = least_squares(residuals, start, bounds=(-reach, reach), loss="soft_l1", f_scale=ROBUST).x
    return Camera(float(found[0]), float(found[1])), Framing(*(float(number) for number in found[2:]))


def _lower_face(head: Array) -> float:
    """World y of the line below which the face moves."""
    eyes, nose = float(head[[33, 263], 1].mean()), float(head[NOSE, 1])
    return nose - LOWER_FACE * (eyes - nose)


def _weak_perspective(head: Array, landmarks: Array, weights: Array) -> Array:
    """Closed-form start: an affine camera by least squares, its rows made orthonormal."""
    design = np.concatenate([head, np.ones((len(head), 1))], axis=1) * weights[:, None]
    rows = np.linalg.lstsq(design, landmarks * weights[:, None], rcond=1e-4)[0].T
    right, up = rows[0, :3], -rows[1, :3]
    scale = (np.linalg.norm(right) + np.linalg.norm(up)) / 2
    if scale < 1e-9:
        return np.zeros(6)
    # nearest orthonormal pair, then the camera's backward axis
    u, _, v = np.linalg.svd(np.stack([right, up]), full_matrices=False)
    right, up = u @ v
    back = np.cross(right, up)
    yaw, pitch = np.arctan2(back[0], back[2]), np.arcsin(np.clip(back[1], -1.0, 1.0))
    axes = Camera(float(np.clip(yaw, -1.5, 1.5)), float(np.clip(pitch, -PITCH_LIMIT, PITCH_LIMIT))).rotation
    roll = np.arctan2(right @ axes[:, 1], right @ axes[:, 0])
    log_scale = np.log(scale * 2 * np.tan(Camera().half_fov))
    shift = rows[:, 3] - 0.5
    return np.array([yaw, pitch, log_scale, roll, *shift])
