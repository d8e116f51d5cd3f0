"""One face of a photo, cut out: the noun everything after alignment starts from.

Crops, mattes, landmarks and the transform between photo and crop belong together, and are made together here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, radians

import numpy as np
from numpy.typing import NDArray

from core.alignment.framing import frame_face
from core.alignment.matte import Mask, head_mattes, person_around
from core.alignment.pose import average_head, first_pose
from core.alignment.resampling import Pixels, cut
from core.alignment.values import Array, DetectedFace, Framing, apply_affine, compose_affine, invert_affine, within
from core.camera import Camera
from core.errors import FaceNotUsable
from core.job import Job
from core.photo import Photo

SMALL, LARGE = 256, 1024  # sides of the two crops
SMALLEST_USABLE = 64  # pixels of the face's box
LARGEST_YAW = radians(75)  # beyond, one eye is gone and the frame rests on a guess


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """FFHQ-framed crops of one face, its head matte, and the exact way back to the photo.

    Attributes:
        crop256: (256, 256, 3) uint8; outside the photo it is mirrored.
        crop1024: (1024, 1024, 3) uint8.
        matte256: (256, 256) float32, 0 to 1: hair, face, ears, neck; no clothes; 0 outside the photo.
        matte1024: (1024, 1024) float32.
        to_crop: (2, 3) float64, photo pixels (edge convention) to unit crop coordinates.
        to_photo: (2, 3), its inverse.
        landmarks: (468, 2) in unit crop coordinates, or None if the detector has none.
        camera: first guess at the pose.
        framing: first guess at where the camera's picture lies in this crop.
        face: the detection, in photo pixels.
        photo_size: width and height of the photo, pixels.
        faces_found: how many faces the photo has.
    """

    crop256: Pixels
    crop1024: Pixels
    matte256: Mask
    matte1024: Mask
    to_crop: Array
    to_photo: Array
    landmarks: Array | None
    camera: Camera
    framing: Framing
    face: DetectedFace
    photo_size: tuple[int, int]
    faces_found: int = 1

    def reframed(
        self, photo: Photo, similarity: tuple[float, float, float, float], job: Job | None = None
    ) -> "AlignedFace":
        """Cut again, so that the crop becomes the canonical camera's picture.

        Args:
            photo: the photo this face was cut from.
            similarity: log scale, roll, dx, dy of ``Framing``: where the camera's picture lies in this crop.
            job: where to report; None for nobody.
        """
        framing = Framing(*(float(number) for number in similarity))
        to_crop = compose_affine(invert_affine(framing.matrix()), self.to_crop)
        return _aligned(photo.pixels, to_crop, self.face, self.faces_found, job)

    def around(
        self, photo: Photo, framing: Framing, scale: float, pause: Callable[[], None] = lambda: None
    ) -> tuple[Mask, NDArray[np.bool_]]:
        """How likely a wider picture than the canonical camera's shows a person, and where the photo shows it at all.

        Args:
            photo: the photo this face was cut from.
            framing: where the camera's picture lies in this crop.
            scale: how many times as wide.
            pause: called between steps.

        Returns:
            Both (256, 256), over the wider picture.
        """
        margin = (1.0 - 1.0 / scale) / 2.0
        shrink = np.array([[1.0 / scale, 0.0, margin], [0.0, 1.0 / scale, margin]])
        to_picture = compose_affine(shrink, compose_affine(invert_affine(framing.matrix()), self.to_crop))
        mask = person_around(photo.pixels, to_picture, pause)
        steps = (np.arange(len(mask)) + 0.5) / len(mask)
        places = np.stack(np.meshgrid(steps, steps), axis=-1)
        return mask, within(places, invert_affine(to_picture), self.photo_size)


def align(photo: Photo, face: DetectedFace, faces_found: int = 1, job: Job | None = None) -> AlignedFace:
    """Cut one face out of its photo.

    Args:
        photo: the photo the face was found in.
        face: which face.
        faces_found: how many there are, to be kept with the result.
        job: where to report; None for nobody.

    Raises:
        FaceNotUsable: the face is smaller than 64 pixels, or turned away by more than 75 degrees.
    """
    if face.side < SMALLEST_USABLE:
        raise FaceNotUsable(
            f"The face is only {face.side:.0f} pixels large; at least {SMALLEST_USABLE} are needed.",
            hint="Use a larger or closer photo of the face.",
        )
    try:
        to_crop = frame_face(face)
    except ValueError as error:
        raise FaceNotUsable(
            "Eyes and mouth of the face could not be told apart.",
            hint="Use a photo that shows the face from the front.",
        ) from error
    return _aligned(photo.pixels, to_crop, face, faces_found, job or Job.quiet())


def _aligned(
    pixels: Pixels, to_crop: Array, face: DetectedFace, faces_found: int, job: Job | None = None
) -> AlignedFace:
    job = job or Job.quiet()
    source = face.points if face.landmarks is None else face.landmarks
    points = apply_affine(to_crop, source)
    camera, framing = first_pose(points)
    if abs(camera.yaw) > LARGEST_YAW:
        raise FaceNotUsable(
            f"The face is turned away by about {abs(degrees(camera.yaw)):.0f} degrees; "
            f"at most {degrees(LARGEST_YAW):.0f} are possible.",
            hint="Use a photo that shows the face more from the front.",
        )
    job.report(0.2, "cutting out the face")
    small, large = cut(pixels, to_crop, SMALL), cut(pixels, to_crop, LARGE)

    def pause() -> None:
        job.report(0.4, "separating head and background")

    pause()
    mesh = points if face.landmarks is not None else _average_landmarks(camera, framing)
    matte256, matte1024 = head_mattes(pixels, to_crop, (small, large), mesh, camera, framing, pause)
    job.report(1.0, "face aligned")
    return AlignedFace(
        crop256=small,
        crop1024=large,
        matte256=matte256,
        matte1024=matte1024,
        to_crop=to_crop,
        to_photo=invert_affine(to_crop),
        landmarks=None if face.landmarks is None else points,
        camera=camera,
        framing=framing,
        face=face,
        photo_size=(pixels.shape[1], pixels.shape[0]),
        faces_found=faces_found,
    )


def _average_landmarks(camera: Camera, framing: Framing) -> Array:
    """Where an average head's 468 landmarks fall, for detectors that find five points only."""
    return apply_affine(framing.matrix(), (camera.project(average_head())[0] + 1.0) / 2.0)
