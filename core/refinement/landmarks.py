"""A light polish of geometry and pose: the head's landmarks are moved onto those that the detector found in the photo.

The projected photo is only as good as the place it lands on, and E0, trained on renders, is a few degrees and
millimetres off on photographs. Landmarks correct that without any photometric loss (which was measured to collapse the
geometry): a small network knows where the world's landmark vertices lie for a latent, so pose, framing and one shared
step of the geometry rows can be fitted in a fraction of a second. The step is held by the latents' own distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.landmarks import LandmarkRegressor
from core.rendering.hands import Pause, alone, resting
from core.visibility import project

# Landmarks of detector and world agree to about this much (unit picture coordinates, 1.5 px of 256).
TOLERANCE = 0.006
# 345 points of one face do not err independently; they count as so many.
INDEPENDENT = 60.0
# Standard deviations of E0's own errors, in the order of the pose: yaw, pitch [rad], log scale, roll, dx, dy.
POSE_SPREAD = (0.15, 0.15, 0.05, 0.03, 0.03, 0.03)
# How far E0's latents are trusted: standard deviation of its error in units of the latents' own.
LATENT_SPREAD = 0.5
STEPS = 80
# A step takes a millisecond or two.
STEPS_A_PAUSE = 8
RATE = 0.05


@dataclass(frozen=True, eq=False)
class Polished:
    """Where landmarks say that head and camera are.

    Shape:
        step (style_dim,) to be added to every geometry row; pose (6,) yaw, pitch, log scale, roll, dx, dy of the
        canonical camera's picture in the crop at hand.
    """

    step: Tensor
    pose: Tensor
    before: float
    """Mean distance of the landmarks before, in unit picture coordinates."""
    after: float


def framed(pose: Tensor, places: Tensor) -> Tensor:
    """Crop coordinates of places in the canonical camera's picture, both unit; the law of ``core.alignment.Framing``.

    Shape:
        pose (6,), places (L, 2); returns (L, 2).
    """
    cosine, sine = pose[3].cos(), pose[3].sin()
    centred = (places - 0.5) * pose[2].exp()
    turned = torch.stack((cosine * centred[:, 0] - sine * centred[:, 1], sine * centred[:, 0] + cosine * centred[:, 1]))
    return turned.T + 0.5 + pose[4:6]


def polish(
    regressor: LandmarkRegressor, styles: Tensor, pose: Tensor, landmarks: Tensor, pause: Pause = resting
) -> Polished:
    """Fit pose, framing and geometry to 2D landmarks, starting from E0's answer.

    Args:
        regressor: Latent to 3D landmarks.
        styles: E0's latent rows.
        pose: E0's pose and framing of the crop at hand.
        landmarks: What the detector found in that crop, in the regressor's order.
        pause: Called between steps.

    Returns:
        The fit; the starting point itself if it could not be improved.

    Shape:
        styles (1, rows, style_dim), pose (6,), landmarks (L, 2) in unit crop coordinates.
    """

    def distances(unknown: Tensor) -> Tensor:
        moved = start + unknown[:6] * spread
        points = regressor((latent + unknown[6:] * scale)[None])
        uv, _ = project(points, moved[None, :2])
        away: Tensor = torch.linalg.vector_norm(framed(moved, (uv[0] + 1.0) / 2.0) - wanted, dim=-1)
        return away

    with torch.inference_mode(mode=False), torch.enable_grad(), alone():
        # Copies: tensors that were made in inference mode can take no part in a gradient.
        start, wanted, latent = pose.clone(), landmarks.clone(), styles[0, :-1].mean(dim=0)
        spread = torch.tensor(POSE_SPREAD, device=pose.device)
        scale = regressor.get_buffer("w_std") * LATENT_SPREAD
        unknown = torch.zeros(6 + len(latent), device=pose.device, requires_grad=True)
        mean, square = torch.zeros_like(unknown), torch.zeros_like(unknown)
        for step in range(STEPS):
            if step % STEPS_A_PAUSE == 0:
                pause()
            misfit = distances(unknown) / TOLERANCE
            # Charbonnier: squared near 0, linear for points that the detector put elsewhere (covered, off a contour).
            data = ((1.0 + misfit.square()).sqrt() - 1.0).mean() * INDEPENDENT
            loss = data + 0.5 * unknown.square().sum()
            # Adam (Kingma & Ba 2015, algorithm 1) by hand: torch.optim brings torch.compile and Triton along. It takes
            # seconds and, in a process where Mesa draws with an LLVM of its own, ends the program.
            (gradient,) = torch.autograd.grad(loss, unknown)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient.square()
            steady = mean / (1.0 - 0.9 ** (step + 1))
            spread_of = (square / (1.0 - 0.999 ** (step + 1))).sqrt()
            rate = RATE * (1.0 - step / STEPS) + 1e-3
            unknown = (unknown - rate * steady / (spread_of + 1e-8)).detach().requires_grad_()
        with torch.no_grad():
            before = float(distances(torch.zeros_like(unknown)).mean())
            after = float(distances(unknown).mean())
    if not after < before:
        return Polished(torch.zeros_like(styles[0, 0]), pose, before, before)
    found = unknown.detach()
    return Polished(found[6:] * scale, start + found[:6] * spread, before, after)
