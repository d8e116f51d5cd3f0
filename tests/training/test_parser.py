"""What the parser learns from: labels follow whatever is done to a picture, and portraits say what is certain only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.models.parsing import HAIR, PARSED, SIZE, HeadParser
from core.training.data import DataMissing, RealPortraits
from core.training.hairdresser import SKIN, dressed
from core.training.parser_task import ParserTask, ParserTaskConfig, framed
from core.training.parsing_data import TILE, UNKNOWN, ParsedHeads, ParsedPortraits, mean_landmarks, parse_portraits
from core.world.parts import PARTS

EYES = PARSED.index("eyes")


@pytest.fixture(scope="module")
def heads(world: Path) -> ParsedHeads:
    return ParsedHeads.load(world)


def a_head() -> tuple[torch.Tensor, torch.Tensor]:
    """Black hair above pink skin, blue eyes, nothing around."""
    picture, label = torch.zeros(1, 4, SIZE, SIZE), torch.full((1, SIZE, SIZE), UNKNOWN, dtype=torch.uint8)
    picture[:, 3, 10:120, 20:108] = 1.0
    for part, rows, colour in (
        (HAIR, slice(10, 50), (0.1, 0.1, 0.1)),
        (SKIN, slice(50, 120), (0.9, 0.6, 0.5)),
        (EYES, slice(60, 66), (0.1, 0.2, 0.9)),
    ):
        label[:, rows, 20:108] = part
        picture[0, :3, rows, 20:108] = torch.tensor(colour)[:, None, None]
    return picture, label


def no_tiles() -> torch.Tensor:
    return torch.zeros(0, 3, 1, 1, dtype=torch.uint8)


def test_the_worlds_parts_become_the_parsers(heads: ParsedHeads) -> None:
    assert heads.picture.shape == (45, 4, SIZE, SIZE)
    solid = heads.picture[:, 3] > 250
    assert ((heads.label == HAIR) & solid).any()
    assert set(heads.label[solid].unique().tolist()) <= {SKIN, HAIR, UNKNOWN}
    assert (heads.label[heads.picture[:, 3] == 0] == UNKNOWN).float().mean() > 0.99


def test_every_part_of_the_world_is_known_or_left_open(tmp_path: Path) -> None:
    shard = tmp_path / "shard_0000000"
    shard.mkdir()
    np.save(shard / "colour.npy", np.full((1, 1, 256, 256, 4), 255, np.uint8))
    np.save(shard / "part.npy", np.resize(np.arange(len(PARTS), dtype=np.uint8), (1, 1, 128, 128)))
    label = ParsedHeads.load(tmp_path).label.flatten()[: len(PARTS)].tolist()
    said = {part: "?" if number == UNKNOWN else PARSED[number] for part, number in zip(PARTS, label, strict=True)}
    assert said["hair"] == "hair"
    assert said["teeth"] == said["mouth"] == "mouth"
    assert said["neck_end"] == "skin"
    assert {part for part, name in said.items() if name == "?"} == {"none", "lens"}


def test_no_shards_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="No world shards"):
        ParsedHeads.load(tmp_path)


def test_other_hair_comes_with_its_labels() -> None:
    """Whatever is labelled skin is skin-coloured; eyes stay eyes; the head's outline stays."""
    torch.manual_seed(0)
    picture, label = (one.expand(48, *one.shape[1:]).clone() for one in a_head())
    found, labels = dressed(picture, label, no_tiles())
    assert torch.equal(found[:, 3], picture[:, 3])
    inside = picture[:, 3] > 0.5
    assert (labels[label == EYES] == EYES).all()
    hair = ((labels == HAIR) & inside).sum(dim=(1, 2))
    before = int((label[0] == HAIR).sum())
    assert (hair > 1.1 * before).any()  # fringes
    assert (hair < 0.8 * before).any()  # receding hairlines
    was_hair_is_skin = (labels == SKIN) & (label == HAIR) & inside
    pink = found[:, 0] - found[:, 2]
    assert was_hair_is_skin.any()
    assert (pink[was_hair_is_skin] > 0.1).float().mean() > 0.9


def test_real_hair_is_put_on_the_worlds_heads() -> None:
    torch.manual_seed(1)
    picture, label = (one.expand(48, *one.shape[1:]).clone() for one in a_head())
    tiles = torch.zeros(1, 3, TILE, TILE, dtype=torch.uint8)
    tiles[:, 1] = 200  # green: nobody's hair
    found, labels = dressed(picture, label, tiles)
    hair = (labels == HAIR) & (label == HAIR)
    green = ((found[:, 1] - found[:, 0] > 0.02) & hair).sum(dim=(1, 2)) > 0.5 * hair.sum(dim=(1, 2)).clamp(min=1)
    assert 0.1 < float(green.float().mean()) < 0.9


def test_a_picture_moves_with_its_labels() -> None:
    torch.manual_seed(2)
    picture, label = (one.expand(16, *one.shape[1:]) for one in a_head())
    moved, labels = framed(picture * picture[:, 3:], label[:, None])
    solid = moved[:, 3] > 0.999
    dark = moved[:, 0] < 0.11
    assert ((labels[:, 0] == HAIR)[solid & dark & (moved[:, 2] < 0.2)]).float().mean() > 0.98
    assert not torch.equal(moved[0], moved[1])


def test_portraits_say_what_is_certain_and_lend_their_hair(heads: ParsedHeads, world: Path) -> None:
    """A painted face: dark hair above, skin below; what is between stays open."""
    colour = torch.full((1, 3, 256, 256), 40, dtype=torch.uint8)
    colour[:, :, 60:] = torch.tensor((225, 165, 140), dtype=torch.uint8)[None, :, None, None]
    grain = torch.randint(0, 24, (1, 1, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    u, y = torch.meshgrid(torch.linspace(-0.04, 0.04, 26), torch.linspace(-0.08, 0.03, 18), indexing="ij")
    mean = torch.stack((u, y, torch.full_like(u, 0.06)), dim=-1).reshape(-1, 3)
    places = torch.zeros(1, 468, 2)
    places[0, : len(mean)] = mean[:, :2] * torch.tensor((4.0, -4.0)) + 0.5
    table = world / "plain.json"
    table.write_text('{"landmarks": [' + ", ".join(f'{{"mediapipe": {i}}}' for i in range(len(mean))) + "]}")
    matte = torch.full((1, 256, 256), 255, dtype=torch.uint8)
    portraits = RealPortraits(colour + grain, matte, places, torch.zeros(1, 2), ("one",))
    parsed = parse_portraits(portraits, table, mean)
    assert parsed.hair[0, :20].float().mean() > 0.8
    assert not parsed.hair[0, 32:].any()
    assert parsed.skin[0].any()
    assert not (parsed.skin & parsed.hair).any()
    assert len(parsed.tiles) > 0
    assert parsed.tiles.float().mean() < 80
    task = ParserTask(HeadParser((4, 8, 8)), heads, parsed, ParserTaskConfig(pictures=2, portraits=1))
    torch.manual_seed(0)
    assert set(task.losses(0.1)[1]) == {"parts", "certain"}
    loss, parts = task.losses(0.9)
    assert set(parts) == {"parts", "certain", "taught"}
    loss.backward()
    assert all(p.grad is not None for p in task.parser.parameters())
    assert all(p.grad is None for p in task.teacher.parameters())
    sheet = task.sheet({"parser": task.parser.eval()})
    assert sheet.shape[2] == 3


def test_it_learns_the_worlds_hair(heads: ParsedHeads) -> None:
    """A few steps on the toy tell the upper half from the lower."""
    torch.manual_seed(0)
    task = ParserTask(HeadParser((8, 8, 8)), heads, None, ParserTaskConfig(pictures=4))
    adam = torch.optim.Adam(task.parser.parameters(), 1e-2)
    first = last = 0.0
    for step in range(25):
        adam.zero_grad()
        loss, _ = task.losses(0.0)
        loss.backward()
        adam.step()
        first, last = (float(loss.detach()), last) if step == 0 else (first, float(loss.detach()))
    assert last < 0.6 * first


def test_portraits_without_hair_lend_none() -> None:
    nobody = ParsedPortraits(
        torch.zeros(1, 4, SIZE, SIZE, dtype=torch.uint8), *(torch.zeros(1, SIZE, SIZE, dtype=torch.bool),) * 2,
        torch.zeros(0, 3, TILE, TILE, dtype=torch.uint8),
    )  # fmt: skip
    picture, label = a_head()
    found, labels = dressed(picture, label, nobody.tiles)
    assert torch.isfinite(found).all()
    assert labels.shape == label.shape


def test_the_mean_head_is_a_shards(world: Path) -> None:
    assert mean_landmarks(world).shape == (7, 3)
