"""Laws of the surface: faces turn outwards, the surface is closed, pieces are counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from core import meshing
from core.errors import CameoError, Cancelled
from core.job import Job
from core.rendering import blocks

CPU = torch.device("cpu")


def bumpy(points: torch.Tensor) -> torch.Tensor:
    """A head-sized ball with bumps, a neck that leaves the grid at the bottom, and a speck beside it."""
    ball = points.norm(dim=-1) - 0.08 - 0.004 * (60 * points).sin().prod(dim=-1)
    neck = torch.maximum(points[:, [0, 2]].norm(dim=-1) - 0.04, points[:, 1])
    speck = (points - points.new_tensor((0.105, 0.1, 0.0))).norm(dim=-1) - 0.012
    return torch.minimum(torch.minimum(ball, neck), speck)


def test_the_surface_is_closed_turns_outwards_and_counts_its_pieces() -> None:
    surface = meshing.largest_piece(blocks.surface_of(bumpy, 64, CPU, Job.quiet()))
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume > 0.9 * 4 / 3 * np.pi * 0.08**3
    assert surface.components == 2
    assert 0.9 < surface.largest_share < 1.0
    assert mesh.body_count == 1


def test_vertices_lie_on_the_surface_and_normals_follow_its_gradient() -> None:
    surface = meshing.largest_piece(blocks.surface_of(bumpy, 64, CPU, Job.quiet()))
    vertices = torch.from_numpy(surface.vertices)
    assert bumpy(vertices).abs().quantile(0.95) < 3e-4
    normals = meshing.vertex_normals(bumpy, vertices, Job.quiet())
    upper = vertices[:, 1] > 0.03
    outward = torch.nn.functional.normalize(vertices, dim=-1)
    assert (normals.norm(dim=-1) - 1).abs().max() < 1e-4
    assert ((normals * outward).sum(-1)[upper] > 0.5).all()


def test_normals_of_a_fine_surface_are_those_of_its_distance() -> None:
    surface = blocks.surface_of(bumpy, 128, CPU, Job.quiet())
    vertices, found = torch.from_numpy(surface.vertices), torch.from_numpy(surface.normals)
    smooth = (vertices[:, 1] > 0.03) & (vertices.abs().amax(dim=-1) < 0.12)
    exact = meshing.vertex_normals(bumpy, vertices, Job.quiet())
    assert (found * exact).sum(dim=-1)[smooth].quantile(0.05) > 0.98


def test_an_empty_field_and_an_impossible_resolution_are_explained() -> None:
    with pytest.raises(CameoError, match="no surface"):
        blocks.surface_of(lambda points: torch.ones(len(points)), 24, CPU, Job.quiet())
    for resolution in (4, 2048):
        with pytest.raises(CameoError, match="resolution"):
            blocks.surface_of(bumpy, resolution, CPU, Job.quiet())


def test_a_cancelled_mesh_stops_at_the_next_slab() -> None:
    asked = 0
    job = Job("mesh")

    def slow(points: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        job.cancel()
        return bumpy(points)

    with pytest.raises(Cancelled):
        blocks.surface_of(slow, 128, CPU, job)
    assert asked == 1


def test_hollows_count_as_pieces_and_are_left_out() -> None:
    def shell(points: torch.Tensor) -> torch.Tensor:
        radius = points.norm(dim=-1)
        return torch.maximum(radius - 0.08, 0.03 - radius)

    surface = meshing.largest_piece(blocks.surface_of(shell, 48, CPU, Job.quiet()))
    assert surface.components == 2
    outer = 0.8**2 / (0.8**2 + 0.3**2)
    assert surface.largest_share == pytest.approx(outer, abs=0.02)
