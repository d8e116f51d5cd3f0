"""The person's picture, decoded once, upright and in sRGB.

Whatever file comes in, everybody else sees the same plain array. What the way back needs (original bytes, mode,
orientation, profile) is kept beside it. A file is recognised by its first bytes, never by its name, and measured before
anything is decoded, so that a bad or hostile one is refused at once. Nothing here knows what a face is.
"""

import io
import logging
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from core.errors import PhotoError, PhotoNotFound, PhotoTooLarge, PhotoUnreadable

logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]

MAX_SIDE = 20_000
"""Pixels a side; longer pictures are panoramas or attacks."""
MAX_PIXELS = 200_000_000
"""Pixels in all: 600 MB once decoded, as much as a laptop can spare."""
MAX_BYTES = 2 * 1024**3
"""Bytes of a file: more than ``MAX_PIXELS`` of 16-bit colour without compression take."""
BACKGROUND = 128
"""Grey that shows through transparent parts: zero in the networks' range, so that soft edges bring no colour along."""

_FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF"
_HINT_FORMATS = f"Choose a {_FORMATS} file."
_HINT_DAMAGED = "Get the file again, or open it in another program and save it as JPEG or PNG."
_HINT_LARGE = f"Make it smaller: at most {MAX_SIDE:,} pixels a side and {MAX_PIXELS // 10**6} megapixels."

# What Pillow and its decoders were seen to raise on malformed files; MemoryError comes from absurd sizes in headers.
_MALFORMED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

_ORIENTATION = 0x0112  # EXIF 2.3, tag "Orientation"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

# Pillow's own guard against decompression bombs also protects inner structures (tiles, animation frames) that a check
# of the picture's size cannot see. It warns above the figure given here; `_decoded` turns the warning into an error.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture; immutable.

    Shape:
        pixels (H, W, 3) uint8, sRGB, upright, read-only.
    """

    pixels: Pixels
    path: Path | None = None
    """Where it came from; None for the clipboard."""
    original: bytes = b""
    """The file as it was; empty when the picture never was one."""
    mode: str = "RGB"
    """Pillow's name for how the file stores a pixel: "RGB", "CMYK", "I;16" ..."""
    orientation: int = 1
    """EXIF orientation of the file, 1..8; ``pixels`` are upright whatever it is."""
    icc: bytes | None = None
    """The colour profile in the file; ``pixels`` are sRGB whatever it is."""
    warnings: tuple[str, ...] = ()
    """What the person should know about how the picture was read."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8 or not self.pixels.size:
            raise ValueError(f"pixels must be (H, W, 3) uint8, got {self.pixels.shape} {self.pixels.dtype}")
        self.pixels.flags.writeable = False

    @property
    def height(self) -> int:
        """Rows of the upright picture."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the upright picture."""
        return int(self.pixels.shape[1])

    @classmethod
    def load(cls, path: Path | str) -> "Photo":
        """Read a picture file.

        Raises:
            PhotoNotFound: there is no such file.
            PhotoTooLarge: it is larger than the program decodes.
            PhotoUnreadable: it is a folder, forbidden, empty, damaged, or no picture.
        """
        path = Path(path)
        return cls.from_bytes(_read(path), path)

    @classmethod
    def from_bytes(cls, data: bytes, path: Path | None = None) -> "Photo":
        """Decode a picture file that is in memory already.

        Args:
            data: the whole file.
            path: where it came from, if anywhere; used in messages.

        Raises:
            PhotoTooLarge: it is larger than the program decodes.
            PhotoUnreadable: it is empty, damaged, or no picture.
        """
        name = _name(path)
        kind = _recognise(data, name)
        try:
            return _decoded(data, kind, path)
        except PhotoError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PhotoTooLarge(f"{name} has too many pixels to be opened.", hint=_HINT_LARGE) from error
        except _MALFORMED as error:
            logger.info("cannot decode %s: %r", name, error)
            raise PhotoUnreadable(f"{name} is damaged or incomplete.", hint=_HINT_DAMAGED) from error

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.uint8]) -> "Photo":
        """Take over pixels that never were a file, as from the clipboard.

        Args:
            pixels: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` uint8 sRGB, upright, alpha straight; copied.
        """
        array = np.array(pixels)
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
            raise ValueError(f"pixels must be (H, W[, 3 or 4]) uint8, got {array.shape} {array.dtype}")
        height, width = array.shape[:2]
        _check_size(width, height, "The picture")
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        return cls(_flattened(array) if array.shape[2] == 4 else array)


def _name(path: Path | None) -> str:
    return f"“{path.name}”" if path is not None else "The picture"


def _read(path: Path) -> bytes:
    name = _name(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PhotoUnreadable(f"{name} is a folder.", hint="Choose a picture file inside it.")
        if not stat.S_ISREG(status.st_mode):  # a pipe or device could keep us waiting for ever
            raise PhotoUnreadable(f"{name} is not a file.", hint=_HINT_FORMATS)
        with path.open("rb") as file:
            _recognise(file.read(64), name)  # a huge file of something else is refused before it is read
            if status.st_size > MAX_BYTES:
                raise PhotoTooLarge(f"{name} has {status.st_size / 1e9:.1f} GB.", hint=_HINT_LARGE)
            file.seek(0)
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoNotFound(f"There is no file {path}.", hint="Check the name and the folder.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PhotoUnreadable(f"{name} cannot be read: {reason}.", hint="Check its permissions.") from error


def _recognise(data: bytes, name: str) -> str:
    """Pillow's name of the format, from the first bytes.

    Raises:
        PhotoUnreadable: there are none, or they belong to no picture.
    """
    if not data:
        raise PhotoUnreadable(f"{name} is empty.", hint=_HINT_DAMAGED)
    head = data[:64]
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"BM") and head[6:10] == bytes(4):  # two reserved words; "BM" alone begins many a text
        return "BMP"
    if head[4:8] == b"ftyp":
        length = int.from_bytes(head[:4], "big")
        brands = {head[at : at + 4] for at in range(8, min(max(length, 12), len(head)), 4)}
        if brands.intersection(_AVIF_BRANDS):
            return "AVIF"
        if brands.intersection(_HEIF_BRANDS):
            return "HEIF"
    raise PhotoUnreadable(f"{name} is not a picture that Cameo can read.", hint=_HINT_FORMATS)


def _decoded(data: bytes, kind: str, path: Path | None) -> Photo:
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with _opened(data, kind) as image:
            _check_size(image.width, image.height, _name(path))
            notes.extend(_notes_on_frames(image))
            # Before loading: Pillow turns TIFF and HEIC pictures upright as it loads them and forgets the tag.
            orientation = image.info.get("original_orientation") or image.getexif().get(_ORIENTATION, 1)
            mode, icc = image.mode, image.info.get("icc_profile")
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels = _to_srgb(upright, icc, notes)
    for remark in remarks:
        logger.info("while reading %s: %s", _name(path), remark.message)
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return Photo(pixels, path, data, mode, orientation if valid else 1, icc, tuple(notes))


def _opened(data: bytes, kind: str) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    if kind == "HEIF":
        # Imported here: no wheel for a platform must not keep it from reading everything else.
        try:
            from pi_heif import HeifImageFile
        except ImportError as error:
            raise PhotoUnreadable(
                "HEIC pictures cannot be read here: the package pi-heif is missing.",
                hint="Run `pip install pi-heif`, or save the picture as JPEG.",
            ) from error
        heif: Image.Image = HeifImageFile(io.BytesIO(data))
        return heif
    return Image.open(io.BytesIO(data), formats=[kind])


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise PhotoUnreadable(f"{name} has no pixels.", hint=_HINT_DAMAGED)
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise PhotoTooLarge(f"{name} is too large: {width:,} × {height:,} pixels.", hint=_HINT_LARGE)


def _notes_on_frames(image: Image.Image) -> list[str]:
    count = int(getattr(image, "n_frames", 1))
    if count < 2 or image.format in ("MPO", "HEIF"):  # phones keep previews and depth maps beside the picture
        return []
    what = f"{count} pages" if image.format == "TIFF" else f"an animation of {count} pictures"
    return [f"The file holds {what}; the first one is used."]


def _to_srgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> Pixels:
    image = _eight_bit(image)
    if image.mode in ("P", "PA", "1", "La", "RGBa", "RGBX", "HSV", "YCbCr"):
        transparent = image.mode in ("PA", "La", "RGBa") or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    colours = np.asarray(_in_srgb(image, icc, notes))
    if alpha is None:
        return np.array(colours)
    return _flattened(np.dstack([colours, np.asarray(alpha)]))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey with more than eight bits a pixel, as eight-bit grey; anything else as it is."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32))
    if image.mode == "F":  # no standard says what 1.0 is: take the smallest usual range that holds everything
        full = next((full for full in (1.0, 255.0, 65535.0) if values.max() <= full), float(values.max()))
    else:
        full = 65535.0 if values.max() <= 65535.0 else 2.0**32 - 1.0
    eight = np.rint(np.clip(values / full, 0.0, 1.0) * 255.0).astype(np.uint8)
    return Image.fromarray(eight)


def _in_srgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    """The picture in sRGB; image is L, RGB, CMYK or LAB."""
    if image.mode == "LAB":
        return _converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space = profile.profile.xcolor_space.strip()
            if space == "RGB" and (profile.profile.profile_description or "").startswith("sRGB"):
                return image.convert("RGB")
            if space == {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[image.mode]:
                return _converted(image, profile)
            reason = f"is for {space} colours"
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            logger.info("colour profile not used: %r", error)
            reason = "is damaged"
        notes.append(f"The colour profile in the file {reason} and was not used; colours may be a little off.")
    return image.convert("RGB")


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ImageCms.PyCMSError("the conversion gave no picture")
    return converted


def _flattened(pixels: Pixels) -> Pixels:
    """RGBA ``(H, W, 4)`` over the background, ``(H, W, 3)``."""
    alpha = pixels[..., 3:].astype(np.uint16)
    blended = pixels[..., :3] * alpha + BACKGROUND * (255 - alpha) + 127
    return (blended // 255).astype(np.uint8)
