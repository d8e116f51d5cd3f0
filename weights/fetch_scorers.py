"""Fetches the networks that judge edits, once, into ``weights/fetched``; the program never looks there.

Expression, age and gender scores come from the npm package ``@vladmandic/face-api`` (MIT; its networks are quantised to
uint8 with a scale and a minimum a tensor). The package is downloaded by npm, checked by its hash, and read without
being installed::

    python -m weights.fetch_scorers
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "fetched"
PACKAGE = "@vladmandic/face-api@1.7.15"
PACKAGE_SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"
MODELS = {"expression": "face_expression_model", "age_gender": "age_gender_model"}


def tensors(manifest: list[dict], blob: bytes) -> dict[str, NDArray[np.float32]]:
    """The tensors of one network in its own layout (height, width, in, out), quantisation undone."""
    found, offset = {}, 0
    for entry in manifest[0]["weights"]:
        count = int(np.prod(entry["shape"]))
        quantised = entry.get("quantization")
        if quantised:
            values = np.frombuffer(blob, np.uint8, count, offset) * quantised["scale"] + quantised["min"]
            offset += count
        else:
            values = np.frombuffer(blob, "<f4", count, offset)
            offset += 4 * count
        found[entry["name"]] = values.reshape(entry["shape"]).astype(np.float32)
    if offset != len(blob):
        raise ValueError(f"the manifest describes {offset} bytes of {len(blob)}")
    return found


def scorers(package: bytes) -> dict[str, NDArray[np.float32]]:
    """All tensors of the package's scorers, ``NETWORK/NAME``."""
    arrays = {}
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:

        def content(name: str) -> bytes:
            member = archive.extractfile(f"package/model/{name}")
            if member is None:
                raise ValueError(f"the package has no {name}")
            return member.read()

        for key, name in MODELS.items():
            manifest = json.loads(content(f"{name}-weights_manifest.json"))
            for part, values in tensors(manifest, content(f"{name}.bin")).items():
                arrays[f"{key}/{part}"] = values
    return arrays


def download(package: str, sha256: str) -> bytes:
    """A published npm package.

    Raises:
        ValueError: what came is not what was expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (path,) = Path(folder).glob("*.tgz")
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f"{package} has the SHA-256 {found}, expected {sha256}")
    return data


def main() -> int:
    """Fetch what is not there yet."""
    target = FOLDER / "scorers.npz"
    if target.exists():
        return 0
    if shutil.which("npm") is None:
        sys.stderr.write("npm is not there, so expression, age and gender are not scored by networks; go on without.\n")
        return 0
    FOLDER.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **scorers(download(PACKAGE, PACKAGE_SHA256)))
    part.replace(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
