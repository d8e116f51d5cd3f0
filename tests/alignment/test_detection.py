"""Faces in photos: found wherever they are, however small or turned; refused in words when they cannot be used."""

import numpy as np
import pytest

from core.alignment import AlignedFace, DetectedFace, align, detect_faces
from core.alignment.mediapipe import face_from_landmarks
from core.alignment.pose import average_head
from core.camera import Camera
from core.errors import Cancelled, FaceNotUsable, NoFaceFound
from core.job import Job
from core.photo import Photo
from tests.alignment.conftest import placed


def eye_distance(face: DetectedFace) -> float:
    return float(np.hypot(*(face.eye_right - face.eye_left)))


def test_the_astronaut_is_found_with_her_landmarks_in_place(face: DetectedFace) -> None:
    assert face.landmarks is not None
    assert face.landmarks.shape == (468, 2)
    assert face.score > 0.8
    assert face.eye_left[0] < face.nose[0] < face.eye_right[0]
    assert face.eye_left[1] < face.nose[1] < face.mouth_left[1]
    # her eyes, read off the picture by hand
    assert np.abs(face.eye_left - [204, 102]).max() < 8
    assert np.abs(face.eye_right - [247, 104]).max() < 8


@pytest.mark.parametrize(("side", "corner"), [(420, (900, 500)), (900, (0, 100)), (512, (1488, 988))])
def test_a_face_is_found_at_any_place_and_size(
    astronaut: Photo, face: DetectedFace, side: int, corner: tuple[int, int]
) -> None:
    (found,) = detect_faces(placed(astronaut, side, (1500, 2000), [corner]), Job.quiet())
    expected = face.points * side / 512 + corner
    assert np.abs(found.points - expected).max() < 0.06 * eye_distance(found) + 1


def test_several_faces_come_largest_first(astronaut: Photo) -> None:
    pixels = placed(astronaut, 300, (700, 1500), [(50, 50), (1100, 300)]).pixels.copy()
    pixels[100:612, 420:932] = astronaut.pixels
    faces = detect_faces(Photo.from_pixels(pixels), Job.quiet())
    assert len(faces) == 3
    assert [face.side for face in faces] == sorted((face.side for face in faces), reverse=True)
    assert 420 < faces[0].nose[0] < 932


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_lying_on_its_side_is_framed_upright(astronaut: Photo, aligned: AlignedFace, turns: int) -> None:
    turned = Photo.from_pixels(np.ascontiguousarray(np.rot90(astronaut.pixels, turns)))
    found = align(turned, detect_faces(turned, Job.quiet())[0])
    difference = found.crop256.astype(float) - aligned.crop256
    assert np.abs(difference)[64:192, 64:192].mean() < 12


def test_no_face_is_said_in_words() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    with pytest.raises(NoFaceFound) as caught:
        detect_faces(Photo.from_pixels(noise), Job.quiet())
    assert caught.value.hint


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 3), (40, 40)])
def test_tiny_and_narrow_photos_have_no_face(shape: tuple[int, int]) -> None:
    with pytest.raises(NoFaceFound):
        detect_faces(Photo.from_pixels(np.full((*shape, 3), 90, np.uint8)), Job.quiet())


def test_a_face_below_64_pixels_is_refused_with_its_size(astronaut: Photo) -> None:
    photo = placed(astronaut, 240, (400, 400), [(80, 80)])
    (found,) = detect_faces(photo, Job.quiet())
    assert found.side < 64
    with pytest.raises(FaceNotUsable, match="pixels large") as caught:
        align(photo, found)
    assert caught.value.hint


def test_a_face_turned_too_far_is_refused(astronaut: Photo) -> None:
    picture = (Camera(yaw=1.45).project(average_head())[0] + 1) * 200
    with pytest.raises(FaceNotUsable, match="turned away"):
        align(astronaut, face_from_landmarks(picture, 1.0))


def test_a_cancelled_search_stops(astronaut: Photo) -> None:
    job = Job("looking")
    job.cancel()
    with pytest.raises(Cancelled):
        detect_faces(astronaut, job)


def test_an_unknown_detector_is_a_programming_mistake(astronaut: Photo) -> None:
    with pytest.raises(ValueError, match="mediapipe, facexlib"):
        detect_faces(astronaut, Job.quiet(), "viola-jones")
