"""Hair that hangs where the latents have none: a soft body in the shape that the photo shows.

The synthetic world has few hair styles, and a head that wears its hair long may get latents with short hair. What the
photo then shows beside the neck lies on nothing and is cut. Here the missing part of the photo's hair is inflated
(as in Igarashi, Matsuoka & Tanaka 1999, "Teddy"): as thick as it is wide up to a lock's thickness, as deep as the rim
of the hair that it hangs on, with the colours of that hair. Above the brows hair is as deep as the head, and no body of
locks: there the deformation has it. Refuses to know networks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.rendering.solids import EXTENT
from core.tensor_camera import camera_frame, project

__all__ = ["Curtain", "curtain_of"]

Array = NDArray[np.float64]

# Side of the maps.
SIDE = 256
# Share of hair and matte from which on a pixel is hair of the head, and Gaussian by which their steps are smoothed
# (pixels of SIDE).
SURE, SMOOTHED = 0.5, 2.0
# Missing hair is no rim: at least so far within (pixels of SIDE), and so many of them.
WITHIN, FEWEST = 5.0, 150
# Rows in which hanging hair may spread by a pixel to either side.
SPREAD = 2
# How far it reaches into the hair that is there (pixels of SIDE).
JOINED = 14
# Half the thickness, at least and at most (world units).
THIN, THICK = 0.006, 0.024
# Beyond the body, how far distances know of it (world units).
AROUND = 0.02
# From so far beside the head on, and over this distance, the field comes to be asked for hair; how far inside of what
# is hair, and how far from its surface at most (world units, world units; pixels of SIDE; world units).
CLEARLY, RAMP, INSIDE, BELOW = 0.003, 0.002, 6, 0.003
# Hair that the picture cuts off goes on so far, within so wide a margin (pixels of SIDE).
GOES_ON, MARGIN = 8, 32
# So near to it nothing is a stray (world units).
SPARED = 0.009
# Head and body run into one another over this distance (world units).
BLEND = 0.01
# How much of it a slider takes away that makes hair shorter (world units a step).
SHORTER = 0.06


class Curtain(NamedTuple):
    """A body of hair.

    Shape:
        angles (1, 2), the photo's camera; low, high (2,): the part of the picture that it has to do with, [-1, 1];
        maps (1, 6, S, S), of the picture and a margin: distance to the hair's outline (inside positive) and to that of
        the head (outside positive) in world units, depth of the middle, and where to look for hair: offset in picture
        coordinates and depth of the surface there.
    """

    angles: Tensor
    low: Tensor
    high: Tensor
    depths: tuple[float, float]
    half: float
    """Half the thickness (world units)."""
    maps: Tensor
    taken: float = 0.0
    """How much was taken off its outline (world units)."""

    def shorter(self, strength: float) -> Curtain | None:
        """What a slider for shorter hair leaves of it."""
        taken = SHORTER * max(0.0, -strength)
        left = float(self.maps[0, 0].max()) - taken
        return self._replace(taken=taken) if left > 0.0 else None

    def holds(self, points: Tensor, within: float = CLEARLY) -> Tensor:
        """Whether places (N, 3) beside the head are in it or so near to it [world units], (N,) bool."""
        held = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        near = self.near(points)
        if len(near):
            inside, beside, middle, _, _, _, depth = self._read(points[near])
            held[near] = (self._body(inside, depth - middle) < within) & (beside > 0.0)
        return held

    def spared(self, mask: Tensor) -> Tensor:
        """A mask of strays that leaves it alone: a lock that floats beside the field's head may lie where it hangs.

        Shape:
            mask (1, 1, R, R, R), axes z, y, x over |x| <= EXTENT; returns the same.
        """
        line = torch.linspace(-EXTENT, EXTENT, mask.shape[-1]).to(mask)
        z, y, x = torch.meshgrid(line, line, line, indexing="ij")
        held = self.holds(torch.stack((x, y, z), dim=-1).reshape(-1, 3), SPARED)
        return torch.where(held.reshape(mask.shape), 0.0, mask)

    def near(self, points: Tensor) -> Tensor:
        """Indices of the points (N, 3) that it may have to do with."""
        uv, depth = (one[0] for one in project(points[None], self.angles.to(points.dtype)))
        inside = ((uv > self.low) & (uv < self.high)).all(dim=-1)
        return (inside & (depth > self.depths[0]) & (depth < self.depths[1])).nonzero()[:, 0]

    def source(self, points: Tensor) -> Tensor:
        """Where to ask the field: beside the head, in the hair that this hangs on. Shape: points (..., 3)."""
        flat = points.reshape(-1, 3)
        near = self.near(flat)
        if not len(near):
            return points
        some = flat[near]
        inside, beside, middle, across, down, surface, depth = self._read(some)
        body = self._body(inside, depth - middle)
        share = self._elsewhere(beside, body)
        # As far below the surface of that hair as this place is below its own.
        there = surface - body.clamp(-BELOW, BELOW)
        uv, _ = project(some[None], self.angles.to(flat.dtype))
        now, then = uv[0], uv[0] + torch.stack((across, down), dim=-1)
        aside = math.tan(HALF_FOV) * (then * there[:, None] - now * depth[:, None])
        _, rotation = camera_frame(self.angles.to(flat.dtype))
        move = torch.stack((aside[:, 0], -aside[:, 1], depth - there), dim=-1)
        moved = flat.clone()
        moved[near] = some + (move * share[:, None]) @ rotation[0].T
        return moved.reshape(points.shape)

    def distance(self, points: Tensor, found: Tensor) -> Tensor:
        """Signed distances with it; see :class:`core.rendering.additions.Addition`."""
        near = self.near(points)
        if not len(near):
            return found
        inside, beside, middle, _, _, _, depth = self._read(points[near])
        own, body = found[near, 0].to(depth.dtype), self._body(inside, depth - middle)
        # What the field said was said of elsewhere: the head is no nearer than its outline.
        own = torch.where(self._elsewhere(beside, body) > 0.0, beside, own)
        together = found.clone()
        together[near, 0] = _union(own, body).to(found.dtype)
        return together

    def _body(self, inside: Tensor, behind: Tensor) -> Tensor:
        """Signed distance to it of places so far inside its outline, and so far behind its middle."""
        rim = (self.half - inside).clamp(min=0.0)
        return (rim.square() + behind.square()).sqrt() - self.half

    def _elsewhere(self, beside: Tensor, body: Tensor) -> Tensor:
        """How far the field is asked elsewhere (0..1), at places so far beside the head and from the body."""
        return ((beside - CLEARLY) / RAMP).clamp(0.0, 1.0) * (2.0 - body / RAMP).clamp(0.0, 1.0)

    def _read(self, points: Tensor) -> tuple[Tensor, ...]:
        """The maps at points (N, 3), and their depth."""
        uv, depth = project(points[None], self.angles.to(points.dtype))
        place = uv[:, None] * (SIDE / (SIDE + 2.0 * MARGIN))
        read = functional.grid_sample(self.maps.to(uv.dtype), place, padding_mode="border", align_corners=False)
        inside, *rest = read[0, :, 0]
        return inside - self.taken, *rest, depth[0]


def _union(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two distances, rounded where they are alike (quadratic)."""
    share = ((BLEND - (a - b).abs()) / BLEND).clamp(min=0.0)
    return torch.minimum(a, b) - 0.25 * BLEND * share.square()


def curtain_of(
    hair: Tensor, above: Tensor, matte: Tensor, depth: Tensor, hit: Tensor, angles: Tensor
) -> Curtain | None:
    """The body of what the photo shows of hair beside the head, or None where next to nothing is missing.

    Args:
        hair: Share of hair in the photo's pixels.
        above: What of the picture is above the face's brows, 0 or 1.
        matte: The head's, in the same picture.
        depth: Of the head's surface there, carried past its outline.
        hit: Whether there is one, 0 or 1.
        angles: The photo's camera.

    Shape:
        (1, 1, any, any) each, angles (1, 2).
    """
    size = hit.shape[-2:]
    shown = functional.interpolate(hair, size) * functional.interpolate(matte, size, mode="area")
    bare = ((shown > SURE) & (hit < 0.5)).float()
    if not (functional.max_pool2d(-bare, 3, 1, 1) < 0.0).any():
        return None  # Rims at most: so it is with most heads, and nothing else need be made.
    hairy, headed = (_enlarged(one) > SURE for one in (hair, matte))
    covered = _enlarged(hit) > 0.5
    wanted = _going_on(hairy & headed)
    low = _enlarged(above) < SURE
    hanging = _hanging(wanted, wanted & (covered | ~low))
    missing = _wide(ndimage.binary_opening(hanging & low & ~covered, iterations=2))
    known = ndimage.binary_erosion(covered & hairy, iterations=INSIDE)
    if not missing.any() or not known.any():
        return None
    whole = missing | (wanted & covered & (ndimage.distance_transform_edt(~missing) < JOINED))
    deep = _enlarged(depth)
    pixel = 2.0 * math.tan(HALF_FOV) * float(np.median(deep[whole])) / SIDE
    inside = pixel * _signed(whole)
    half = float(np.clip(inside[missing].max(), THIN, THICK))
    # The depth of the hair's rim, carried on to where it hangs down or stands off.
    rim = covered & hairy & ndimage.binary_dilation(missing, iterations=4)
    if not rim.any():
        return None
    middle = ndimage.gaussian_filter(_carried(deep, rim), 4.0)
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    v, u = np.indices(known.shape)
    across, down = (
        ndimage.gaussian_filter((found - here) * (2.0 / SIDE), 4.0) for found, here in ((columns, u), (rows, v))
    )
    surface = ndimage.gaussian_filter(deep[rows, columns], 2.0)
    maps = np.stack((inside, -pixel * _signed(covered), middle, across, down, surface)).astype(np.float32)
    reach = math.ceil((half + AROUND) / pixel)
    places = np.argwhere(whole)
    low, high = (
        (end - MARGIN) * 2.0 / SIDE - 1.0 for end in (places.min(axis=0) - reach, places.max(axis=0) + 1.0 + reach)
    )
    like = angles.new_tensor
    depths = (float(middle[whole].min()) - half - AROUND, float(middle[whole].max()) + half + AROUND)
    return Curtain(angles, like(low[::-1].copy()), like(high[::-1].copy()), depths, half, like(maps)[None])


def _enlarged(picture: Tensor) -> Array:
    """A map at SIDE with a margin, its steps smoothed; beyond the picture it goes on as it ends."""
    whole = functional.interpolate(picture.float(), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    found: Array = ndimage.gaussian_filter(whole[0, 0].double().cpu().numpy(), SMOOTHED, mode="nearest")
    return np.pad(found, MARGIN, mode="edge")


def _going_on(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask that ends a little beyond the picture."""
    end = MARGIN - GOES_ON
    found: NDArray[np.bool_] = np.pad(mask[end:-end, end:-end], end)
    return found


def _hanging(hair: NDArray[np.bool_], begun: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of hair hangs from where it has begun: dark clothes look like hair, but shoulders spread faster."""
    found = begun.copy()
    for row in range(1, len(hair)):
        reached = found[row - 1]
        if row % SPREAD == 0:
            reached = ndimage.binary_dilation(reached)
        found[row] |= hair[row] & reached
    return found


def _wide(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those pieces that are more than rims and specks."""
    pieces, count = ndimage.label(missing)
    if not count:
        return missing
    away = ndimage.distance_transform_edt(missing)
    numbers = np.arange(1, count + 1)
    deep, size = ndimage.maximum(away, pieces, numbers), ndimage.sum_labels(missing, pieces, numbers)
    kept: NDArray[np.bool_] = np.isin(pieces, numbers[(deep >= WITHIN) & (size >= FEWEST)])
    return kept


def _signed(mask: NDArray[np.bool_]) -> Array:
    """Distance to a mask's outline in pixels, positive inside."""
    away = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    found: Array = ndimage.gaussian_filter(away - 0.5 * np.sign(away), 1.0)
    return found


def _carried(values: Array, known: NDArray[np.bool_]) -> Array:
    """Values carried on from where they are known."""
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    found: Array = values[rows, columns]
    return found
