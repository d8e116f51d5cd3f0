"""Where a photo shows a forehead: no hair of the latents stands there, and the hair above it begins thin.

The synthetic world has few hairlines, and its fringes end as thick as they are. Where the latents' fringe does not lie
where the photo's does, a forehead of the photo is painted on the front of a fringe, which in profile and in a mesh is a
peak above the brows. A twin of the head that wears no hair says where its scalp is: on skin the surface is that, and
from the hairline on it rises to the hair's. Stands in the photo's own camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV, NEAR
from core.models.networks import Networks
from core.models.parsing import PARSED
from core.rendering.additions import Distances
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.hair import face_of
from core.rendering.hands import Pause, resting
from core.rendering.locks import BANGS, LENGTH
from core.rendering.surfaces import trace
from core.surface_maps import extended
from core.tensor_camera import camera_frame, project, rays, rays_through

__all__ = ["Scalp", "photo_scalp", "scalp_of"]

Array = NDArray[np.float64]

SKIN = PARSED.index("skin")
BALD = ((LENGTH, -1.2), (BANGS, -1.0))
"""Steps of directions to the head without hair."""
# Side of the pictures that are traced, and of the maps.
COARSE, SIDE = 64, 128
# Evaluations a ray of the head may cost, and one of its twin, which begins so far before the head's surface.
STEPS, AGAIN, BEFORE = 24, 12, 0.01
# What may lie on a scalp that shows, and how much more a way from the hairline on (world units, world units a world
# unit).
BARE, RISE = 0.0025, 0.35
# Gaussians that take the steps of coarse rays away, and for how a scalp slopes (pixels of SIDE).
SMOOTHED, COARSELY = 2.0, 5.0
# How round a head is that is cut (radius, world units): a fourth of what it is, so that a cut ends gradually.
ROUND = 0.02
# Skin by the parser's share, without islands that are smaller (pixels of SIDE).
SURE, ISLAND = 0.5, 2
# Below it nothing is cut: pixels of SIDE above the brows' line, and world units a world unit.
LINE, FALL = 4, 1.0
# What hair may stand off with nothing cut, and from where on all is (world units).
UNSURE = (0.001, 0.004)
# Share of what is cut that shows skin, below which nothing is.
MISPLACED = 0.25
# Cut and hair run into one another over this distance (world units): less than may lie on a scalp, so that only the
# ends of a cut are rounded.
BLEND = 0.0025
# How far beyond what is cut the box reaches (world units), and beyond the picture, where it is cut off there ([-1, 1]).
BAND, OVER = 0.012, 0.25
# What a slider that brings hair may add a step (world units).
LONGER = 0.03


class Scalp(NamedTuple):
    """How near to the photo's camera a head may come.

    Shape:
        angles (1, 2); low, high (3,): the box that it has to do with, world units; maps (1, 2, SIDE, SIDE): the least
        depth, world units, and how much that changes with a way aside.
    """

    angles: Tensor
    low: Tensor
    high: Tensor
    maps: Tensor
    most: float
    """What is cut at most (world units)."""

    def longer(self, strength: float) -> Scalp | None:
        """What a slider that brings hair leaves of it."""
        if strength <= 0.0:
            return self
        more = LONGER * strength
        if self.most <= more:
            return None
        surface, slope = self.maps.unbind(dim=1)
        return self._replace(most=self.most - more, maps=torch.stack((surface - more, slope), dim=1))

    def near(self, points: Tensor) -> Tensor:
        """Indices of the points (N, 3) that it may have to do with."""
        return ((points > self.low) & (points < self.high)).all(dim=-1).nonzero()[:, 0]

    def source(self, points: Tensor) -> Tensor:
        """Where to ask the field: where they are. Shape: points (..., 3); returns the same."""
        return points

    def distance(self, points: Tensor, found: Tensor) -> Tensor:
        """Signed distances with it; see :class:`core.rendering.additions.Addition`."""
        near = self.near(points)
        if not len(near):
            return found
        surface, slope, depth = self._read(points[near])
        ahead = (surface - depth) / (1.0 + slope.square()).sqrt()
        together = found.clone()
        together[near, 0] = _both(found[near, 0].to(depth.dtype), ahead).to(found.dtype)
        return together

    def _read(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps at points (N, 3), and their depth."""
        uv, depth = project(points[None], self.angles.to(points.dtype))
        read = functional.grid_sample(self.maps.to(uv.dtype), uv[:, None], padding_mode="border", align_corners=False)
        surface, slope = read[0, :, 0]
        return surface, slope, depth[0]


def _both(a: Tensor, b: Tensor) -> Tensor:
    """The larger of two distances, rounded where they are alike (quadratic)."""
    share = ((BLEND - (a - b).abs()) / BLEND).clamp(min=0.0)
    return torch.maximum(a, b) + 0.25 * BLEND * share.square()


def photo_scalp(
    networks: Networks,
    parsed: Tensor,
    matte: Tensor,
    styles: Tensor,
    deformation: Deformation | None,
    angles: Tensor,
    pause: Pause = resting,
) -> Scalp | None:
    """What a photo shows bare of its head's front; None where nothing stands before it, or the model cannot say.

    Shape:
        parsed (1, parts, s, s): what the parser says of the photo; matte (1, 1, any, any); styles (1, rows, style_dim);
        angles (1, 2), the photo's camera.
    """
    if networks.landmarks is None or any(name not in networks.directions for name, _ in BALD):
        return None
    landmarks = networks.landmarks(styles[:, :-1].mean(dim=1))
    above = face_of(landmarks[0], project(landmarks, angles)[0][0]).above
    latents = [styles]
    for name, far in BALD:
        latents.append(latents[-1].clone())
        latents[-1][:, :-1] += far * networks.directions[name].renderer[:-1]
    own, *bald = (FoldedField(networks.generator.field, one, deformation).light.sdf for one in latents)
    return scalp_of(own, bald, parsed[:, SKIN : SKIN + 1], above, matte, angles, pause)


def scalp_of(
    own: Distances,
    bald: Sequence[Distances],
    skin: Tensor,
    above: Tensor,
    matte: Tensor,
    angles: Tensor,
    pause: Pause = resting,
) -> Scalp | None:
    """What the photo shows bare of a head's front, or None where next to nothing stands before it.

    Args:
        own: Distances (1, N, 1) of points (1, N, 3) of the head.
        bald: Of heads like it without hair; the deepest of them is believed.
        skin: Share of skin in the photo's pixels.
        above: What of the picture is above the face's brows, 0 or 1.
        matte: The photo's head.
        angles: The photo's camera.
        pause: Called between steps.

    Shape:
        pictures (1, 1, any, any), angles (1, 2).
    """
    head, bare, upper = (
        functional.interpolate(one, size=(SIDE, SIDE), mode="area")[0, 0].double().cpu().numpy()
        for one in (matte, skin, above)
    )
    forehead = _forehead(bare > SURE, head > 0.5, upper > 0.5)
    if not (forehead & (upper > 0.5)).any():
        return None
    found = _traced(own, bald, head, upper, angles, pause)
    if found is None:
        return None
    mine, scalp, met = found
    pixel = 2.0 * math.tan(HALF_FOV) * float(np.median(scalp[met])) / SIDE
    scalp = ndimage.gaussian_filter(_going_on(scalp, mine, met), SMOOTHED)
    down, across = np.gradient(ndimage.gaussian_filter(scalp, COARSELY), pixel)
    line = np.flatnonzero((upper > 0.5).any(axis=1)).max(initial=0) - LINE
    below = np.maximum(0.0, np.arange(SIDE)[:, None] - line)
    hairy = pixel * ndimage.distance_transform_edt(~forehead)
    # Hair that stands off beside a face does so in earnest.
    rise = RISE * hairy * np.sqrt(1.0 + down**2) * (1.0 + across**2) ** 2
    allowed = BARE * np.sqrt(1.0 + down**2 + across**2) + rise + FALL * pixel * below
    # A picture's outline stays: so far within it something round is that deep.
    inwards = pixel * ndimage.distance_transform_edt(head > 0.5)
    deepest = mine + np.sqrt(2.0 * ROUND * inwards)
    surface = ndimage.gaussian_filter(np.minimum(scalp - allowed, deepest), SMOOTHED)
    # Twins are no more exact than that: a bald head's is not its own.
    stands = ndimage.gaussian_filter(np.where(head > 0.5, surface - mine, 0.0), COARSELY)
    surface = surface - UNSURE[1] * (1.0 - np.clip((stands - UNSURE[0]) / (UNSURE[1] - UNSURE[0]), 0.0, 1.0))
    before = np.where((head > 0.5) & (mine < surface), surface - mine, 0.0)
    much = before > UNSURE[1]
    # Where the latents' fringe ends as the photo's does it is a fringe, and a twin may have one of its own.
    if not much.any() or (forehead & much).sum() < MISPLACED * much.sum():
        return None
    like = angles.new_tensor
    maps = np.stack((surface, np.hypot(*np.gradient(surface, pixel))))
    rows, columns = np.nonzero(before > 0.0)
    places: Array = np.stack((columns, rows), axis=-1).astype(np.float64) * (2.0 / SIDE) + 1.0 / SIDE - 1.0
    # Beyond the picture's edge it goes on as it is there.
    places[rows == 0, 1] -= OVER
    return Scalp(
        angles,
        *_box(places, mine[rows, columns], surface[rows, columns], angles),
        like(maps)[None],
        float(before.max()),
    )


def _forehead(skin: NDArray[np.bool_], head: NDArray[np.bool_], upper: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Skin that hangs together with the face below the brows: a parting in hair is none."""
    opened = ndimage.binary_opening(skin & head, iterations=ISLAND)
    pieces, _ = ndimage.label(opened)
    faces = np.bincount(pieces[opened & ~upper], minlength=pieces.max() + 1)
    faces[0] = 0
    kept: NDArray[np.bool_] = (pieces == faces.argmax()) if faces.any() else np.zeros_like(skin)
    return kept


def _traced(
    own: Distances, bald: Sequence[Distances], head: Array, upper: Array, angles: Tensor, pause: Pause
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Depth of the head's surface and of its scalp, and where rays met both; (SIDE, SIDE) each."""
    step = SIDE // COARSE
    wanted = ((head > 0.5) & (upper > 0.5)).reshape(COARSE, step, COARSE, step).any(axis=(1, 3))
    origin, directions = rays(angles, COARSE)
    asked = torch.from_numpy(np.flatnonzero(wanted)).to(angles.device)
    if not len(asked):
        return None
    ahead = directions[0, asked]
    pause()
    mine = trace(own, origin[0], ahead, torch.full_like(ahead[:, 0], NEAR), STEPS)
    hit, deepest = mine.hit, mine.depth
    for one in bald:
        pause()
        twin = trace(one, origin[0], ahead, mine.depth - BEFORE, AGAIN)
        hit, deepest = hit & twin.hit, torch.maximum(deepest, twin.depth)
    both, scalp = _pictured(hit, deepest, asked)
    _, surface = _pictured(mine.hit, mine.depth, asked)
    return (surface, scalp, both > 0.5) if (both > 0.5).any() else None


def _pictured(hit: Tensor, depth: Tensor, pixels: Tensor) -> tuple[Array, Array]:
    """Which pixels of SIDE were met, 0..1, and at which depth, carried on, by those of COARSE that were asked."""
    met = torch.zeros(COARSE * COARSE, device=depth.device, dtype=depth.dtype)
    known = met.clone()
    met[pixels], known[pixels] = hit.to(met.dtype), depth
    met, known = (one.reshape(1, 1, COARSE, COARSE) for one in (met, known))
    found = (
        functional.interpolate(one, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        for one in (met, extended(known, met))
    )
    cover, carried = (one.double().cpu().numpy() for one in found)
    return cover, carried


def _going_on(scalp: Array, mine: Array, met: NDArray[np.bool_]) -> Array:
    """Depths of a scalp (SIDE, SIDE) that lies as far behind the head's where its twin was not met as beside that."""
    inner = ndimage.binary_erosion(met, iterations=2)
    if not inner.any():
        return mine
    rows, columns = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    behind = (scalp - mine)[rows, columns]
    # What lies side by side goes on from places that may not.
    soft = ndimage.gaussian_filter(behind, COARSELY)
    beyond = np.clip(ndimage.distance_transform_edt(~inner) / COARSELY, 0.0, 1.0)
    found: Array = mine + behind + (soft - behind) * beyond
    return found


def _box(places: Array, near: Array, far: Array, angles: Tensor) -> tuple[Tensor, Tensor]:
    """A box (3,), (3,) around what is cut and what lies a band before and behind it."""
    uv = angles.new_tensor(places)[None]
    ahead = rays_through(angles, uv)[0]
    position, _ = camera_frame(angles)
    corners = torch.cat([position + ahead * angles.new_tensor(depth)[:, None] for depth in (near - BAND, far + BAND)])
    return corners.amin(dim=0), corners.amax(dim=0)
