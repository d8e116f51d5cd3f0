"""Hair goes on around a head as its rims in the photo say, and ends where they say."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering.rims import BEHIND_EARS, NAPE, Rims, rims_of

RADIUS = 0.09
SIDE = 128
ABOVE_EARS, CROWN = 0.02, 0.06


def _ball(turn: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """A ball seen from far off by a camera turned so far: points (1, 3, S, S), hit and the picture's own x."""
    steps = ((torch.arange(SIDE) + 0.5) / SIDE * 2 - 1) * 0.1
    v, u = torch.meshgrid(-steps, steps, indexing="ij")
    ahead = (RADIUS**2 - u**2 - v**2).clamp(min=0.0).sqrt()
    hit = (u**2 + v**2 < RADIUS**2).float()[None, None]
    turn_ = torch.tensor(turn)
    x, z = u * turn_.cos() + ahead * turn_.sin(), ahead * turn_.cos() - u * turn_.sin()
    return torch.stack((x, v, z))[None] * hit, hit, u


def _wreath(points: Tensor, ahead: float) -> Tensor:
    """Hair from above the ears to a bald crown, behind a line down the temples (1, 1, S, S)."""
    y, z = points[:, 1:2], points[:, 2:]
    return ((y > ABOVE_EARS) & (y < CROWN) & (z < ahead)).float()


def _on(height: float, turn: float) -> Tensor:
    """A point of the ball at a height, so far around it from the front (1, 3)."""
    reach = (RADIUS**2 - height**2) ** 0.5
    angle = torch.tensor(turn)
    return torch.stack((reach * angle.sin(), torch.tensor(height), reach * angle.cos()))[None]


def _is_hair(rims: Rims, height: float, turn: float) -> bool:
    share, behind = rims.hair_at(_on(height, turn))
    return bool(behind) and float(share) > 0.5


def test_hair_above_the_ears_goes_around_the_back_and_a_bald_crown_stays_bald() -> None:
    points, hit, _ = _ball()
    rims = rims_of(points, hit, _wreath(points, 0.04), hit)
    assert rims is not None
    for turn in (1.8, 2.6, 3.1, -2.6, -1.8):
        assert _is_hair(rims, 0.04, turn), turn
        assert not _is_hair(rims, 0.075, turn), "above the wreath"
    assert not _is_hair(rims, 0.04, 0.3), "before the rims the photo says it itself"


def test_behind_the_ears_hair_goes_down_to_the_nape() -> None:
    points, hit, _ = _ball()
    rims = rims_of(points, hit, _wreath(points, 0.04), hit)
    assert rims is not None
    assert _is_hair(rims, -0.02, 3.0)
    assert not _is_hair(rims, NAPE - 0.01, 3.0), "necks are bare"
    side = _on(-0.02, 1.75)
    assert float(side[0, 2]) > BEHIND_EARS
    assert not _is_hair(rims, -0.02, 1.75), "there are ears"


def test_hair_on_the_crown_alone_does_not_go_down() -> None:
    points, hit, _ = _ball()
    crown = (points[:, 1:2] > 0.055).float()
    rims = rims_of(points, hit, crown, hit)
    assert rims is not None
    assert _is_hair(rims, 0.07, 3.0)
    for height in (0.045, 0.02, 0.0, -0.02):
        assert not _is_hair(rims, height, 3.0), height


def test_each_side_is_as_its_own_rim() -> None:
    points, hit, _ = _ball()
    rims = rims_of(points, hit, _wreath(points, 0.04) * (points[:, :1] > 0.0), hit)
    assert rims is not None
    assert _is_hair(rims, 0.04, 1.8)
    assert not _is_hair(rims, 0.04, -1.8)
    assert _is_hair(rims, -0.02, 2.6)
    assert not _is_hair(rims, -0.02, -2.6)


def test_a_lock_is_no_wreath_and_a_far_sides_strip_is() -> None:
    points, hit, u = _ball()
    lock = ((points[:, 1:2] > 0.04) & (points[:, 1:2] < 0.0445)).float() * hit
    rims = rims_of(points, hit, lock, hit)
    assert rims is not None
    assert not _is_hair(rims, 0.042, 2.6)
    inner = hit * (u.abs() > (RADIUS**2 - points[0, 1] ** 2).clamp(min=0.0).sqrt() - 0.2 / SIDE * 3.4)[None, None]
    strip = rims_of(points, hit, inner, hit)
    assert strip is not None
    assert _is_hair(strip, 0.04, 2.6)


def test_a_bald_head_has_none_and_long_hair_goes_down_all_around() -> None:
    points, hit, _ = _ball()
    bald = rims_of(points, hit, torch.zeros_like(hit), hit)
    long = rims_of(points, hit, hit, hit)
    assert bald is not None
    assert long is not None
    for height in (-0.06, -0.02, 0.04, 0.07):
        for turn in (1.7, 3.0, -2.0):
            assert not _is_hair(bald, height, turn)
            assert _is_hair(long, height, turn)


def test_the_side_that_a_turned_head_hides_is_as_the_other() -> None:
    points, hit, _ = _ball(turn=0.8)
    hair = _wreath(points, 0.02)
    far = points[:, :1] < 0.0
    assert not bool((hair * far).any()), "this camera sees no hair on the far side"
    rims = rims_of(points, hit, hair, hit)
    assert rims is not None
    for turn in (2.9, -2.0, -1.4):
        assert _is_hair(rims, 0.04, turn), turn
        assert not _is_hair(rims, 0.075, turn)


def test_a_photo_without_a_head_has_no_rims() -> None:
    points, hit, _ = _ball()
    assert rims_of(points, torch.zeros_like(hit), hit, hit) is None
    assert rims_of(points, hit, hit, torch.zeros_like(hit)) is None


def test_what_a_narrow_rim_of_background_says_is_not_asked() -> None:
    points, hit, u = _ball()
    edge = hit * (u.abs() > (RADIUS**2 - points[0, 1] ** 2).clamp(min=0.0).sqrt() - 0.2 / SIDE)[None, None]
    assert (edge.sum(dim=-1) <= 2).float().mean() > 0.8, "a pixel to both sides"
    rims = rims_of(points, hit, edge, hit)
    assert rims is not None
    assert not _is_hair(rims, 0.0, 2.5)
