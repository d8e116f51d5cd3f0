"""Training data as tensors on one device: shards of the synthetic world, and aligned real portraits.

The world's shards (:mod:`core.world.dataset`) are small enough to lie in memory whole, so a batch is an index
operation and the loop is never starved by a loader. Knows nothing of networks or losses.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import logging
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.errors import CameoError

logger = logging.getLogger(__name__)

VIEWS = 5
"""Views of a head in a shard: photo-like, side, all around, and the edited state at the first two cameras."""
EDITED_VIEWS = (3, 4)
DEPTH_SIZE = 128

FORMAT_HINT = "docs/training.md says what a shard holds; leave this folder out, or make it again."


class DataMissing(CameoError):
    """The training data folder is absent or empty."""


@dataclasses.dataclass(frozen=True, eq=False)
class WorldHeads:
    """Heads of the synthetic world, one row a head, five views each.

    Shape:
        z, z_edit: (H, 256). labels, labels_edit: (H, A). camera: (H, 5, 3) yaw, pitch, half field of view [rad].
        colour: (H, 5, 256, 256, 4) uint8 straight alpha. depth: (H, 5, 128, 128) optical-axis depth, 0 = nothing there.
        normal: (H, 5, 128, 128, 3) int8, world frame x 127. part: (H, 5, 128, 128) uint8.
        other: (H, 2, 128, 128, 3) world position, in the unedited state, of what views 3 and 4 show.
        landmarks, landmarks_edit: (H, L, 3) world frame.
    """

    z: Tensor
    z_edit: Tensor
    labels: Tensor
    labels_edit: Tensor
    camera: Tensor
    colour: Tensor
    depth: Tensor
    normal: Tensor
    part: Tensor
    other: Tensor
    landmarks: Tensor
    landmarks_edit: Tensor
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def load(cls, folder: Path, device: torch.device, *, limit: int | None = None) -> WorldHeads:
        """Reads every finished shard below ``folder``, at most ``limit`` heads, onto ``device``.

        Raises:
            DataMissing: if there is no shard, or one lacks an array or has it in another shape than the first.
        """
        shards = sorted(p.parent for p in folder.glob("shard_*/z.npy"))
        if not shards:
            raise DataMissing(f"No world shards in {folder}.", hint="Run `python -m core.world generate` first.")
        names = [field.name for field in dataclasses.fields(cls) if field.name != "label_names"]
        total = sum(len(np.load(s / "z.npy", mmap_mode="r")) for s in shards)
        total = min(total, limit or total)
        tensors: dict[str, Tensor] = {}
        for name in names:
            first = _array(shards[0], name)
            dtype = torch.from_numpy(np.zeros(1, first.dtype)).dtype
            out = torch.zeros((total, *first.shape[1:]), dtype=dtype, device=device)
            at = 0
            for shard in shards:
                rows = _array(shard, name)[: total - at]
                if rows.shape[1:] != first.shape[1:]:
                    raise DataMissing(f"{shard}/{name}.npy is {rows.shape}, others {first.shape}.", hint=FORMAT_HINT)
                out[at : at + len(rows)] = torch.from_numpy(np.array(rows)).to(device)
                at += len(rows)
                if at >= total:
                    break
            tensors[name] = out
        label_names = tuple(json.loads((shards[0] / "label_names.json").read_text()))
        logger.info("loaded %d heads from %s", total, folder)
        return cls(**tensors, label_names=label_names)

    def code(self, head: Tensor, view: Tensor) -> Tensor:
        """The z (N, 256) that made each (head, view): the edited one for views 3 and 4."""
        return torch.where((view >= EDITED_VIEWS[0])[:, None], self.z_edit[head], self.z[head])

    def points3d(self, head: Tensor, view: Tensor) -> Tensor:
        """Landmarks (N, L, 3) of each (head, view)."""
        return torch.where((view >= EDITED_VIEWS[0])[:, None, None], self.landmarks_edit[head], self.landmarks[head])

    def picture(self, head: Tensor, view: Tensor) -> Tensor:
        """Premultiplied pictures (N, 4, 256, 256): RGB in [0, 1] times alpha, and alpha."""
        straight = self.colour[head, view].permute(0, 3, 1, 2).float() / 255
        return torch.cat([straight[:, :3] * straight[:, 3:], straight[:, 3:]], 1)


@dataclasses.dataclass(frozen=True, eq=False)
class RealPortraits:
    """Aligned real portraits: crops of the FFHQ frame with head matte and landmarks.

    Shape:
        colour: (N, 3, 256, 256) uint8. matte: (N, 256, 256) uint8. landmarks: (N, 468, 2) unit crop coordinates.
        angles: (N, 2) yaw and pitch [rad] by the landmarks alone.
    """

    colour: Tensor
    matte: Tensor
    landmarks: Tensor
    angles: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.colour)

    @classmethod
    def load(cls, path: Path, device: torch.device, *, validation: bool = False) -> RealPortraits:
        """Reads the file that ``python -m core.alignment.prepare`` writes.

        Args:
            path: The file.
            device: Where the tensors go.
            validation: Take the validation split instead of everything else.

        Raises:
            DataMissing: if there is no such file.
        """
        if not path.exists():
            raise DataMissing(f"No portraits at {path}.", hint="Run `python -m core.alignment.prepare FOLDER OUT`.")
        with np.load(path, allow_pickle=False) as file:
            keep = np.flatnonzero(file["validation"] == validation)
            size = int(file["size"])
            crops = _split(file["jpeg_bytes"], file["jpeg_offsets"])
            mattes = _split(file["matte_bytes"], file["matte_offsets"])
            colour = np.stack([np.asarray(Image.open(io.BytesIO(crops[i])).convert("RGB")) for i in keep])
            matte = np.stack([np.frombuffer(zlib.decompress(mattes[i]), np.uint8).reshape(size, size) for i in keep])
            landmarks = file["landmarks"][keep].astype(np.float32)
            angles = file["pose"][keep, :2].astype(np.float32)
            names = tuple(str(name) for name in file["names"][keep])
        return cls(
            torch.from_numpy(colour).permute(0, 3, 1, 2).contiguous().to(device),
            torch.from_numpy(matte).to(device),
            torch.from_numpy(landmarks).to(device),
            torch.from_numpy(angles).to(device),
            names,
        )

    def picture(self, index: Tensor) -> Tensor:
        """Premultiplied pictures (N, 4, 256, 256), RGB in [0, 1] times matte, and matte."""
        alpha = self.matte[index][:, None].float() / 255
        return torch.cat([self.colour[index].float() / 255 * alpha, alpha], 1)


def _array(shard: Path, name: str) -> np.ndarray:
    """One array of a shard, not read yet."""
    try:
        return np.load(shard / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataMissing(f"{shard}/{name}.npy cannot be read: {error}.", hint=FORMAT_HINT) from error


def _split(data: np.ndarray, offsets: np.ndarray) -> list[bytes]:
    """Concatenated byte strings apart again; offsets are one more than the strings."""
    return [data[start:end].tobytes() for start, end in itertools.pairwise(offsets.tolist())]


def encoder_input(picture: Tensor) -> Tensor:
    """E0's input (N, 4, 256, 256) of a premultiplied picture: RGB on mid-grey in [-1, 1], alpha in [0, 1]."""
    alpha = picture[:, 3:]
    return torch.cat([picture[:, :3] * 2 - alpha, alpha], 1)


def premultiplied(picture: Tensor) -> Tensor:
    """Straight pictures (N, 4, S, S) with their colours times alpha."""
    return torch.cat([picture[:, :3] * picture[:, 3:], picture[:, 3:]], 1)


def shrink(picture: Tensor, size: int) -> Tensor:
    """Area-averaged picture (N, C, size, size)."""
    return F.interpolate(picture, size=(size, size), mode="area")


def load_landmarks(folder: Path) -> tuple[Tensor, Tensor]:
    """Codes (N, 256) and landmarks (N, L, 3) of all finished files of ``python -m core.world landmarks``.

    Raises:
        DataMissing: if there are none.
    """
    files = sorted(folder.glob("landmarks_*.npz"))
    if not files:
        raise DataMissing(f"No landmarks in {folder}.", hint="Run `python -m core.world landmarks FOLDER` first.")
    parts: list[tuple[Tensor, Tensor]] = []
    for path in files:
        with np.load(path, allow_pickle=False) as file:
            parts.append((torch.from_numpy(file["z"]), torch.from_numpy(file["landmarks"])))
    return torch.cat([z for z, _ in parts]), torch.cat([points for _, points in parts])
