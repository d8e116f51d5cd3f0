"""A head's own deformation, fitted to the outline and the landmarks of its photo.

After the latents have done what they can (``landmarks``, ``silhouette``), hair that stands off, an ear or a jaw still
lie some pixels beside the photo's. Contours of head and matte are matched as in iterated closest points (Besl & McKay
1992, with normals), and the displacement between the matches is the mean of a Gaussian process: as smooth as a head
is, 0 far from everything seen, and in noise where matches disagree. It moves things in the picture's plane only; how
deep they lie stays the latents' answer. No colour takes part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import find_contours
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.models.networks import Networks
from core.rendering.deformation import Deformation
from core.rendering.hands import Pause, resting
from core.rendering.outline import SOFT_EDGE, outline
from core.rendering.search import located
from core.rendering.shape import HeadShape, head_shape
from core.rendering.solids import EXTENT
from core.rendering.surfaces import SOFT_RIM
from core.visibility import camera_frame, extended, project

__all__ = ["GRID", "fit_contour"]

Array = NDArray[np.float64]

GRID = 21
"""Grid points a side of the result: three within the shorter of the process's lengths."""
# Of what the rounds before the last look at.
ROUGH = 13
# Sides of the pictures whose contours are compared and whose rays are traced for that, matching rounds, and pixels
# between two contour points.
SIDE, TRACED, ROUNDS, EVERY = 128, 64, 3, 3
# Farthest match [pixels of SIDE], least cosine between the contours' normals, and width of the picture's border that
# cuts contours off.
REACH, AGREEING, BORDER = 12.0, 0.6, 2.0
# Above the lowest landmark by this share of the picture the matte is the head's; below, and down to NECK under it,
# upright contours are the neck's, and the others a collar's.
ABOVE_CHIN, NECK, UPRIGHT = 0.02, 0.12, 0.85
# The process: standard deviations and lengths of its two parts (world units); depth counts less, so that the back of
# the head follows its rim.
PARTS = ((0.009, 0.09), (0.0035, 0.035))
DEPTH_SHARE = 0.6
# Errors of a contour's match and of a landmark (world units), enlarged for neighbours that err together; matches that
# miss by more than this many errors are doubted (Huber 1964).
CONTOUR_ERROR, LANDMARK_ERROR, DOUBT = 0.0014, 0.003, 2.0
# Every so many-th landmark takes part: they are closer to one another than they are exact.
SOME = 4


@dataclass(frozen=True, eq=False)
class _Ties:
    """What the displacement should be where. Shape: places (N, 3), wanted (N, 2) right and up, error (N,)."""

    places: Array
    wanted: Array
    error: Array


class _Process:
    """The mean of the Gaussian process given its ties."""

    def __init__(self, ties: _Ties, depth_axis: Array) -> None:
        self._axis = depth_axis
        self._places = self._scaled(ties.places)
        kernel = _kernel(self._places, self._places)
        error = ties.error.copy()
        for _ in range(2):
            self._weights = cho_solve(cho_factor(kernel + np.diag(error**2)), ties.wanted)
            off = np.linalg.norm(kernel @ self._weights - ties.wanted, axis=1) / ties.error
            error = ties.error * np.sqrt(np.maximum(1.0, off / DOUBT))

    def _scaled(self, points: Array) -> Array:
        along = points @ self._axis
        return points - (1.0 - DEPTH_SHARE) * along[:, None] * self._axis

    def __call__(self, points: Array) -> Array:
        """Displacements (N, 2), right and up, at points (N, 3)."""
        return np.concatenate([_kernel(self._scaled(some), self._places) @ self._weights for some in _portions(points)])


def _portions(points: Array) -> list[Array]:
    return [points[start : start + 4096] for start in range(0, max(1, len(points)), 4096)]


def _kernel(a: Array, b: Array) -> Array:
    square = np.maximum(0.0, (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T)
    total: Array = np.zeros_like(square)
    for size, length in PARTS:
        total += size**2 * np.exp(-0.5 / length**2 * square)
    return total


@torch.inference_mode()
def fit_contour(
    networks: Networks, styles: Tensor, angles: Tensor, matte: Tensor, landmarks: Tensor, pause: Pause = resting
) -> NDArray[np.float32] | None:
    """The displacement that brings the head's outline onto its matte's, and its landmarks onto the photo's.

    Args:
        networks: With landmarks.
        styles: Latent rows, fitted as far as they go.
        angles: Yaw and pitch of the photo's camera.
        matte: Of the head, in the picture of that camera.
        landmarks: In the same picture, in the model's order.
        pause: Called between steps.

    Returns:
        The displacement of :class:`core.rendering.deformation.Deformation`, (GRID, GRID, GRID, 3); None when there is
        nothing to compare.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), matte (1, 1, S, S), landmarks (L, 2) in unit picture coordinates.
    """
    if networks.landmarks is None:
        return None
    lowest = float(landmarks[:, 1].max()) - ABOVE_CHIN
    wanted = _matte_contour(matte, lowest)
    if len(wanted) < 8:
        return None
    _, rotation = camera_frame(angles)
    axes = rotation[0].double().cpu().numpy().T  # right, up, towards the camera
    pinned = _landmark_ties(networks.landmarks(styles[:, 0])[0], angles, landmarks, axes)
    plain = head_shape(networks.generator.field, styles, None, pause)
    process: _Process | None = None
    for _ in range(ROUNDS):
        shape = plain
        if process is not None:
            shape = _deformed(plain, Deformation(torch.from_numpy(_gridded(process, axes, ROUGH)).to(styles)))
        pause()
        ties = _contour_ties(shape, angles, wanted, lowest, axes, process)
        if ties is None:
            break
        both = _Ties(*(np.concatenate(pair) for pair in zip(_fields(pinned), _fields(ties), strict=True)))
        pause()
        process = _Process(both, axes[2])
        pause()
    return None if process is None else _gridded(process, axes, GRID)


def _fields(ties: _Ties) -> tuple[Array, Array, Array]:
    return ties.places, ties.wanted, ties.error


def _gridded(process: _Process, axes: Array, size: int) -> NDArray[np.float32]:
    """The process on a grid, as vectors of the world (size, size, size, 3)."""
    axis = np.linspace(-EXTENT, EXTENT, size)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return (process(points) @ axes[:2]).reshape(size, size, size, 3).astype(np.float32)


def _deformed(shape: HeadShape, deformation: Deformation) -> HeadShape:
    """The shape under a deformation, its volume resampled instead of measured: good enough to look at a contour."""
    resolution = shape.volume.shape[-1]
    axis = torch.linspace(-EXTENT, EXTENT, resolution).to(shape.volume)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    distance, error = shape.estimate(deformation.source(torch.stack((x, y, z), dim=-1)))
    sdf = deformation.sdf(shape.light)
    return replace(shape, sdf=sdf, light=sdf, volume=torch.stack((distance, error + 0.0005))[None])


# ------------------------------------------------------------------------------------------------------------ contours


def _matte_contour(matte: Tensor, lowest: float) -> Array:
    """Places and outward normals of the matte's contour (N, 4), pixels of SIDE: x, y, and the normal."""
    small = functional.interpolate(matte, size=(SIDE, SIDE), mode="area")[0, 0].double().cpu().numpy()
    return _contour(-gaussian_filter(small, 0.7), -0.5, lowest)


def _contour(values: Array, level: float, lowest: float) -> Array:
    """Where values cross a level upwards and outwards, above a line and within the picture's border."""
    rise = np.gradient(gaussian_filter(values, 1.0))
    lines = [line[::EVERY] for line in _level_lines(values, level) if len(line) > 4 * EVERY]
    if not lines:
        return np.zeros((0, 4))
    places = np.concatenate(lines)
    normals = np.stack([map_coordinates(part, places.T, order=1) for part in rise], axis=1)
    normals /= np.maximum(1e-9, np.linalg.norm(normals, axis=1, keepdims=True))
    v = (places[:, 0] + 0.5) / SIDE
    inside = (places > BORDER).all(1) & (places < SIDE - 1 - BORDER).all(1)
    inside &= (v < lowest) | ((v < lowest + NECK) & (np.abs(normals[:, 1]) > UPRIGHT))
    found: Array = np.concatenate((places[:, ::-1], normals[:, ::-1]), axis=1)[inside]
    return found


def _level_lines(values: Array, level: float) -> list[Array]:
    lines: list[Array] = find_contours(values, level)  # type: ignore[no-untyped-call]
    return lines


def _contour_ties(
    shape: HeadShape, angles: Tensor, wanted: Array, lowest: float, axes: Array, process: _Process | None
) -> _Ties | None:
    """What the contours of head and matte say; None if they do not meet."""
    found = located(shape, angles, size=TRACED, draft=True)
    hit = found.hit.reshape(1, 1, TRACED, TRACED).float()
    hit = (functional.interpolate(hit, size=(SIDE, SIDE), mode="bilinear") > 0.5).float()
    # The rim is looked at closely, some pixels to either side of what was traced.
    away = outline(shape.distance, shape.sdf, angles, hit)[0, 0].double().cpu().numpy()
    near = (found.gap < SOFT_RIM).reshape(1, 1, TRACED, TRACED).float()
    deep = extended(found.depth.reshape(1, 1, TRACED, TRACED), near)
    depth = functional.interpolate(deep, size=(SIDE, SIDE), mode="bilinear")[0, 0].double().cpu().numpy()
    # The picture ends a little outside the surface: that is the contour to compare.
    own = _contour(away, SOFT_EDGE, lowest + REACH / SIDE)
    if len(own) < 8:
        return None
    first, second = _matched(own, wanted), _matched(wanted, own)
    pairs = np.concatenate((first, second[:, ::-1]))
    if not len(pairs):
        return None
    start, end = own[pairs[:, 0], :2], wanted[pairs[:, 1], :2]
    reached = map_coordinates(depth, start[:, ::-1].T, order=1)
    before, after = (_unprojected(place, reached, axes) for place in (start, end))
    moved = (after - before) @ axes[:2].T
    was = np.zeros_like(moved) if process is None else process(before)
    # Every tie counts half: the two ways of matching say the same thing twice.
    return _Ties(after, was - moved, np.full(len(pairs), CONTOUR_ERROR * math.sqrt(2.0)))


def _matched(of: Array, to: Array) -> NDArray[np.int64]:
    """Pairs (of, to) of contour points: the nearest one whose normal agrees. Shape: (N, 4), (M, 4); returns (P, 2)."""
    count = min(24, len(to))
    away, index = cKDTree(to[:, :2]).query(of[:, :2], k=count, distance_upper_bound=REACH)
    away, index = away.reshape(len(of), count), index.reshape(len(of), count)
    known = np.isfinite(away)
    agrees = (of[:, None, 2:] * to[np.where(known, index, 0), 2:]).sum(-1) > AGREEING
    good = known & agrees
    some = good.any(1)
    return np.stack((np.flatnonzero(some), index[some, good[some].argmax(1)]), axis=1)


def _unprojected(places: Array, depth: Array, axes: Array) -> Array:
    """World points (N, 3) of places (N, 2), pixels of SIDE, at optical-axis depths (N,)."""
    uv = (places + 0.5) / SIDE * 2.0 - 1.0
    local = np.stack((uv[:, 0], -uv[:, 1]), axis=1) * (math.tan(HALF_FOV) * depth)[:, None]
    points: Array = axes[2] + local @ axes[:2] - depth[:, None] * axes[2]
    return points


def _landmark_ties(points: Tensor, angles: Tensor, landmarks: Tensor, axes: Array) -> _Ties:
    """What the landmarks say: their places in the photo show what the field has at theirs.

    Shape:
        points (L, 3) of the undeformed head; landmarks (L, 2).
    """
    _, depth = project(points[None], angles)
    own = points[::SOME].double().cpu().numpy()
    places = landmarks[::SOME].double().cpu().numpy() * SIDE - 0.5
    seen = _unprojected(places, depth[0, ::SOME].double().cpu().numpy(), axes)
    return _Ties(seen, (own - seen) @ axes[:2].T, np.full(len(own), LANDMARK_ERROR))
