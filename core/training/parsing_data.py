"""What the parser learns from: the world's heads with their parts, and portraits where colours leave no doubt.

Everything at the parser's own size. Portraits say little for certain (cheeks are skin; what is of another hue or far
darker than them, away from the face, is hair), and lend the hair of real people to heads of the world.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.generator import Generator
from core.models.parsing import PARSED, SIZE
from core.rendering.hair import SIDE, face_of, hull
from core.training.data import DataMissing, RealPortraits, shrink
from core.training.face_places import has_measures, measures_of, places_of
from core.training.hair_by_colour import hair_share, strands
from core.training.renders import THUMB, render_picture
from core.world.parts import PARTS

UNKNOWN = 255
"""Label of pixels that nobody knows."""
_SAME = {"neck_end": "skin", "lashes": "eyes", "teeth": "mouth"}
TILE, TILES = 32, 2048
"""Side of patches of real hair, at 256 px, and how many are kept."""
CERTAIN = 0.9
BELOW, BESIDE = 0.02, 0.9
"""How far under chin and matte clothes are certain (share of the picture), how far beside the chin (of the face)."""
BETWEEN_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""MediaPipe's numbers around what lips leave open."""
CLOTH = 16
"""Side of patches of clothes, at 256 px: there is little of them in the frame."""
PLAIN_VIEWS = 3
"""Views of a head that show it unedited."""


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedHeads:
    """Pictures of the world's heads.

    Shape:
        picture (N, 4, 128, 128) uint8 straight; label (N, 128, 128) uint8; places (N, 3, 128, 128) int8 and nose (N,)
        as ``core.training.barber`` wants them, or nothing.
    """

    picture: Tensor
    label: Tensor
    places: Tensor | None = None
    nose: Tensor | None = None

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
    def load(cls, folder: Path, *, limit: int | None = None, numbers: Sequence[int] = ()) -> ParsedHeads:
        """Reads every view of every finished shard below a folder, of at most ``limit`` heads.

        Args:
            folder: With shards.
            limit: Heads.
            numbers: MediaPipe's numbers of their landmarks; with those of a mouth, pixels have places on their heads.

        Raises:
            DataMissing: There is none.
        """
        shards = sorted(path.parent for path in folder.glob("shard_*/part.npy"))
        if not shards:
            raise DataMissing(f"No world shards in {folder}.", hint="Run `python -m core.world generate` first.")
        pictures, labels, left = [], [], limit
        places: list[Tensor] = []
        noses: list[Tensor] = []
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
            if has_measures(numbers):
                for place, nose in _places(shard, len(colour), numbers):
                    places.append(place)
                    noses.append(nose)
        known = (torch.cat(places), torch.cat(noses)) if places else (None, None)
        return cls(torch.cat(pictures), torch.cat(labels), *known)


def _places(shard: Path, heads: int, numbers: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Places (V, 3, S, S) and noses (V,) of each of a shard's heads."""
    names = ("depth", "camera", "landmarks", "landmarks_edit")
    arrays = {name: np.load(shard / f"{name}.npy", mmap_mode="r") for name in names}
    for head in range(heads):
        depth, camera, plain, edited = (torch.from_numpy(np.array(one[head])).float() for one in arrays.values())
        marks = torch.stack([plain if view < PLAIN_VIEWS else edited for view in range(len(depth))])
        measures = measures_of(marks, numbers)
        yield places_of(depth, camera, measures), measures.nose / measures.unit


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
        picture (N, 4, 128, 128) uint8 premultiplied; hair, skin, worn, mouth (N, 128, 128) bool; tiles (T, 3, 32, 32)
        and cloth (T, 3, 16, 16) uint8, patches of hair and of clothes; straight (N, 3, 128, 128) uint8.
    """

    picture: Tensor
    hair: Tensor
    skin: Tensor
    tiles: Tensor
    straight: Tensor
    """All of the crop."""
    worn: Tensor
    """What beyond the matte is clothes for certain."""
    cloth: Tensor
    mouth: Tensor
    """What lies between the lips."""

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
    straights, worn, mouths, cloth = [], [], [], []
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
        clothes = certainly_worn(matte, portraits.landmarks[index])
        worn.append(clothes)
        mouths.append(hull(portraits.landmarks[index, list(BETWEEN_LIPS)] * 2.0 - 1.0)[0, 0] > 0.5)
        cloth += _tiles(portraits.colour[index], clothes, random, CLOTH)
        straights.append((shrink(portraits.colour[index : index + 1].float(), SIZE)[0]).round().byte())
    return ParsedPortraits(
        picture=torch.stack(pictures),
        hair=torch.stack(hairs),
        skin=torch.stack(skins),
        tiles=_some(tiles, random, TILE),
        straight=torch.stack(straights),
        worn=torch.stack(worn),
        cloth=_some(cloth, random, CLOTH),
        mouth=torch.stack(mouths),
    )


def _some(tiles: list[Tensor], random: np.random.Generator, side: int) -> Tensor:
    """So many of the patches as are kept (T, 3, side, side)."""
    order = random.permutation(len(tiles))[:TILES]
    return torch.stack([tiles[i] for i in order]) if len(order) else torch.zeros(0, 3, side, side, dtype=torch.uint8)


def certainly_worn(matte: Tensor, landmarks: Tensor) -> Tensor:
    """What is no head for certain (SIDE, SIDE) bool: what lies lower than the chin and below all that the matte keeps.

    Collars and shoulders mostly, with some background beside them: a matte should take in neither.

    Shape:
        matte (1, 1, any, any), 0..1; landmarks (468, 2) in unit crop coordinates.
    """
    alpha = F.interpolate(matte, size=(SIDE, SIDE), mode="area")[0, 0]
    line = (torch.arange(SIDE, device=matte.device) + 0.5) / SIDE
    chin, wide = landmarks[:, 1].max(), landmarks[:, 0].max() - landmarks[:, 0].min()
    aside = (line - landmarks[landmarks[:, 1].argmax(), 0]).abs()
    lowest = ((alpha > 0.5).float() * line[:, None]).amax(dim=0)
    below = line[:, None] > torch.maximum(lowest, chin)[None] + BELOW
    return below & (aside < BESIDE * wide)[None] & (alpha < 0.05)


def _eroded(mask: Tensor, width: int) -> Tensor:
    return -F.max_pool2d(-mask, width, 1, width // 2)


def _tiles(colour: Tensor, part: Tensor, random: np.random.Generator, side: int = TILE, most: int = 8) -> list[Tensor]:
    """Patches (3, side, side) of one picture (3, 256, 256) that are of one part throughout."""
    factor = colour.shape[-1] // part.shape[-1]
    whole = -F.max_pool2d(-part[None, None].float(), side // factor, 1)[0, 0]
    places = whole.nonzero()
    if not len(places):
        return []
    chosen = places[torch.from_numpy(random.permutation(len(places))[:most])] * factor
    return [colour[:, y : y + side, x : x + side].clone() for y, x in chosen.tolist()]
