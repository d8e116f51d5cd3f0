"""The row of teeth between parted lips: a smooth wall a little behind them, where the field has a ragged hollow.

The learned field opens a mouth about as far as the photo does, but not exactly, and its teeth lie a centimetre behind
the lips. Seen from the side the photo's teeth then lie on the upper lip and in cracks, and a profile shows through the
mouth. Landmarks say where the inner lips are and how deep: between them the surface is made that of a dental arch,
what of the lips stands before it is cut away, and the field is asked as far behind it as its own teeth lie, so that
colours stay those of teeth. Refuses to know photos.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.rendering.additions import Distances
from core.rendering.measures import place_of
from core.rendering.mouth import LOWER, SHUT, UPPER, heights_at
from core.tensor_camera import camera_frame, project, rays_through

__all__ = ["Arch", "arch_of", "lips_part"]

Array = NDArray[np.float64]

# How far teeth stand behind the edges of the lips, how far the arch goes on beside what the lips leave free (a field's
# mouth may be open wider than the photo's), and within which distance of the opening's middle all this lies, beyond
# its half width (world units).
BEHIND, SKIRT, AROUND = 0.002, 0.003, 0.016
# Over this distance inside the opening, and before the arch, the field comes to be asked at its own teeth (world
# units).
RAMP = 0.001
# Side of the map of distances from the lips' outline.
SIDE = 48
# Where the field's teeth are looked for, from the arch's depth on, at which intervals (world units), and along how many
# rays across and down.
BEFORE, REACH, STEP = 0.004, 0.024, 0.001
ACROSS, DOWN = 9, 3
# Rays that must meet something for a common depth to be believed.
SOME = 6


class Arch(NamedTuple):
    """The wall of teeth of one head in one state.

    Shape:
        angles (1, 2); centre (3,) and radius: all of it lies within; shape (4,): depth = (1, u, u², v) · shape in
        picture coordinates from ``middle`` (2,); outline (1, 1, SIDE, SIDE): distance to the lips' outline in picture
        coordinates, negative between them, over a window of half width ``window`` around the middle.
    """

    angles: Tensor
    centre: Tensor
    radius: float
    middle: Tensor
    window: float
    shape: Tensor
    outline: Tensor
    shut: bool
    """Whether the lips meet: then nothing is cut away, and a mouth that the field has open all the same is closed."""
    deeper: float
    """How far behind the arch the field has its teeth (world units)."""

    def source(self, points: Tensor) -> Tensor:
        """Where to ask the field for places of the head. Shape: points (..., 3); returns the same."""
        flat = points.reshape(-1, 3)
        near = self.near(flat)
        if self.deeper <= 0.0 or not len(near):
            return points
        some = flat[near]
        aside, front = self._seen(some)
        position, _ = camera_frame(self.angles.to(flat.dtype))
        ahead = functional.normalize(some - position, dim=-1)
        moved = flat.clone()
        # Not the air before it: behind that lie lips.
        share = (-aside / RAMP).clamp(0.0, 1.0) * (2.0 - front / RAMP).clamp(0.0, 1.0)
        moved[near] = some + ahead * (self.deeper * share)[:, None]
        return moved.reshape(points.shape)

    def distance(self, points: Tensor, found: Tensor) -> Tensor:
        """Signed distances with the arch in them; see :class:`core.rendering.additions.Addition`."""
        near = self.near(points)
        if not len(near):
            return found
        aside, front = self._seen(points[near])
        own = found[near, 0].to(aside.dtype)
        # Lips that stand before the arch in the opening are cut away, ...
        cut = own if self.shut else torch.maximum(own, torch.minimum(-aside, front))
        # ... and there and a little behind the lips the arch is solid, back to the field's own teeth.
        wall = torch.maximum(torch.maximum(aside - SKIRT, front), -(front + self.deeper + SKIRT))
        together = found.clone()
        together[near, 0] = torch.minimum(cut, wall).to(found.dtype)
        return together

    def near(self, points: Tensor) -> Tensor:
        """Indices of the points (N, 3) that the arch may have to do with."""
        away = (points - self.centre.to(points.dtype)).square().sum(dim=-1)
        return (away < self.radius * self.radius).nonzero()[:, 0]

    def _seen(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """How far points (N, 3) lie beside the opening (negative within), and before the arch."""
        uv, depth = (one[0] for one in project(points[None], self.angles.to(points.dtype)))
        place = (uv - self.middle.to(uv.dtype)) / self.window
        outline = self.outline.to(uv.dtype)
        aside = functional.grid_sample(outline, place[None, None], padding_mode="border", align_corners=False)
        # Beyond the window it is at least as far as to the window's edge.
        beyond = (place.abs().amax(dim=-1) - 1.0).clamp(min=0.0) * self.window
        scale = math.tan(HALF_FOV) * depth
        offset = uv - self.middle.to(uv.dtype)
        wall, slope = _depth_at(offset, self.shape.to(uv.dtype))
        # By the length of its gradient, so that it is a distance to first order.
        front = (wall - depth) / (1.0 + (slope / scale[:, None]).square().sum(dim=-1)).sqrt()
        return (aside[0, 0, 0] + beyond) * scale, front


def lips_part(marks: Array, numbers: NDArray[np.int64]) -> bool:
    """Whether landmarks (L, 2) in unit picture coordinates have their lips apart."""
    place = place_of(numbers)
    if any(number not in place for number in (*UPPER, *LOWER)):
        return False
    return float(_heights(marks, place).max()) * 256.0 > SHUT


def arch_of(sdf: Distances, angles: Tensor, landmarks: Tensor, numbers: NDArray[np.int64]) -> Arch | None:
    """The arch between the inner lips and behind them, or None where landmarks do not name them.

    Args:
        sdf: Distances (1, N, 1) of points (1, N, 3) of the head without an arch.
        angles: Camera in whose picture the lips' outline is that of the photo.
        landmarks: Of the head in its state.
        numbers: MediaPipe's numbers of the landmarks.

    Shape:
        angles (1, 2), landmarks (L, 3) world units, numbers (L,).
    """
    place = place_of(numbers)
    if any(number not in place for number in (*UPPER, *LOWER)):
        return None
    line = [place[number] for number in (*UPPER, *LOWER[-2:0:-1])]
    uv, depth = project(landmarks[line][None], angles)
    lips, deep = uv[0].double().cpu().numpy(), depth[0].double().cpu().numpy()
    low, high = lips.min(axis=0), lips.max(axis=0)
    middle, half = (low + high) / 2.0, float((high - low).max()) / 2.0
    scale = math.tan(HALF_FOV) * float(np.median(deep))
    if half * scale < SKIRT:
        return None
    window = half + 2.0 * SKIRT / scale
    outline = _distances((lips - middle) / window) * window
    offset = lips - middle
    shut = bool(outline.min() > -0.5 * RAMP / scale)
    # A line says nothing of how depth changes across it.
    terms = 3 if shut else 4
    shape = np.zeros(4)
    shape[:terms] = np.linalg.lstsq(_terms(offset)[:, :terms], deep + BEHIND, rcond=None)[0]
    like = landmarks.new_tensor
    centre = landmarks[line].mean(dim=0)
    arch = Arch(
        angles,
        centre,
        half * scale + AROUND,
        like(middle),
        window,
        like(shape),
        like(outline)[None, None],
        shut,
        0.0,
    )
    return arch._replace(deeper=_teeth_behind(sdf, arch, lips))


def _teeth_behind(sdf: Distances, arch: Arch, lips: Array) -> float:
    """How far behind the arch most rays through the opening meet the field; 0 where they meet nothing."""
    corner = len(UPPER) - 1
    upper, lower = lips[: corner + 1], lips[[0, *range(len(lips) - 1, corner - 1, -1)]]
    shares = np.linspace(0.25, 0.75, ACROSS)
    across = upper[0, 0] + shares * (upper[-1, 0] - upper[0, 0])
    top, bottom = (heights_at(edge, across) for edge in (upper, lower))
    down = np.linspace(0.3, 0.7, DOWN)[:, None]
    places = np.stack((np.broadcast_to(across, (DOWN, ACROSS)), top + down * (bottom - top)), axis=-1).reshape(-1, 2)
    uv = arch.middle.new_tensor(places)
    wall, _ = _depth_at(uv - arch.middle, arch.shape)
    ahead = torch.arange(-BEFORE, REACH, STEP).to(wall)
    position, _ = camera_frame(arch.angles)
    directions = rays_through(arch.angles, uv[None])[0]
    points = position[:, None] + directions[:, None] * (wall[:, None] + ahead)[..., None]
    solid = sdf(points.reshape(1, -1, 3)).reshape(points.shape[:2]) < 0.0
    met = solid.any(dim=1)
    if int(met.sum()) < SOME:
        return 0.0
    return max(0.0, float(ahead[solid[met].to(torch.int8).argmax(dim=1)].median()))


def _terms(offset: Array) -> Array:
    """(N, 4) terms of the arch's depth at offsets (N, 2) from the middle."""
    return np.stack((np.ones(len(offset)), offset[:, 0], offset[:, 0] ** 2, offset[:, 1]), axis=1)


def _depth_at(offset: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
    """The arch's depth (N,) at offsets (N, 2) from the middle, and how it changes with them (N, 2)."""
    u, v = offset.unbind(dim=-1)
    depth = shape[0] + (shape[1] + shape[2] * u) * u + shape[3] * v
    return depth, torch.stack((shape[1] + 2.0 * shape[2] * u, shape[3].expand_as(v)), dim=-1)


def _distances(corners: Array) -> Array:
    """Signed distance to a closed line of corners (N, 2), negative inside, over [-1, 1] squared: (SIDE, SIDE)."""
    steps = (np.arange(SIDE) + 0.5) * (2.0 / SIDE) - 1.0
    places = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 1, 2)
    edge, from_corner = np.roll(corners, -1, axis=0) - corners, places - corners
    along = (from_corner * edge).sum(axis=-1) / np.maximum((edge**2).sum(axis=-1), 1e-12)
    away = np.linalg.norm(from_corner - np.clip(along, 0.0, 1.0)[..., None] * edge, axis=-1).min(axis=1)
    # Inside is what a ray to the right leaves an odd number of times.
    above, below = corners[:, 1] > places[..., 1], np.roll(corners, -1, axis=0)[:, 1] > places[..., 1]
    side = edge[:, 0] * from_corner[..., 1] - edge[:, 1] * from_corner[..., 0]
    crossed = (above != below) & ((side > 0.0) == below)
    found: Array = np.where(crossed.sum(axis=1) % 2 == 1, -away, away).reshape(SIDE, SIDE)
    return found


def _heights(marks: Array, place: dict[int, int]) -> Array:
    """How far the lips are apart at places between their corners."""
    upper, lower = (marks[[place[number] for number in line]] for line in (UPPER, LOWER))
    across = np.linspace(upper[0, 0], upper[-1, 0], 2 * ACROSS)
    top, bottom = (heights_at(edge, across) for edge in (upper, lower))
    apart: Array = bottom - top
    return apart
