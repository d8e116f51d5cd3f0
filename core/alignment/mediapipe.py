"""The default detector: MediaPipe's short-range face detector and 468-point face mesh.

The detector sees 128 x 128 pixels and finds faces of about a sixth to nine tenths of that, so photos are searched on a
pyramid of overlapping tiles, coarse to fine, until finer faces would be mere bystanders. Every candidate must then
satisfy the mesh network, which also refines it.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from core.alignment.interpreter import HelperNetwork
from core.alignment.resampling import Pixels, cut
from core.alignment.values import Array, DetectedFace, apply_affine, invert_affine, overlap
from core.job import Job

TILE = 128
STRIDE = 80  # faces up to TILE - STRIDE pixels are whole in some tile; larger ones belong to the level above
SMALLEST = 20  # pixels of a face in a tile that the detector still finds
SMALLEST_FACE = 44  # photo pixels; smaller than what is usable (64), so that a small face is named as such
BYSTANDER = 6.0  # a face this many times smaller than the largest is not looked for
MIN_SCORE = 0.5
CERTAIN = 0.8  # a score above which the photo is upright beyond doubt
CLEARLY = 0.1  # by how much a turned photo must score better to be believed
MIN_PRESENCE = 0.8  # of the mesh network's own verdict; true faces get 1.0, what merely looks like one about 0.5
SAME = 0.3  # overlap from which two candidates are one face

EYE_LEFT, EYE_RIGHT = (33, 133), (362, 263)  # eye corners in the mesh
MOUTH_LEFT, MOUTH_RIGHT, NOSE = 61, 291, 4
MESH_SIZE = 192
MESH_MARGIN = 1.5  # the mesh network was trained on boxes enlarged by this


class MediaPipeDetector:
    """Finds faces and their 468 landmarks; one instance for one call."""

    def __init__(self) -> None:
        self._detector = HelperNetwork("detector")
        self._mesh = HelperNetwork("mesh")
        self._anchors = _anchors()

    def detect(self, pixels: Pixels, job: Job) -> tuple[DetectedFace, ...]:
        """Find all faces of an upright picture (H, W, 3), largest first."""
        faces = self._faces(pixels, job.part(0.0, 0.8), levels=None)
        best = max((face.score for face in faces), default=0.0)
        if best > CERTAIN:
            return faces
        # A photo on its side or its head, without an orientation tag: look at coarse scale only.
        height, width = pixels.shape[:2]
        for turns in (1, 3, 2):
            job.report(0.8 + 0.05 * turns, "looking for turned faces")
            turned = self._faces(np.ascontiguousarray(np.rot90(pixels, turns)), None, levels=3)
            score = max((face.score for face in turned), default=0.0)
            if score > best + CLEARLY:
                back = _unturn(turns, width, height)
                faces, best = tuple(_moved(face, back) for face in turned), score
        return faces

    def _faces(self, pixels: Pixels, job: Job | None, levels: int | None) -> tuple[DetectedFace, ...]:
        candidates = self._candidates(pixels, job, levels)
        faces: list[DetectedFace] = []
        for candidate in _suppressed(candidates):
            face = self._refined(pixels, candidate)
            if face is not None and not any(overlap(face.box, other.box) > SAME for other in faces):
                faces.append(face)
        return tuple(sorted(faces, key=lambda face: -face.side))

    def _candidates(self, pixels: Pixels, job: Job | None, levels: int | None) -> list[Array]:
        """Raw detections (17,): score, box xyxy, six points xy; photo pixels."""
        height, width = pixels.shape[:2]
        found: list[Array] = []
        scales = _scales(max(height, width))[:levels]
        for index, scale in enumerate(scales):
            if job is not None:
                job.report(index / len(scales), "looking for faces")
            largest = max((candidate[3] - candidate[1] for candidate in found), default=0.0)
            if largest * scale > BYSTANDER * (TILE - STRIDE):
                break
            columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
            to_photo = np.array([width / columns, height / rows])
            for left, top, tile in _tiles(np.asarray(small, dtype=np.uint8)):
                found.extend(self._in_tile(tile, np.array([left, top], dtype=np.float64), to_photo))
        return found

    def _in_tile(self, tile: Pixels, origin: Array, to_photo: Array) -> Iterator[Array]:
        out = self._detector(tile.astype(np.float32) / 127.5 - 1.0)
        logits = out["classificators"][0, :, 0].astype(np.float64)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
        for index in np.flatnonzero(scores > MIN_SCORE):
            row = out["regressors"][0, index].astype(np.float64)
            anchor = self._anchors[index] * TILE
            centre, extent = anchor + row[:2], row[2:4]
            points = np.stack([centre - extent / 2, centre + extent / 2, *(anchor + row[4:].reshape(6, 2))])
            points = (points + origin) * to_photo
            yield np.concatenate([[scores[index]], points.ravel()])

    def _refined(self, pixels: Pixels, candidate: Array) -> DetectedFace | None:
        """Two passes of the mesh network, the second on a box around the first's landmarks; None if it is no face."""
        box, eyes = candidate[1:5].reshape(2, 2), candidate[5:9].reshape(2, 2)
        centre, extent = box.mean(axis=0), float((box[1] - box[0]).max())
        landmarks = np.zeros((468, 2))
        for _ in range(2):
            across = eyes[1] - eyes[0]
            angle = np.arctan2(across[1], across[0])
            cosine, sine = np.cos(angle), np.sin(angle)
            linear = np.array([[cosine, sine], [-sine, cosine]]) / (extent * MESH_MARGIN)
            to_unit = np.concatenate([linear, (0.5 - linear @ centre)[:, None]], axis=1)
            picture = cut(pixels, to_unit, MESH_SIZE, fill="black", sharp=False)
            out = self._mesh(picture.astype(np.float32) / 255.0)
            logit = float(out["conv2d_31"].ravel()[0])
            presence = 1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0)))
            if presence < MIN_PRESENCE:
                return None
            raw = out["conv2d_21"].reshape(468, 3)[:, :2].astype(np.float64)
            landmarks = apply_affine(invert_affine(to_unit), raw / MESH_SIZE)
            low, high = landmarks.min(axis=0), landmarks.max(axis=0)
            centre, extent = (low + high) / 2, float((high - low).max())
            eyes = np.stack([landmarks[[33, 133]].mean(axis=0), landmarks[[362, 263]].mean(axis=0)])
        return face_from_landmarks(landmarks, float(candidate[0]))


def face_from_landmarks(landmarks: Array, score: float) -> DetectedFace:
    """Name the five points and the box of 468 landmarks (468, 2)."""
    return DetectedFace(
        box=np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]),
        eye_left=landmarks[list(EYE_LEFT)].mean(axis=0),
        eye_right=landmarks[list(EYE_RIGHT)].mean(axis=0),
        mouth_left=landmarks[MOUTH_LEFT],
        mouth_right=landmarks[MOUTH_RIGHT],
        nose=landmarks[NOSE],
        landmarks=landmarks,
        score=score,
    )


def _anchors() -> Array:
    """The detector's 896 anchor centres (896, 2), unit coordinates: 16² cells of two, then 8² of six."""
    rows = []
    for stride, repeats in ((8, 2), (16, 6)):
        cells = TILE // stride
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 1, 2)
        rows.append(np.repeat(grid, repeats, axis=1).reshape(-1, 2))
    return np.concatenate(rows)


def _scales(longest: int) -> list[float]:
    """Picture scales to search: the whole with a margin, the whole, then doubling down to the smallest face."""
    whole = TILE / longest
    finest = SMALLEST / SMALLEST_FACE
    scales = [0.6 * whole, whole]
    while scales[-1] * 2 < finest * 1.41:
        scales.append(scales[-1] * 2)
    return scales


def _tiles(picture: Pixels) -> Iterator[tuple[int, int, Pixels]]:
    """Overlapping TILE² windows that cover a picture, black outside it."""
    height, width = picture.shape[:2]
    for top in _starts(height):
        for left in _starts(width):
            part = picture[max(top, 0) : top + TILE, max(left, 0) : left + TILE]
            tile = np.zeros((TILE, TILE, 3), dtype=np.uint8)
            y, x = max(-top, 0), max(-left, 0)
            tile[y : y + part.shape[0], x : x + part.shape[1]] = part
            yield left, top, tile


def _starts(extent: int) -> list[int]:
    if extent <= TILE:
        return [-((TILE - extent) // 2)]
    steps = int(np.ceil((extent - TILE) / STRIDE))
    return [round(index * (extent - TILE) / steps) for index in range(steps + 1)]


def _suppressed(candidates: list[Array]) -> list[Array]:
    """Greedy non-maximum suppression, best score first."""
    kept: list[Array] = []
    for candidate in sorted(candidates, key=lambda row: -row[0]):
        if all(overlap(candidate[1:5], other[1:5]) <= SAME for other in kept):
            kept.append(candidate)
    return kept


def _unturn(turns: int, width: int, height: int) -> Array:
    """The affine (2, 3) from ``np.rot90(picture, turns)`` back to the picture of that width and height."""
    return {
        1: np.array([[0.0, -1.0, width], [1.0, 0.0, 0.0]]),
        2: np.array([[-1.0, 0.0, width], [0.0, -1.0, height]]),
        3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height]]),
    }[turns]


def _moved(face: DetectedFace, affine: Array) -> DetectedFace:
    """A face with every point moved; left and right keep the meaning they have when the face is upright."""
    if face.landmarks is None:
        raise ValueError("only meshed faces are turned back")
    return face_from_landmarks(apply_affine(affine, face.landmarks), face.score)
