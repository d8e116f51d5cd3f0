"""The second detector: facexlib's network, strictly filled from the user's file, and never from the network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.alignment import DetectedFace, align, detect_faces
from core.errors import NoFaceFound, WeightsCorrupt, WeightsMissing
from core.job import Job
from core.photo import Photo
from tests.alignment.conftest import SHARED, placed

torch.set_num_threads(1)

WEIGHTS = SHARED / "weights" / "detection_mobilenet0.25_Final.pth"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    if not WEIGHTS.is_file():
        pytest.skip(f"{WEIGHTS.name} is not here; facexlib's weights are the user's to supply")
    monkeypatch.setenv("CAMEO_RETINAFACE", str(WEIGHTS.parent))


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a detector reached for the network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.mark.usefixtures("installed")
def test_both_detectors_frame_the_face_alike(astronaut: Photo, face: DetectedFace) -> None:
    (found,) = detect_faces(astronaut, Job.quiet(), "facexlib")
    assert found.landmarks is None
    assert np.abs(found.points - face.points).max() < 6
    one, other = align(astronaut, found), align(astronaut, face)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    apart = np.abs(corners @ (one.to_photo - other.to_photo)[:, :2].T + (one.to_photo - other.to_photo)[:, 2])
    assert apart.max() < 20  # photo pixels, of a crop of about 170
    agreement = (one.matte256 > 0.5) == (other.matte256 > 0.5)
    assert agreement.mean() > 0.85
    assert abs(one.camera.yaw - other.camera.yaw) < 0.15


@pytest.mark.usefixtures("installed")
def test_it_finds_small_faces_and_large_ones_largest_first(astronaut: Photo) -> None:
    photo = placed(astronaut, 360, (1000, 1700), [(20, 20), (1200, 600)])
    pixels = photo.pixels.copy()
    pixels[100:612, 500:1012] = astronaut.pixels
    faces = detect_faces(Photo.from_pixels(pixels), Job.quiet(), "facexlib")
    assert len(faces) == 3
    assert 500 < faces[0].nose[0] < 1012


@pytest.mark.usefixtures("installed")
def test_no_face_is_said_in_words() -> None:
    with pytest.raises(NoFaceFound):
        detect_faces(Photo.from_pixels(np.full((200, 300, 3), 77, np.uint8)), Job.quiet(), "facexlib")


def test_without_its_file_it_says_where_to_put_it(
    astronaut: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_RETINAFACE", str(tmp_path))
    with pytest.raises(WeightsMissing) as caught:
        detect_faces(astronaut, Job.quiet(), "facexlib")
    assert "detection_mobilenet0.25_Final.pth" in caught.value.hint


def test_a_file_of_another_network_is_refused(
    astronaut: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "detection_mobilenet0.25_Final.pth"
    torch.save({"body.stage1.0.0.weight": torch.zeros(1)}, path)
    monkeypatch.setenv("CAMEO_RETINAFACE", str(path))
    with pytest.raises(WeightsCorrupt):
        detect_faces(astronaut, Job.quiet(), "facexlib")
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(WeightsCorrupt):
        detect_faces(astronaut, Job.quiet(), "facexlib")
