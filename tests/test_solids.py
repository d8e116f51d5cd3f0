"""Laws of the volume: measured where it matters, and how much of it hangs together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.job import Job
from core.models.configuration import FieldConfig
from core.models.field import Field
from core.rendering import solids
from core.rendering.folded import FoldedField

CPU = torch.device("cpu")


def ball(points: Tensor, centre: tuple[float, float, float], radius: float) -> Tensor:
    return (points - points.new_tensor(centre)).norm(dim=-1) - radius


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


def test_how_much_of_a_surface_hangs_together() -> None:
    axis = torch.linspace(-0.125, 0.125, 32)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    whole = ball(points, (0.0, 0.0, 0.02), 0.07)
    assert solids.largest_share(whole) == 1.0
    apart = torch.minimum(whole, ball(points, (0.0, 0.0, -0.1), 0.018))
    assert 0.85 < solids.largest_share(apart) < 0.97
    assert solids.largest_share(torch.ones(8, 8, 8)) == 0.0
