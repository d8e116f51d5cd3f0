"""Laws of strays: they are found and passed by, the head itself is never cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.rendering import solids, strays
from core.rendering.surfaces import crossings

CPU = torch.device("cpu")


def ball(points: Tensor, centre: tuple[float, float, float], radius: float) -> Tensor:
    return (points - points.new_tensor(centre)).norm(dim=-1) - radius


def head(points: Tensor) -> Tensor:
    """A skull with an ear of its own."""
    return torch.minimum(ball(points, (0.0, 0.0, 0.0), 0.07), ball(points, (0.07, 0.0, 0.0), 0.012))


def with_lock(points: Tensor) -> Tensor:
    return torch.minimum(head(points), ball(points, (0.0, -0.02, -0.098), 0.018))


def batched(sdf: object) -> solids.Sdf:
    return lambda points: sdf(points[0])[None, :, None]  # type: ignore[operator]


def test_a_head_without_strays_has_none() -> None:
    assert strays.strays(head, CPU) is None


@pytest.mark.parametrize("sdf", [with_lock])
def test_a_lock_behind_the_neck_is_passed_by_and_the_head_stays(sdf: object) -> None:
    mask = strays.strays(sdf, CPU)  # type: ignore[arg-type]
    assert mask is not None
    clear = strays.without_strays(batched(sdf), mask)
    lock = torch.tensor([[[0.0, -0.02, -0.105], [0.0, -0.03, -0.1]]])
    assert (clear(lock) > 0).all()
    inside = torch.tensor([[[0.0, 0.0, 0.0], [0.07, 0.0, 0.005], [0.0, 0.0, -0.065]]])
    assert (clear(inside) < 0).all()
    side = torch.tensor([[1.5, 0.0]])
    seen = crossings(clear, side).hit.sum()
    alone = crossings(strays.without_strays(batched(head), None), side).hit.sum()
    both = crossings(batched(sdf), side).hit.sum()
    assert abs(int(seen - alone)) < 0.02 * int(alone)
    assert int(both) > 1.03 * int(alone)


def box(points: Tensor, low: tuple[float, float, float], high: tuple[float, float, float]) -> Tensor:
    return torch.maximum(points.new_tensor(low) - points, points - points.new_tensor(high)).amax(dim=-1)


def with_chip(points: Tensor) -> Tensor:
    """A block, and a chip beside it with so little air between that the coarse grid has no point in it."""
    block = box(points, (-0.06, -0.05, -0.05), (0.057, 0.05, 0.05))
    return torch.minimum(block, box(points, (0.061, -0.01, -0.012), (0.066, 0.01, 0.012)))


def test_pieces_with_little_air_between_are_told_from_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = strays.strays(with_chip, CPU)
    assert mask is not None
    clear = strays.without_strays(batched(with_chip), mask)
    line = torch.linspace(-1.0, 1.0, 21)
    chip = torch.cartesian_prod(torch.tensor([0.0615, 0.0635, 0.0655]), 0.0095 * line, 0.0115 * line)
    assert (clear(chip[None]) > 0).all()  # corners as well
    skin = torch.cartesian_prod(torch.tensor([0.0565]), 0.045 * line, 0.045 * line)
    assert (clear(skin[None]) < 0).float().mean() == 1.0
    monkeypatch.setattr(strays, "LOOSE_RESOLUTION", strays.STRAY_RESOLUTION)
    assert strays.strays(with_chip, CPU) is None


def test_what_an_edit_leaves_floating_is_passed_by_together_with_what_floated_before() -> None:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, 40)
    points = torch.cartesian_prod(axis, axis, axis)
    alone = head(points).reshape(40, 40, 40)
    assert strays.with_loose(alone, None) is None
    bun = ball(points, (0.0, 0.06, -0.095), 0.016).reshape(40, 40, 40)
    mask = strays.with_loose(torch.minimum(alone, bun), None)
    assert mask is not None
    assert mask.shape == (1, 1, 40, 40, 40)
    clear = strays.without_strays(batched(lambda places: torch.minimum(head(places), bunned(places))), mask)
    assert (clear(torch.tensor([[[0.0, 0.06, -0.095], [0.0, 0.07, -0.1], [0.01, 0.06, -0.095]]])) > 0).all()
    assert (clear(torch.tensor([[[0.0, 0.0, -0.065], [0.07, 0.0, 0.005]]])) < 0).all()
    # What the photo tier passes by already is no part of the head, and stays passed by.
    known = strays.strays(with_lock, CPU)
    assert known is not None
    volume = torch.minimum(torch.minimum(alone, bun), with_lock(points).reshape(40, 40, 40))
    both = strays.with_loose(volume, known)
    assert both is not None
    assert both.shape == known.shape
    assert bool((both >= known).all())
    assert both.sum() > known.sum()


def bunned(points: Tensor) -> Tensor:
    return ball(points, (0.0, 0.06, -0.095), 0.016)


def test_nothing_beyond_the_scene_is_drawn() -> None:
    everywhere = strays.without_strays(lambda points: torch.full((*points.shape[:2], 1), -1.0), None)
    outside = torch.tensor([[[0.0, 0.0, -0.13], [0.124, 0.0, 0.0]]])
    assert (everywhere(outside) > 0).all()
    assert everywhere(torch.zeros(1, 1, 3)).item() < 0


def _head_with_hair(width: float, lowest: float = -0.12, behind: float = 0.065) -> NDArray[np.bool_]:
    """A skull on a neck, and hair that hangs from it behind the neck with air between, a centimetre thick."""
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    skull = x**2 + (y - 0.02) ** 2 + z**2 < 0.075**2
    neck = (x**2 + z**2 < 0.035**2) & (y < 0.0)
    hair = (y > lowest) & (np.abs(x) < width) & (np.abs(z + behind) < 0.007) & (y < 0.04)
    return skull | neck | hair


def test_hair_that_only_hangs_hidden_behind_the_neck_is_a_sheet() -> None:
    head = _head_with_hair(0.03)
    sheet = strays.hidden_sheet(head)
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    assert sheet[:, axis < -0.06].sum() == (head & (axis < -0.05)[None, None, :])[:, axis < -0.06].sum() > 100
    assert not sheet[:, :, axis > -0.05].any()  # neither skull nor neck


@pytest.mark.parametrize(
    ("width", "lowest", "found"),
    [(0.012, -0.05, True), (0.012, -0.12, True), (0.04, -0.05, False), (0.025, 0.0, False)],
)
def test_a_narrow_tail_behind_the_neck_is_never_seen_from_the_front(width: float, lowest: float, found: bool) -> None:
    solid = _head_with_hair(width, lowest, behind=0.1)
    tails = strays.hidden_tails(solid)
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    hanging = solid & (axis < -0.09) & (axis < 0.0)[None, :, None]
    assert tails[hanging].all() if found else not tails.any()
    assert not (tails & (axis > -0.08)).any()  # neither skull nor neck


def test_tips_of_a_cell_or_two_are_no_tails() -> None:
    """They would cost every ray a look at the mask."""
    solid = _head_with_hair(0.0)
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    middle, behind = 28, int(np.abs(axis + 0.1).argmin())
    solid[middle, (axis > -0.05) & (axis < -0.03), behind] = True
    assert 0 < (solid & (axis < -0.09)).sum() < strays.FEWEST
    assert not strays.hidden_tails(solid).any()


def test_the_thin_end_of_what_is_left_out_goes_with_it() -> None:
    """Its middle lies between the points of the grid; shreds had stayed behind necks."""
    step = 2.0 * solids.EXTENT / (strays.STRAY_RESOLUTION - 1)
    between = step * 0.5 - step * 12  # heights of the grid's points are odd halves of a step

    def sdf(points: Tensor) -> Tensor:
        skull, neck = ball(points, (0.0, 0.02, 0.0), 0.075), box(points, (-0.03, -0.11, -0.03), (0.03, 0.0, 0.03))
        bridge = box(points, (-0.01, 0.035, -0.107), (0.01, 0.05, -0.05))
        tail = box(points, (-0.01, -0.06, -0.107), (0.01, 0.05, -0.093))
        shred = box(points, (0.009, between + 0.3 * step, -0.104), (0.022, between + 0.7 * step, -0.096))
        return torch.stack((skull, neck, bridge, tail, shred)).amin(dim=0)

    end = torch.tensor([[[0.0205, between + 0.5 * step, -0.1]]])
    assert (batched(sdf)(end) < 0).all()
    assert (strays.without_strays(batched(sdf), strays.strays(sdf, CPU))(end) > 0).all()


def test_meshes_pass_strays_by_without_steps() -> None:
    mask = strays.strays(with_lock, CPU)
    assert mask is not None
    cut = strays.smoothly_without(with_lock, mask)
    assert (cut(torch.tensor([[0.0, -0.02, -0.105], [0.0, -0.03, -0.1]])) > 0).all()
    inside = torch.tensor([[0.0, 0.0, 0.0], [0.07, 0.0, 0.005], [0.0, 0.0, -0.06]])
    assert torch.allclose(cut(inside), with_lock(inside))
    # Along a line through head and lock the distance never jumps.
    line = torch.stack([torch.zeros(2001), torch.full((2001,), -0.02), torch.linspace(-0.12, 0.0, 2001)], dim=1)
    assert cut(line).diff().abs().max() < 2.0 * 0.12 / 2000
    assert strays.smoothly_without(with_lock, None) is with_lock


def test_hair_that_is_seen_beside_the_neck_stays() -> None:
    assert not strays.hidden_sheet(_head_with_hair(0.08)).any()
    assert not strays.hidden_sheet(_head_with_hair(0.0)).any()


def test_short_hair_stays() -> None:
    assert not strays.hidden_sheet(_head_with_hair(0.03, lowest=-0.07)).any()


def horned(points: Tensor) -> Tensor:
    """A head with a handle at its back."""
    skull = ball(points, (0.0, 0.0, -0.01), 0.08)
    return torch.minimum(skull, box(points, (-0.01, 0.02, -0.118), (0.01, 0.034, -0.07)))


def test_a_handle_at_the_back_of_a_head_is_left_out() -> None:
    mask = strays.strays(horned, CPU)
    assert mask is not None
    clear = strays.without_strays(batched(horned), mask)
    assert (clear(torch.tensor([[[0.0, 0.027, -0.113], [0.005, 0.025, -0.108]]])) > 0.0).all()
    skull = torch.tensor([[[0.0, 0.0, -0.085], [0.06, 0.0, -0.02], [0.0, 0.06, 0.0], [0.0, -0.05, -0.06]]])
    assert (clear(skull) < 0.0).all()


def test_a_tail_too_thin_for_any_cell_is_left_out() -> None:
    cell = 2 * solids.EXTENT / (strays.STRAY_RESOLUTION - 1)
    between = -solids.EXTENT + 27.5 * cell  # no cell's middle lies in it

    def sdf(points: torch.Tensor) -> torch.Tensor:
        head = ball(points, (0.0, 0.0, -0.005), 0.085)
        return torch.minimum(head, box(points, (between - 0.0012, 0.01, -0.118), (between + 0.0012, 0.03, -0.07)))

    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, strays.STRAY_RESOLUTION)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    solid = (sdf(points) < 0.0).numpy()
    assert not strays.hidden_spikes(solid).any(), "cells do not show it"
    mask = strays.strays(sdf, CPU)
    assert mask is not None
    clear = strays.without_strays(batched(sdf), mask)
    assert (clear(torch.tensor([[[between, 0.02, -0.115], [between, 0.02, -0.105]]])) > 0.0).all()
    assert (clear(torch.tensor([[[0.0, 0.0, -0.08], [0.0, 0.06, 0.0], [0.0, 0.02, -0.08]]])) < 0.0).all()


def test_no_stump_is_left_where_a_thick_tail_hung() -> None:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, strays.STRAY_RESOLUTION)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    skull = ball(points, (0.0, 0.0, -0.005), 0.085) < 0.0
    thick = box(points, (-0.016, 0.01, -0.112), (0.016, 0.04, -0.06)) < 0.0
    tail = box(points, (-0.012, -0.06, -0.122), (0.012, 0.02, -0.112)) < 0.0
    whole = (skull | thick | tail).numpy()
    spikes = strays.hidden_spikes(whole)
    assert (spikes & tail.numpy() & ~thick.numpy()).any()
    left = whole & ~spikes
    bulge = (left & ~skull.numpy()).sum()
    assert bulge > 40, "the tail's thick end"
    gone = strays.stumps(left, spikes)
    assert (gone & ~skull.numpy()).sum() > 0.8 * bulge
    assert (gone & skull.numpy()).sum() < 0.01 * skull.numpy().sum(), "and the head stays"
    assert not strays.stumps(skull.numpy(), np.zeros_like(spikes)).any(), "nothing hung there"
    bun = ball(points, (0.0, 0.02, -0.095), 0.024) < 0.0
    wisp = box(points, (-0.004, 0.0, -0.12), (0.004, 0.008, -0.112)) < 0.0
    assert not strays.stumps((skull | bun).numpy(), wisp.numpy()).any(), "a bun is no stump of a wisp"


def test_the_root_of_a_tail_goes_with_it_from_pictures() -> None:
    def sdf(points: torch.Tensor) -> torch.Tensor:
        skull = ball(points, (0.0, 0.0, -0.005), 0.085)
        root = box(points, (-0.014, 0.012, -0.108), (0.014, 0.036, -0.06))
        tail = box(points, (-0.012, -0.06, -0.12), (0.012, 0.03, -0.1))
        side = ball(points, (0.07, 0.0, -0.05), 0.03)  # hair that sticks out elsewhere
        return torch.minimum(torch.minimum(skull, side), torch.minimum(root, tail))

    mask = strays.strays(sdf, CPU)
    assert mask is not None
    clear = strays.without_strays(batched(sdf), mask)
    assert (clear(torch.tensor([[[0.0, -0.04, -0.115], [0.0, 0.025, -0.103], [0.008, 0.02, -0.1]]])) > 0.0).all()
    assert (clear(torch.tensor([[[0.09, 0.0, -0.06], [0.0, 0.02, -0.08], [0.0, 0.06, -0.05]]])) < 0.0).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((-0.01, 0.02, 0.06), (0.01, 0.034, 0.118)),  # a nose
        ((-0.118, 0.0, -0.02), (-0.06, 0.014, 0.0)),  # an ear, a lock at the side
        ((-0.05, -0.06, -0.115), (0.05, 0.06, -0.05)),  # a bun as broad as the head
    ],
)
def test_what_a_photo_may_show_or_is_broad_is_no_handle(
    low: tuple[float, float, float], high: tuple[float, float, float]
) -> None:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, strays.STRAY_RESOLUTION)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    solid = torch.minimum(ball(points, (0.0, 0.0, -0.01), 0.08), box(points, low, high)) < 0.0
    assert not strays.hidden_spikes(solid.numpy()).any()
    assert strays.hidden_spikes((horned(points) < 0.0).numpy()).any()
