"""What the parser learns from: labels follow whatever is done to a picture, and portraits say what is certain only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.models.parsing import BEARD, CLOTHES, HAIR, PARSED, SIZE, HeadParser, parser_like, widened
from core.training.barber import bearded
from core.training.data import DataMissing, RealPortraits
from core.training.face_places import STEPS, measures_of, places_of
from core.training.hairdresser import SKIN, dressed
from core.training.parser_check import certainties, overlaps
from core.training.parser_task import ParserTask, ParserTaskConfig, framed
from core.training.parsing_data import (
    TILE,
    UNKNOWN,
    ParsedHeads,
    ParsedPortraits,
    certainly_worn,
    mean_landmarks,
    parse_portraits,
)
from core.training.tailor import clothed, loosened
from core.training.views import project
from core.world.parts import PARTS

EYES, MOUTH = PARSED.index("eyes"), PARSED.index("mouth")


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
    picture, label = a_head()
    found, labels = dressed(picture, label, torch.zeros(0, 3, TILE, TILE, dtype=torch.uint8))
    assert torch.isfinite(found).all()
    assert labels.shape == label.shape


def test_the_mean_head_is_a_shards(world: Path) -> None:
    assert mean_landmarks(world).shape == (7, 3)


def places_on_a_plane(size: int = SIZE) -> torch.Tensor:
    """Pixels of a flat face: the mouth in the middle, the chin a quarter of the picture below (1, 3, S, S) int8."""
    v, u = torch.meshgrid(*(torch.linspace(-2.0, 2.0, size),) * 2, indexing="ij")
    return (torch.stack((u, -v, torch.zeros_like(u)))[None] * STEPS).round().clamp(-127, 127).to(torch.int8)


def test_beards_grow_where_beards_grow() -> None:
    """On skin around mouth and chin alone; most heads stay without; labels are where the colour changed."""
    torch.manual_seed(3)
    picture = torch.full((64, 4, SIZE, SIZE), 0.8)
    picture[:, 3] = 1.0
    label = torch.full((64, SIZE, SIZE), SKIN, dtype=torch.uint8)
    label[:, 60:68, 50:78] = MOUTH
    found, labels = bearded(
        picture, label, places_on_a_plane().expand(64, -1, -1, -1), torch.full((64,), 0.4), no_tiles()
    )
    grown = labels == BEARD
    per_head = grown.sum(dim=(1, 2))
    assert 0.25 < float((per_head > 30).float().mean()) < 0.65
    assert (labels[label == MOUTH] == MOUTH).all()
    assert not grown[:, :44, 48:80].any()  # cheeks' lines rise to the sides alone
    changed = (found[:, :3] - picture[:, :3]).abs().amax(dim=1)
    assert float((changed[grown] > 0.02).float().mean()) > 0.9
    assert float(changed[(labels == SKIN) & (label == SKIN)].mean()) < 0.02


def test_a_pixels_place_is_that_of_its_point() -> None:
    """Depth and camera of a point that lies a unit below the mouth and half a unit aside say so."""
    marks = torch.tensor([[[-0.02, 0.0, 0.08], [0.02, 0.0, 0.08], [0.0, -0.04, 0.08], [0.0, 0.016, 0.09]]])
    measures = measures_of(marks, (61, 291, 152, 2))
    assert float(measures.unit) == pytest.approx(0.04)
    assert float(measures.nose) == pytest.approx(0.016)
    camera, size = torch.tensor([[0.0, 0.0, 0.2]]), 64
    depth = torch.full((1, size, size), 1.0 - 0.08)
    place = places_of(depth, camera, measures)[0].float() / STEPS
    uv, _ = project(camera, torch.tensor([[[0.02, -0.04, 0.08]]]))
    column, row = (((uv[0, 0] + 1.0) * 0.5 * size) - 0.5).round().long().tolist()
    assert place[:, row, column].tolist() == pytest.approx([0.5, -1.0, 0.0], abs=0.2)


def test_collars_hide_necks_and_shoulders_lie_beside_them() -> None:
    torch.manual_seed(4)
    picture, label = (one.expand(48, *one.shape[1:]).clone() for one in a_head())
    cloth = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    cloth[:, 2] = 250
    found, labels = clothed(picture, label, cloth)
    worn = labels == CLOTHES
    some = worn.sum(dim=(1, 2)) > 20
    assert 0.25 < float(some.float().mean()) < 0.75
    assert not worn[:, : SIZE // 2].any()
    assert (labels[label == HAIR] == HAIR).all()
    shown = picture[:, 3] > 0.5
    untouched = (found[:, :3] == picture[:, :3]).all(dim=1)
    assert untouched[shown & ~worn].float().mean() > 0.98  # but for soft edges
    blue = found[:, 2] - found[:, 0]
    solid = found[:, 3] > 0.9
    assert float((blue.abs() > 0.05)[worn & solid].float().mean()) > 0.9
    assert (worn & (picture[:, 3] == 0)).any()  # shoulders, which the matte takes in
    assert torch.equal(*(one[0] for one in (clothed(picture, label, no_tiles()), (picture,))))


def test_a_loose_matte_takes_in_what_is_worn_and_says_so() -> None:
    torch.manual_seed(5)
    picture, straight = torch.zeros(32, 4, SIZE, SIZE), torch.full((32, 3, SIZE, SIZE), 0.3)
    picture[:, 3, :100, 40:90] = 1.0
    worn = torch.zeros(32, SIZE, SIZE, dtype=torch.bool)
    worn[:, 104:, 30:100] = True
    found, taken = loosened(picture, straight, worn)
    assert 0.2 < float((taken.sum(dim=(1, 2, 3)) > 0).float().mean()) < 0.8
    assert not (taken[:, 0].bool() & ~worn).any()
    assert (found[:, 3:][taken > 0] > 0.05).all()
    assert torch.equal(found[:, :, :100], picture[:, :, :100])


def test_what_lies_below_the_matte_is_clothes_for_certain() -> None:
    matte = torch.zeros(1, 1, SIZE, SIZE)
    matte[:, :, 10:110, 44:84] = 1.0
    landmarks = torch.tensor([[0.4, 0.3], [0.6, 0.3], [0.5, 0.8]])
    worn = certainly_worn(matte, landmarks)
    assert worn[118:, 60].all()
    assert not worn[:105].any()
    assert not (worn & (matte[0, 0] > 0.5)).any()
    assert not worn[:, :30].any()


def test_a_parser_of_before_clothes_is_read_and_goes_on() -> None:
    torch.manual_seed(6)
    old = HeadParser(parts=len(PARSED) - 1).eval()
    again = parser_like(old.state_dict())
    assert again.parts == len(PARSED) - 1
    wider = widened(old).eval()
    picture = torch.randn(1, 4, SIZE, SIZE)
    with torch.no_grad():
        assert torch.allclose(wider(picture)[:, :-1], old(picture), atol=1e-5)
        assert wider(picture)[:, -1].unique().tolist() == [-3.0]


def test_what_a_parser_gets_right_is_measured(heads: ParsedHeads) -> None:
    """One that always says hair finds all of it, and calls all else hair."""

    class AllHair(HeadParser):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(picture), len(PARSED), SIZE, SIZE)
            logits[:, HAIR] = 20.0
            return logits

    torch.manual_seed(7)
    some = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    hair, skin, worn = some.clone(), some.clone(), some.clone()
    hair[:, :20], skin[:, 40:60], worn[:, 100:] = True, True, True
    picture = torch.full((2, 4, SIZE, SIZE), 255, dtype=torch.uint8)
    cloth = torch.full((1, 3, 16, 16), 90, dtype=torch.uint8)
    portraits = ParsedPortraits(picture, hair, skin, no_tiles(), picture[:, :3], worn, cloth, worn)
    figures = certainties(AllHair((4, 8)), portraits)
    assert figures["hair"] == pytest.approx(1.0, abs=1e-3)
    assert figures["hair of skin"] == pytest.approx(1.0, abs=1e-3)
    assert figures["clothes of hair, skin"] == pytest.approx(0.0, abs=1e-3)
    found = overlaps(AllHair((4, 8)), heads, portraits)
    assert 0.0 < found["hair"] < 1.0
    assert found["skin"] == found["clothes"] == 0.0
