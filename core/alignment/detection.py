"""Finds the faces of a photo with the detector that was asked for."""

from core.alignment.mediapipe import MediaPipeDetector
from core.alignment.values import DetectedFace
from core.errors import NoFaceFound
from core.job import Job
from core.photo import Photo

DETECTORS = ("mediapipe", "facexlib")


def detect_faces(photo: Photo, job: Job, detector: str = "mediapipe") -> tuple[DetectedFace, ...]:
    """All faces of a photo, largest first.

    Args:
        photo: the photo.
        job: where to report.
        detector: "mediapipe" (shipped) or "facexlib" (needs its weights file installed).

    Raises:
        NoFaceFound: there is none.
        WeightsMissing: the detector's weights are not installed.
        ValueError: there is no such detector.
    """
    if detector == "mediapipe":
        faces = MediaPipeDetector().detect(photo.pixels, job)
    elif detector == "facexlib":
        from core.alignment.retinaface import RetinaFaceDetector  # imports torch: only when asked for

        faces = RetinaFaceDetector().detect(photo.pixels, job)
    else:
        raise ValueError(f"no detector {detector!r}; there are {', '.join(DETECTORS)}")
    job.report(1.0, "faces found")
    if not faces:
        raise NoFaceFound(
            "No face was found in the photo.",
            hint="Use a photo in which the face is well lit, turned towards the camera and at least 64 pixels large.",
        )
    return faces
