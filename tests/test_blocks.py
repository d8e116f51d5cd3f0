"""A surface cut block by block is that of a dense grid, and costs what a surface costs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from core.job import Job
from core.models.configuration import FieldConfig
from core.models.field import Field
from core.rendering import blocks, solids
from core.rendering.folded import FoldedField

CPU = torch.device("cpu")


def bumpy(points: torch.Tensor) -> torch.Tensor:
    """A head-sized ball with bumps, a neck that leaves the grid at the bottom, and a speck beside it."""
    ball = points.norm(dim=-1) - 0.08 - 0.004 * (60 * points).sin().prod(dim=-1)
    neck = torch.maximum(points[:, [0, 2]].norm(dim=-1) - 0.04, points[:, 1])
    speck = (points - points.new_tensor((0.105, 0.1, 0.0))).norm(dim=-1) - 0.012
    return torch.minimum(torch.minimum(ball, neck), speck)


def learned(seed: int) -> solids.Sdf:
    """A field with random weights: rough, and nowhere a true distance."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = FieldConfig(
            width=32, depth=3, style_dim=8, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.08
        )
        field = FoldedField(Field(config), torch.randn(1, 4, 8))
    return lambda points: field.sdf(points[None])[0, :, 0].detach()


def dense(sdf: solids.Sdf, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, resolution)
    step = 2 * solids.EXTENT / (resolution - 1)
    volume = sdf(torch.cartesian_prod(axis, axis, axis)).reshape((resolution,) * 3).numpy()
    for axis_number, side in itertools.product(range(3), (0, -1)):
        index: list[slice | int] = [slice(None)] * 3
        index[axis_number] = side
        volume[tuple(index)] = volume[tuple(index)].clip(min=step)
    vertices, faces, _, _ = marching_cubes(volume, 0.0, gradient_direction="descent")
    return vertices * step - solids.EXTENT, faces


@pytest.mark.parametrize(
    ("sdf", "resolution"), [(bumpy, 33), (bumpy, 46), (bumpy, 80), (learned(0), 64), (learned(1), 50), (learned(2), 97)]
)
def test_block_sparse_is_dense(sdf: solids.Sdf, resolution: int) -> None:
    found = blocks.surface_of(sdf, resolution, CPU, Job.quiet())
    vertices, faces = dense(sdf, resolution)
    distance, match = cKDTree(vertices).query(found.vertices)
    assert distance.max() < 1e-5  # batches of other sizes round otherwise
    assert len(found.vertices) == len(vertices) == len(set(match.tolist()))

    def turned(triangles: np.ndarray) -> set[tuple[int, ...]]:
        """Triangles from their smallest corner on, so that turning round matters and where they begin does not."""
        first = triangles.argmin(axis=1)[:, None]
        return set(map(tuple, np.take_along_axis(triangles, (first + np.arange(3)) % 3, axis=1).tolist()))

    assert turned(match[found.faces]) == turned(faces)


def test_cost_grows_with_the_surface_and_not_with_the_space() -> None:
    asked = dict.fromkeys((64, 128), 0)
    for resolution in asked:

        def counted(points: torch.Tensor, resolution: int = resolution) -> torch.Tensor:
            asked[resolution] += len(points)
            return bumpy(points)

        blocks.surface_of(counted, resolution, CPU, Job.quiet())
    assert asked[128] < 0.12 * 128**3
    assert asked[128] < 4.2 * asked[64]


def test_it_reports_while_it_measures_and_while_it_joins() -> None:
    stages: list[str] = []
    job = Job("", on_report=lambda _, stage: stages.append(stage))
    blocks.surface_of(bumpy, 64, CPU, job)
    assert set(stages) == {"measuring the surface", "joining the surface"}
