"""The part of the mesh renderer that needs no OpenGL; the rest is looked at under Xvfb in the journeys."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from core.camera import Camera
from core.edit import LatentEdit
from core.surface import PhotoTexture
from gui.mesh_packing import VERTEX, packed_indices, packed_vertices
from gui.mesh_renderer import clip_matrix
from gui.widgets import mesh_view
from gui.widgets.mesh_view import MeshView, OpenGLFacts
from tests.gui.fake_engine import bust_mesh


def test_a_packed_mesh_has_the_same_positions_colours_and_triangles() -> None:
    mesh = bust_mesh(LatentEdit.none, 12)
    vertices, indices = packed_vertices(mesh), packed_indices(mesh)
    assert VERTEX.itemsize == 24
    np.testing.assert_array_equal(vertices["position"], mesh.vertices)
    np.testing.assert_array_equal(vertices["colour"][:, :3], mesh.colours)
    np.testing.assert_array_equal(indices.reshape(-1, 3), mesh.faces)
    assert not vertices["colour"][:, 3].any()  # no photo


def test_a_packed_mesh_says_where_in_the_photo_its_vertices_lie() -> None:
    mesh = bust_mesh(LatentEdit.none, 12)
    random = np.random.default_rng(0)
    places = random.uniform(-0.2, 1.2, (len(mesh.vertices), 2))
    shares = random.integers(0, 256, len(mesh.vertices))
    texture = PhotoTexture(np.zeros((8, 8, 3)), places, shares)
    vertices = packed_vertices(dataclasses.replace(mesh, texture=texture))
    np.testing.assert_array_equal(vertices["colour"][:, 3], shares)
    np.testing.assert_allclose(vertices["place"] / 65535.0, np.clip(places, 0, 1), atol=1e-5)


def test_slices_of_a_mesh_make_up_the_whole() -> None:
    mesh = bust_mesh(LatentEdit.none, 12)
    parts = [slice(start, start + 50) for start in range(0, len(mesh.faces), 50)]
    vertices = np.concatenate([packed_vertices(mesh, part) for part in parts])
    np.testing.assert_array_equal(vertices, packed_vertices(mesh))
    indices = np.concatenate([packed_indices(mesh, part) for part in parts])
    np.testing.assert_array_equal(indices, packed_indices(mesh))


def test_packed_normals_keep_their_direction() -> None:
    mesh = bust_mesh(LatentEdit.none, 12)
    vertices = packed_vertices(mesh)
    unpacked = vertices["normal"][:, :3] / 127.0
    np.testing.assert_allclose(unpacked, mesh.normals, atol=0.5 / 127 + 1e-6)


@pytest.mark.parametrize(
    ("width", "height", "side"), [(400, 400, 400), (800, 600, 600), (300, 700, 360), (50, 60, 200)]
)
def test_the_mesh_lies_exactly_where_the_picture_shows_it(width: int, height: int, side: int) -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        camera = Camera(generator.uniform(-3, 3), generator.uniform(-1.4, 1.4))
        points = generator.uniform(-0.1, 0.1, (30, 3))
        uv, _ = camera.project(points)
        clip = np.concatenate([points, np.ones((30, 1))], axis=1) @ clip_matrix(camera, width, height, side).T
        ndc = clip[:, :2] / clip[:, 3:]
        np.testing.assert_allclose(ndc[:, 0] * width, uv[:, 0] * side, atol=side * 1e-5)
        np.testing.assert_allclose(-ndc[:, 1] * height, uv[:, 1] * side, atol=side * 1e-5)


def test_a_mesh_that_cannot_be_handed_over_is_not_tried_without_end(qtbot: QtBot) -> None:
    view = MeshView(OpenGLFacts("none", "2.0", software=True, embedded=False))
    qtbot.addWidget(view)
    tried = []

    class Failing:
        def uploading(self, mesh: object, draft: object) -> Iterator[None]:
            tried.append(mesh)
            yield
            raise RuntimeError("out of memory")

    view._renderer = Failing()  # type: ignore[assignment]
    view._ready = lambda: view._renderer  # type: ignore[assignment, method-assign, return-value]
    mesh_view.UPLOAD_MS, before = -1.0, mesh_view.UPLOAD_MS
    try:
        with qtbot.captureExceptions() as raised:
            view.set_mesh(bust_mesh(LatentEdit.none, 12))
            qtbot.wait(60)
    finally:
        mesh_view.UPLOAD_MS = before
    assert len(raised) == 1
    assert len(tried) == 1
    assert not view.is_up_to_date
    view._renderer = None
