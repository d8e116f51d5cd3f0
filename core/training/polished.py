"""Latents as the program has them: polished by landmarks after they were read, many heads at once.

``core.refinement.landmarks.polish`` for a batch, by autograd and without its care for a window's threads; a test holds
both to each other. What a detector finds is not where a head's landmark vertices are, and its errors are alike in
neighbouring places: ``as_detected`` has both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.landmarks import LandmarkRegressor
from core.refinement.landmarks import INDEPENDENT, LATENT_SPREAD, POSE_SPREAD, RATE, STEPS, TOLERANCE
from core.training.views import HALF_FOV, frame_points, project

REACH = 0.015
"""Over how far on the mean head [world units] a detector's errors are alike."""
SHARED, OWN = 0.0025, 0.0012
"""Standard deviations of what it is off, alike for neighbours and each by itself [unit picture coordinates]."""


def as_detected(regressor: LandmarkRegressor, places: Tensor) -> Tensor:
    """Landmarks (N, L, 2), unit coordinates, with a detector's errors."""
    nearby = torch.cdist(regressor.mean, regressor.mean)
    share = torch.exp(-0.5 * (nearby / REACH) ** 2)
    share = share / share.square().sum(1, keepdim=True).sqrt()
    return places + SHARED * (share @ torch.randn_like(places)) + OWN * torch.randn_like(places)


def seen_by(camera: Tensor, points: Tensor) -> Tensor:
    """Unit coordinates (N, P, 2) of world points (N, P, 3) in the pictures of cameras (N, 3)."""
    uv, _ = project(camera, points)
    return (uv + 1) / 2


def polished(
    regressor: LandmarkRegressor, latent_spread: Tensor, latent: Tensor, angles: Tensor, landmarks: Tensor
) -> Tensor:
    """The latents of geometry, moved onto landmarks; as they were where that brings no landmark nearer.

    Args:
        regressor: Latent to 3D landmarks.
        latent_spread: What heads differ by in w (``core.models.spread``).
        latent: What a reader says.
        angles: Where its picture was thought to be taken from; framings start as they are.
        landmarks: What a detector finds in it.

    Shape:
        latent_spread (style_dim, style_dim), latent (N, style_dim), angles (N, 2), landmarks (N, L, 2) in unit picture
        coordinates; returns (N, style_dim).
    """
    n, device = len(latent), latent.device
    spread = torch.tensor(POSE_SPREAD, device=device)
    root = latent_spread * LATENT_SPREAD
    start = torch.cat((angles, angles.new_zeros(n, 4)), 1)
    fov = torch.full((n, 1), HALF_FOV, device=device)
    unknown = torch.zeros(n, 6 + latent.shape[1], device=device, requires_grad=True)

    def away() -> Tensor:
        pose = start + unknown[:, :6] * spread
        points = regressor(latent + unknown[:, 6:] @ root)
        places = seen_by(torch.cat((pose[:, :2], fov), 1), points)
        return (frame_points(pose[:, 2:], places) - landmarks).norm(dim=-1)

    with torch.no_grad():
        before = away().mean(1)
    optimiser = torch.optim.Adam([unknown], lr=RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS) + 1e-3
        optimiser.zero_grad()
        # Charbonnier, as in the program: its gradient is off * INDEPENDENT / (L * TOLERANCE**2) / sqrt(1 + ...).
        misfit = ((1 + (away() / TOLERANCE).square()).sqrt().mean(1) * INDEPENDENT).sum()
        (misfit + 0.5 * unknown.square().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        moved = latent + unknown[:, 6:] @ root
        return torch.where((away().mean(1) < before)[:, None], moved, latent)
