"""The cameras from which a single photo is supplemented: HFGI3D's ellipse of thirty views.

The published sampler maps its polar angle non-linearly, so that a nominal pitch of -0.05 ± 0.25 rad really spans
-0.128 … +0.192; those true angles are used here (specification §2.6, checked there against the released pose file).
"""

from __future__ import annotations

import math

from core.camera import Camera

VIEWS = 30
"""Pseudo-views of HFGI3D."""
YAW_REACH = 0.35
"""Largest yaw of the ellipse [rad]; beyond about 0.4 the border of the photo's relief comes into sight."""


WIDE_REACH, WIDE_PITCH = (0.6, 1.1), 0.2
"""Yaw of the wide views to both sides, nearest and farthest, and how far they look from above or below [rad]."""


def wide_cameras(count: int, centre: tuple[float, float] = (0.0, 0.0)) -> tuple[Camera, ...]:
    """Cameras to both sides in turns, farther and farther away, from above and below in turns.

    Args:
        count: Number of cameras; may be 0.
        centre: Yaw and pitch [rad] that they lie around.
    """
    pairs = max(1, (count + 1) // 2)
    steps = [i // 2 / max(1, pairs - 1) for i in range(count)]
    return tuple(
        Camera(
            centre[0] + (-1.0) ** i * (WIDE_REACH[0] + (WIDE_REACH[1] - WIDE_REACH[0]) * step),
            centre[1] + WIDE_PITCH * (-1.0) ** (i // 2 + i),
        )
        for i, step in enumerate(steps)
    )


def camera_ellipse(count: int = VIEWS, centre: tuple[float, float] = (0.0, 0.0)) -> tuple[Camera, ...]:
    """Cameras on the ellipse, at distance 1 from the origin, looking at it.

    ``yaw = 0.35 sin(2πi/n)`` and ``pitch = asin((0.1 − 0.5 cos(2πi/n))/π)`` (HFGI3D, released code).

    Args:
        count: Number of cameras.
        centre: Yaw and pitch [rad] that are added to all of them; the published ellipse lies around the front.

    Raises:
        ValueError: There is no camera.
    """
    if count < 1:
        raise ValueError(f"a path needs at least one camera, got {count}")
    turns = [math.tau * i / count for i in range(count)]
    return tuple(
        Camera(centre[0] + YAW_REACH * math.sin(turn), centre[1] + math.asin((0.1 - 0.5 * math.cos(turn)) / math.pi))
        for turn in turns
    )
