"""What the parser learns from: the world's heads with their parts, and portraits where colours leave no doubt.

Everything at the parser's own size. Portraits say little for certain (cheeks are skin; what is of another hue or far
darker than them, away from the face, is hair), and lend the hair of real people to heads of the world.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.generator import Generator
from core.models.parsing import PARSED, SIZE
from core.rendering.hair import SIDE, face_of
from core.training.data import DataMissing, RealPortraits, shrink
from core.training.hair_by_colour import hair_share, strands
from core.training.renders import THUMB, render_picture
from core.world.parts import PARTS

UNKNOWN = 255
"""Label of pixels that nobody knows."""
_SAME = {"neck_end": "skin", "lashes": "eyes", "teeth": "mouth"}
TILE, TILES = 32, 2048
"""Side of patches of real hair, at 256 px, and how many are kept."""
CERTAIN = 0.9
PLAIN_VIEWS = 3
"""Views of a head that show it unedited."""


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedHeads:
    """Pictures of the world's heads. Shape: picture (N, 4, 128, 128) uint8 straight; label (N, 128, 128) uint8."""

    picture: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.picture)

    def write(self, path: Path) -> None:
        """Into a file that :meth:`read` reads."""
        np.savez_compressed(path, picture=self.picture.numpy(), label=self.label.numpy())

    @classmethod
    def read(cls, path: Path) -> ParsedHeads:
        """What :meth:`write` wrote."""
        with np.load(path) as file:
            return cls(torch.from_numpy(file["picture"]), torch.from_numpy(file["label"]))

    @classmethod
    def load(cls, folder: Path, *, limit: int | None = None) -> ParsedHeads:
        """Reads every view of every finished shard below a folder, of at most ``limit`` heads.

        Raises:
            DataMissing: There is none.
        """
        shards = sorted(path.parent for path in folder.glob("shard_*/part.npy"))
        if not shards:
            raise DataMissing(f"No world shards in {folder}.", hint="Run `python -m core.world generate` first.")
        pictures, labels, left = [], [], limit
        table = torch.from_numpy(_table())
        for shard in shards:
            if left is not None and left <= 0:
                break
            colour = np.load(shard / "colour.npy", mmap_mode="r")[:left]
            part = np.load(shard / "part.npy", mmap_mode="r")[:left]
            left = None if left is None else left - len(colour)
            for heads, parts in zip(colour, part, strict=True):
                views = torch.from_numpy(np.array(heads)).permute(0, 3, 1, 2).float()
                alpha = views[:, 3:] / 255
                small = shrink(torch.cat((views[:, :3] * alpha, alpha), dim=1), SIZE)
                small = torch.cat((small[:, :3] / small[:, 3:].clamp(min=1e-3), small[:, 3:] * 255), dim=1)
                pictures.append(small.round().clamp(0, 255).byte())
                labels.append(table[torch.from_numpy(np.array(parts)).long()])
        return cls(torch.cat(pictures), torch.cat(labels))


@torch.no_grad()
def painted_heads(generator: Generator, folder: Path, count: int) -> ParsedHeads:
    """The generator's own pictures of a shard's heads, with the world's parts: the same codes from the same cameras.

    They are smooth, and so is their hair: what the world's pictures teach does not hold there.

    Args:
        generator: Trained on this world.
        folder: Its shards.
        count: Pictures; what the first three views of as many heads as it takes show.
    """
    table = torch.from_numpy(_table())
    pictures: list[Tensor] = []
    labels: list[Tensor] = []
    for shard in sorted(path.parent for path in folder.glob("shard_*/part.npy")):
        parts = {name: np.load(shard / f"{name}.npy", mmap_mode="r") for name in ("z", "camera", "part")}
        for z, cameras, part in zip(*parts.values(), strict=True):
            w = generator.mapping(torch.from_numpy(np.array(z))[None])
            for view in range(PLAIN_VIEWS):
                if len(pictures) == count:
                    return ParsedHeads(torch.stack(pictures), torch.stack(labels))
                camera = torch.from_numpy(np.array(cameras[view]))[None]
                drawn = render_picture(generator, generator.styles(w), camera, THUMB)[0]
                whole = F.interpolate(drawn, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0]
                straight = torch.cat((whole[:3] / whole[3:].clamp(min=1e-3), whole[3:]))
                pictures.append((straight * 255).round().clamp(0, 255).byte())
                labels.append(table[torch.from_numpy(np.array(part[view])).long()])
    return ParsedHeads(torch.stack(pictures), torch.stack(labels))


def mean_landmarks(folder: Path) -> np.ndarray:
    """Landmarks of the mean of a shard's heads (L, 3) float32, world frame."""
    shard = min(folder.glob("shard_*/landmarks.npy"))
    return np.asarray(np.load(shard).mean(axis=0), np.float32)


def _table() -> np.ndarray:
    """The world's number of a part → the parser's (12,) uint8."""
    names = [_SAME.get(name, name) for name in PARTS]
    return np.array([PARSED.index(name) if name in PARSED else UNKNOWN for name in names], np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedPortraits:
    """Real portraits with what is known of them for certain.

    Shape:
        picture (N, 4, 128, 128) uint8 premultiplied; hair, skin (N, 128, 128) bool; tiles (T, 3, 32, 32) uint8.
    """

    picture: Tensor
    hair: Tensor
    skin: Tensor
    tiles: Tensor

    def __len__(self) -> int:
        return len(self.picture)


def parse_portraits(portraits: RealPortraits, table: Path, mean: Tensor) -> ParsedPortraits:
    """What colours say of portraits, where they leave no doubt, and patches of their hair.

    Args:
        portraits: Aligned portraits.
        table: The world's landmark vertices.
        mean: Landmarks of the mean head (L, 3), in the table's order.
    """
    entries = json.loads(table.read_text())["landmarks"]
    numbers = [int(entry["mediapipe"]) for entry in entries]
    random = np.random.default_rng(0)
    pictures, hairs, skins, tiles = [], [], [], []
    for index in range(len(portraits)):
        photo = portraits.colour[index : index + 1].float() / 127.5 - 1.0
        matte = portraits.matte[index : index + 1, None].float() / 255
        face = face_of(mean, portraits.landmarks[index, numbers] * 2.0 - 1.0)
        sure = strands(photo, matte, hair_share(photo, matte, face), face)
        away = 1.0 - F.max_pool2d(face.bare, 5, 1, 2)
        solid = (F.interpolate(matte, size=(SIDE, SIDE), mode="area") > 0.95).float()
        # The dark side of a face passes for hair that hangs down.
        hair = _eroded((sure > CERTAIN).float() * away * solid * face.above, 7)
        pictures.append((shrink(portraits.picture(torch.tensor([index])), SIZE)[0] * 255).round().byte())
        hairs.append(hair[0, 0] > 0.5)
        skins.append((face.skin * solid)[0, 0] > 0.5)
        tiles += _tiles(portraits.colour[index], hair[0, 0], random)
    order = random.permutation(len(tiles))[:TILES]
    chosen = torch.stack([tiles[i] for i in order]) if tiles else torch.zeros(0, 3, TILE, TILE, dtype=torch.uint8)
    return ParsedPortraits(torch.stack(pictures), torch.stack(hairs), torch.stack(skins), chosen)


def _eroded(mask: Tensor, width: int) -> Tensor:
    return -F.max_pool2d(-mask, width, 1, width // 2)


def _tiles(colour: Tensor, hair: Tensor, random: np.random.Generator, most: int = 8) -> list[Tensor]:
    """Patches (3, TILE, TILE) of one picture (3, 256, 256) that are hair throughout."""
    factor = colour.shape[-1] // hair.shape[-1]
    side = TILE // factor
    whole = -F.max_pool2d(-hair[None, None].float(), side, 1)[0, 0]
    places = whole.nonzero()
    if not len(places):
        return []
    chosen = places[torch.from_numpy(random.permutation(len(places))[:most])] * factor
    return [colour[:, y : y + TILE, x : x + TILE].clone() for y, x in chosen.tolist()]
