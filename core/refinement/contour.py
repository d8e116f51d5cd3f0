"""A head's own deformation, fitted to the outline and the landmarks of its photo.

After the latents have done what they can (``landmarks``, ``silhouette``), hair that stands off, an ear or a jaw still
lie some pixels beside the photo's. Contours of head and matte are matched as in iterated closest points (Besl & McKay
1992, with normals), and the displacement between the matches is the mean of a Gaussian process: as smooth as a head
is, 0 far from everything seen, and in noise where matches disagree. It moves things in the picture's plane only; how
deep they lie stays the latents' answer. No colour takes part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.job import Job
from core.models.networks import Networks
from core.models.parsing import HAIR
from core.refinement.edges import edge_of, matched, unprojected
from core.refinement.hairline import Hairline
from core.refinement.process import Process, Ties
from core.refinement.wanted_outline import EVERY, MARGIN, SIDE, Around, WantedOutline
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.hair import parts_of
from core.rendering.hands import Pause, resting
from core.rendering.integrals import integrate_geometry
from core.rendering.outline import SOFT_EDGE, outline
from core.rendering.precision import Sdf
from core.rendering.shape import RESOLUTION, SAFETY, interpolated
from core.rendering.solids import EXTENT, measured
from core.rendering.strays import without_strays
from core.rendering.surfaces import SOFT_RIM, Crossings
from core.surface_maps import extended
from core.tensor_camera import camera_frame, project, rays

__all__ = ["GRID", "fit_contour"]

Array = NDArray[np.float64]

GRID = 21
"""Grid points a side of the result: three within the shorter of the process's lengths."""
# Of what the rounds before the last look at.
ROUGH = 13
# Side of the picture whose rays are traced for the head's outline.
TRACED = 64
# Optical-axis distance between two readings of a ray (world units).
STRIDE = 0.004
# Farthest match of each round [pixels of SIDE], beyond the last of them of hair alone; least cosine between the
# contours' normals.
REACHES, AGREEING = (24.0, 18.0, 12.0), 0.6
# Pixels of SIDE inside a contour where it is asked what ends there.
INWARDS = 2.5
# Share of a picture's pixels that must be hair for it to have a hairline.
SOME_HAIR = 0.01
# Above the lowest landmark by this share of the picture the matte is the head's.
ABOVE_CHIN = 0.02
# Errors of a contour's match and of a landmark (world units), enlarged for neighbours that err together.
CONTOUR_ERROR, LANDMARK_ERROR = 0.0014, 0.003
# Every so many-th landmark takes part: they are closer to one another than they are exact.
SOME = 4
# MediaPipe's tip of the chin and groove under the lip. No outline says where a chin is, and those of hair and neck,
# which are farther off, had pulled it down by a centimetre; they are alone there, so what they say is not enlarged.
CHIN, CHIN_ERROR = (152, 18), 0.0015


@dataclass(frozen=True, eq=False)
class _Head:
    """What is looked at: distances measured roughly, and those of the field. Shape: volume (1, 1, R, R, R), z, y, x."""

    volume: Tensor
    sdf: Sdf

    def distance(self, points: Tensor) -> Tensor:
        """Rough distances (...) of points (..., 3)."""
        return interpolated(self.volume, points).reshape(points.shape[:-1])

    def deformed(self, deformation: Deformation) -> _Head:
        """The same head under a deformation, its volume resampled: good enough to look at a contour."""
        axis = torch.linspace(-EXTENT, EXTENT, self.volume.shape[-1]).to(self.volume)
        z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
        moved = self.distance(deformation.source(torch.stack((x, y, z), dim=-1)))
        return _Head(moved[None, None], deformation.sdf(self.sdf))


def _measured(networks: Networks, styles: Tensor, pause: Pause) -> _Head:
    sdf = without_strays(FoldedField(networks.generator.field, styles).light.sdf, None)

    def distances(points: Tensor) -> Tensor:
        pause()
        return sdf(points[None])[0, :, 0]

    volume = measured(distances, RESOLUTION, styles.device, Job.quiet(), SAFETY)
    return _Head(volume.permute(2, 1, 0)[None, None].contiguous(), sdf)


@torch.inference_mode()
def fit_contour(
    networks: Networks,
    styles: Tensor,
    angles: Tensor,
    matte: Tensor,
    landmarks: Tensor,
    pause: Pause = resting,
    *,
    pinned: bool = True,
    photo: Tensor | None = None,
    known: NDArray[np.bool_] | None = None,
    around: Around | None = None,
) -> NDArray[np.float32] | None:
    """The displacement that brings the head's outline onto its matte's, and its landmarks onto the photo's.

    Args:
        networks: With landmarks.
        styles: Latent rows, fitted as far as they go.
        angles: Yaw and pitch of the photo's camera.
        matte: Of the head, in the picture of that camera.
        landmarks: In the same picture, in the model's order.
        pause: Called between steps.
        pinned: Whether landmarks say where the face is; else the outline alone speaks.
        photo: The picture of that camera, for its hair: where its line is, and its outline from far off. Without it
            the line stays where the latents have it.
        known: Where the picture is one; elsewhere the matte says nothing. None for everywhere.
        around: What the photo shows beyond the picture.

    Returns:
        The displacement of :class:`core.rendering.deformation.Deformation`, (GRID, GRID, GRID, 3); None when there is
        nothing to compare.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), matte (1, 1, S, S), landmarks (L, 2) in unit picture coordinates;
        photo (1, 3, S, S) in [-1, 1]; known (S, S).
    """
    if networks.landmarks is None:
        return None
    lowest = float(landmarks[:, 1].max()) - ABOVE_CHIN
    wanted = WantedOutline.of(matte, known, lowest, around)
    if len(wanted.places) < 8:
        return None
    _, rotation = camera_frame(angles)
    axes = rotation[0].double().cpu().numpy().T  # right, up, towards the camera
    pins = _landmark_ties(networks, styles, angles, landmarks, axes) if pinned else None
    plain = _measured(networks, styles, pause)
    hair = None if photo is None else _hair(networks, plain, styles, angles, photo, matte, pause)
    hairline = None if hair is None else hair.line(matte, axes, lowest)
    process: Process | None = None
    for reach in REACHES if hair is not None else REACHES[-1:] * len(REACHES):
        head = plain
        if process is not None:
            head = plain.deformed(Deformation(torch.from_numpy(_gridded(process, axes, ROUGH)).to(styles)))
        pause()
        ties = _contour_ties(head, angles, wanted, axes, process, reach, hair)
        if ties is None:
            break
        edges = None if hairline is None else hairline.ties(axes, process)
        both = ties if pins is None else pins.and_also(ties)
        both = both if edges is None else both.and_also(edges)
        pause()
        process = Process(both, axes[2])
        pause()
    return None if process is None else _gridded(process, axes, GRID)


class _Hair(NamedTuple):
    """What of a photo and of its undeformed head is hair, 0..1, and where the head lies.

    Shape:
        (1, 1, any, any) each.
    """

    photo: Tensor
    own: Tensor
    cover: Tensor
    deep: Tensor
    """Along the optical axis, carried past the outline."""

    def line(self, matte: Tensor, axes: Array, lowest: float) -> Hairline | None:
        """The edge of hair in both."""
        return Hairline.of(self.own, self.cover, self.deep, self.photo, matte, axes, lowest)

    def joins(self, own: Array, wanted: Array) -> NDArray[np.bool_]:
        """Whether contour points (N, 4) of head and photo are both hair, seen a little further inside."""
        found = np.ones(len(own), bool)
        for picture, points in ((self.own, own), (self.photo, wanted)):
            share = functional.interpolate(picture, size=(SIDE, SIDE), mode="area")[0, 0].double().cpu().numpy()
            inside = points[:, :2] - INWARDS * points[:, 2:]
            found &= map_coordinates(share, inside[:, ::-1].T, order=1, mode="nearest") > 0.5
        return found


def _hair(
    networks: Networks, head: _Head, styles: Tensor, angles: Tensor, photo: Tensor, matte: Tensor, pause: Pause
) -> _Hair | None:
    """The hair of the undeformed head and of its photo; None without a parser, or hair."""
    parser = networks.parser
    if parser is None:
        return None
    of_photo = parts_of(parser, photo, matte, pause, mirrored=True)[:, HAIR : HAIR + 1]
    if float(of_photo.mean()) < SOME_HAIR:
        return None
    field = FoldedField(networks.generator.field, styles).light
    depth, gap = (one.flatten() for one in _seen(head, angles, TRACED, HALF_FOV))
    pause()
    # Colours a millimetre beside the surface are those of the surface.
    found = Crossings(depth, gap, torch.full_like(depth, float("inf")))
    seen = integrate_geometry(networks.generator, field, angles, found, fallback=False)
    pause()
    maps = seen.appearance(networks.generator, field)
    cover = maps.alpha
    own = parts_of(parser, maps.rgb / cover.clamp(min=1e-3), cover, pause)[:, HAIR : HAIR + 1]
    deep = extended(maps.depth / cover.clamp(min=1e-3), (cover > 0.5).to(cover))
    return _Hair(of_photo, own, cover, deep)


def _gridded(process: Process, axes: Array, size: int) -> NDArray[np.float32]:
    """The process on a grid, as vectors of the world (size, size, size, 3)."""
    axis = np.linspace(-EXTENT, EXTENT, size)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return (process(points) @ axes[:2]).reshape(size, size, size, 3).astype(np.float32)


# ------------------------------------------------------------------------------------------------------------ contours


def _contour_ties(
    head: _Head,
    angles: Tensor,
    wanted: WantedOutline,
    axes: Array,
    process: Process | None,
    reach: float,
    hair: _Hair | None,
) -> Ties | None:
    """What the contours of head and matte say; None if they do not meet. From far off only hair is matched."""
    side = SIDE + 2 * MARGIN
    fov = math.atan(math.tan(HALF_FOV) * side / SIDE)
    depth_there, gap = _seen(head, angles, TRACED * side // SIDE, fov)
    hit = (functional.interpolate((gap < 0.0).float(), size=(side, side), mode="bilinear") > 0.5).float()
    # The rim is looked at closely, some pixels to either side of what was traced.
    away = outline(head.distance, head.sdf, angles, hit, fov)[0, 0].double().cpu().numpy()
    deep = extended(depth_there, (gap < SOFT_RIM).float())
    depth = functional.interpolate(deep, size=(side, side), mode="bilinear")[0, 0].double().cpu().numpy()
    # The picture ends a little outside the surface: that is the contour to compare.
    own = edge_of(away, SOFT_EDGE, EVERY, 4 * EVERY)
    own[:, :2] -= MARGIN
    own = own[wanted.judged(own, reach)]
    if len(own) < 8:
        return None
    pairs = matched(own, wanted.places, reach, AGREEING)
    if hair is not None:
        apart = np.linalg.norm(own[pairs[:, 0], :2] - wanted.places[pairs[:, 1], :2], axis=1)
        pairs = pairs[(apart < REACHES[-1]) | hair.joins(own[pairs[:, 0]], wanted.places[pairs[:, 1]])]
    if not len(pairs):
        return None
    start, end = own[pairs[:, 0], :2], wanted.places[pairs[:, 1], :2]
    reached = map_coordinates(depth, start[:, ::-1].T + MARGIN, order=1)
    before, after = (unprojected(place, reached, axes, SIDE) for place in (start, end))
    moved = (after - before) @ axes[:2].T
    was = np.zeros_like(moved) if process is None else process(before)
    # Every tie counts half: the two ways of matching say the same thing twice.
    return Ties(after, was - moved, np.full(len(pairs), CONTOUR_ERROR * math.sqrt(2.0)))


def _seen(head: _Head, angles: Tensor, side: int, half_fov: float) -> tuple[Tensor, Tensor]:
    """Depth of each ray's first crossing or closest approach, and the distance there, as far as the volume knows.

    Shape:
        Returns (1, 1, side, side) twice.
    """
    origin, directions = rays(angles, side, half_fov)
    t = NEAR + (torch.arange(round((FAR - NEAR) / STRIDE), device=angles.device) + 0.5) * STRIDE
    read = head.distance(origin[0] + directions[0, :, None] * t[:, None])
    inside = read < 0.0
    met = inside.any(dim=1)
    place = torch.where(met, inside.to(torch.int8).argmax(dim=1), read.argmin(dim=1))
    here, before = (read.gather(1, (place - back).clamp(min=0)[:, None])[:, 0] for back in (0, 1))
    share = torch.where(met & (place > 0), (here / (here - before)).clamp(0.0, 1.0), 0.0)
    depth = t[place] - share * STRIDE
    return depth.reshape(1, 1, side, side), here.reshape(1, 1, side, side)


def _landmark_ties(networks: Networks, styles: Tensor, angles: Tensor, landmarks: Tensor, axes: Array) -> Ties:
    """What the landmarks say: their places in the photo show what the field has at theirs.

    Shape:
        styles (1, rows, style_dim) of the undeformed head; landmarks (L, 2).
    """
    assert networks.landmarks is not None
    points = networks.landmarks(styles[:, 0])[0]
    count = len(points)
    error = np.full(count, LANDMARK_ERROR)
    chosen = np.arange(count) % SOME == 0
    if networks.landmark_indices is not None:
        chin = np.isin(networks.landmark_indices.cpu().numpy(), CHIN)
        error[chin], chosen = CHIN_ERROR, chosen | chin
    _, depth = project(points[None], angles)
    own, places, depths = (one.double().cpu().numpy()[chosen] for one in (points, landmarks, depth[0]))
    seen = unprojected(places * SIDE - 0.5, depths, axes, SIDE)
    return Ties(seen, (own - seen) @ axes[:2].T, error[chosen])
