"""A mesh as the graphics card wants it: bytes, and nothing of OpenGL."""

import numpy as np
from numpy.typing import NDArray

from core.surface import SurfaceMesh

VERTEX = np.dtype([("position", "<f4", 3), ("normal", "i1", 4), ("colour", "u1", 4), ("place", "<u2", 2)])
"""One interleaved vertex, 24 bytes: half of what floats would take, which halves the upload. The colour's fourth byte
is the photo's share of it, ``place`` where in the photo it lies."""


def packed_vertices(mesh: SurfaceMesh, part: slice = slice(None)) -> NDArray[np.void]:
    """Vertices as the graphics card wants them, interleaved: ``(V,)`` of ``VERTEX``, or those of a part."""
    positions = mesh.vertices[part]
    vertices = np.zeros(len(positions), dtype=VERTEX)
    vertices["position"] = positions
    vertices["normal"][:, :3] = np.rint(np.clip(mesh.normals[part], -1.0, 1.0) * 127.0)
    vertices["colour"][:, :3] = mesh.colours[part]
    if mesh.texture is not None:
        vertices["colour"][:, 3] = mesh.texture.shares[part]
        vertices["place"] = np.rint(np.clip(mesh.texture.places[part], 0.0, 1.0) * 65535.0)
    return vertices


def packed_indices(mesh: SurfaceMesh, part: slice = slice(None)) -> NDArray[np.uint32]:
    """Corners of faces, or of a part of them, one after the other: ``(3 F,)``."""
    return mesh.faces[part].astype(np.uint32).reshape(-1)
