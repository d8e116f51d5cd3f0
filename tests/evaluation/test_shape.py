"""Shape: alignment and distance on surfaces whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from core.camera import Camera
from core.errors import CameoError, FaceNotUsable
from core.evaluation import shape
from core.evaluation.shape import MM_PER_UNIT, Subject
from core.surface import SurfaceMesh


def ball(radius: float) -> SurfaceMesh:
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    vertices = np.asarray(mesh.vertices, np.float32)
    normals = vertices / radius
    return SurfaceMesh(vertices, np.asarray(mesh.faces, np.int32), normals, np.zeros(vertices.shape, np.uint8))


def turned(points: np.ndarray) -> np.ndarray:
    c, s = np.cos(0.7), np.sin(0.7)
    return points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + (3.0, -8.0, 20.0)


def test_a_similarity_is_found_again() -> None:
    points = np.random.default_rng(0).normal(size=(7, 3))
    scale, rotation, shift = shape.similarity(points, 1.3 * turned(points), scaled=True)
    assert scale == pytest.approx(1.3)
    np.testing.assert_allclose(scale * points @ rotation.T + shift, 1.3 * turned(points), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert shape.similarity(points, 1.3 * turned(points), scaled=False)[0] == 1.0


def test_distances_go_to_triangles_and_not_to_vertices() -> None:
    vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])
    points = np.array([[3.0, 3, 2], [-3, 0, 4], [10, 0, 0]])
    np.testing.assert_allclose(shape.distances(vertices, np.array([[0, 1, 2]]), points), [2, 5, 0], atol=1e-12)


def test_the_right_shape_is_no_distance_away_and_a_larger_one_is() -> None:
    surface = ball(0.08)
    own = surface.vertices.astype(float) * MM_PER_UNIT
    picked = np.linspace(0, len(own) - 1, 7).astype(int)
    right = Subject("a", np.zeros((4, 4, 3), np.uint8), turned(own), turned(own[picked]))
    row = shape.errors(surface, own[picked], right)
    assert max(row[name] for name in shape.FIGURES) < 1e-3
    assert row["scale"] == pytest.approx(1)
    larger = Subject("a", right.photo, 1.1 * turned(own), 1.1 * turned(own[picked]))
    row = shape.errors(surface, own[picked], larger)
    assert row["scaled_median"] < 1e-3
    assert row["scale"] == pytest.approx(1.1)
    assert row["rigid_refined_mean"] > 5


def test_a_keypoint_lies_on_the_side_that_the_camera_sees() -> None:
    camera = Camera(0.3, 0.1)
    (point,) = shape.on_surface(ball(0.08), np.array([[0.0, 0.0]]), camera)
    np.testing.assert_allclose(point, 0.08 * camera.position, atol=1.5e-3)
    with pytest.raises(FaceNotUsable):
        shape.on_surface(ball(0.08), np.array([[0.99, 0.99]]), camera)


def test_a_folder_of_scans_is_read_and_what_is_missing_is_said(tmp_path: Path) -> None:
    points = np.vstack([np.eye(3), np.eye(3) * 2, [[500.0, 0, 0]]])
    trimesh.PointCloud(points).export(tmp_path / "a.ply")
    np.savetxt(tmp_path / "a.txt", np.zeros((7, 3)))
    with pytest.raises(CameoError, match="not complete"):
        shape.scanned(tmp_path, "a")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    found = shape.scanned(tmp_path, "a")
    assert found.scan.shape == (6, 3)
    assert found.photo.shape == (8, 8, 3)
    np.savetxt(tmp_path / "a.txt", np.zeros((5, 3)))
    with pytest.raises(CameoError, match="seven"):
        shape.scanned(tmp_path, "a")
