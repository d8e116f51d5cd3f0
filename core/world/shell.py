"""Short hair and beards as shells: copies of the skin pushed outwards, thinned by noise in the shader.

Shells have soft edges and thickness, follow every face shape and expression, and cost a few thousand triangles.
"""

from __future__ import annotations

import numpy as np


def shells(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    density: np.ndarray,
    length: np.ndarray,
    layers: int,
    comb: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stacked displaced copies of the part of a mesh where density is above zero.

    Args:
        vertices: (n, 3).
        normals: (n, 3) unit.
        triangles: (f, 3).
        density: (n,) 0..1 where hair grows.
        length: (n,) hair length in the unit of the vertices.
        layers: how many copies.
        comb: (n, 3) direction the hair bends to, added with the square of the height.

    Returns:
        vertices (m, 3), source vertex (m,), triangles (g, 3), height (m,) in 0..1.
    """
    inside = (density[triangles] > 0.01).any(1)
    used, local = np.unique(triangles[inside], return_inverse=True)
    local = local.reshape(-1, 3)
    points, heights, faces = [], [], []
    for layer in range(layers):
        height = (layer + 0.5) / layers
        step = (normals[used] * height + comb[used] * height * height) * length[used, None]
        points.append(vertices[used] + step)
        heights.append(np.full(len(used), height))
        faces.append(local + layer * len(used))
    return (
        np.concatenate(points).astype(np.float32),
        np.tile(used, layers),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(heights).astype(np.float32),
    )
