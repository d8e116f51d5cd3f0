"""What no photo shows: hair behind, skin at the sides, in the tones of the photo's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.photo import Photo
from core.rendering.behind import BACK, FAR, Look, _goes_on
from core.rendering.hair_tone import BROWN, COOL, hair_tone, natural, toned
from core.rendering.rims import EARS, rims_of
from core.tensor_camera import rays
from core.visibility import source_view

CROWN = 0.03
"""Above this height a head is its crown (world units)."""


def test_hair_of_a_few_pixels_has_its_own_tone_and_not_that_of_the_brows() -> None:
    photo, head, hair, brows, face = _bald()
    photo[..., 20:60, 5:8] = -0.8
    hair[..., 20:60, 5:8] = 1.0
    found = hair_tone(photo, hair, head, brows, face)
    assert found.seen
    torch.testing.assert_close(found.shade, torch.full((3,), 0.1))
    torch.testing.assert_close(found.usual, torch.full((3,), 0.1))


def test_hair_is_usually_lighter_than_its_shade() -> None:
    photo, head, hair, brows, face = _bald()
    hair[..., :40, :] = 1.0
    photo[..., :40, :] = torch.linspace(-0.9, 0.5, 128)
    found = hair_tone(photo, hair, head, brows, face)
    assert (found.usual > found.shade + 0.03).all()
    # Rims, which are left out here, are darker, and light comes from ahead: less than the middle of what is seen.
    pure = (photo[0, 0, 3:37, 3:-3] + 1.0) / 2.0
    torch.testing.assert_close(found.usual, pure.quantile(0.4).expand(3), atol=0.01, rtol=0.0)


def test_hair_that_hangs_has_its_say_where_there_is_some_above_and_a_beard_alone_is_no_hair() -> None:
    photo, head, hair, brows, face = _bald()
    hair[..., :40, :] = 1.0
    photo[..., :40, :] = 0.2
    hanging = torch.zeros_like(hair)
    hanging[..., 44:128, :39] = 1.0
    photo[..., 44:128, :39] = -0.8
    above, both = (hair_tone(photo, hair, head, brows, face, more) for more in (None, hanging))
    torch.testing.assert_close(above.usual, torch.full((3,), 0.6))
    assert (both.shade < above.shade - 0.4).all()
    assert (both.usual <= above.usual).all()
    alone = hair_tone(photo, torch.zeros_like(hair), head, brows, face, hanging)
    assert not alone.seen
    torch.testing.assert_close(alone.usual, torch.tensor([0.6, 0.4, 0.4]))


def test_rims_of_much_hair_have_no_say_in_its_tone() -> None:
    photo, head, hair, brows, face = _bald()
    hair[..., :9, :] = 1.0
    photo[..., :4, :] = -0.8  # below it scalp is seen through
    photo[..., 4:9, :] = -0.2
    found = hair_tone(photo, hair, head, brows, face)
    torch.testing.assert_close(found.usual, torch.full((3,), 0.1))


def test_a_scalp_that_shines_tells_no_tone_and_white_hair_does() -> None:
    photo, head, hair, brows, face = _bald()
    hair[..., 10:20, 50:68] = 1.0
    photo[..., 10:20, 50:68] = 0.95
    found = hair_tone(photo, hair, head, brows, face)
    assert not found.seen
    torch.testing.assert_close(found.shade, torch.tensor([0.6, 0.4, 0.4]))
    hair[..., :24, :] = 1.0
    photo[..., :24, :] = 0.95
    assert hair_tone(photo, hair, head, brows, face).seen


def test_a_picture_without_a_head_tells_nothing() -> None:
    photo, head, hair, brows, face = _bald()
    assert not hair_tone(photo, hair, torch.zeros_like(head), brows, face).seen


def test_where_nothing_shows_any_hair_is_brown() -> None:
    photo, head, _, _, face = _bald()
    nothing = torch.zeros_like(head)
    found = hair_tone(photo, nothing, head, nothing, face)
    assert not found.seen
    torch.testing.assert_close(found.shade, torch.tensor(BROWN))


def test_hair_that_an_edit_dyes_is_not_blue_and_what_is_warm_stays() -> None:
    """A tuned generator's grey may be a teal."""
    shade = torch.tensor([0.3, 0.25, 0.2])
    teal, brown = (torch.tensor(one)[:, None, None].expand(1, 3, 4, 4) for one in ((-0.3, 0.0, 0.1), (0.1, 0.0, -0.2)))
    alpha = torch.full((1, 1, 4, 4), 0.5)
    red, green, blue = natural(teal * alpha, alpha, shade)[0, :, 0, 0] / 0.5
    assert float(blue - red) == pytest.approx(COOL, abs=1e-5)
    assert float(red + green + blue) == pytest.approx(-0.2, abs=1e-5), "as bright as it was"
    assert red < green < blue
    torch.testing.assert_close(natural(brown * alpha, alpha, shade), brown * alpha)
    # Hair that lies in blue light may be blue.
    blueish = torch.tensor([0.2, 0.3, 0.5])
    torch.testing.assert_close(natural(teal * alpha, alpha, blueish), teal * alpha)


def _bald() -> tuple[torch.Tensor, ...]:
    """A photo of nothing but skin and reddish brows; its head, no hair, brows and the face below them."""
    photo = torch.full((1, 3, 128, 128), 0.6)
    head, hair, brows, face = torch.ones(1, 1, 128, 128), *(torch.zeros(1, 1, 128, 128) for _ in range(3))
    brows[..., 64:68, 40:90] = 1.0
    face[..., 70:110, 40:90] = 1.0
    photo[:, 0, 64:68, 40:90], photo[:, 1:, 64:68, 40:90] = 0.2, -0.2
    return photo, head, hair, brows, face


def test_what_is_behind_rims_of_hair_is_hair_and_what_the_photo_shows_is_as_it_shows_it() -> None:
    """A ball with a wreath of hair, seen from in front and a little to the side."""
    radius, angles = 0.08, torch.tensor([[0.15, 0.0]])
    origin, directions = rays(angles, 128)
    along = (origin[:, None] * directions).sum(-1)
    square = directions.square().sum(-1)
    inside = along.square() - square * (origin.square().sum(-1)[:, None] - radius**2)
    depth = (-along - inside.clamp(min=0.0).sqrt()) / square
    points = (origin[:, None] + directions * depth[..., None]).transpose(1, 2).reshape(1, 3, 128, 128)
    hit = (inside > 0.0).float().reshape(1, 1, 128, 128)
    hair = ((points[:, 1:2] > 0.02) & (points[:, 1:2] < 0.05) & (points[:, 2:] < 0.03)).float() * hit
    photo, grid = torch.zeros(1, 3, 256, 256), depth.reshape(1, 1, 128, 128)
    view = source_view(photo, grid, hit, hit, angles)
    rims = rims_of(points * hit, hit, hair, hit)

    def goes_on(height: float, turn: float) -> bool:
        reach = (radius**2 - height**2) ** 0.5
        place = torch.tensor([[reach * math.sin(turn), height, reach * math.cos(turn)]])
        return bool(_goes_on(_bare(place), rims, view, hair)[0])

    assert all(goes_on(0.035, turn) for turn in (1.8, 2.6, 3.1, -2.6, -1.9))
    assert not any(goes_on(0.065, turn) for turn in (1.8, 3.1, -1.9)), "bald above"
    assert not any(goes_on(0.035, turn) for turn in (0.0, 0.5, -0.3)), "what the photo shows says itself what it is"
    assert not goes_on(0.01, 1.57), "there are ears"
    low = ((points[:, 1:2] > -0.06) & (points[:, 2:] < 0.03)).float() * hit

    def asked(height: float, turn: float, hair: torch.Tensor, mask: torch.Tensor | None = None) -> bool:
        reach = (radius**2 - height**2) ** 0.5
        place = torch.tensor([[reach * math.sin(turn), height, reach * math.cos(turn)]])
        said = rims_of(points * hit, hit, hair if mask is None else mask, hit)
        return bool(_goes_on(_bare(place), said, view, hair)[0])

    assert asked(0.03, -1.75, low)
    assert not asked(0.0, -1.75, low), "what hangs hangs before ears"
    assert not asked(0.035, 0.9, torch.ones_like(hit), hair), "the photo shows it, and paints it itself"
    right = hair * (points[:, :1] < 0.0)
    left = hair - right
    assert asked(0.035, 1.3, left, hair), "glimpsed at its rim, as hair"
    assert not asked(0.035, 1.3, right, hair), "glimpsed as skin, whatever rims say"
    assert asked(0.035, -1.27, left, right * 0.0), "not seen, and hair where its mirror image is"
    assert not asked(0.035, -1.27, right * 0.0, hair), "not seen, and its mirror image is skin"
    place = torch.tensor([[0.0, 0.035, -0.07]])
    assert _goes_on(_bare(place), rims, view, hair).all()
    assert not _goes_on(_bare(place)._replace(hair=torch.ones(1)), rims, view, hair).any(), "it is hair already"
    assert not _goes_on(_bare(place), None, view, hair).any()


def _bare(place: torch.Tensor) -> Look:
    """A look at one place of bare skin."""
    return Look(torch.zeros(1, 3), place, torch.zeros(1), torch.ones(1), torch.ones(1, dtype=torch.bool))


def test_cheeks_have_no_strands_and_the_back_of_a_haired_head_has() -> None:
    """The astronaut, by the embedded weights: hair behind and above, skin at the sides between eyes and chin."""
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    behind = engine.tiers.head(inversion, LatentEdit.none).source.behind
    assert behind is not None
    assert (behind.hair[:, 2] < BACK).sum() > 500
    own = behind.hair[behind.painted[:, 0] == 0.0]
    assert ((own[:, 2] < BACK) | (own[:, 1] > EARS)).all(), "the generator's own"
    assert behind.hair[:, 1].median() > 0.0
    # Beside the photo's hair the photo's own tone goes on.
    near, far = behind.hair[:, 2] > BACK - 0.005, behind.hair[:, 2] < BACK - FAR
    assert behind.told[far].min() == 1.0
    assert behind.told[near].median() < 0.15
    # A bare forehead is as high as a crown.
    crown = [int(((one[:, 1] > CROWN) & (one[:, 2] < BACK)).sum()) for one in (behind.hair, behind.bare)]
    assert crown[1] < 0.03 * crown[0], crown  # her crown is brown in the light, and no balloon
    assert len(behind.skin) > 50
    assert (behind.skin[:, 2] > BACK).all()
    # Nothing that is skin lies on top of the head.
    assert behind.skin[:, 1].quantile(0.9) < 0.05
    assert len(behind.bare) >= len(behind.skin)
    assert behind.skin_off.shape == behind.skin.shape


def test_hair_that_becomes_black_shines_less_and_hair_that_becomes_white_as_before() -> None:
    own = torch.tensor((-0.8, -0.6, -0.4))[:, None].expand(3, 3).clone()
    bare = torch.zeros(3, dtype=torch.bool)
    black, white = (own + toned(own, torch.full((3,), tone), bare) for tone in (-0.9, 0.4))
    torch.testing.assert_close(black[:, 0], torch.tensor((-0.95, -0.9, -0.85)))  # a quarter as light, and as varied
    torch.testing.assert_close(white[:, 0], torch.tensor((0.2, 0.4, 0.6)))


def test_where_the_generator_has_skin_the_tone_is_all_there_is() -> None:
    own, painted = torch.tensor(((0.3, 0.2, 0.1), (-0.5, -0.5, -0.5))), torch.tensor((True, False))
    found = own + toned(own, torch.full((3,), -0.7), painted)
    torch.testing.assert_close(found, torch.full((2, 3), -0.7))
    assert toned(own[:0], torch.zeros(3), painted[:0]).shape == (0, 3)
