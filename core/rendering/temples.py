"""Temples of glasses that somebody wears in a photo: from where the photo ends to behind the ear.

Glasses in a photo are colours on the face. Seen from the side they ended where the photo ends, a finger's breadth
behind the eye. Where a detector finds glasses (``core.models.spectacles``), the photo says at what height their temples
leave the face and in what colour: between brow and ear nothing but a temple is a line across. From there they go
straight back, as far beside the head as it takes, and down behind the ear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import Camera
from core.models.networks import Networks
from core.models.spectacles import EYES, SpectaclesDetector, eyes_of
from core.rendering.auricles import EarPlaces
from core.rendering.eyewear import Eyewear
from core.rendering.measures import luma
from core.rendering.shape import HeadShape
from core.rendering.surfaces import SurfaceMap
from core.visibility import SourceView, look_up

__all__ = ["elsewhere", "photo_temples", "temples_of"]

Array = NDArray[np.float64]
Distance = Callable[[Array], Array]

# MediaPipe's outer ends of the brows, of the picture's left and right one.
BROWS = (46, 276)
# Where temples leave the face: heights from the eyes', depth at least, how far beside the brows' ends (world units).
HEIGHTS, AHEAD, BEYOND, STEP = (-0.012, 0.02), 0.012, 0.001, 0.0005
# What the photo must show of a place, and how many pixels say something about a height.
SHOWN, ENOUGH = 0.3, 3
# How far two temples are at the same height.
LEVEL = 0.005
# Side of the picture lines are looked for in, half the height of what stands beside a line, and its contrast at least.
SIDE, BESIDE, CLEAR = 512, 7, 0.05
# Radius of a temple, its way along the depths (points), how far out it may be looked for, and the most it stands off.
RADIUS, POINTS, OUT, OFF = 0.0008, 48, (0.04, 0.11), 0.012
# Where they end without an ear that shows: depth, and by how much lower than they began; and the drop behind it.
EAR, LOWER, DROP = -0.012, 0.002, 0.009
# Of an ear's points these are its root: ahead and above.
ROOT = 0.75
# Radians from the photo's camera over which they appear.
FROM = (0.08, 0.3)
# By how much of its way to white the sheen is lighter.
SHEEN = 0.25


class _Line(NamedTuple):
    """A line across a temple."""

    start: Array
    """Where the photo shows it last (3,), world units."""
    colour: Array
    """In [-1, 1] (3,)."""


def photo_temples(
    networks: Networks,
    photo: Tensor,
    photo_large: Tensor,
    marks: Tensor,
    styles: Tensor,
    surface: SurfaceMap,
    shape: HeadShape,
    view: SourceView,
    ears: EarPlaces | None,
) -> Eyewear | None:
    """Temples of the glasses that the photo shows, where the model can tell that it does."""
    if networks.spectacles is None or networks.landmarks is None or networks.landmark_indices is None:
        return None
    deformation = shape.field.deformation
    places = networks.landmarks(styles[:, :-1].mean(dim=1))[0]
    places = places if deformation is None else deformation.placed_back(places)
    named = dict(zip(networks.landmark_indices.tolist(), places.double().cpu().numpy(), strict=True))
    found = {}
    if ears is not None:
        for one in ears.places().double().cpu().numpy():
            found[1 if one[:, 0].mean() > 0.0 else -1] = one
    return temples_of(
        networks.spectacles,
        photo,
        photo_large,
        marks,
        surface.points,
        view,
        named,
        lambda points: shape.distance(torch.from_numpy(points).to(places)).double().cpu().numpy(),
        found,
    )


def temples_of(
    detector: SpectaclesDetector,
    photo: Tensor,
    photo_large: Tensor,
    marks: Tensor,
    points: Tensor,
    view: SourceView,
    landmarks: dict[int, Array],
    distance: Distance,
    ears: dict[int, Array],
) -> Eyewear | None:
    """What no photo shows of the glasses in it; None where there are none, or no line says where they go.

    Args:
        detector: Says whether glasses are worn.
        photo: The small crop, in [-1, 1].
        photo_large: The large one.
        marks: Landmarks in it by MediaPipe's numbers, unit coordinates.
        points: Where the surface is, world units.
        view: What the photo shows.
        landmarks: Of the head by MediaPipe's numbers, (3,) each, world units.
        distance: Signed distances (N,) of the head at places (N, 3).
        ears: Surface points (K, 3) of ears that show, by side: 1 for positive x, -1 for negative.

    Shape:
        photo (1, 3, 256, 256); photo_large (1, 3, S, S); marks (468, 2); points (1, 3, s, s).
    """
    if float(detector(photo, eyes_of(marks[None]).to(photo))) <= 0.0:
        return None
    level = float(np.mean([landmarks[number][1] for pair in EYES for number in pair]))
    lines = {
        sign: line
        for sign, brow in zip((-1, 1), BROWS, strict=True)
        if (line := _line(photo_large, points, view, sign, abs(float(landmarks[brow][0])), level)) is not None
    }
    if not lines:
        return None
    heights = sorted(lines, key=lambda sign: lines[sign].start[1])
    if lines[heights[-1]].start[1] - lines[heights[0]].start[1] > LEVEL:
        # Both are as high, and what is darker lower down is a lens.
        del lines[heights[0]]
    arms = []
    for sign in (-1, 1):
        # A side that the photo hardly shows has the other's, mirrored.
        line = lines.get(sign) or lines[-sign]
        start = line.start * np.array((np.sign(line.start[0]) * sign, 1.0, 1.0))
        arms.append(_arm(start, sign, distance, ears.get(sign)))
    dark = np.mean([line.colour for line in lines.values()], axis=0)
    (red, green, blue), (lit, shiny, bright) = dark.tolist(), (dark + SHEEN * (1.0 - dark)).tolist()
    return Eyewear((), tuple(arms), 1.0, (red, green, blue), (lit, shiny, bright), RADIUS)


def elsewhere(camera: Camera, angles: Tensor) -> float:
    """How far a camera is beside the photo's (1, 2), 0..1: from there the photo shows its glasses itself."""
    yaw, pitch = angles[0].tolist()
    apart = float(np.hypot(camera.yaw - yaw, camera.pitch - pitch))
    share = float(np.clip((apart - FROM[0]) / (FROM[1] - FROM[0]), 0.0, 1.0))
    return share * share * (3.0 - 2.0 * share)


def _line(photo: Tensor, points: Tensor, view: SourceView, sign: int, brow: float, level: float) -> _Line | None:
    """The clearest dark line from a brow's end outwards, by heights."""
    size = SIDE
    bright = luma(functional.interpolate((photo + 1.0) * 0.5, size=(size, size), mode="area"))
    around = functional.avg_pool2d(bright, (2 * BESIDE + 1, 1), 1, (BESIDE, 0), count_include_pad=False)
    darker = (around - bright).flatten()
    places = functional.interpolate(points, size=(size, size), mode="bilinear", align_corners=False)
    places = places[0].flatten(1).T
    x, y = sign * places[:, 0], places[:, 1] - level
    near = ((x > brow + BEYOND) & (y > HEIGHTS[0]) & (y < HEIGHTS[1]) & (places[:, 2] > AHEAD)).nonzero()[:, 0]
    if not len(near):
        return None
    near = near[look_up(view, places[near][None])[1][0] > SHOWN]
    rows = ((y[near] - HEIGHTS[0]) / STEP).long()
    count = rows.bincount(minlength=round((HEIGHTS[1] - HEIGHTS[0]) / STEP) + 1)
    mean = darker.new_zeros(len(count)).index_add_(0, rows, darker[near]) / count.clamp(min=1)
    mean = torch.where(count >= ENOUGH, mean, -1.0)
    row = int(mean.argmax())
    if float(mean[row]) < CLEAR:
        return None
    there = near[(rows - row).abs() <= 1]
    outermost = there[x[there] > x[there].quantile(0.9)]
    dark = there[darker[there] >= darker[there].median()]
    colours = functional.interpolate(photo, size=(size, size), mode="area")[0].flatten(1).T[dark]
    return _Line(
        places[outermost].mean(dim=0).double().cpu().numpy(),
        colours.median(dim=0).values.double().cpu().numpy(),
    )


def _arm(start: Array, sign: int, distance: Distance, ear: Array | None) -> Array:
    """A straight temple beside the head (N, 3): taut over its widest places, and down behind the ear."""
    end = np.array((start[0], start[1] - LOWER, EAR))
    if ear is not None:
        ahead = ear[ear[:, 2] >= np.quantile(ear[:, 2], 0.5)]
        end = ahead[ahead[:, 1] >= np.quantile(ahead[:, 1], ROOT)].mean(axis=0)
    share = np.linspace(0.0, 1.0, POINTS)
    y, z = (start[axis] + share * (end[axis] - start[axis]) for axis in (1, 2))
    reach = np.linspace(*OUT, 71)
    grid = np.stack(np.broadcast_arrays(sign * reach[None], y[:, None], z[:, None]), axis=-1)
    free = distance(grid.reshape(-1, 3)).reshape(grid.shape[:2]) > RADIUS
    # The outermost place that is not free, and the next one is.
    least = reach[np.minimum(len(reach) - free[:, ::-1].argmin(axis=1), len(reach) - 1)]
    least[0] = abs(start[0])
    # Hair that covers an ear covers the temple as well.
    most = max(abs(start[0]), abs(end[0])) + OFF
    x = _taut(share, np.minimum(least, most))
    back = np.stack((sign * x, y, z), axis=1)
    fall = np.linspace(0.0, DROP, 8)[1:, None]
    return np.concatenate((back, back[-1] + fall * np.array([[-0.3 * sign, -1.0, -0.8]])))


def _taut(places: Array, heights: Array) -> Array:
    """The upper hull of heights over rising places: a thread that is laid over them."""
    kept: list[int] = []
    for number in range(len(places)):
        while len(kept) > 1:
            (a, b), c = kept[-2:], number
            if (heights[b] - heights[a]) * (places[c] - places[a]) > (heights[c] - heights[a]) * (
                places[b] - places[a]
            ):
                break
            kept.pop()
        kept.append(number)
    return np.interp(places, places[kept], heights[kept])
