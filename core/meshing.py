"""Signed distance field to SurfaceMesh: marching cubes where the surface is, colours from photo and generator.

The distance is evaluated on a coarse grid first; blocks that cannot hold the surface keep interpolated values, whose
sign is right, so that the result equals that of a dense grid. The surface is closed where the grid ends (the neck).
Colours come from the photo by ``core.visibility``; where nothing was seen the generator's colours take over, shifted
by the difference that photo and generator have nearby, so that no seam shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
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
from core.surface import SurfaceMesh
from core.visibility import merged

# The grid covers |x| <= EXTENT on every axis: the scene's radius of 0.12 and a margin in which the surface can close.
EXTENT = 0.125
# Cells of the fine grid along one edge of a block.
BLOCK = 4
# A block is looked at closely when its corners are nearer to the surface than this many half diagonals. 1 would do for
# an exact distance; the learned one is up to half as steep again in places.
SAFETY = 1.6
# Points a call of the field: a slab between two reports, small enough for the cache.
SLAB = 16384
MIN_RESOLUTION, MAX_RESOLUTION = 16, 512
# Cells a side of the coarse volume in which colour differences are carried to what the photo did not see.
COLOUR_CELLS = 24

Sdf = Callable[[Tensor], Tensor]


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
    field = networks.generator.field

    def sdf(points: Tensor) -> Tensor:
        return field.sdf(points[None], head.styles)[0, :, 0]

    volume = sampled_volume(sdf, resolution, networks.device, job.part(0.0, 0.6))
    surface = largest_piece(volume)
    job.report(0.7, "colouring the surface")
    vertices = torch.from_numpy(surface.vertices).to(networks.device)
    normals = vertex_normals(sdf, vertices, job.part(0.7, 0.8))
    colours = vertex_colours(networks, head, vertices, normals, job.part(0.8, 1.0))
    job.report(1.0, "surface ready")
    return SurfaceMesh(
        surface.vertices,
        surface.faces,
        normals.cpu().numpy(),
        ((colours.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy(),
        surface.components,
        surface.largest_share,
    )


# ------------------------------------------------------------------------------------------------------------- volume


def _axis(resolution: int, device: torch.device) -> Tensor:
    return torch.linspace(-EXTENT, EXTENT, resolution, device=device)


def _evaluated(sdf: Sdf, points: Tensor, job: Job, stage: str) -> Tensor:
    """Distances (N,) of points (N, 3), slab by slab; every slab is a yield point."""
    parts = []
    for start in range(0, len(points), SLAB):
        job.report(start / len(points), stage)
        with torch.inference_mode():
            parts.append(sdf(points[start : start + SLAB]).float())
    return torch.cat(parts) if parts else points.new_zeros(0)


def sampled_volume(sdf: Sdf, resolution: int, device: torch.device, job: Job) -> NDArray[np.float32]:
    """Distances on the grid (x, y, z), exact in every block that may hold the surface, and positive on the border.

    Shape:
        Returns (R, R, R), R = resolution.
    """
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise CameoError(
            f"A mesh resolution of {resolution} is not possible.",
            hint=f"Choose a resolution from {MIN_RESOLUTION} to {MAX_RESOLUTION}.",
        )
    axis = _axis(resolution, device)
    # Block corners: every BLOCK-th grid point, and the last one.
    corners = torch.unique(torch.cat((torch.arange(0, resolution, BLOCK), torch.tensor([resolution - 1])))).to(device)
    coarse_points = torch.cartesian_prod(axis[corners], axis[corners], axis[corners])
    coarse = _evaluated(sdf, coarse_points, job.part(0.0, 0.4), "feeling for the surface")
    side = len(corners)
    coarse = coarse.reshape(side, side, side)
    # A surface can only be in a block if some corner is within half a diagonal of it.
    half_diagonal = 0.5 * BLOCK * float(axis[1] - axis[0]) * 3.0**0.5
    near = -functional.max_pool3d(-coarse.abs()[None, None], 2, 1)[0, 0] < SAFETY * half_diagonal
    low = -functional.max_pool3d(-coarse[None, None], 2, 1)[0, 0]
    high = functional.max_pool3d(coarse[None, None], 2, 1)[0, 0]
    near |= (low < 0.0) & (high > 0.0)
    volume = _interpolated(coarse, corners, resolution)
    mask = torch.zeros_like(volume, dtype=torch.bool)
    spans = [(int(a), int(b) + 1) for a, b in itertools.pairwise(corners)]
    for i, j, k in near.nonzero().tolist():
        (x0, x1), (y0, y1), (z0, z1) = spans[i], spans[j], spans[k]
        mask[x0:x1, y0:y1, z0:z1] = True
    index = mask.nonzero()
    points = torch.stack((axis[index[:, 0]], axis[index[:, 1]], axis[index[:, 2]]), dim=-1)
    volume[mask] = _evaluated(sdf, points, job.part(0.4, 1.0), "measuring the surface")
    outside = float(axis[1] - axis[0])
    for face in (volume[0], volume[-1], volume[:, 0], volume[:, -1], volume[:, :, 0], volume[:, :, -1]):
        face.clamp_(min=outside)
    return volume.cpu().numpy()


def _interpolated(coarse: Tensor, corners: Tensor, resolution: int) -> Tensor:
    """Trilinear values between block corners, whose last block may be shorter than the others."""
    volume = coarse
    grid = torch.arange(resolution, device=coarse.device)
    upper = torch.searchsorted(corners, grid).clamp(min=1)
    share = (grid - corners[upper - 1]).float() / (corners[upper] - corners[upper - 1]).float()
    for dimension in range(3):
        shape = [1, 1, 1]
        shape[dimension] = resolution
        weight = share.reshape(shape)
        volume = torch.lerp(volume.index_select(dimension, upper - 1), volume.index_select(dimension, upper), weight)
    return volume.contiguous()


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
    step = 5e-4
    gradient = torch.zeros_like(vertices)
    for number, corner in enumerate(corners):
        values = _evaluated(sdf, vertices + step * corner, job.part(number / 4, (number + 1) / 4), "finding normals")
        gradient += values[:, None] * corner
    return functional.normalize(gradient, dim=-1)


def vertex_colours(networks: Networks, head: EditedHead, vertices: Tensor, normals: Tensor, job: Job) -> Tensor:
    """Colours (V, 3) in [-1, 1]: the photo's where it saw the vertex or its mirror image, else the generator's."""
    field = networks.generator.field
    own, seen, confidence = [], [], []
    with torch.inference_mode():
        for start in range(0, len(vertices), SLAB):
            job.report(0.9 * start / len(vertices), "colouring the surface")
            part = slice(start, start + SLAB)
            _, raw = field.appearance(field.hidden(vertices[None, part], head.styles), head.styles)
            own.append(2.0 * torch.sigmoid(raw[0].float()) - 1.0)
            colour, direct, mirror = merged(head.view_large, vertices[None, part], normals[None, part])
            seen.append(colour[0])
            confidence.append((direct + (1.0 - direct) * mirror)[0, :, None])
        generated, premultiplied, trust = torch.cat(own), torch.cat(seen), torch.cat(confidence)
        matched = generated + carried_difference(vertices, premultiplied - generated * trust, trust)
        return premultiplied + matched.clamp(-1.0, 1.0) * (1.0 - trust)


def carried_difference(points: Tensor, difference: Tensor, trust: Tensor) -> Tensor:
    """How much the generator's colours are off near each point, from where the photo tells (0 if it tells nothing).

    Differences are averaged in coarse cells and carried into empty cells from ever larger neighbourhoods.

    Shape:
        points (V, 3); difference (V, 3), multiplied by trust (V, 1); returns (V, 3).
    """
    cells = COLOUR_CELLS
    place = ((points / EXTENT + 1.0) * 0.5 * cells).long().clamp(0, cells - 1)
    flat = (place[:, 0] * cells + place[:, 1]) * cells + place[:, 2]
    sums = torch.zeros(cells**3, 4, dtype=points.dtype, device=points.device)
    sums.index_add_(0, flat, torch.cat((difference, trust), dim=-1))
    volume = sums.T.reshape(1, 4, cells, cells, cells)
    known = volume[:, 3:] / volume[:, 3:].amax().clamp(min=1e-6)
    filled = _pulled(volume[:, :3] / volume[:, 3:].clamp(min=1e-6), (known * 4.0).clamp(max=1.0))
    # grid_sample's axes run backwards: its first coordinate is the volume's last axis.
    grid = (points / EXTENT).flip(-1)[None, :, None, None]
    carried = functional.grid_sample(filled, grid, padding_mode="border", align_corners=False)
    return carried[0, :, :, 0, 0].T


def _pulled(values: Tensor, known: Tensor) -> Tensor:
    """Three-dimensional twin of ``core.visibility.extended``."""
    if values.shape[-1] <= 1:
        return values * known.clamp(max=1.0)
    total = functional.avg_pool3d(known, 2, ceil_mode=True)
    coarse = functional.avg_pool3d(values * known, 2, ceil_mode=True) / total.clamp(min=1e-6)
    coarse = _pulled(coarse, (total * 4.0).clamp(max=1.0))
    grown = functional.interpolate(coarse, size=values.shape[-3:], mode="trilinear", align_corners=False)
    return values * known + grown * (1.0 - known)
