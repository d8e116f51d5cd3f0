"""Does a head look the same from two sides? One view's colours carried to another by the depth seen there.

No truth is needed: what is compared are two pictures of the same model. What only one of them sees does not count, nor
what lies a step in depth away from where it should be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.camera import FAR, NEAR, Camera
from core.frame import Frame

Pixels = NDArray[np.uint8]
Array = NDArray[np.float64]

SIDE = 128
"""Both pictures are compared at this side: a pixel is then wider than a step of an 8-bit depth picture."""
TOLERANCE = 0.004
"""Difference in depth up to which two views see the same point (world units; a head's radius is 0.1)."""
FEWEST = 64
"""Pixels from which a mean means something."""


@dataclass(frozen=True, eq=False)
class DepthView:
    """A picture that knows how far away it is.

    Shape:
        colour (S, S, 3) in [-1, 1], depth (S, S) along the optical axis, 0 where there is no head.
    """

    colour: Array
    depth: Array
    camera: Camera


def of_frames(picture: Frame, depth: Frame, camera: Camera) -> DepthView:
    """A view from the program's own layers "picture" and "depth", both at least ``SIDE`` pixels wide."""
    far = depth.pixels[..., 0].astype(np.float64) / 255.0
    known = np.where(depth.alpha == 255, FAR - far * (FAR - NEAR), 0.0)
    return DepthView(colour_at_side(picture.pixels), nearest_at_side(known), camera)


def colour_at_side(pixels: Pixels) -> Array:
    """Colours (S, S, 3) uint8 as (SIDE, SIDE, 3) in [-1, 1]."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64) / 127.5 - 1.0


def nearest_at_side(depth: NDArray[np.floating]) -> Array:
    """A depth map at ``SIDE``; never blended over an edge."""
    if depth.shape[0] == SIDE:
        return np.asarray(depth, np.float64)
    small = cv2.resize(depth.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.float64)


def inconsistency(first: DepthView, second: DepthView) -> float | None:
    """Mean absolute difference, on [-1, 1], of what both views see; None when they share next to nothing.

    Shape:
        Both views of one size.
    """
    size = first.depth.shape[0]
    known = first.depth > 0.0
    origin, directions = first.camera.rays(size)
    points = origin + directions[known] * first.depth[known][:, None]
    uv, depth = second.camera.project(points)
    places = ((uv + 1.0) * 0.5 * size - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(places[:, None, 0]), np.ascontiguousarray(places[:, None, 1])
    there = cv2.remap(second.depth.astype(np.float32), x, y, cv2.INTER_NEAREST)[:, 0]
    # A pixel beside a contour is a blend of two surfaces.
    low, high = (
        morphology(second.depth.astype(np.float32), np.ones((3, 3), np.uint8)) for morphology in (cv2.erode, cv2.dilate)
    )
    smooth = ((high - low < 2.0 * TOLERANCE) & (low > 0.0)).astype(np.float32)
    shared = (np.abs(there - depth) < TOLERANCE) & (cv2.remap(smooth, x, y, cv2.INTER_NEAREST)[:, 0] > 0.5)
    if int(shared.sum()) < FEWEST:
        return None
    seen = cv2.remap(second.colour.astype(np.float32), x, y, cv2.INTER_LINEAR)[:, 0]
    return float(np.abs(seen[shared] - first.colour[known][shared]).mean())
