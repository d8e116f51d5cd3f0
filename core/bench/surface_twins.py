"""The slow twin of a surface, dense marching cubes over a volume sampled in slabs, and how surfaces are compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from core.rendering.solids import EXTENT, Sdf

__all__ = ["Compared", "compared", "dense_surface"]

Triangles = tuple[NDArray[np.float32], NDArray[np.int32]]
# Points a call of the plain field: half a gigabyte of activations at the released width.
SLAB = 65536
# Distance below which two vertices are in one place (world units): a two-hundredth of the finest cell.
ONE_PLACE = 2e-6
# How far a vertex may be from its counterpart: where the distance is flat, another last digit moves the surface by more
# than the above.
APART = 1e-4
# Vertices that only one surface has, up to which they are looked at one by one; more are another surface.
FEW = 100


class Compared(NamedTuple):
    """Whether the same vertices are joined in the same way, and how far vertices are apart at most (world units)."""

    topology_equal: bool
    max_vertex_error: float


def dense_surface(sdf: Sdf, resolution: int) -> Triangles:
    """Vertices (V, 3) and faces (F, 3) of the zero level, closed where the grid ends."""
    step = 2.0 * EXTENT / (resolution - 1)
    # The very numbers that blocks are measured at: another last digit is another grid.
    axis = torch.arange(resolution) * step - EXTENT
    points = torch.cartesian_prod(axis, axis, axis)
    with torch.inference_mode():
        volume = torch.cat([sdf(part) for part in points.split(SLAB)]).reshape((resolution,) * 3)
        for face in (volume[0], volume[-1], volume[:, 0], volume[:, -1], volume[:, :, 0], volume[:, :, -1]):
            face.clamp_(min=step)
    vertices, faces, _, _ = marching_cubes(volume.numpy(), 0.0, gradient_direction="descent")
    return (vertices * step - EXTENT).astype(np.float32), faces


def compared(found: Triangles, wanted: Triangles) -> Compared:
    """Match vertices by place, then faces by their vertices and the way they turn.

    A value that is all but 0 gives vertices in one place and faces without an area, whose number depends on how the
    last digit was rounded: those are welded first, in both surfaces together. (Each by itself would weld two vertices
    that are just as far apart as welding reaches in one of them and not in the other.) Of what is then left over,
    those are the same vertex that are each other's nearest, and no farther apart than is allowed; and a vertex that
    only one of them has is its nearest neighbour there, if that is as near: faces between the two have no area. All
    other faces must join the same vertices.
    """
    distance, _ = cKDTree(wanted[0]).query(found[0])
    back, _ = cKDTree(found[0]).query(wanted[0])
    error = float(max(distance.max(), back.max()))
    both = np.concatenate((found[0], wanted[0]))
    pairs = cKDTree(both).query_pairs(ONE_PLACE, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(both),) * 2)
    _, place = connected_components(graph, directed=False)
    place = _paired(place, len(found[0]), both)
    ours, theirs = place[: len(found[0])], place[len(found[0]) :]
    paired = np.array_equal(np.unique(ours), np.unique(theirs))
    equal = paired and np.array_equal(_whole(ours[found[1]]), _whole(theirs[wanted[1]]))
    return Compared(bool(equal), error)


def _paired(place: NDArray[np.integer], count: int, points: NDArray[np.float32]) -> NDArray[np.integer]:
    """Places of all vertices, those that only one surface has joined to the other's.

    Args:
        place: Of the vertices of both.
        count: Vertices of the first surface, which come first.
        points: Where they lie, (V, 3).
    """
    names = np.arange(place.max() + 1)
    mine, other = _alone(place[:count], place[count:]), count + _alone(place[count:], place[:count])
    if len(mine) and len(other):
        first, second = cKDTree(points[mine]), cKDTree(points[other])
        away, nearest = second.query(first.data)
        back = first.query(second.data)[1]
        same = (away <= APART) & (back[nearest] == np.arange(len(mine)))
        names[place[other[nearest[same]]]] = place[mine[same]]
        place = names[place]
    for own, others in ((slice(0, count), slice(count, None)), (slice(count, None), slice(0, count))):
        left = _alone(place[own], place[others])
        if 0 < len(left) <= FEW:
            away, nearest = cKDTree(points[own]).query(points[own][left], k=min(8, len(points[own])))
            for vertex, distances, near in zip(left, away, nearest, strict=True):
                elsewhere = [
                    n
                    for d, n in zip(distances, near, strict=True)
                    if d <= APART and place[own][n] != place[own][vertex]
                ]
                if elsewhere:
                    place = np.where(place == place[own][vertex], place[own][elsewhere[0]], place)
    return place


def _alone(ours: NDArray[np.integer], theirs: NDArray[np.integer]) -> NDArray[np.integer]:
    """One vertex of every place that the others do not have."""
    mine = np.flatnonzero(~np.isin(ours, theirs))
    return np.asarray(mine[np.unique(ours[mine], return_index=True)[1]])


def _whole(faces: NDArray[np.integer]) -> NDArray[np.integer]:
    """Faces that join three places, each from its smallest place on, sorted."""
    return _ordered(faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)])


def _ordered(faces: NDArray[np.integer]) -> NDArray[np.integer]:
    """Faces from their smallest vertex on, sorted."""
    first = faces.argmin(axis=1)[:, None]
    turned = np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1)
    return turned[np.lexsort(turned.T[::-1])]
