"""Preparing a folder of photos: what is stored can be read back, failures are named and left out."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.alignment import AlignedFace
from core.alignment.prepare import prepare_photo, validation_names, write_prepared
from tests.alignment.conftest import DATA


def test_what_is_stored_is_what_was_aligned(aligned: AlignedFace, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    photos = [prepare_photo(DATA / "astronaut.jpg", 256), prepare_photo(tmp_path / "text.jpg", 256)]
    assert photos[1].failure.startswith("PhotoUnreadable")
    out = tmp_path / "deep" / "prepared.npz"
    write_prepared(photos, out, 256)
    with np.load(out, allow_pickle=False) as stored:
        assert list(stored["names"]) == ["astronaut.jpg"]
        start, end = stored["jpeg_offsets"]
        crop = np.asarray(Image.open(io.BytesIO(stored["jpeg_bytes"][start:end].tobytes())))
        start, end = stored["matte_offsets"]
        matte = np.frombuffer(zlib.decompress(stored["matte_bytes"][start:end].tobytes()), np.uint8).reshape(256, 256)
        assert np.abs(crop.astype(int) - aligned.crop256).mean() < 3
        assert np.abs(matte / 255 - aligned.matte256).max() < 0.01
        assert np.allclose(stored["landmarks"][0], aligned.landmarks, atol=1e-6)
        assert np.allclose(stored["pose"][0], [aligned.camera.yaw, aligned.camera.pitch, *aligned.framing], atol=1e-6)
    assert sorted(path.name for path in out.parent.iterdir()) == ["prepared.npz"]


@pytest.mark.parametrize("size", [128, 512])
def test_other_sizes_are_cut_from_the_photo_itself(size: int) -> None:
    stored = prepare_photo(DATA / "astronaut.jpg", size)
    assert np.asarray(Image.open(io.BytesIO(stored.crop))).shape == (size, size, 3)
    assert len(zlib.decompress(stored.matte)) == size * size


def test_the_validation_split_is_fixed() -> None:
    names = validation_names()
    assert len(names) == 59
    assert "large_000.jpg" in names
