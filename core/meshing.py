"""Signed distance field to SurfaceMesh: marching cubes where the surface is, colours from photo and generator.

``core.rendering.blocks`` cuts the surface without ever holding its volume; the result equals that of a dense grid.
Hollows that nothing from outside can reach (the mouth
behind closed lips) are no part of the surface; it is closed where the grid ends (the neck). Colours come from the
photo by ``core.visibility``; where nothing was seen the generator's colours take over, shifted by the difference that
photo and generator have nearby, so that no seam shows.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional

from core.job import Job
from core.models.networks import Networks
from core.rendering.blocks import Surface, surface_of
from core.rendering.edited import EditedHead
from core.rendering.eyewear import Eyewear
from core.rendering.seams import seamless
from core.rendering.solids import EXTENT, SLAB, Sdf, evaluated
from core.rendering.strays import smoothly_without
from core.rendering.tones import tones_at
from core.surface import PhotoTexture, SurfaceMesh
from core.tensor_camera import project
from core.tensors import picture_pixels
from core.visibility import SourceView, merged

# Reach of the differences that normals are taken over (world units; a head has a radius of about 0.1). Of finer grids
# the cells' own differences are as good, and cost nothing.
NORMAL_STEP = 5e-4
# Pixels of the photo a vertex spacing that vertices are coloured from: fewer blur eyes, more make dots of wrinkles.
FINER = 2.0


class RawSurface(NamedTuple):
    """Triangles straight from marching cubes, and how they hang together."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
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

    def whole(points: Tensor) -> Tensor:
        return head.shape.field.sdf(points[None])[0, :, 0]

    sdf = smoothly_without(whole, head.shape.strays)
    surface = largest_piece(surface_of(sdf, resolution, networks.device, job.part(0.0, 0.65)))
    job.report(0.7, "colouring the surface")
    vertices = torch.from_numpy(surface.vertices).to(networks.device)
    if 2.0 * EXTENT / (resolution - 1) > 2.0 * NORMAL_STEP:
        normals = vertex_normals(sdf, vertices, job.part(0.7, 0.8))
    else:
        normals = torch.from_numpy(surface.normals).to(networks.device)
    colours, direct = vertex_colours(head, vertices, normals, surface.faces, job.part(0.8, 0.98))
    job.report(0.98, "colouring the surface")
    texture = photo_texture(head.view_large, vertices, direct)
    job.report(1.0, "surface ready")
    bare = SurfaceMesh(
        surface.vertices,
        surface.faces,
        normals.cpu().numpy(),
        ((colours.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy(),
        surface.components,
        surface.largest_share,
        texture,
    )
    for worn in (head.source.temples, head.eyewear):
        bare = bare if worn is None else with_eyewear(bare, worn)
    return bare


def with_eyewear(mesh: SurfaceMesh, eyewear: Eyewear) -> SurfaceMesh:
    """A head's surface and its glasses; pieces are counted of the head alone."""
    vertices, faces, normals = eyewear.tubes()
    dark = np.round((np.array(eyewear.dark) + 1.0) * 127.5).astype(np.uint8)
    return replace(
        mesh,
        vertices=np.concatenate((mesh.vertices, vertices)),
        faces=np.concatenate((mesh.faces, faces + len(mesh.vertices))),
        normals=np.concatenate((mesh.normals, normals)),
        colours=np.concatenate((mesh.colours, np.tile(dark, (len(vertices), 1)))),
        texture=None if mesh.texture is None else mesh.texture.with_bare(len(vertices)),
    )


# ------------------------------------------------------------------------------------------------------------ surface


def largest_piece(surface: Surface) -> RawSurface:
    """The connected piece with the most faces."""
    faces, count = surface.faces, len(surface.vertices)
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]]))
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    components, label = connected_components(graph, directed=False)
    sizes = np.bincount(label[faces[:, 0]], minlength=components)
    largest = int(sizes.argmax())
    kept = label == largest
    renumbered = np.cumsum(kept) - 1
    return RawSurface(
        surface.vertices[kept],
        renumbered[faces[kept[faces[:, 0]]]].astype(np.int32),
        surface.normals[kept],
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


def vertex_colours(
    head: EditedHead, vertices: Tensor, normals: Tensor, faces: NDArray[np.int32], job: Job
) -> tuple[Tensor, Tensor]:
    """Colours (V, 3) in [-1, 1]: the photo's where it saw vertex or mirror image, else the generator's in its tones.

    Beside them how far the photo saw each vertex itself (V,), 0..1.

    Where one takes over from the other no seam shows (:mod:`core.rendering.seams`).
    """
    field = head.shape.field
    spacing = _spacing(vertices, faces)
    view, apart = _as_fine_as(head.view_large, spacing), vertices.new_tensor([max(spacing, 1e-6)])
    photo, generator, believed, seen_itself = [], [], [], []
    for start in range(0, len(vertices), SLAB):
        job.part(0.0, 0.6).report(start / len(vertices), "colouring the surface")
        with torch.inference_mode():
            part = slice(start, start + SLAB)
            _, raw = field.appearance(field.hidden(vertices[part]))
            toned = head.natural_colours(2.0 * torch.sigmoid(raw) - 1.0) + tones_at(head.tones, vertices[part])
            if head.border is not None:
                toned = head.border.drawn(toned, vertices[part], apart)
            if head.auricles is not None:
                toned = head.auricles.drawn(toned, vertices[part], apart)
            for pattern in head.source.patterns:
                toned = (toned + 1.0) * pattern.shade(vertices[part], apart) - 1.0
            colour, direct, mirror = merged(view, vertices[None, part], normals[None, part])
            photo.append(colour[0])
            seen_itself.append(direct[0])
            believed.append((direct + (1.0 - direct) * mirror)[0, :, None])
            generator.append(toned.clamp(-1.0, 1.0))
    seen, belief, own = (torch.cat(part).cpu().numpy() for part in (photo, believed, generator))
    found = seamless(seen, belief, own, vertices.cpu().numpy(), faces, job.part(0.6, 1.0))
    return torch.from_numpy(found), torch.cat(seen_itself)


def photo_texture(view: SourceView, vertices: Tensor, direct: Tensor) -> PhotoTexture:
    """The photo of an edited head on its surface: where it was seen directly; mirrored it is in the colours only.

    Vertices of 128³ stand as far apart as three or four of the photo's pixels: with their colours alone eyes are soft.

    Shape:
        vertices (V, 3); direct (V,), how far the photo saw them, 0..1.
    """
    with torch.inference_mode():
        places, _ = project(vertices[None], view.angles, view.half_fov)
        return PhotoTexture(
            picture_pixels(view.lit[:, :3]),
            (0.5 * (places[0] + 1.0)).cpu().numpy(),
            (direct.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy(),
        )


def _spacing(vertices: Tensor, faces: NDArray[np.int32]) -> float:
    """Mean length of the first edges of a surface's faces (world units)."""
    ends = torch.from_numpy(faces[:, :2].astype(np.int64)).to(vertices.device)
    return float((vertices[ends[:, 0]] - vertices[ends[:, 1]]).norm(dim=-1).mean()) if len(faces) else 0.0


def _as_fine_as(view: SourceView, spacing: float) -> SourceView:
    """A view whose photo shows nothing finer than vertices so far apart can hold: a wrinkle is soft and not dotted."""
    wide = 2.0 * math.tan(view.half_fov)
    size = max(64, round(FINER * wide / max(spacing, 1e-6)))
    if size >= view.photo.shape[-1]:
        return view
    small = functional.interpolate(view.photo, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return view.with_photo(small)
