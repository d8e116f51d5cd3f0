"""Laws of the surface: block-sparse equals dense, faces turn outwards, the surface is closed, pieces are counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from core import meshing
from core.errors import CameoError, Cancelled
from core.job import Job
from core.rendering import solids

CPU = torch.device("cpu")


def bumpy(points: torch.Tensor) -> torch.Tensor:
    """A head-sized ball with bumps, a neck that leaves the grid at the bottom, and a speck beside it."""
    ball = points.norm(dim=-1) - 0.08 - 0.004 * (60 * points).sin().prod(dim=-1)
    neck = torch.maximum(points[:, [0, 2]].norm(dim=-1) - 0.04, points[:, 1])
    speck = (points - points.new_tensor((0.105, 0.1, 0.0))).norm(dim=-1) - 0.012
    return torch.minimum(torch.minimum(ball, neck), speck)


def dense(resolution: int) -> np.ndarray:
    axis = torch.linspace(-solids.EXTENT, solids.EXTENT, resolution)
    volume = bumpy(torch.cartesian_prod(axis, axis, axis)).reshape((resolution,) * 3)
    return volume.numpy()


@pytest.mark.parametrize("resolution", [33, 46, 64])
def test_sampling_only_near_the_surface_gives_the_same_surface_as_sampling_everywhere(resolution: int) -> None:
    sparse = solids.sampled_volume(bumpy, resolution, CPU, Job.quiet())
    whole = dense(resolution)
    for side in (0, -1):
        for axis in range(3):
            index = [slice(None)] * 3
            index[axis] = side
            whole[tuple(index)] = whole[tuple(index)].clip(min=2 * solids.EXTENT / (resolution - 1))
    assert np.array_equal(sparse < 0, whole < 0)
    a, b = meshing.largest_piece(sparse), meshing.largest_piece(whole)
    assert np.array_equal(a.faces, b.faces)
    assert np.abs(a.vertices - b.vertices).max() < 1e-6


def test_few_points_are_evaluated() -> None:
    asked = 0

    def counted(points: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += len(points)
        return bumpy(points)

    solids.sampled_volume(counted, 128, CPU, Job.quiet())
    assert asked < 0.25 * 128**3


def test_the_surface_is_closed_turns_outwards_and_counts_its_pieces() -> None:
    surface = meshing.largest_piece(solids.sampled_volume(bumpy, 64, CPU, Job.quiet()))
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume > 0.9 * 4 / 3 * np.pi * 0.08**3
    assert surface.components == 2
    assert 0.9 < surface.largest_share < 1.0
    assert mesh.body_count == 1


def test_vertices_lie_on_the_surface_and_normals_follow_its_gradient() -> None:
    surface = meshing.largest_piece(solids.sampled_volume(bumpy, 64, CPU, Job.quiet()))
    vertices = torch.from_numpy(surface.vertices)
    assert bumpy(vertices).abs().quantile(0.95) < 3e-4
    normals = meshing.vertex_normals(bumpy, vertices, Job.quiet())
    upper = vertices[:, 1] > 0.03
    outward = torch.nn.functional.normalize(vertices, dim=-1)
    assert (normals.norm(dim=-1) - 1).abs().max() < 1e-4
    assert ((normals * outward).sum(-1)[upper] > 0.5).all()


def test_normals_of_a_fine_volume_are_those_of_its_distance() -> None:
    volume = solids.sampled_volume(bumpy, 128, CPU, Job.quiet())
    vertices = torch.from_numpy(meshing.largest_piece(volume).vertices)
    vertices = vertices[(vertices[:, 1] > 0.03) & (vertices.abs().amax(dim=-1) < 0.12)]
    found = meshing.volume_normals(torch.from_numpy(volume), vertices)
    exact = meshing.vertex_normals(bumpy, vertices, Job.quiet())
    assert (found * exact).sum(dim=-1).quantile(0.05) > 0.98


def test_an_empty_field_and_an_impossible_resolution_are_explained() -> None:
    empty = solids.sampled_volume(lambda points: torch.ones(len(points)), 24, CPU, Job.quiet())
    with pytest.raises(CameoError, match="no surface"):
        meshing.largest_piece(empty)
    for resolution in (4, 2048):
        with pytest.raises(CameoError, match="resolution"):
            solids.sampled_volume(bumpy, resolution, CPU, Job.quiet())


def test_a_cancelled_mesh_stops_at_the_next_slab() -> None:
    asked = 0
    job = Job("mesh")

    def slow(points: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        job.cancel()
        return bumpy(points)

    with pytest.raises(Cancelled):
        solids.sampled_volume(slow, 128, CPU, job)
    assert asked == 1


def test_hollows_count_as_pieces_and_are_left_out() -> None:
    axis = torch.linspace(-1.0, 1.0, 48)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    radius = (x * x + y * y + z * z).sqrt()
    shell = torch.maximum(radius - 0.8, 0.3 - radius).numpy()
    surface = meshing.largest_piece(shell)
    assert surface.components == 2
    outer = 0.8**2 / (0.8**2 + 0.3**2)
    assert surface.largest_share == pytest.approx(outer, abs=0.02)
