"""Signed distance field to SurfaceMesh: marching cubes where the surface is, colours from photo and generator.

The distance is evaluated on a coarse grid first; blocks that cannot hold the surface keep interpolated values, whose
sign is right, so that the result equals that of a dense grid. Hollows that nothing from outside can reach (the mouth
behind closed lips) are no part of the surface; it is closed where the grid ends (the neck). Colours come from the
photo by ``core.visibility``; where nothing was seen the generator's colours take over, shifted by the difference that
photo and generator have nearby, so that no seam shows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes
from torch import Tensor
from torch.nn import functional

from core.errors import CameoError
from core.job import Job
from core.models.networks import Networks
from core.rendering.edited import EditedHead
from core.rendering.solids import EXTENT, SLAB, Sdf, evaluated, sampled_volume
from core.rendering.tones import tones_at
from core.surface import SurfaceMesh
from core.visibility import merged

# Reach of the differences that normals are taken over (world units; a head has a radius of about 0.1).
NORMAL_STEP = 5e-4


class RawSurface(NamedTuple):
    """Triangles straight from marching cubes, and how they hang together."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    components: int
    largest_share: float


def extract(networks: Networks, head: EditedHead, resolution: int, job: Job) -> SurfaceMesh:
    """The head's surface under an edit, cleaned to its largest piece, with normals and colours.

    Args:
        networks: The model.
        head: The edit tier of a photo.
        resolution: Grid points a side.
        job: Where to report; live frames may be rendered inside.

    Raises:
        CameoError: The field has no surface.
    """

    def sdf(points: Tensor) -> Tensor:
        return head.shape.field.sdf(points[None])[0, :, 0]

    volume = sampled_volume(sdf, resolution, networks.device, job.part(0.0, 0.6))
    surface = largest_piece(volume)
    job.report(0.7, "colouring the surface")
    vertices = torch.from_numpy(surface.vertices).to(networks.device)
    if 2.0 * EXTENT / (resolution - 1) > 2.0 * NORMAL_STEP:
        normals = vertex_normals(sdf, vertices, job.part(0.7, 0.8))
    else:
        normals = volume_normals(torch.from_numpy(volume).to(networks.device), vertices)
    colours = vertex_colours(head, vertices, normals, job.part(0.8, 1.0))
    job.report(1.0, "surface ready")
    return SurfaceMesh(
        surface.vertices,
        surface.faces,
        normals.cpu().numpy(),
        ((colours.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy(),
        surface.components,
        surface.largest_share,
    )


# ------------------------------------------------------------------------------------------------------------ surface


def largest_piece(volume: NDArray[np.float32]) -> RawSurface:
    """Marching cubes (Lewiner) at distance 0, then the connected piece with the most faces.

    Raises:
        CameoError: There is no surface.
    """
    if not (volume.min() < 0.0 < volume.max()):
        raise CameoError("The head has no surface.", hint="Try another photo, or a smaller edit.")
    step = 2.0 * EXTENT / (len(volume) - 1)
    # "descent" makes faces turn towards where values are higher: outwards.
    points, faces, _, _ = marching_cubes(volume, 0.0, gradient_direction="descent", allow_degenerate=False)
    count = len(points)
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]]))
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    components, label = connected_components(graph, directed=False)
    sizes = np.bincount(label[faces[:, 0]], minlength=components)
    largest = int(sizes.argmax())
    kept = label == largest
    renumbered = np.cumsum(kept) - 1
    faces = renumbered[faces[kept[faces[:, 0]]]]
    vertices = points[kept] * step - EXTENT
    return RawSurface(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        int((sizes > 0).sum()),
        float(sizes[largest] / sizes.sum()),
    )


# ------------------------------------------------------------------------------------------------ normals and colours


def vertex_normals(sdf: Sdf, vertices: Tensor, job: Job) -> Tensor:
    """Outward unit normals (V, 3): the distance's gradient by four differences in a tetrahedron."""
    corners = vertices.new_tensor(((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0)))
    gradient = torch.zeros_like(vertices)
    for number, corner in enumerate(corners):
        values = evaluated(
            sdf, vertices + NORMAL_STEP * corner, job.part(number / 4, (number + 1) / 4), "finding normals"
        )
        gradient += values[:, None] * corner
    return functional.normalize(gradient, dim=-1)


def volume_normals(volume: Tensor, vertices: Tensor) -> Tensor:
    """Outward unit normals (V, 3) by central differences in a volume that is as fine as the field's own would be.

    Shape:
        volume (R, R, R), axes x, y, z; vertices (V, 3).
    """
    # A cell to either side would leave the blocks around the surface that are exact; half a cell does not.
    step = EXTENT / (len(volume) - 1)
    offsets = step * torch.cat((torch.eye(3), -torch.eye(3))).to(vertices)
    # The volume's last axis is z: what grid_sample calls x.
    grid = ((vertices + offsets[:, None]) / EXTENT).flip(-1)[None, :, :, None]
    found = functional.grid_sample(volume[None, None], grid, padding_mode="border", align_corners=True)[0, 0, :, :, 0]
    return functional.normalize((found[:3] - found[3:]).T, dim=-1)


def vertex_colours(head: EditedHead, vertices: Tensor, normals: Tensor, job: Job) -> Tensor:
    """Colours (V, 3) in [-1, 1]: the photo's where it saw vertex or mirror image, else the generator's in its tones."""
    field = head.shape.field
    colours = []
    for start in range(0, len(vertices), SLAB):
        job.report(start / len(vertices), "colouring the surface")
        with torch.inference_mode():
            part = slice(start, start + SLAB)
            _, raw = field.appearance(field.hidden(vertices[part]))
            own = 2.0 * torch.sigmoid(raw) - 1.0 + tones_at(head.tones, vertices[part])
            seen, direct, mirror = merged(head.view_large, vertices[None, part], normals[None, part])
            trust = (direct + (1.0 - direct) * mirror)[0, :, None]
            colours.append(seen[0] + own.clamp(-1.0, 1.0) * (1.0 - trust))
    return torch.cat(colours)
