"""The person's picture, decoded once and upright.

Whatever file comes in, everybody else sees RGB bytes in sRGB. What is needed for the way back (original bytes, mode,
orientation, profile) is kept beside them.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import PhotoNotFound, PhotoUnreadable


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture. Shape: pixels (H, W, 3) uint8, upright, sRGB, read-only."""

    pixels: NDArray[np.uint8]
    path: Path | None = None
    original: bytes = b""
    mode: str = "RGB"
    orientation: int = 1
    icc: bytes | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path | str) -> "Photo":
        """Read a file."""
        path = Path(path)
        if not path.exists():
            raise PhotoNotFound(f"There is no file {path}.", hint="Check the name.")
        return cls.from_bytes(path.read_bytes(), path)

    @classmethod
    def from_bytes(cls, data: bytes, path: Path | None = None) -> "Photo":
        """Decode the bytes of a picture file."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return cls(np.array(upright), path, data, image.mode, image.getexif().get(0x0112, 1))
        except OSError as error:
            raise PhotoUnreadable("This is not a picture.", hint="Choose a JPEG or PNG file.") from error

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.uint8]) -> "Photo":
        """Wrap an array (H, W, 3) of uint8 sRGB."""
        return cls(np.array(pixels, dtype=np.uint8))
