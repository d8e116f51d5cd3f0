"""A polish of the head's outline: hair and skull grow to what the matte shows, as far as the latents make it likely.

Landmarks hold the face, nothing holds the hair. Rays through random pixels of the matte say where the head should be
and is not, or is and should not be; at their nearest approach the distance has a gradient in the latent. One shared
step of the geometry rows is fitted, held by what heads differ by and by the landmarks. No colour takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.job import Job
from core.models.networks import Networks
from core.refinement.landmarks import LandmarkMisfit, Likely, as_array
from core.refinement.steered import SteeredField
from core.rendering.hands import Pause, alone, resting
from core.rendering.precision import Sdf
from core.rendering.shape import DRAFT_RESOLUTION, DRAFT_SAFETY, interpolated
from core.rendering.solids import measured
from core.rendering.surfaces import trace
from core.tensor_camera import camera_frame, rays_through

# Distances (N,) of points (N, 3).
Distances = Callable[[Tensor], Tensor]

STEPS = 24
RATE = 0.05
RAYS = 500
# World units over which a ray's nearest approach passes from outside to inside.
SOFTNESS = 0.004
# Rays whose matte is neither clear nor solid say nothing.
CLEAR, SOLID = 0.1, 0.9
# A ray meets the head when it comes this near (world units), and is then judged a little inside.
MEETING, INSIDE = 0.001, 0.004
# What one wrong ray in a hundred weighs against one standard deviation of the unknown.
WEIGHT = 40.0
# That deviation, in units of what heads differ by.
LATENT_SPREAD = 2.0
# Evaluations of the distance a ray.
TRACING = 12
# Steps after which the places where rays come nearest are looked for anew.
FRESH = 12
# Depth between two readings of the volume (world units).
STRIDE = 0.008
# Share of the picture above the lowest landmark that is judged: below the chin the matte ends at the collar.
ABOVE_CHIN = 0.02


def fit_silhouette(
    networks: Networks, styles: Tensor, angles: Tensor, matte: Tensor, landmarks: Tensor, pause: Pause = resting
) -> Tensor:
    """The step that brings the head's outline nearer to its matte.

    Args:
        networks: With landmarks.
        styles: Latent rows, one latent in all geometry rows.
        angles: Yaw and pitch of the photo's camera.
        matte: Of the head, in the picture of that camera.
        landmarks: In the same picture, in the model's order.
        pause: Called between steps.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), matte (1, 1, S, S), landmarks (L, 2) in unit picture coordinates;
        returns (style_dim,), to be added to every geometry row.
    """
    field, regressor = networks.generator.field, networks.landmarks
    if regressor is None:
        return torch.zeros_like(styles[0, 0])
    random = torch.Generator().manual_seed(0)
    position, _ = camera_frame(angles)
    lowest = float(landmarks[:, 1].max()) - ABOVE_CHIN
    misfit, steered = LandmarkMisfit(regressor, landmarks), SteeredField(field)
    pose = np.concatenate((as_array(angles[0]), np.zeros(4, np.float32)))
    latent, likely = as_array(styles[0, 0]), Likely(networks.latent_spread, LATENT_SPREAD)
    step = np.zeros_like(latent)
    mean, square = np.zeros_like(step), np.zeros_like(step)
    with torch.inference_mode(), alone():
        for number in range(STEPS):
            pause()
            places = torch.rand(RAYS, 2, generator=random).to(styles)
            places[:, 1] *= lowest
            shown = functional.grid_sample(matte, (places * 2.0 - 1.0)[None, None], align_corners=False)[0, 0, 0]
            sure = (shown > SOLID) | (shown < CLEAR)
            places, solid = places[sure], shown[sure] > 0.5
            directions = rays_through(angles, places[None] * 2.0 - 1.0, HALF_FOV)[0]
            moved = latent + likely.step(step)
            steered.steer(torch.from_numpy(moved).to(styles))
            if number % FRESH == 0:
                approaches = Approaches(steered.sdf, styles.device)
            points, sign = approaches.wrong(steered.sdf, position[0], directions, solid)
            # Of softplus, summed over the rays.
            share = WEIGHT / (SOFTNESS * len(solid))
            pull = partial(_softplus_slope, sign, share)
            _, _, held = misfit(pose, moved)
            gradient = likely.slope(as_array(steered.gradient(points, pull)) + held) + step
            # Adam by hand, as in the landmark polish.
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.99 * square + 0.01 * gradient**2
            spread = np.sqrt(square / (1.0 - 0.99 ** (number + 1)))
            rate = RATE * (1.0 - 0.7 * number / STEPS)
            step = step - rate * mean / (1.0 - 0.9 ** (number + 1)) / (spread + 1e-8)
    return torch.from_numpy(likely.step(step)).to(styles)


def _softplus_slope(sign: Tensor, share: float, distances: Tensor) -> Tensor:
    return share * sign * torch.sigmoid(sign * distances / SOFTNESS)


class Approach(NamedTuple):
    """How rays pass a head, by a coarse volume of its distances.

    Shape:
        nearest, entered, least (N,): depths where a ray comes nearest and where it is first within (infinite where
        never), and the distance at the first.
    """

    nearest: Tensor
    entered: Tensor
    least: Tensor


class Approaches:
    """Where rays come nearest to a head: read off a small volume of its distances.

    A step of the fit moves the surface by little, so the places stay good for some while the distances there are asked
    anew. Tracing every ray of every step through the field took most of the time that a photo took.

    Args:
        sdf: Distances of the head.
        device: Where to keep them.
    """

    def __init__(self, sdf: Distances, device: torch.device) -> None:
        volume = measured(sdf, DRAFT_RESOLUTION, device, Job.quiet(), DRAFT_SAFETY)
        self._volume = volume.permute(2, 1, 0)[None, None].contiguous()

    def along(self, origin: Tensor, directions: Tensor, t: Tensor) -> Approach:
        """Where rays come nearest, of the depths t, and where they are first within."""
        read = interpolated(self._volume, origin + directions[:, None] * t[:, None]).reshape(len(directions), -1)
        within = read < 0.0
        entered = torch.where(within.any(dim=1), t[within.to(torch.int8).argmax(dim=1)], float("inf"))
        least, at = read.min(dim=1)
        return Approach(t[at], entered, least)

    def wrong(self, sdf: Distances, origin: Tensor, directions: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
        """The same as ``nearest_wrong``."""
        t = NEAR + (torch.arange(round((FAR - NEAR) / STRIDE), device=solid.device) + 0.5) * STRIDE
        nearest, entered, _ = self.along(origin, directions, t)
        meets = sdf(origin + directions * nearest[:, None]) <= MEETING
        wrong = meets != solid
        # Judged a little inside of where it enters, but no deeper than where it is nearest.
        depth = torch.where(meets, torch.minimum(entered + 0.5 * STRIDE, nearest), nearest)
        sign = torch.where(solid, 1.0, -1.0)
        return (origin + directions * depth[:, None])[wrong], sign[wrong]


def nearest_wrong(sdf: Sdf, origin: Tensor, directions: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest approaches (N, 3) of rays that miss the head and should not (sign 1), or meet it and should not (-1)."""
    found = trace(sdf, origin, directions, torch.full_like(directions[:, 0], NEAR), TRACING)
    meets = found.gap <= MEETING
    wrong = meets != solid
    depth = torch.where(meets, found.depth + INSIDE, found.depth)
    points = (origin + directions * depth[:, None])[wrong]
    sign = torch.where(solid, 1.0, -1.0)[wrong]
    return points, sign
