"""Hair that the photo shows beside a head that has none there, on a ball."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from core.camera import HALF_FOV
from core.rendering.additions import with_additions
from core.rendering.curtain import THICK, Curtain, curtain_of
from core.rendering.strays import strays, without_strays
from core.tensor_camera import project, unproject

RADIUS, SIDE = 0.08, 128
AHEAD = torch.zeros(1, 2)


def ball(points: Tensor) -> Tensor:
    """A head, all of it hair."""
    return points.norm(dim=-1, keepdim=True) - RADIUS


def seen() -> tuple[Tensor, Tensor]:
    """Depth of the ball, carried past its outline, and where it is."""
    places = unproject(torch.ones(1, 1, SIDE, SIDE), AHEAD)
    flat = places[0, :2]
    inside = flat.square().sum(dim=0) < RADIUS**2
    depth = 1.0 - (RADIUS**2 - flat.square().sum(dim=0)).clamp(min=0.0).sqrt()
    return depth[None, None], inside[None, None].float()


def picture(low: float, high: float, top: float, bottom: float) -> Tensor:
    """A rectangle of the world's plane through the middle, as the photo's camera sees it."""
    places = unproject(torch.ones(1, 1, SIDE, SIDE), AHEAD)
    x, y = places[:, 0:1], places[:, 1:2]
    return ((x > low) & (x < high) & (y < top) & (y > bottom)).float()


def above() -> Tensor:
    """What is above the brows."""
    return picture(-1.0, 1.0, 1.0, 0.025)


def hanging() -> tuple[Tensor, Tensor, Tensor]:
    """Hair of the ball with a lock that hangs down beside it; depth and hit of the ball."""
    depth, hit = seen()
    return torch.maximum(hit, picture(-0.088, -0.05, 0.0, -0.1)), depth, hit


def made() -> Curtain:
    """The lock."""
    hair, depth, hit = hanging()
    found = curtain_of(hair, above(), torch.maximum(hair, hit), depth, hit, AHEAD)
    assert found is not None
    return found


def test_the_lock_is_where_the_photo_shows_it_and_as_thick_as_it_is_wide() -> None:
    curtain = made()
    whole = with_additions(ball, (curtain,))
    middle = torch.tensor([[[-0.069, -0.08, 0.0]]])
    assert float(ball(middle)) > 0.025
    assert float(whole(middle)) < -0.01
    assert float(whole(middle + torch.tensor([0.035, 0.0, 0.0]))) > 0.005, "between the lock and the neck"
    assert 0.015 < curtain.half <= THICK
    for z in (-0.03, 0.03):
        assert float(whole(middle + torch.tensor([0.0, 0.0, z]))) > 0.0, "no thicker than that"


def test_it_hangs_on_the_head() -> None:
    steps = torch.arange(-0.13, 0.1, 0.002)
    points = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1).reshape(1, -1, 3)
    solid = (with_additions(ball, (made(),))(points) < 0.0).reshape((len(steps),) * 3)
    assert ndimage.label(solid.numpy())[1] == 1


def test_seen_from_the_photo_it_has_the_photos_outline() -> None:
    hair, _, hit = hanging()
    whole = with_additions(ball, (made(),))
    depth = torch.linspace(-0.09, 0.09, 91)
    places = unproject(torch.ones(1, 1, SIDE, SIDE), AHEAD)[0].flatten(1).T
    origin = torch.tensor([0.0, 0.0, 1.0])
    covered = torch.zeros(len(places), dtype=torch.bool)
    for step in depth:
        covered |= whole((origin + (places - origin) * (1.0 + step))[None])[0, :, 0] < 0.0
    wanted = torch.maximum(hair, hit).flatten() > 0.5
    assert (covered != wanted).float().mean() < 0.012
    assert (hit.flatten() > 0.5).ne(wanted).float().mean() > 0.03, "without it a good deal is missing"


def test_the_head_and_the_air_around_it_stay_what_they_are() -> None:
    random = torch.Generator().manual_seed(0)
    points = (torch.rand(1, 20000, 3, generator=random) - 0.5) * 0.3
    whole, plain = with_additions(ball, (made(),))(points)[0, :, 0], ball(points)[0, :, 0]
    x, y, z = points[0].T
    far = (x > 0.02) | (y > 0.075) | (z.abs() > 0.07)
    assert far.float().mean() > 0.5
    assert torch.equal(whole[far], plain[far])
    # Thin air is nowhere nearer to something than to head or lock: else slivers are drawn along the outline's cone.
    low, high = torch.tensor([-0.095, -0.115, -0.025]), torch.tensor([-0.045, 0.01, 0.025])
    to_lock = torch.maximum(low - points[0], points[0] - high).clamp(min=0.0).norm(dim=1)
    apart = (to_lock > 0.004) & (plain > 0.004)
    assert (whole > torch.minimum(plain, to_lock) - 0.008)[apart].all()
    assert apart.sum() > 10000
    assert ((whole < 0.0) >= (plain < 0.0)).all(), "nothing of the head is gone"


def test_its_colours_are_those_of_the_hair_that_it_hangs_on() -> None:
    curtain = made()
    front = torch.tensor([[-0.069, -0.085, curtain.half]])
    asked = curtain.source(front)
    assert float(front.norm()) > RADIUS + 0.03
    assert abs(float(asked.norm()) - RADIUS) < 0.012, "at the surface of the head"
    uv, _ = project(asked[None], AHEAD)
    assert float((uv * math.tan(HALF_FOV)).norm()) < RADIUS, "within its outline"
    assert torch.equal(curtain.source(torch.zeros(1, 3)), torch.zeros(1, 3))
    assert curtain.holds(torch.cat((front, torch.zeros(1, 3)))).tolist() == [True, False]


def test_a_stray_of_the_field_that_lies_in_it_cuts_no_hole() -> None:
    curtain = made()

    def with_stray(points: Tensor) -> Tensor:
        loose = (points - torch.tensor([-0.069, -0.085, 0.0])).norm(dim=-1) - 0.01
        return torch.minimum(ball(points)[..., 0], loose)

    mask = strays(with_stray, torch.device("cpu"))
    assert mask is not None
    whole = with_additions(lambda points: with_stray(points)[..., None], (curtain,))
    lock = torch.tensor([[[-0.069, -0.08, 0.0], [-0.069, -0.09, 0.004], [-0.072, -0.07, 0.0]]])
    assert (without_strays(whole, mask)(lock) > 0.0).any(), "the mask alone cuts it"
    assert (without_strays(whole, curtain.spared(mask))(lock) < 0.0).all()


def test_a_slider_makes_it_shorter_and_takes_it_away() -> None:
    curtain = made()
    middle = torch.tensor([[[-0.069, -0.08, 0.0]]])
    less = curtain.shorter(-0.15)
    assert less is not None
    assert float(with_additions(ball, (less,))(middle)) > float(with_additions(ball, (curtain,))(middle)) + 0.003
    assert curtain.shorter(-1.0) is None
    assert curtain.shorter(0.5) == curtain._replace(taken=0.0)


@pytest.mark.parametrize("lock", [(-0.082, -0.055, 0.02, -0.02), (-0.1, -0.092, 0.0, -0.008), (0.2, 0.3, 0.0, 0.1)])
def test_rims_and_specks_are_none(lock: tuple[float, float, float, float]) -> None:
    depth, hit = seen()
    hair = torch.maximum(hit, picture(*lock))
    assert curtain_of(hair, above(), hair, depth, hit, AHEAD) is None


def test_shoulders_in_dark_cloth_are_none() -> None:
    hair, depth, hit = hanging()
    cloth = torch.maximum(picture(-0.13, -0.04, -0.088, -0.14), picture(0.04, 0.13, -0.07, -0.14))
    with_cloth = torch.maximum(hair, cloth)
    found = curtain_of(with_cloth, above(), with_cloth, depth, hit, AHEAD)
    assert found is not None
    whole = with_additions(ball, (found,))
    assert float(whole(torch.tensor([[[-0.069, -0.08, 0.0]]]))) < -0.01, "the lock"
    for x in (-0.103, 0.07, 0.09):
        through = torch.stack([torch.tensor([x, -0.1, z]) for z in torch.arange(-0.06, 0.06, 0.002)])
        assert float(whole(through[None]).min()) > 0.002, "a shoulder"


def test_what_is_no_hair_or_no_head_is_left_alone() -> None:
    hair, depth, hit = hanging()
    assert curtain_of(hair, above(), hit, depth, hit, AHEAD) is None, "the matte leaves it out"
    assert curtain_of(hit, above(), torch.maximum(hair, hit), depth, hit, AHEAD) is None, "a collar"
    assert curtain_of(hair, above(), hair, depth, torch.zeros_like(hit), AHEAD) is None, "no head to hang on"
    crown = torch.maximum(hit, picture(-0.03, 0.03, 0.115, 0.06))
    assert curtain_of(crown, above(), crown, depth, hit, AHEAD) is None, "a crest above the head"
