"""The reference's mesh path on shapes with known answers."""

from __future__ import annotations

import numpy as np
import torch

from core.frustum import aligned_volume, depth_mesh, frustum_mesh


def test_the_middle_of_the_far_plane_stays_and_the_near_corners_are_outside() -> None:
    volume = torch.rand(1, 9, 9, 9, 1) - 0.5
    aligned = aligned_volume(volume)
    assert torch.equal(aligned[:, :, :, -1], volume[:, :, :, -1])
    torch.testing.assert_close(aligned[0, 4, 4], volume[0, 4, 4])
    assert aligned[0, 0, 0, 0, 0] == 1


def test_a_ball_becomes_a_closed_ball() -> None:
    axis = torch.linspace(-1, 1, 24)
    row, column, depth = torch.meshgrid(axis, axis, axis, indexing="ij")
    ball = torch.sqrt(row**2 + column**2 + depth**2)[..., None] - 0.5
    vertices, faces = frustum_mesh(ball)
    radii = np.linalg.norm(vertices + 0.005 * np.array([1, -1, -1]), axis=1)  # half a cell: the reference's own shift
    np.testing.assert_allclose(radii, 0.0575, atol=0.003)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()


def test_the_depth_mesh_joins_all_pixels_and_faces_the_camera() -> None:
    x, y = torch.meshgrid(torch.linspace(-0.1, 0.1, 6), torch.linspace(0.1, -0.1, 5), indexing="xy")
    vertices, faces = depth_mesh(torch.stack([x, y, torch.zeros_like(x)]))
    assert vertices.shape == (30, 3)
    assert len(faces) == 2 * 5 * 4
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    assert len(set(np.sign(np.cross(b - a, c - a)[:, 2]))) == 1
