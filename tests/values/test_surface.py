"""A mesh is a value that knows whether it is closed."""

import numpy as np
import pytest
import trimesh

from core.surface import PhotoTexture, SurfaceMesh


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


def texture(count: int) -> PhotoTexture:
    return PhotoTexture(np.zeros((4, 5, 3)), np.zeros((count, 2)), np.full(count, 255))


def test_a_texture_says_of_every_vertex_where_it_lies_and_of_further_ones_that_they_are_bare() -> None:
    mesh = surface(SHAPES["ball"])
    count = len(mesh.vertices)
    worn = SurfaceMesh(mesh.vertices, mesh.faces, mesh.normals, mesh.colours, texture=texture(count))
    assert worn.texture is not None
    assert worn.texture.shares.tolist() == [255] * count
    assert worn.texture.with_bare(2).shares.tolist() == [255] * count + [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        worn.texture.places[0] = 1
    with pytest.raises(ValueError, match="texture"):
        SurfaceMesh(mesh.vertices, mesh.faces, mesh.normals, mesh.colours, texture=texture(count - 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": np.zeros((4, 4))},
        {"pixels": np.zeros((4, 4, 4))},
        {"places": np.zeros((2, 2))},
        {"shares": np.zeros((3, 1))},
    ],
)
def test_textures_that_do_not_fit_together_are_a_programming_mistake(wrong: dict[str, np.ndarray]) -> None:
    right = {"pixels": np.zeros((4, 4, 3)), "places": np.zeros((3, 2)), "shares": np.zeros(3)}
    with pytest.raises(ValueError, match=r"axes|places"):
        PhotoTexture(**{**right, **wrong})
