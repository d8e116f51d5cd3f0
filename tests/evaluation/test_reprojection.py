"""Reprojection: nothing for a painted ball, everything for a picture that swims on it."""

from __future__ import annotations

import numpy as np

from core.camera import Camera
from core.evaluation.reprojection import SIDE, DepthView, inconsistency

RADIUS = 0.08


def ball(camera: Camera, painted: bool = True) -> DepthView:
    """A ball coloured by where its points are in the world, or else by where they are in the picture."""
    origin, directions = camera.rays(SIDE)
    a = (directions**2).sum(axis=-1)
    b = directions @ origin
    inside = b**2 - a * (origin @ origin - RADIUS**2)
    depth = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, 0.0)
    points = origin + directions * depth[..., None]
    colour = points / RADIUS if painted else np.broadcast_to(np.linspace(-1, 1, SIDE)[:, None, None], (SIDE, SIDE, 3))
    return DepthView(np.where(depth[..., None] > 0, colour, 0.0), depth, camera)


def test_a_painted_ball_looks_the_same_from_two_sides() -> None:
    difference = inconsistency(ball(Camera()), ball(Camera(0.4, 0.1)))
    assert difference is not None
    assert difference < 0.01


def test_colours_that_swim_are_noticed() -> None:
    swimming = inconsistency(ball(Camera(), painted=False), ball(Camera(0.0, 0.4), painted=False))
    assert swimming is not None
    assert swimming > 0.1


def test_views_that_share_nothing_have_no_difference() -> None:
    assert inconsistency(ball(Camera()), ball(Camera(np.pi))) is None
