"""Pictures made on the spot: good ones in every format, and all the bad ones a person may drop.

``BAD_PICTURES`` is the house's list of degenerate inputs; the core, the command line and the window are tested with
the same list.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import PhotoError, PhotoNotFound, PhotoTooLarge, PhotoUnreadable

COLOURS = {
    "top left": (220, 30, 30),
    "top right": (30, 200, 40),
    "bottom left": (40, 50, 220),
    "bottom right": (240, 220, 60),
}

# How a picture must be stored so that EXIF orientation N makes it upright again (the inverse of what a reader does).
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quadrants(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Four plain quarters, all different, so that any turn or flip shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = slice(None, height // 2), slice(None, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    for (rows, columns), colour in zip(
        ((top, left), (top, right), (bottom, left), (bottom, right)), COLOURS.values(), strict=True
    ):
        pixels[rows, columns] = colour
    return pixels


def corners(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The middle of each quarter, ``(4, 3)``: robust against the borders that lossy formats blur."""
    height, width = pixels.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return np.array([pixels[row, column] for row in rows for column in columns], dtype=np.int64)


def encoded(image: Image.Image, kind: str, orientation: int = 1, **options: object) -> bytes:
    """The bytes of a file of that format, stored so that a reader who heeds the orientation sees ``image``."""
    transpose = STORED_AS[orientation]
    stored = image if transpose is None else image.transpose(transpose)
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    stored.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 400, height: int = 300, seed: int = 0) -> Image.Image:
    """A picture that does not compress, so that cutting the file cuts the picture."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def empty_png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels: a decompression bomb in 60 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@dataclass(frozen=True)
class BadPicture:
    """Something a person may drop that is no usable photo."""

    write: Callable[[Path], Path]
    """Makes it in the given folder and returns its path."""
    error: type[PhotoError]
    says: str
    """A word of the sentence shown for it."""


def _file(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return write


def _folder(folder: Path) -> Path:
    path = folder / "folder.jpg"
    path.mkdir()
    return path


BAD_PICTURES: dict[str, BadPicture] = {
    "a text file": BadPicture(_file("notes.txt", b"Dear diary,\n" * 100), PhotoUnreadable, "not a picture"),
    "a text file called jpg": BadPicture(_file("notes.jpg", b"Dear diary,\n" * 100), PhotoUnreadable, "not a picture"),
    "an empty file": BadPicture(_file("nothing.png", b""), PhotoUnreadable, "empty"),
    "a truncated JPEG": BadPicture(_file("half.jpg", encoded(noise(), "JPEG")[:20_000]), PhotoUnreadable, "damaged"),
    "a truncated PNG": BadPicture(_file("half.png", encoded(noise(), "PNG")[:20_000]), PhotoUnreadable, "damaged"),
    "a JPEG header alone": BadPicture(_file("head.jpg", encoded(noise(), "JPEG")[:30]), PhotoUnreadable, "damaged"),
    "a picture too long": BadPicture(_file("long.png", empty_png(20_001, 2)), PhotoTooLarge, "too large"),
    "a decompression bomb": BadPicture(_file("bomb.png", empty_png(19_000, 19_000)), PhotoTooLarge, "too many"),
    "a giant bomb": BadPicture(_file("bomb.png", empty_png(2**31 - 1, 2**31 - 1)), PhotoTooLarge, "too many"),
    "a folder": BadPicture(_folder, PhotoUnreadable, "folder"),
    "nothing there": BadPicture(lambda folder: folder / "gone.jpg", PhotoNotFound, "no file"),
}
