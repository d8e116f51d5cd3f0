"""An aligned face: crops and mattes of one face, and the exact way between photo and crop."""

import numpy as np
import pytest

from core.alignment import AlignedFace, DetectedFace, align, detect_faces
from core.alignment.resampling import cut
from core.alignment.values import Framing, apply_affine, compose_affine
from core.job import Job
from core.photo import Photo
from tests.alignment.conftest import placed


def test_photo_to_crop_and_back_is_exact(aligned: AlignedFace) -> None:
    points = np.random.default_rng(0).uniform(-2000, 4000, (100, 2))
    assert np.abs(apply_affine(aligned.to_photo, apply_affine(aligned.to_crop, points)) - points).max() < 1e-6


def test_a_crop_put_back_lies_within_half_a_pixel_of_the_photo(astronaut: Photo, aligned: AlignedFace) -> None:
    """The picture itself, not only the matrices: the crop warped back is compared with the photo, shifted a little."""
    to_photo_picture = compose_affine(np.diag([1 / 512, 1 / 512])[:, :2] @ np.eye(2, 3), aligned.to_photo)
    in_crop_pixels = to_photo_picture @ np.diag([1 / 1024, 1 / 1024, 1.0])
    back = cut(aligned.crop1024, in_crop_pixels, 512, fill="black").astype(float).mean(axis=2)
    low, high = np.round(aligned.face.box.reshape(2, 2)).astype(int)
    inner = np.s_[low[1] : high[1], low[0] : high[0]]
    photo = astronaut.pixels.astype(float).mean(axis=2)
    errors = {
        (dx, dy): np.abs(back - np.roll(photo, (dy, dx), (0, 1)))[inner].mean()
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
    }
    assert min(errors, key=errors.__getitem__) == (0, 0)
    for axis in ((1, 0), (0, 1)):  # the minimum of the parabola through three shifts
        before, here, after = errors[(-axis[0], -axis[1])], errors[(0, 0)], errors[axis]
        assert abs((before - after) / (2 * (before - 2 * here + after))) < 0.25


def test_eyes_and_mouth_lie_where_ffhq_puts_them(aligned: AlignedFace) -> None:
    points = apply_affine(aligned.to_crop, aligned.face.points)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    assert np.abs(eyes + 0.1 * (mouth - eyes) - 0.5).max() < 1e-9
    assert abs(points[0, 1] - points[1, 1]) < 0.03


def test_both_crops_show_the_same(aligned: AlignedFace) -> None:
    small = aligned.crop1024.reshape(256, 4, 256, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - aligned.crop256).mean() < 2.0


def test_the_matte_keeps_the_head_and_drops_the_suit_and_the_background(aligned: AlignedFace) -> None:
    matte = aligned.matte256
    assert matte.dtype == np.float32
    assert matte.min() >= 0
    assert matte.max() <= 1
    assert aligned.landmarks is not None
    inside = np.floor(aligned.landmarks * 256).astype(int)
    assert (matte[inside[:, 1], inside[:, 0]] > 0.5).mean() > 0.98
    assert matte[30, 128] > 0.9  # hair
    for corner in (np.s_[:20, :20], np.s_[:20, -20:], np.s_[-12:, :20], np.s_[-12:, -20:]):
        assert matte[corner].mean() < 0.05
    assert 0.25 < (matte > 0.5).mean() < 0.65
    large = aligned.matte1024.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    assert np.abs(large - matte).mean() < 0.02


def test_the_same_photo_gives_the_same_matte_twice(astronaut: Photo, face: DetectedFace, aligned: AlignedFace) -> None:
    again = align(astronaut, face)
    assert np.array_equal(again.matte1024, aligned.matte1024)
    assert np.array_equal(again.crop1024, aligned.crop1024)


def test_outside_the_photo_the_crop_is_mirrored_and_the_matte_is_empty(astronaut: Photo) -> None:
    cropped = Photo.from_pixels(np.ascontiguousarray(astronaut.pixels[60:400, 150:320]))  # forehead and side cut off
    found = align(cropped, detect_faces(cropped, Job.quiet())[0])
    centres = (np.arange(256) + 0.5) / 256
    row = apply_affine(found.to_photo, np.stack(np.meshgrid(centres, centres), axis=-1))[..., 1]
    assert (row < 0).mean() > 0.1
    assert found.crop256[row < 0].mean() > 60  # mirrored hair, not black
    assert found.matte256[row < 0].max() == 0
    assert found.matte256[(row > 3) & (row < 9)].max() > 0.9


def test_a_reframed_crop_is_the_framings_picture(astronaut: Photo, aligned: AlignedFace) -> None:
    framing = Framing(0.2, 0.15, 0.03, -0.02)
    new = aligned.reframed(astronaut, framing)
    c = np.random.default_rng(1).uniform(0, 1, (50, 2))
    q = apply_affine(framing.matrix(), c)
    assert np.allclose(apply_affine(new.to_photo, c), apply_affine(aligned.to_photo, q))
    # the pixel in the middle of the new crop is the one the framing names in the old
    at = (apply_affine(framing.matrix(), np.array([0.5, 0.5])) * 1024).astype(int)
    old = aligned.crop1024[at[1] - 8 : at[1] + 8, at[0] - 8 : at[0] + 8].mean(axis=(0, 1))
    assert np.abs(new.crop1024[504:520, 504:520].mean(axis=(0, 1)) - old).max() < 8


def test_reframing_by_the_first_pose_leaves_no_framing(astronaut: Photo, aligned: AlignedFace) -> None:
    new = aligned.reframed(astronaut, aligned.framing)
    assert np.abs(new.framing).max() < 0.01
    assert abs(new.camera.yaw - aligned.camera.yaw) < 0.01


def test_reframing_by_nothing_changes_nothing(astronaut: Photo, aligned: AlignedFace) -> None:
    new = aligned.reframed(astronaut, Framing())
    assert np.abs(new.crop256.astype(int) - aligned.crop256).max() <= 1
    assert new.faces_found == aligned.faces_found


def test_progress_is_reported_between_the_stages(astronaut: Photo, face: DetectedFace) -> None:
    stages: list[str] = []
    job = Job("aligning", on_report=lambda _, stage: stages.append(stage))
    align(astronaut, face, 1, job)
    # A stage may report again and again: each report is a yield point.
    assert list(dict.fromkeys(stages)) == ["cutting out the face", "separating head and background", "face aligned"]
    assert job.fraction == 1.0


def test_a_small_face_in_a_large_photo_is_cut_as_well_as_in_a_small_one(astronaut: Photo, aligned: AlignedFace) -> None:
    photo = placed(astronaut, 400, (2400, 3200), [(1500, 1200)])
    found = align(photo, detect_faces(photo, Job.quiet())[0])
    difference = np.abs(found.crop256.astype(float) - aligned.crop256)
    assert difference[60:200, 60:200].mean() < 12
    both = (found.matte256 > 0.5) & (aligned.matte256 > 0.5)
    assert both.sum() / ((found.matte256 > 0.5) | (aligned.matte256 > 0.5)).sum() > 0.85


@pytest.mark.parametrize("mode", ["grey", "dark", "bright"])
def test_other_light_gives_a_similar_matte(astronaut: Photo, aligned: AlignedFace, mode: str) -> None:
    pixels = astronaut.pixels.astype(float)
    changed = {
        "grey": np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2),
        "dark": pixels * 0.35,
        "bright": np.minimum(pixels * 1.4, 255),
    }[mode]
    photo = Photo.from_pixels(changed.astype(np.uint8))
    found = align(photo, detect_faces(photo, Job.quiet())[0])
    agreement = (found.matte256 > 0.5) == (aligned.matte256 > 0.5)
    assert agreement.mean() > 0.9
