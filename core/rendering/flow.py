"""Where an edit moves the face: a dense flow from the landmarks of a head in two states.

Landmarks of both states are known exactly as functions of the latent, so their displacement in the photo's view says
where the edited view's pixels lie in the photo; between landmarks it is interpolated, away from the face it fades to
nothing. Used in place of E_ADA's flow where a model knows its landmarks: a network that was trained for minutes moves
a smile less surely than the vertices themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.models.landmarks import LandmarkRegressor
from core.visibility import project

# Reach of a landmark in unit picture coordinates: about the distance of neighbouring landmarks around the mouth.
REACH = 0.012
# Weight at which a pixel counts as far from all landmarks: there the flow fades out, over about three reaches.
FAR_WEIGHT = 0.01
GRID = 96


def landmark_flow(regressor: LandmarkRegressor, before: Tensor, after: Tensor, angles: Tensor, size: int) -> Tensor:
    """The flow that carries a photo of one state to another.

    Args:
        regressor: Latent to landmarks.
        before: Latent of the geometry that the photo shows.
        after: Latent of the geometry that is wanted.
        angles: Camera of the photo, yaw and pitch.
        size: Side of the flow map.

    Shape:
        before, after (1, style_dim), angles (1, 2); returns (1, 2, size, size) in unit picture coordinates: a pixel
        plus its flow is where to look in the photo.
    """
    old, new = ((project(regressor(w), angles)[0][0] + 1.0) / 2.0 for w in (before, after))
    steps = (torch.arange(GRID, device=old.device, dtype=old.dtype) + 0.5) / GRID
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack((u, v), dim=-1).reshape(-1, 2)
    # A heavy-tailed kernel: sharp at the landmarks, and neighbours still rule in the gaps between them.
    away = torch.cdist(places, new).div(REACH).square()
    near = torch.exp(-0.5 * away)
    wide = torch.exp(-0.5 * away / 9.0) * 0.02
    weight = near + wide
    total = weight.sum(dim=1, keepdim=True)
    moved = (weight @ (old - new)) / (total + FAR_WEIGHT)
    return functional.interpolate(
        moved.T.reshape(1, 2, GRID, GRID), size=(size, size), mode="bilinear", align_corners=False
    )
