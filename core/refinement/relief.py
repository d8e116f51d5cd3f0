"""The photo's view as a triangle mesh: depth map → relief, drawn from other cameras by a z-buffer.

Depth is planar (along the optical axis), pixels are taken at their centres and numbers stay float32: the three places
where the released HFGI3D is off by a little (specification §2.3). Every depth contour of such a relief becomes a rubber
sheet; sheets are flagged, and whoever draws the relief must not believe what it shows there. Plain torch without
gradients; refuses to know networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.tensor_camera import camera_frame, project, unproject

TOLERANCE = 1.6
"""Depth by which a point may lie behind what was seen, in footprints of a pixel (HFGI3D's 1/512, made scale-free)."""
SHEET_DEPTH = 4.0
"""A triangle that spans this many tolerances in depth is a rubber sheet …"""
SHEET_COSINE = 0.15
"""… and so is one whose normal is this nearly perpendicular to the photo's ray."""
CHUNK = 1 << 22
"""Pixel tests at a time: bounds memory to about 200 MB."""


@dataclass(frozen=True, eq=False)
class Relief:
    """The mesh of one depth map.

    Shape:
        points (V, 3) world; uv (V, 2) in the photo, [-1, 1], v down; faces (F, 3) int64; sheet (F,) bool; facing (F,)
        cosine between normal and the photo's ray, 0..1.
    """

    points: Tensor
    uv: Tensor
    faces: Tensor
    sheet: Tensor
    facing: Tensor


@dataclass(frozen=True, eq=False)
class Raster:
    """A mesh as a camera sees it.

    Shape:
        face (S, S) int64, -1 where nothing is; depth (S, S) planar, infinity where nothing is; weights (S, S, 3)
        perspective-correct barycentric coordinates.
    """

    face: Tensor
    depth: Tensor
    weights: Tensor

    @property
    def covered(self) -> Tensor:
        """(S, S) bool."""
        return self.face >= 0


def depth_tolerance(depth: float, size: int, half_fov: float = HALF_FOV) -> float:
    """τ = 1.6 · depth / (f · S): how far behind the z-buffer a point still counts as seen (specification §2.4)."""
    focal = 0.5 / math.tan(half_fov)
    return TOLERANCE * depth / (focal * size)


@torch.no_grad()
def relief_of(depth: Tensor, solid: Tensor, angles: Tensor, half_fov: float = HALF_FOV) -> Relief:
    """Two triangles for every square of four solid neighbours; of the diagonals the better shaped one (HFGI3D).

    Args:
        depth: Planar depth of the photo's view.
        solid: Where there is a surface.
        angles: The photo's camera.
        half_fov: Of that camera.

    Shape:
        depth (1, 1, N, N), solid (1, 1, N, N) bool, angles (1, 2).

    Raises:
        ValueError: Nothing is solid.
    """
    size = depth.shape[-1]
    points = unproject(depth, angles, half_fov)[0].permute(1, 2, 0)
    steps = (torch.arange(size, device=depth.device, dtype=depth.dtype) + 0.5) * (2.0 / size) - 1.0
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    known = solid[0, 0] & torch.isfinite(depth[0, 0])
    whole = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    if not whole.any():
        raise ValueError("a relief needs at least one square of solid pixels")
    index = torch.arange(size * size, device=depth.device).reshape(size, size)
    a, b, c, d = (part[whole] for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    flat = points.reshape(-1, 3)
    falling = torch.stack((torch.stack((a, d, c), -1), torch.stack((a, c, b), -1)), 1)  # diagonal a–c
    rising = torch.stack((torch.stack((a, d, b), -1), torch.stack((b, d, c), -1)), 1)  # diagonal d–b
    better = _sharpest(flat, falling).amax(1) <= _sharpest(flat, rising).amax(1)
    faces = torch.where(better[:, None, None], falling, rising).reshape(-1, 3)
    corners = flat[faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    position, _ = camera_frame(angles)
    towards = torch.nn.functional.normalize(position - corners.mean(dim=1), dim=-1)
    facing = (torch.nn.functional.normalize(normal, dim=-1, eps=1e-20) * towards).sum(dim=-1).abs()
    reach = depth.reshape(-1)[faces]
    tolerance = depth_tolerance(float(reach.mean()), size, half_fov)
    sheet = ((reach.amax(1) - reach.amin(1)) > SHEET_DEPTH * tolerance) | (facing < SHEET_COSINE)
    return Relief(flat, torch.stack((u, v), dim=-1).reshape(-1, 2), faces, sheet, facing)


def _sharpest(points: Tensor, faces: Tensor) -> Tensor:
    """Largest cosine of a corner of each triangle, (..., 3) faces → (...): small for well-shaped ones."""
    corners = points[faces]
    sides = torch.nn.functional.normalize(corners.roll(-1, dims=-2) - corners, dim=-1, eps=1e-20)
    return -(sides * sides.roll(1, dims=-2)).sum(dim=-1).amin(dim=-1)


@torch.no_grad()
def rasterise(points: Tensor, faces: Tensor, angles: Tensor, size: int, half_fov: float = HALF_FOV) -> Raster:
    """Draw triangles with a z-buffer: at every pixel centre the nearest one, both sides visible.

    Triangles are tested in classes of like size, all of a class at once; ties go to the lower face number, so that two
    runs agree to the bit.

    Shape:
        points (V, 3) world, faces (F, 3), angles (1, 2).
    """
    uv, depth = project(points[None], angles, half_fov)
    places = (uv[0] + 1.0) * (0.5 * size)
    corners, depths = places[faces], depth[0][faces]  # (F, 3, 2), (F, 3)
    low = (corners.amin(dim=1) - 0.5).ceil().clamp(0, size).long()
    high = (corners.amax(dim=1) - 0.5).floor().clamp(-1, size - 1).long()
    extent = (high - low + 1).amin(dim=1)
    side = (high - low + 1).amax(dim=1)
    usable = (extent > 0) & (depths.amin(dim=1) > 0)
    found = []
    reach = 1
    while reach < 2 * size:
        chosen = (usable & (side <= reach) & (side > reach // 2)).nonzero()[:, 0]
        for part in torch.split(chosen, max(1, CHUNK // (reach * reach))):
            found.append(_tested(corners[part], depths[part], low[part], part, reach, size))
        reach *= 2
    return _nearest(found, size, points)


def _tested(
    corners: Tensor, depths: Tensor, low: Tensor, number: Tensor, reach: int, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels that lie in triangles: pixel (H,), depth (H,), face (H,), weights (H, 3)."""
    steps = torch.arange(reach, device=corners.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    pixels = low[:, None] + torch.stack((x, y), dim=-1).reshape(1, -1, 2)  # (F, reach², 2)
    centres = pixels.to(corners.dtype) + 0.5
    # Edge functions: twice the signed area opposite of each corner.
    first, second = corners.roll(-1, dims=1)[:, None], corners.roll(-2, dims=1)[:, None]
    one, other = first - centres[:, :, None], second - centres[:, :, None]
    areas = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]  # (F, reach², 3)
    total = areas.sum(dim=-1, keepdim=True)
    share = areas / torch.where(total.abs() < 1e-12, torch.full_like(total, 1e-12), total)
    # A hair of slack: a pixel centre on a shared edge must not fall between two triangles.
    inside = (share >= -1e-4).all(dim=-1) & (pixels < size).all(dim=-1) & (total[..., 0].abs() > 1e-12)
    face, pixel = inside.nonzero(as_tuple=True)
    share = share[face, pixel] / depths[face]
    weights = share / share.sum(dim=-1, keepdim=True)
    place = pixels[face, pixel]
    return place[:, 1] * size + place[:, 0], 1.0 / share.sum(dim=-1), number[face], weights


def _nearest(found: list[tuple[Tensor, Tensor, Tensor, Tensor]], size: int, like: Tensor) -> Raster:
    face = torch.full((size * size,), -1, dtype=torch.long, device=like.device)
    depth = torch.full((size * size,), math.inf, dtype=like.dtype, device=like.device)
    weights = torch.zeros(size * size, 3, dtype=like.dtype, device=like.device)
    if found:
        pixel, near, number, share = (torch.cat(parts) for parts in zip(*found, strict=True))
        depth = depth.scatter_reduce(0, pixel, near, "amin")
        winner = (near == depth[pixel]).nonzero()[:, 0]
        none = torch.iinfo(torch.long).max
        lowest = torch.full_like(face, none).scatter_reduce(0, pixel[winner], number[winner], "amin")
        winner = winner[number[winner] == lowest[pixel[winner]]]
        face[pixel[winner]] = number[winner]
        weights[pixel[winner]] = share[winner]
    return Raster(face.reshape(size, size), depth.reshape(size, size), weights.reshape(size, size, 3))


@torch.no_grad()
def seen_from(
    points: Tensor, angles: Tensor, buffer: Tensor, half_fov: float = HALF_FOV, tolerance: float | None = None
) -> Tensor:
    """Which points a camera sees, by its z-buffer (specification §2.4).

    Args:
        points: World points.
        angles: The camera.
        buffer: Its depths.
        half_fov: Of that camera.
        tolerance: World units a point may lie behind the buffer; τ of the buffer's size by default.

    Shape:
        points (N, 3), angles (1, 2), buffer (S, S), infinity where nothing is; returns (N,) bool: inside the picture
        and not behind what is there.
    """
    size = buffer.shape[-1]
    uv, depth = project(points[None], angles, half_fov)
    place = ((uv[0] + 1.0) * (0.5 * size)).floor().long()
    inside = ((place >= 0) & (place < size)).all(dim=-1)
    place = place.clamp(0, size - 1)
    if tolerance is None:
        tolerance = depth_tolerance(float(depth.mean()), size, half_fov)
    return inside & (depth[0] <= buffer[place[:, 1], place[:, 0]] + tolerance)
