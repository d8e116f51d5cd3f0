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
