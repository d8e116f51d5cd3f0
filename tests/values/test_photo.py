"""Photos: what comes out is upright sRGB whatever went in; what is bad is refused at once, with a sentence."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from core import photo as photo_module
from core.errors import CameoError, PhotoNotFound, PhotoTooLarge, PhotoUnreadable
from core.photo import BACKGROUND, Photo
from tests.pictures import BAD_PICTURES, COLOURS, corners, empty_png, encoded, noise, quadrants

DATA = Path(__file__).parents[1] / "data"
EXPECTED = np.array(list(COLOURS.values()))
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}, "AVIF": {"quality": 95}}
LOSS = 6
"""How far a plain area may be from its colour after lossy coding at high quality, in 1/255."""


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_format_gives_back_the_very_pixels(kind: str) -> None:
    assert np.array_equal(Photo.from_bytes(encoded(noise(), kind, **LOSSLESS[kind])).pixels, np.asarray(noise()))


@pytest.mark.parametrize("kind", LOSSY)
def test_a_lossy_format_gives_back_the_colours(kind: str) -> None:
    photo = Photo.from_bytes(encoded(Image.fromarray(quadrants()), kind, **LOSSY[kind]))
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_whatever_the_orientation_the_picture_stands_upright(kind: str, orientation: int) -> None:
    options = LOSSLESS.get(kind) or LOSSY.get(kind) or {}
    photo = Photo.from_bytes(encoded(Image.fromarray(quadrants()), kind, orientation, **options))
    assert photo.pixels.shape == (48, 64, 3)
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS
    assert photo.orientation == orientation


@pytest.mark.parametrize(("name", "orientation"), [("quadrants.heic", 1), ("quadrants_sideways.heic", 6)])
def test_heic_is_read_and_stands_upright(name: str, orientation: int) -> None:
    photo = Photo.load(DATA / name)
    assert photo.pixels.shape == (48, 64, 3)
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS
    assert photo.orientation == orientation


def test_heic_without_its_reader_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    with pytest.raises(PhotoUnreadable) as refusal:
        Photo.load(DATA / "quadrants.heic")
    assert "pi-heif" in refusal.value.message + refusal.value.hint


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 42
    photo = Photo.from_bytes(encoded(Image.fromarray(quadrants()), "PNG", exif=exif))
    assert photo.orientation == 1
    assert np.array_equal(photo.pixels, quadrants())


# ------------------------------------------------------------------------------------------------ colour modes


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_tones(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)
    photo = Photo.from_bytes(encoded(Image.fromarray(np.tile(ramp, (4, 1))), kind))
    assert photo.mode.startswith("I;16")
    assert np.array_equal(photo.pixels[0, :, 0], np.arange(256))


def test_sixteen_bit_colour_is_read() -> None:
    pixels = quadrants().astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    photo = Photo.from_bytes(_png(64, 48, bits=16, colour_type=2, rows=rows))
    assert np.array_equal(photo.pixels, quadrants())


def test_floating_point_tiff_is_read() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    ramp[7] = np.nan
    photo = Photo.from_bytes(encoded(Image.fromarray(np.tile(ramp, (4, 1))), "TIFF"))
    assert photo.pixels[0, 255, 0] == 255
    assert photo.pixels[0, 7, 0] == 0
    assert photo.pixels[0, 128, 0] == 128


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours_become_rgb(mode: str) -> None:
    image = Image.fromarray(quadrants()).convert(mode)
    photo = Photo.from_bytes(encoded(image, "PNG"))
    assert photo.mode == mode
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_comes_near_its_colours(kind: str) -> None:
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    photo = Photo.from_bytes(encoded(Image.fromarray(quadrants()).convert("CMYK"), kind, **options))
    assert photo.mode == "CMYK"
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS


def test_lab_tiff_comes_near_its_colours() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.fromarray(quadrants()), to_lab)
    photo = Photo.from_bytes(encoded(lab, "TIFF"))
    assert photo.mode == "LAB"
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS


def test_transparent_parts_become_the_neutral_grey() -> None:
    rgba = np.dstack([quadrants(), np.full((48, 64), 255, np.uint8)])
    rgba[:24, :32, 3] = 0
    rgba[24:, 32:, 3] = 128
    pixels = Photo.from_bytes(encoded(Image.fromarray(rgba), "PNG")).pixels
    assert (corners(pixels)[0] == BACKGROUND).all()
    assert np.array_equal(corners(pixels)[1:3], EXPECTED[1:3])
    assert np.abs(corners(pixels)[3] - (EXPECTED[3] + BACKGROUND) / 2).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "L", "RGB"])
def test_every_kind_of_transparency_is_heeded(mode: str) -> None:
    grey = Image.fromarray(np.where(np.arange(64) < 32, 0, 200).astype(np.uint8)[None].repeat(48, 0))
    image = grey.convert(mode) if mode != "PA" else grey.convert("LA")
    options: dict[str, object] = {}
    if mode in ("LA", "PA"):
        image.putalpha(grey.point(lambda value: 255 if value else 0))
    else:
        options["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    pixels = Photo.from_bytes(encoded(image, "PNG", **options)).pixels
    assert (pixels[:, :32] == BACKGROUND).all()
    assert (pixels[:, 32:] == 200).all()


# ----------------------------------------------------------------------------------------------- colour profiles


def test_a_wide_profile_is_converted_to_srgb() -> None:
    red = Image.new("RGB", (8, 8), (200, 60, 60))
    swapped = _rgb_profile(red_y=0.45)
    photo = Photo.from_bytes(encoded(red, "PNG", icc_profile=swapped))
    expected = ImageCms.profileToProfile(
        red,
        ImageCms.ImageCmsProfile(io.BytesIO(swapped)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert photo.icc == swapped
    assert not np.array_equal(photo.pixels, np.asarray(red))
    assert np.array_equal(photo.pixels, np.asarray(expected))


def test_an_srgb_profile_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = Photo.from_bytes(encoded(noise(), "PNG", icc_profile=profile))
    assert np.array_equal(photo.pixels, np.asarray(noise()))
    assert photo.warnings == ()


@pytest.mark.parametrize("profile", [b"this is no profile at all", b"\0" * 200])
def test_a_damaged_profile_is_left_out_with_a_warning(profile: bytes) -> None:
    photo = Photo.from_bytes(encoded(noise(), "PNG", icc_profile=profile))
    assert np.array_equal(photo.pixels, np.asarray(noise()))
    assert any("profile" in warning for warning in photo.warnings)


def test_a_profile_for_other_colours_is_left_out_with_a_warning() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = Photo.from_bytes(encoded(noise(), "PNG", icc_profile=profile))
    assert np.array_equal(photo.pixels, np.asarray(noise()))
    assert any("profile" in warning for warning in photo.warnings)


# -------------------------------------------------------------------------------------------------- several frames


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_is_used_and_said_so(kind: str) -> None:
    second = Image.fromarray(quadrants()[::-1].copy())
    options = LOSSLESS.get(kind) or {}
    photo = Photo.from_bytes(
        encoded(Image.fromarray(quadrants()), kind, save_all=True, append_images=[second], **options)
    )
    assert np.abs(corners(photo.pixels) - EXPECTED).max() <= LOSS
    assert len(photo.warnings) == 1
    assert "2" in photo.warnings[0]


def test_a_single_picture_has_no_warning() -> None:
    assert Photo.load(DATA / "astronaut.jpg").warnings == ()


# --------------------------------------------------------------------------------------------------- the way back


def test_what_the_way_back_needs_is_kept(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(quadrants()), "JPEG", 6)
    path = tmp_path / "sideways.jpg"
    path.write_bytes(data)
    photo = Photo.load(path)
    assert (photo.path, photo.original, photo.mode, photo.orientation) == (path, data, "RGB", 6)
    assert (photo.width, photo.height) == (64, 48)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpg"
    path.write_bytes(encoded(noise(), "PNG"))
    assert np.array_equal(Photo.load(path).pixels, np.asarray(noise()))


def test_a_photo_cannot_be_changed() -> None:
    photo = Photo.from_pixels(quadrants())
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0] = 0


def test_pixels_from_the_clipboard_are_copied() -> None:
    pixels = quadrants()
    photo = Photo.from_pixels(pixels)
    pixels[:] = 0
    assert np.array_equal(photo.pixels, quadrants())


def test_clipboard_pixels_may_be_grey_or_transparent() -> None:
    grey = np.full((5, 7), 9, np.uint8)
    assert np.array_equal(Photo.from_pixels(grey).pixels, np.full((5, 7, 3), 9))
    clear = np.zeros((5, 7, 4), np.uint8)
    assert (Photo.from_pixels(clear).pixels == BACKGROUND).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros(4, np.uint8)]
)
def test_clipboard_pixels_of_another_kind_are_a_programming_mistake(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Photo.from_pixels(pixels)


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused_within_a_second_and_with_a_sentence(name: str, tmp_path: Path) -> None:
    bad = BAD_PICTURES[name]
    path = bad.write(tmp_path)
    started = time.monotonic()
    with pytest.raises(bad.error) as refusal:
        Photo.load(path)
    assert time.monotonic() - started < 1.0
    assert bad.says in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert refusal.value.hint.endswith(".")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_file_cut_off_anywhere_is_refused(kind: str, share: float) -> None:
    data = encoded(noise(), kind)
    with pytest.raises(PhotoUnreadable):
        Photo.from_bytes(data[: int(share * len(data))])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_off_heic_is_refused(share: float) -> None:
    data = (DATA / "quadrants.heic").read_bytes()
    with pytest.raises(PhotoUnreadable):
        Photo.from_bytes(data[: int(share * len(data))])


def test_a_progressive_jpeg_cut_in_half_is_refused() -> None:
    data = encoded(noise(), "JPEG", progressive=True)
    with pytest.raises(PhotoUnreadable):
        Photo.from_bytes(data[: len(data) // 2])


def test_the_largest_allowed_header_is_not_refused_for_its_size() -> None:
    with pytest.raises(PhotoUnreadable, match="damaged"):
        Photo.from_bytes(empty_png(20_000, 10_000))


def test_a_clipboard_picture_has_the_same_limits() -> None:
    with pytest.raises(PhotoTooLarge):
        Photo.from_pixels(np.broadcast_to(np.uint8(0), (1, 20_001)))


def test_a_huge_file_of_something_else_is_not_read_at_all(tmp_path: Path) -> None:
    path = tmp_path / "film.mov"
    with path.open("wb") as file:
        file.truncate(50 * 1024**3)  # a sparse file: reading it would take a minute and all memory
    started = time.monotonic()
    with pytest.raises(PhotoUnreadable, match="not a picture"):
        Photo.load(path)
    assert time.monotonic() - started < 1.0


def test_a_huge_file_that_begins_like_a_picture_is_not_read_either(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    path.write_bytes(b"II*\0")
    os.truncate(path, 50 * 1024**3)
    with pytest.raises(PhotoTooLarge):
        Photo.load(path)


def test_a_pipe_does_not_keep_us_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    with pytest.raises(PhotoUnreadable, match="not a file"):
        Photo.load(path)


def test_a_forbidden_file_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(noise(), "JPEG"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the mode of the file would not stop a test that runs as root
    with pytest.raises(PhotoUnreadable, match="permission denied"):
        Photo.load(path)


def test_a_path_through_a_file_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(PhotoNotFound):
        Photo.load(tmp_path / "a.jpg" / "b.jpg")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    cut=st.floats(0.0, 1.0),
)
def test_no_damage_brings_anything_but_a_photo_or_a_sentence(
    kind: str, changes: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(_sample(kind))
    for place, value in changes:
        data[int(place * len(data))] = value
    sound, hint = False, ""
    try:
        sound = Photo.from_bytes(bytes(data[: int(cut * len(data)) or None])).pixels.dtype == np.uint8
    except CameoError as error:
        hint = error.hint
    assert sound or hint


_SAMPLES: dict[str, bytes] = {"HEIF": (DATA / "quadrants.heic").read_bytes()}


def _sample(kind: str) -> bytes:
    if kind not in _SAMPLES:
        _SAMPLES[kind] = encoded(Image.fromarray(quadrants(32, 24)), kind)
    return _SAMPLES[kind]


def test_pillow_keeps_its_own_guard() -> None:
    assert Image.MAX_IMAGE_PIXELS == photo_module.MAX_PIXELS


def _png(width: int, height: int, *, bits: int, colour_type: int, rows: bytes) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _rgb_profile(red_y: float) -> bytes:
    """An RGB profile that is not sRGB: sRGB's with its red primary moved (the rXYZ tag)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    for index in range(count):
        entry = 132 + 12 * index
        tag, offset = bytes(profile[entry : entry + 4]), int.from_bytes(profile[entry + 4 : entry + 8], "big")
        if tag == b"rXYZ":
            profile[offset + 12 : offset + 16] = round(red_y * 65536).to_bytes(4, "big")
        if tag == b"desc":
            at = bytes(profile).find("sRGB".encode("utf-16-be"), offset)
            profile[at : at + 8] = "Wide".encode("utf-16-be")
    return bytes(profile)
