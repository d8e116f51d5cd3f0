"""Laws of skin that becomes lighter or darker: people's colours, shades that keep, hair and clothes that stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.models.volume import VolumeMaps
from core.rendering.complexion import Complexion, Curve, complexion_of, with_complexion
from core.rendering.hair import SIDE, Parting

FAIR = (0.86, 0.70, 0.60)
SHIRT = (0.2, 0.3, 0.7)


def filled(colour: tuple[float, float, float], side: int = SIDE) -> Tensor:
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, side, side) * 2.0 - 1.0


def parting() -> Parting:
    """A face in the upper half, a neck and a shirt below, hair on top: all of it skin to a parser but the hair."""
    nothing, one = torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    hair, upper, bare = nothing.clone(), nothing.clone(), nothing.clone()
    hair[..., :20, :], upper[..., :64, :], bare[..., 30:80, 30:98] = 1.0, 1.0, 1.0
    return Parting(hair, hair, upper, nothing, nothing, bare, nothing, skin=one - hair)


def photo() -> Tensor:
    picture = filled(FAIR).clone()
    picture[..., :20, :] = -0.8
    picture[..., 100:, :] = filled(SHIRT)[..., 100:, :]
    return picture


def maps(bright: float) -> VolumeMaps:
    """The generator's head: skin of one colour, an orange one."""
    one = torch.ones(1, 1, 64, 64)
    rgb = filled((0.8 * bright, 0.55 * bright, 0.3 * bright), 64)
    return VolumeMaps(rgb, torch.zeros(1, 4, 64, 64), one, torch.zeros(1, 3, 64, 64), one)


def found(bright: float) -> Complexion:
    complexion = complexion_of(photo(), parting(), maps(1.0), maps(bright))
    assert complexion is not None
    return complexion


def at(picture: Tensor, row: int) -> Tensor:
    return (picture[0, :, row, 64] + 1.0) * 0.5


def luma(colour: Tensor) -> float:
    return float(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


@pytest.mark.parametrize("bright", [0.5, 0.8, 1.1])
def test_the_face_gets_as_much_darker_or_lighter_as_the_generator(bright: float) -> None:
    after = with_complexion(photo(), found(bright), None)
    assert luma(at(after, 50)) == pytest.approx(bright * luma(torch.tensor(FAIR)), rel=0.03)


def test_it_takes_the_colours_of_people_and_not_the_generators_orange() -> None:
    dark = at(with_complexion(photo(), found(0.5), None), 50)
    assert 0.6 < float(dark[1] / dark[0]) < 0.8
    assert 0.45 < float(dark[2] / dark[0]) < 0.68


def test_hair_and_clothes_stay_and_the_neck_goes_along() -> None:
    before, after = photo(), with_complexion(photo(), found(0.6), None)
    torch.testing.assert_close(after[..., :19, :], before[..., :19, :], atol=0.02, rtol=0.0)
    torch.testing.assert_close(after[..., 103:, :], before[..., 103:, :], atol=0.02, rtol=0.0)
    torch.testing.assert_close(after[..., 90, :], after[..., 50, :])


def test_shades_keep_their_ratio_and_nothing_turns_over() -> None:
    light = torch.linspace(0.0, 1.0, 101)[None, None, None].expand(1, 3, 1, 101) * 2.0 - 1.0
    for aim in ((0.4, 0.3, 0.2), (0.9, 0.8, 0.75)):
        curve = Curve.between(torch.tensor(FAIR), torch.tensor(aim))
        after = (curve(light, torch.ones(1, 1, 1, 101))[0, :, 0] + 1.0) * 0.5
        assert bool((after.diff(dim=1) > 0.0).all())
        assert bool((after >= 0.0).all() and (after <= 1.0 + 1e-6).all())
        # Half and a quarter of the light.
        torch.testing.assert_close(after[:, 20] / after[:, 10], torch.full((3,), 2.0), atol=0.12, rtol=0.0)


def test_red_lips_follow_and_teeth_do_not() -> None:
    picture = photo()
    picture[..., 60, 60:70] = filled((0.75, 0.4, 0.4))[..., 0, :10]
    picture[..., 61, 60:70] = filled((0.9, 0.89, 0.86))[..., 0, :10]
    mouth = torch.zeros(1, 1, SIDE, SIDE)
    mouth[..., 60:62, 60:70] = 1.0
    skin = found(0.6)
    skin = skin._replace(where=skin.where * (1.0 - mouth))
    after = with_complexion(picture, skin, mouth)
    assert luma(at(after, 60)) < 0.85 * luma(at(picture, 60))
    torch.testing.assert_close(at(after, 61), at(picture, 61), atol=0.02, rtol=0.0)


def test_a_face_that_shows_no_skin_says_nothing() -> None:
    hidden = parting()._replace(skin=torch.zeros(1, 1, SIDE, SIDE))
    assert complexion_of(photo(), hidden, maps(1.0), maps(0.6)) is None
    assert complexion_of(photo(), parting()._replace(skin=None), maps(1.0), maps(0.6)) is None
