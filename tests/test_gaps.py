"""Strips that no photo saw: narrow ones continue what lies behind, wide ones stay the generator's."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering.gaps import bridged, unbroken

SIDE = 256


def parts(left: int, right: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, what the generator would paint (green), belief, depth: red and near, a strip, blue and far."""
    picture = torch.full((1, 3, SIDE, SIDE), -1.0)
    picture[:, 0, :, :left], picture[:, 2, :, right:] = 1.0, 1.0
    own = torch.full_like(picture, -1.0)
    own[:, 1] = 1.0
    belief = torch.ones(1, 1, SIDE, SIDE)
    belief[..., left:right] = 0.0
    picture = torch.where(belief > 0.5, picture, own)
    depth = torch.full((1, 1, 128, 128), 1.0)
    depth[..., : left // 2] = 0.95
    return picture, own, belief, depth


def test_a_narrow_strip_takes_the_colour_of_the_part_behind() -> None:
    picture, own, belief, depth = parts(120, 126)
    found = bridged(picture, own, belief, depth, torch.ones_like(belief))
    middle = found[0, :, 64:192, 122:124]
    assert float(middle[2].min()) > 0.9, "blue, as deep as the strip"
    assert float(middle[:2].max()) < -0.9
    unchanged = belief[0].expand(3, -1, -1) > 0.5
    torch.testing.assert_close(found[0][unchanged], picture[0][unchanged])


def test_a_wide_strip_stays_the_generators() -> None:
    picture, own, belief, depth = parts(80, 176)
    found = bridged(picture, own, belief, depth, torch.ones_like(belief))
    torch.testing.assert_close(found, picture)


def test_a_strip_between_photo_and_silhouette_is_closed_too() -> None:
    picture, own, belief, depth = parts(120, 126)
    alpha = torch.ones_like(belief)
    alpha[..., 126:] = 0.0
    belief[..., 126:] = 0.0
    found = bridged(picture, own, belief, torch.full_like(depth, 0.95), alpha)
    assert float(found[0, 0, 64:192, 122:124].min()) > 0.9, "red: only that side is head"
    assert float(unbroken(belief, alpha)[..., 120:126].min()) > 0.9


def test_a_lock_that_nobody_saw_takes_nothing_from_far_away() -> None:
    _, own, belief, depth = parts(120, 126)
    belief[:] = 0.0
    alpha = torch.zeros_like(belief)
    alpha[..., 120:126] = 1.0
    found = bridged(own, own, belief, depth, alpha)
    torch.testing.assert_close(found, own)


def test_small_pictures_too() -> None:
    picture, own, belief, depth = (
        torch.nn.functional.interpolate(value, size=(96, 96), mode="nearest-exact") for value in parts(120, 126)
    )
    found = bridged(picture, own, belief, depth, torch.ones_like(belief))
    assert found.shape == picture.shape
    assert float(found[0, 2, 20:70, 45:47].min()) > 0.5
