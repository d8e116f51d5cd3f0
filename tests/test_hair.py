"""Laws of the parting: paint keeps to hair and skin of the photo, whatever the generator has there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.models.parsing import HeadParser
from core.photo import Photo
from core.rendering.hair import ROWS, SHADOW, SIDE, Face, Parting, face_of, kept_apart, parts_of, without_scalps
from core.rendering.source import SourceHead

SKIN, HAIR, GREY = (0.5, 0.1, -0.1), (-0.6, -0.7, -0.8), (0.2, 0.2, 0.2)


def painted(line: int, hair: tuple[float, float, float] = HAIR) -> torch.Tensor:
    """A picture that is hair down to a row and skin below, with a little grain."""
    rows = torch.arange(SIDE)[:, None].expand(SIDE, SIDE) < line
    picture = torch.where(rows, torch.tensor(hair)[:, None, None], torch.tensor(SKIN)[:, None, None])[None]
    return picture + 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))


def test_an_edit_keeps_to_the_hairline_of_the_photo() -> None:
    """The generator greys down to row 40; the photo's forehead is bare from row 20 on and must stay skin."""
    before, after = painted(40), painted(40, GREY)
    photo, own = torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, 1, SIDE, SIDE)
    photo[:, :, :20], own[:, :, :40] = 1.0, 1.0
    apart = kept_apart(torch.cat((before, after), dim=1), photo, own)
    change = (apart[:, 3:] - apart[:, :3]).abs().amax(dim=1)[0]
    assert change[:18].min() > 0.5
    assert change[24:].max() < 0.15


def test_a_fringe_that_only_the_photo_has_follows() -> None:
    before, after = painted(20), painted(20, GREY)
    photo, own = torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, 1, SIDE, SIDE)
    photo[:, :, :40], own[:, :, :20] = 1.0, 1.0
    apart = kept_apart(torch.cat((before, after), dim=1), photo, own)
    assert (apart[:, 3:] - apart[:, :3]).abs().amax(dim=1)[0, 24:38].min() > 0.5


def test_where_both_agree_nothing_changes() -> None:
    picture = painted(32)
    hair = torch.zeros(1, 1, SIDE, SIDE)
    hair[:, :, :32] = 1.0
    assert (kept_apart(picture, hair, hair) - picture).abs()[:, :, 40:].mean() < 0.03


def test_on_a_bald_head_all_is_skin() -> None:
    """The generator darkens skin below row 40 and leaves its hair; the photo has none."""
    before = painted(40)
    after = before.clone()
    after[:, :, 40:] -= 0.3
    photo, own = torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, 1, SIDE, SIDE)
    own[:, :, :40] = 1.0
    apart = kept_apart(torch.cat((before, after), dim=1), photo, own)
    assert ((apart[:, :3] - apart[:, 3:])[0] > 0.2).all()


def test_hair_before_a_cheek_is_no_cheek_seen_from_elsewhere() -> None:
    """Both have hair left of column 40; the photo's reaches to column 50. Brows lie in row 30."""
    photo, own, above = (torch.zeros(1, 1, SIDE, SIDE) for _ in range(3))
    photo[..., :50], own[..., :40], above[:, :, :30] = 1.0, 1.0, 1.0
    nothing = torch.zeros_like(photo)
    agreed = Parting(photo, own, above, above, nothing, nothing, nothing).agreed[0, 0]
    assert (agreed[: 30 - ROWS] == 1.0).all()
    assert (agreed[30 + ROWS :, 40 : 50 + SHADOW] < 1e-6).all()
    assert (agreed[:, :40] == 1.0).all()
    assert (agreed[:, 50 + SHADOW :] == 1.0).all()
    assert agreed[:, 45].diff().abs().max() < 0.1, "a sharp end would be seen"


def a_face() -> Face:
    """Landmarks on a flat face: brows in row 58, chin in row 105 or so."""
    u, y = torch.meshgrid(torch.linspace(-0.048, 0.048, 13), torch.linspace(-0.08, 0.03, 23), indexing="ij")
    landmarks = torch.stack((u, y, torch.full_like(u, 0.06)), dim=-1).reshape(-1, 3)
    return face_of(landmarks, landmarks[:, :2] * torch.tensor((8.0, -8.0)))


def test_a_scalp_in_another_light_is_no_hair() -> None:
    """What is as smooth as skin and has its hue is skin; combed, of another hue, or much darker, it may be hair."""
    hair, whole = torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    hair[:, :, :40] = 1.0
    skin = torch.tensor(SKIN)[:, None, None] * 0.5 + 0.5
    picture = skin.expand(1, 3, SIDE, SIDE).clone()
    picture[:, :, :40] *= 0.5  # a bald head's shaded top
    strand = 1.0 + 0.2 * torch.randn(1, 1, 1, SIDE, generator=torch.Generator().manual_seed(1))
    smooth, combed, grey, sleek = (picture.clone() for _ in range(4))
    combed[:, :, :40] *= strand
    grey[:, :, :40] = 0.6
    sleek[:, :, :40] *= 0.5  # black hair with the hue of skin
    for name, one, kept in (
        ("smooth", smooth, False),
        ("combed", combed, True),
        ("grey", grey, True),
        ("sleek", sleek, True),
    ):
        found = without_scalps(hair, 2.0 * one.clamp(0.0, 1.0) - 1.0, whole, a_face())
        assert bool(found[0, 0, :34].mean() > 0.5) == kept, name
    assert torch.equal(without_scalps(0.0 * hair, 2.0 * picture - 1.0, whole, a_face()), 0.0 * hair)


@pytest.fixture(scope="module")
def astronaut() -> tuple[SourceHead, HeadParser]:
    """The astronaut, by the embedded weights: a fringe down to the brows, fair in the light."""
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    parser = engine.tiers.networks.parser
    assert parser is not None
    return engine.tiers.head(inversion, LatentEdit.none).source, parser


def hair_of(parser: HeadParser, photo: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
    """(SIDE, SIDE), bool."""
    return parts_of(parser, photo, matte)[0, 1] > 0.5


def test_a_fringe_is_hair_down_to_its_ends_and_a_face_is_none(astronaut: tuple[SourceHead, HeadParser]) -> None:
    source, _ = astronaut
    assert source.parting is not None
    hair, bare = source.parting.photo[0, 0], source.parting.bare[0, 0] > 0.5
    inner = torch.nn.functional.avg_pool2d(bare[None].float(), 7, 1, 3)[0] > 0.99
    assert hair[inner].mean() < 0.02
    # Between her parting and the middle of her forehead.
    middle = slice(SIDE // 2 - 12, SIDE // 2 + 12)
    top = int(bare.any(dim=1).nonzero()[0])
    assert hair[4 : top - 16, middle].min() > 0.5


def test_light_and_shade_leave_hair_where_it_is(astronaut: tuple[SourceHead, HeadParser]) -> None:
    source, parser = astronaut
    usual = hair_of(parser, source.photo, source.matte)
    light = (source.photo + 1.0) * 0.5
    slope = torch.linspace(0.45, 1.1, light.shape[-1])
    others = {"dim": light * 0.6, "bright": light * 1.25, "from the right": light * slope, "warm": light}
    others["warm"] = light * torch.tensor((1.1, 1.0, 0.8))[:, None, None]
    for name, other in others.items():
        found = hair_of(parser, (2.0 * other - 1.0).clamp(-1.0, 1.0), source.matte)
        alike = (found & usual).sum() / (found | usual).sum()
        assert alike > 0.85, (name, float(alike))


def test_a_head_without_its_hair_has_none(astronaut: tuple[SourceHead, HeadParser]) -> None:
    """A face in a hole: where nothing but the face is left, nothing is hair."""
    source, parser = astronaut
    assert source.parting is not None
    face = torch.nn.functional.interpolate(source.parting.bare, size=source.photo.shape[-2:], mode="bilinear")
    assert hair_of(parser, source.photo, face).float().mean() < 0.01
