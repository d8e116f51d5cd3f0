"""Where an edit moves the face: a dense flow from the landmarks of a head in two states.

Landmarks of both states are known exactly as functions of the latent, so their displacement in the photo's view says
where the edited view's pixels lie in the photo; between landmarks it is interpolated, away from the face it fades to
nothing. Used in place of E_ADA's flow where a model knows its landmarks: a network that was trained for minutes moves
a smile less surely than the vertices themselves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.tensor_camera import camera_frame, project

# Reach of a landmark in unit picture coordinates: about the distance of neighbouring landmarks around the mouth.
REACH = 0.012
# Weight at which a pixel counts as far from all landmarks: there the flow fades out, over about three reaches.
FAR_WEIGHT = 0.01
# Reaches from which on even all landmarks together weigh nothing beside that.
NOTHING = 15.0
GRID = 96
# How often what the mean around a landmark takes off its own displacement is added to it. Without, lips between a nose
# and a chin that come nearer to one another would go along with both, whatever their own landmarks do.
CORRECTIONS = 3


def landmark_flow(before: Tensor, after: Tensor, angles: Tensor, size: int, grid: int = GRID) -> Tensor:
    """The flow that carries a photo of one state to another.

    Args:
        before: Landmarks of the head that the photo shows.
        after: The same landmarks of the head that is wanted.
        angles: Camera of the photo, yaw and pitch.
        size: Side of the flow map.
        grid: Side at which it is worked out; it is smooth.

    Shape:
        before, after (1, L, 3), angles (1, 2); returns (1, 2, size, size) in unit picture coordinates: a pixel
        plus its flow is where to look in the photo.
    """
    old, new = ((project(state, angles)[0][0] + 1.0) / 2.0 for state in (before, after))
    steps = (torch.arange(grid, device=old.device, dtype=old.dtype) + 0.5) / grid
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack((u, v), dim=-1).reshape(-1, 2)
    # A heavy-tailed kernel: sharp at the landmarks, and neighbours still rule in the gaps between them.
    # Beyond the reach of all landmarks nothing moves: there it need not be asked.
    low, high = new.amin(dim=0) - NOTHING * REACH, new.amax(dim=0) + NOTHING * REACH
    asked = ((places >= low) & (places <= high)).all(dim=-1)
    moved = places.new_zeros(grid * grid, 2)
    moved[asked] = _shares(places[asked], new) @ _meant(old - new, new)
    return functional.interpolate(
        moved.T.reshape(1, 2, grid, grid), size=(size, size), mode="bilinear", align_corners=False
    )


def anchored(landmarks: Tensor, marks: Tensor, angles: Tensor) -> Tensor:
    """Landmarks of some states of a head, moved to where the photo shows those of the first, as deep as they were.

    Latents have this person's lips a pixel or two beside the photo's, and nearer to one another: what moves theirs then
    moves the skin around the photo's. What differs between two states stays what it was.

    Args:
        landmarks: Of the unedited head, then of others.
        marks: Where a detector saw them in the photo, unit picture coordinates.
        angles: Camera of the photo, yaw and pitch.

    Shape:
        landmarks (S, L, 3), marks (L, 2), angles (1, 2); returns (S, L, 3).
    """
    seen, depth = project(landmarks[:1], angles)
    off = (2.0 * marks - 1.0 - seen[0]) * math.tan(HALF_FOV) * depth[0, :, None]
    _, rotation = camera_frame(angles)
    return landmarks + off[:, :1] * rotation[0, :, 0] - off[:, 1:] * rotation[0, :, 1]


def _shares(places: Tensor, landmarks: Tensor) -> Tensor:
    """How much every landmark has to say at places (N, 2) of unit picture coordinates: (N, L), together 1 or less."""
    away = torch.cdist(places / REACH, landmarks / REACH, compute_mode="use_mm_for_euclid_dist").square_()
    wide = away.mul_(-0.5 / 9.0).exp_()
    # exp(-a / 2) is the ninth power of exp(-a / 18): products are cheaper than another exponential.
    near = wide.square().square_().square_().mul_(wide)
    weight = near.add_(wide, alpha=0.02)
    return weight.div_(weight.sum(dim=1, keepdim=True).add_(FAR_WEIGHT))


def _meant(displacement: Tensor, landmarks: Tensor) -> Tensor:
    """Displacements whose mean around each landmark is its own (L, 2): what a mean takes off them is added before."""
    shares = _shares(landmarks, landmarks)
    found = displacement
    for _ in range(CORRECTIONS):
        found = found + displacement - shares @ found
    return found
