"""Aligns a folder of photos once, so that training never decodes or detects again.

``python -m core.alignment.prepare FOLDER OUT.npz --size 256``. Photos in which no usable face is found are left out and
listed. Everything is stored compactly: crops as JPEG bytes, mattes as zlib-compressed uint8.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.alignment.aligned import align
from core.alignment.detection import detect_faces
from core.alignment.resampling import cut
from core.errors import CameoError
from core.job import Job
from core.photo import Photo

JPEG_QUALITY = 93
PATTERNS = ("*.jpg", "*.jpeg", "*.png", "*.webp")
VALIDATION = Path(__file__).resolve().parents[2] / "resources" / "validation_split.json"


@dataclass(frozen=True, eq=False)
class PreparedPhoto:
    """One aligned photo as it is stored, or the reason why there is none."""

    name: str
    crop: bytes = b""
    matte: bytes = b""
    landmarks: NDArray[np.float32] | None = None
    pose: tuple[float, ...] = ()
    pixels: float = 0.0
    failure: str = ""


def prepare_photo(path: Path, size: int) -> PreparedPhoto:
    """Align the largest face of one photo."""
    cv2.setNumThreads(1)
    try:
        photo = Photo.load(path)
        face = detect_faces(photo, Job.quiet())[0]
        aligned = align(photo, face)
    except CameoError as error:
        return PreparedPhoto(path.name, failure=f"{error.kind}: {error}")
    crop, matte = aligned.crop256, aligned.matte256
    if size != crop.shape[0]:
        crop = cut(photo.pixels, aligned.to_crop, size)
        matte = np.asarray(cv2.resize(aligned.matte1024, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    _, jpeg = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    landmarks = np.zeros((468, 2)) if aligned.landmarks is None else aligned.landmarks
    return PreparedPhoto(
        name=path.name,
        crop=jpeg.tobytes(),
        matte=zlib.compress(np.round(matte * 255).astype(np.uint8).tobytes(), 6),
        landmarks=landmarks.astype(np.float32),
        pose=(aligned.camera.yaw, aligned.camera.pitch, *aligned.framing),
        pixels=float(1.0 / np.sqrt(np.linalg.det(aligned.to_crop[:, :2]))),
    )


def validation_names() -> frozenset[str]:
    """File names of the photos that are never trained on."""
    return frozenset(json.loads(VALIDATION.read_text(encoding="utf-8")))


def write_prepared(photos: Sequence[PreparedPhoto], out: Path, size: int) -> None:
    """Store the aligned photos, in one ``.npz`` without pickles.

    Arrays: names (N,) str; validation (N,) bool, those never trained on; jpeg_bytes and matte_bytes, uint8, end to end,
    the piece of photo i from jpeg_offsets[i] to jpeg_offsets[i + 1]; landmarks (N, 468, 2) float32 in unit crop
    coordinates; pose (N, 6) float32 yaw, pitch, log scale, roll, dx, dy; photo_pixels (N,) float32, the crop's side in
    photo pixels; size.
    """
    kept = [photo for photo in photos if not photo.failure]
    held_out = validation_names()
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}")
    with temporary.open("wb") as file:
        np.savez(
            file,
            names=np.array([photo.name for photo in kept]),
            validation=np.array([photo.name in held_out for photo in kept]),
            jpeg_bytes=np.frombuffer(b"".join(photo.crop for photo in kept), np.uint8),
            jpeg_offsets=np.cumsum([0, *(len(photo.crop) for photo in kept)]),
            matte_bytes=np.frombuffer(b"".join(photo.matte for photo in kept), np.uint8),
            matte_offsets=np.cumsum([0, *(len(photo.matte) for photo in kept)]),
            landmarks=np.stack([photo.landmarks for photo in kept if photo.landmarks is not None]),
            pose=np.array([photo.pose for photo in kept], np.float32),
            photo_pixels=np.array([photo.pixels for photo in kept], np.float32),
            size=np.array(size),
        )
    temporary.replace(out)


def prepare_folder(folder: Path, out: Path, size: int = 256, workers: int = 1) -> list[PreparedPhoto]:
    """Align every photo of a folder and store those in which a face was found; nothing is written when there is none.

    Args:
        folder: With photos in it, not looked for any deeper.
        out: The file to write, see :func:`write_prepared`.
        size: Side of the crops [px].
        workers: Processes.

    Returns:
        All photos in the order of their names; those that failed say why.
    """
    paths = sorted(path for pattern in PATTERNS for path in folder.glob(pattern))
    work = partial(prepare_photo, size=size)
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            photos = list(pool.map(work, paths, chunksize=8))
    else:
        photos = [work(path) for path in paths]
    if any(not photo.failure for photo in photos):
        write_prepared(photos, out, size)
    return photos


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m core.alignment.prepare", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    photos = prepare_folder(options.folder, options.out, options.size, options.workers)
    failures = [photo for photo in photos if photo.failure]
    for photo in failures:
        sys.stderr.write(f"{photo.name}: {photo.failure}\n")
    sys.stderr.write(f"{len(photos) - len(failures)} of {len(photos)} photos aligned, written to {options.out}\n")
    return 0 if len(failures) < len(photos) else 1


if __name__ == "__main__":
    sys.exit(main())
