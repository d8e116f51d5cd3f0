"""Laws of the parting by colour: hair is what differs from cheeks, and a bald head's shade and shine are skin."""

from __future__ import annotations

import torch

from core.rendering.hair import SIDE, Face, face_of
from core.training.hair_by_colour import hair_share, strands

SKIN, HAIR, GREY = (0.5, 0.1, -0.1), (-0.6, -0.7, -0.8), (0.2, 0.2, 0.2)


WHOLE = torch.ones(1, 1, SIDE, SIDE)


def painted(line: int, hair: tuple[float, float, float] = HAIR) -> torch.Tensor:
    """A picture that is hair down to a row and skin below, with a little grain."""
    rows = torch.arange(SIDE)[:, None].expand(SIDE, SIDE) < line
    picture = torch.where(rows, torch.tensor(hair)[:, None, None], torch.tensor(SKIN)[:, None, None])[None]
    return picture + 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))


def combed(picture: torch.Tensor, amount: float = 0.12) -> torch.Tensor:
    """The same with strands all over."""
    strand = torch.randn(1, 1, 1, SIDE, generator=torch.Generator().manual_seed(1))
    return picture * (1.0 - amount * strand) - amount * strand


def a_face() -> Face:
    """Landmarks on a flat face: brows in row 58, chin in row 105 or so."""
    u, y = torch.meshgrid(torch.linspace(-0.048, 0.048, 13), torch.linspace(-0.08, 0.03, 23), indexing="ij")
    landmarks = torch.stack((u, y, torch.full_like(u, 0.06)), dim=-1).reshape(-1, 3)
    return face_of(landmarks, landmarks[:, :2] * torch.tensor((8.0, -8.0)))


def test_hair_is_what_differs_from_the_cheeks() -> None:
    share = hair_share(painted(30), torch.ones(1, 1, SIDE, SIDE), a_face())
    assert share[0, 0, :26].min() > 0.9
    assert share[0, 0, 36:].max() < 0.1


def test_nobody_has_hair_of_the_colour_of_the_skin() -> None:
    assert hair_share(painted(0), torch.ones(1, 1, SIDE, SIDE), a_face()).max() == 0


def test_a_shining_forehead_is_no_hair() -> None:
    picture = painted(20)
    picture[:, :, 32:42, 55:75] = 0.95
    share = hair_share(picture, torch.ones(1, 1, SIDE, SIDE), a_face())
    assert share[0, 0, 32:42, 55:75].max() < 0.2
    assert share[0, 0, :16].min() > 0.9


def test_light_on_hair_at_the_heads_rim_is_hair() -> None:
    picture, head = painted(45), torch.ones(1, 1, SIDE, SIDE)
    picture[:, :, :38, 45:85] = torch.tensor(SKIN)[:, None, None]  # a strand that shines down from the parting
    share = hair_share(picture, head, a_face())
    assert share[0, 0, :40].min() > 0.5
    bald = painted(45)
    bald[:, :, :, 40:90] = torch.tensor(SKIN)[:, None, None]  # hangs together with the face
    assert hair_share(bald, head, a_face())[0, 0, 14:40, 48:82].max() < 0.2


def taken_for_hair(line: int) -> torch.Tensor:
    """A parting that calls everything above a row hair, right or wrong."""
    share = torch.zeros(1, 1, SIDE, SIDE)
    share[:, :, :line] = 1.0
    return share


def test_hair_of_another_hue_or_much_darker_may_be_dyed() -> None:
    for hair in (HAIR, GREY, (-0.75, -0.85, -0.9)):
        found = strands(painted(40, hair), WHOLE, taken_for_hair(40), a_face())
        assert found[0, 0, :34].min() > 0.6, hair
        assert found[0, 0, 44:].max() == 0.0


def test_the_shaded_rim_of_a_bald_head_may_not() -> None:
    skin = torch.tensor(SKIN)[:, None, None] * 0.5 + 0.5
    for light in (0.65, 0.8, 1.0):
        picture = painted(0)
        picture[:, :, :40] = 2.0 * light * skin - 1.0
        assert strands(picture, WHOLE, taken_for_hair(40), a_face()).max() < 0.1, light
    picture[:, :, :40] = 0.95  # and where it shines
    assert strands(picture, WHOLE, taken_for_hair(40), a_face())[0, 0, :34].max() < 0.1


def test_a_lock_that_shines_like_skin_within_hair_is_hair() -> None:
    picture = painted(45)
    picture[:, :, 4:16, 45:80] = torch.tensor(SKIN)[:, None, None]
    found = strands(picture, WHOLE, taken_for_hair(45), a_face())
    assert found[0, 0, 4:16, 45:80].mean() > 0.5
    picture[:, :, 20:45, 45:80] = torch.tensor(SKIN)[:, None, None]  # beside bare skin it is skin
    assert strands(picture, WHOLE, taken_for_hair(45), a_face())[0, 0, 38:45, 55:70].max() < 0.2


def test_a_wide_streak_of_shine_in_hair_is_hair() -> None:
    picture = painted(45)
    picture[:, :, :26, 40:84] = torch.tensor(SKIN)[:, None, None]
    found = strands(combed(picture), WHOLE, taken_for_hair(45), a_face())
    assert found[0, 0, :20, 45:80].min() > 0.5
    # Unless most of what was parted as hair looks like skin.
    picture[:, :, :45, 14:114] = torch.tensor(SKIN)[:, None, None]
    assert strands(combed(picture), WHOLE, taken_for_hair(45), a_face())[0, 0, :20, 45:80].max() < 0.5


def test_what_is_dark_under_the_chin_is_shade_and_beside_the_face_hair() -> None:
    picture = painted(0, HAIR)
    picture[:, :, 90:] = torch.tensor(HAIR)[:, None, None]
    share = torch.zeros(1, 1, SIDE, SIDE)
    share[:, :, 90:] = 1.0
    found = strands(combed(picture), WHOLE, share, a_face())
    face = (a_face().bare[0, 0] > 0.5).any(dim=0)
    assert found[0, 0, 112:, face].max() < 0.1
    assert found[0, 0, 112:, ~face].min() > 0.6


def test_a_scalp_in_shade_has_no_strands_and_is_no_hair() -> None:
    """Half of a bald head is as dark as somebody's hair; it is smooth. Pale hair is smooth as well, but wide."""
    dark, shade = painted(45), taken_for_hair(45)
    dark[:, :, :45] = torch.tensor((-0.3, -0.5, -0.6))[:, None, None]
    assert strands(dark, WHOLE, shade, a_face())[0, 0, :40].max() < 0.1
    assert strands(combed(dark), WHOLE, shade, a_face())[0, 0, :35].min() > 0.5
    black = painted(45)
    black[:, :, :45] = -0.97
    assert strands(black, WHOLE, shade, a_face())[0, 0, :35].min() > 0.5
    white = painted(45)
    white[:, :, :45] = torch.tensor(GREY)[:, None, None]
    assert strands(white, WHOLE, shade, a_face())[0, 0, :35].min() > 0.5
