"""Laws of the volume: strays are found and passed by, the head itself is never cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.job import Job
from core.models.configuration import FieldConfig
from core.models.field import Field
from core.rendering import solids
from core.rendering.folded import FoldedField
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
    assert solids.strays(head, CPU) is None


@pytest.mark.parametrize("sdf", [with_lock])
def test_a_lock_behind_the_neck_is_passed_by_and_the_head_stays(sdf: object) -> None:
    mask = solids.strays(sdf, CPU)  # type: ignore[arg-type]
    assert mask is not None
    clear = solids.without_strays(batched(sdf), mask)
    lock = torch.tensor([[[0.0, -0.02, -0.105], [0.0, -0.03, -0.1]]])
    assert (clear(lock) > 0).all()
    inside = torch.tensor([[[0.0, 0.0, 0.0], [0.07, 0.0, 0.005], [0.0, 0.0, -0.065]]])
    assert (clear(inside) < 0).all()
    side = torch.tensor([[1.5, 0.0]])
    seen = crossings(clear, side).hit.sum()
    alone = crossings(solids.without_strays(batched(head), None), side).hit.sum()
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
    mask = solids.strays(with_chip, CPU)
    assert mask is not None
    clear = solids.without_strays(batched(with_chip), mask)
    line = torch.linspace(-1.0, 1.0, 21)
    chip = torch.cartesian_prod(torch.tensor([0.0615, 0.0635, 0.0655]), 0.0095 * line, 0.0115 * line)
    assert (clear(chip[None]) > 0).all()  # corners as well
    skin = torch.cartesian_prod(torch.tensor([0.0565]), 0.045 * line, 0.045 * line)
    assert (clear(skin[None]) < 0).float().mean() == 1.0
    monkeypatch.setattr(solids, "LOOSE_RESOLUTION", solids.STRAY_RESOLUTION)
    assert solids.strays(with_chip, CPU) is None


def test_what_an_edit_leaves_floating_is_passed_by_together_with_what_floated_before() -> None:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, 40)
    points = torch.cartesian_prod(axis, axis, axis)
    alone = head(points).reshape(40, 40, 40)
    assert solids.with_loose(alone, None) is None
    bun = ball(points, (0.0, 0.06, -0.095), 0.016).reshape(40, 40, 40)
    mask = solids.with_loose(torch.minimum(alone, bun), None)
    assert mask is not None
    assert mask.shape == (1, 1, 40, 40, 40)
    clear = solids.without_strays(batched(lambda places: torch.minimum(head(places), bunned(places))), mask)
    assert (clear(torch.tensor([[[0.0, 0.06, -0.095], [0.0, 0.07, -0.1], [0.01, 0.06, -0.095]]])) > 0).all()
    assert (clear(torch.tensor([[[0.0, 0.0, -0.065], [0.07, 0.0, 0.005]]])) < 0).all()
    # What the photo tier passes by already is no part of the head, and stays passed by.
    known = solids.strays(with_lock, CPU)
    assert known is not None
    volume = torch.minimum(torch.minimum(alone, bun), with_lock(points).reshape(40, 40, 40))
    both = solids.with_loose(volume, known)
    assert both is not None
    assert both.shape == known.shape
    assert bool((both >= known).all())
    assert both.sum() > known.sum()


def bunned(points: Tensor) -> Tensor:
    return ball(points, (0.0, 0.06, -0.095), 0.016)


def test_nothing_beyond_the_scene_is_drawn() -> None:
    everywhere = solids.without_strays(lambda points: torch.full((*points.shape[:2], 1), -1.0), None)
    outside = torch.tensor([[[0.0, 0.0, -0.13], [0.124, 0.0, 0.0]]])
    assert (everywhere(outside) > 0).all()
    assert everywhere(torch.zeros(1, 1, 3)).item() < 0


@pytest.mark.parametrize("seed", range(3))
def test_a_volume_measured_where_it_matters_has_the_signs_of_one_measured_everywhere(seed: int) -> None:
    torch.manual_seed(seed)
    config = FieldConfig(width=32, depth=3, style_dim=8, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.08)
    field = FoldedField(Field(config), torch.randn(1, 4, 8))
    asked = 0

    def sdf(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return field.sdf(points[None])[0, :, 0]

    with torch.inference_mode():
        sparse = solids.measured(sdf, 100, CPU, Job.quiet())
        spent = asked
        axis = torch.linspace(-solids.EXTENT, solids.EXTENT, 100)
        dense = sdf(torch.cartesian_prod(axis, axis, axis)).reshape(100, 100, 100)
    assert torch.equal(sparse < 0, dense < 0)
    # Beside the surface also the numbers are those of the field: that is what the surface is cut from.
    assert (sparse - dense)[dense.abs() < 0.002].abs().max() < 1e-6
    assert spent < 0.4 * asked


def _head_with_hair(width: float, lowest: float = -0.12) -> NDArray[np.bool_]:
    """A skull on a neck, and hair that hangs from it behind the neck with air between, a centimetre thick."""
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    skull = x**2 + (y - 0.02) ** 2 + z**2 < 0.075**2
    neck = (x**2 + z**2 < 0.035**2) & (y < 0.0)
    hair = (y > lowest) & (np.abs(x) < width) & (np.abs(z + 0.065) < 0.007) & (y < 0.04)
    return skull | neck | hair


def test_hair_that_only_hangs_hidden_behind_the_neck_is_a_sheet() -> None:
    head = _head_with_hair(0.03)
    sheet = solids.hidden_sheet(head)
    axis = np.linspace(-solids.EXTENT, solids.EXTENT, 56)
    assert sheet[:, axis < -0.06].sum() == (head & (axis < -0.05)[None, None, :])[:, axis < -0.06].sum() > 100
    assert not sheet[:, :, axis > -0.05].any()  # neither skull nor neck


def test_hair_that_is_seen_beside_the_neck_stays() -> None:
    assert not solids.hidden_sheet(_head_with_hair(0.08)).any()
    assert not solids.hidden_sheet(_head_with_hair(0.0)).any()


def test_short_hair_stays() -> None:
    assert not solids.hidden_sheet(_head_with_hair(0.03, lowest=-0.07)).any()


def test_how_much_of_a_surface_hangs_together() -> None:
    axis = torch.linspace(-0.125, 0.125, 32)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    whole = ball(points, (0.0, 0.0, 0.02), 0.07)
    assert solids.largest_share(whole) == 1.0
    apart = torch.minimum(whole, ball(points, (0.0, 0.0, -0.1), 0.018))
    assert 0.85 < solids.largest_share(apart) < 0.97
    assert solids.largest_share(torch.ones(8, 8, 8)) == 0.0
