"""A mesh is a value that knows whether it is closed."""

import numpy as np
import pytest
import trimesh

from core.surface import SurfaceMesh


def surface(mesh: trimesh.Trimesh) -> SurfaceMesh:
    colours = np.full((len(mesh.vertices), 3), 128)
    return SurfaceMesh(mesh.vertices, mesh.faces, mesh.vertex_normals, colours)


SHAPES = {
    "ball": trimesh.creation.icosphere(2),
    "ring": trimesh.creation.torus(1.0, 0.3),
    "two balls": trimesh.util.concatenate(
        [trimesh.creation.icosphere(1), trimesh.creation.icosphere(1).apply_translation((5, 0, 0))]
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_closed_surface_is_watertight_and_with_a_hole_it_is_not(name: str) -> None:
    mesh = surface(SHAPES[name])
    assert mesh.watertight
    assert not SurfaceMesh(mesh.vertices, mesh.faces[1:], mesh.normals, mesh.colours).watertight


def test_a_face_turned_inside_out_is_a_hole() -> None:
    mesh = surface(SHAPES["ball"])
    faces = mesh.faces.copy()
    faces[0] = faces[0][::-1]
    assert not SurfaceMesh(mesh.vertices, faces, mesh.normals, mesh.colours).watertight


def test_an_edge_with_four_faces_is_not_watertight() -> None:
    mesh = surface(SHAPES["ball"])
    faces = np.concatenate([mesh.faces, mesh.faces])
    assert not SurfaceMesh(mesh.vertices, faces, mesh.normals, mesh.colours).watertight


def test_nothing_is_not_watertight() -> None:
    none = np.zeros((0, 3))
    assert not SurfaceMesh(none, none, none, none).watertight


def test_arrays_have_the_agreed_types_and_cannot_be_changed() -> None:
    mesh = surface(SHAPES["ball"])
    kinds = [array.dtype for array in (mesh.vertices, mesh.faces, mesh.normals, mesh.colours)]
    assert kinds == [np.float32, np.int32, np.float32, np.uint8]
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices[0] = 0


@pytest.mark.parametrize("change", ["faces", "normals", "shape"])
def test_arrays_that_do_not_fit_together_are_a_programming_mistake(change: str) -> None:
    mesh = surface(SHAPES["ball"])
    vertices, faces, normals = mesh.vertices, mesh.faces, mesh.normals
    if change == "faces":
        faces = faces + len(vertices)
    elif change == "normals":
        normals = normals[:-1]
    else:
        vertices = vertices[:, :2]
    with pytest.raises(ValueError, match=r"face|normals|shape"):
        SurfaceMesh(vertices, faces, normals, mesh.colours)
