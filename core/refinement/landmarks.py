"""A light polish of geometry and pose: the head's landmarks are moved onto those that the detector found in the photo.

The projected photo is only as good as the place it lands on, and E0, trained on renders, is a few degrees and
millimetres off on photographs. Landmarks correct that without any photometric loss (which was measured to collapse the
geometry): a small network knows where the world's landmark vertices lie for a latent, so pose, framing and one shared
step of the geometry rows can be fitted in a fraction of a second. The step is held by what heads differ by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.camera import HALF_FOV
from core.models.landmarks import LandmarkRegressor
from core.rendering.hands import Pause, alone, resting

Floats = NDArray[np.float32]

# Landmarks of detector and world agree to about this much (unit picture coordinates, 1.5 px of 256).
TOLERANCE = 0.006
# 345 points of one face do not err independently; they count as so many.
INDEPENDENT = 60.0
# Standard deviations of E0's own errors, in the order of the pose: yaw, pitch [rad], log scale, roll, dx, dy.
POSE_SPREAD = (0.15, 0.15, 0.05, 0.03, 0.03, 0.03)
# How far E0's latents are trusted: its error in units of what heads differ by.
LATENT_SPREAD = 1.0
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
    regressor: LandmarkRegressor,
    latent_spread: Tensor,
    styles: Tensor,
    pose: Tensor,
    landmarks: Tensor,
    pause: Pause = resting,
) -> Polished:
    """Fit pose, framing and geometry to 2D landmarks, starting from E0's answer.

    Args:
        regressor: Latent to 3D landmarks.
        latent_spread: What heads differ by in w (``core.models.spread``).
        styles: E0's latent rows.
        pose: E0's pose and framing of the crop at hand.
        landmarks: What the detector found in that crop, in the regressor's order.
        pause: Called between steps.

    Returns:
        The fit; the starting point itself if it could not be improved.

    Shape:
        latent_spread (style_dim, style_dim), styles (1, rows, style_dim), pose (6,), landmarks (L, 2) in unit crop
        coordinates.
    """
    misfit = LandmarkMisfit(regressor, landmarks)
    start, latent = as_array(pose), as_array(styles[0, :-1].mean(dim=0))
    spread, likely = np.array(POSE_SPREAD, np.float32), Likely(latent_spread, LATENT_SPREAD)
    unknown = np.zeros(6 + len(latent), np.float32)
    mean, square = np.zeros_like(unknown), np.zeros_like(unknown)
    with alone():
        before, _, _ = misfit(start, latent)
        for step in range(STEPS):
            if step % STEPS_A_PAUSE == 0:
                pause()
            _, to_pose, to_latent = misfit(start + unknown[:6] * spread, latent + likely.step(unknown[6:]))
            gradient = unknown + np.concatenate((to_pose * spread, likely.slope(to_latent)))
            # Adam (Kingma & Ba 2015, algorithm 1) by hand: torch.optim brings torch.compile and Triton along. It takes
            # seconds and, in a process where Mesa draws with an LLVM of its own, ends the program.
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            steady = mean / (1.0 - 0.9 ** (step + 1))
            spread_of = np.sqrt(square / (1.0 - 0.999 ** (step + 1)))
            rate = RATE * (1.0 - step / STEPS) + 1e-3
            unknown = unknown - rate * steady / (spread_of + 1e-8)
        after, _, _ = misfit(start + unknown[:6] * spread, latent + likely.step(unknown[6:]))
    if not after < before:
        return Polished(torch.zeros_like(styles[0, 0]), pose, before, before)
    moved, turned = (torch.from_numpy(part).to(pose) for part in (likely.step(unknown[6:]), unknown[:6] * spread))
    return Polished(moved, pose + turned, before, after)


class Likely:
    """Steps of a latent in units of what heads differ by: a step of N(0, I) leads from head to head.

    Args:
        latent_spread: The symmetric root of the covariance of w.
        share: How many times that far.

    Shape:
        latent_spread (style_dim, style_dim).
    """

    def __init__(self, latent_spread: Tensor, share: float) -> None:
        self._root = latent_spread.detach().float().cpu() * share

    def step(self, unknown: Floats) -> Floats:
        """Of w (style_dim,)."""
        return as_array(torch.mv(self._root, torch.from_numpy(np.ascontiguousarray(unknown))))

    def slope(self, gradient: Floats) -> Floats:
        """The gradient in the unknown of a gradient in w; the same product, for the root is symmetric."""
        return self.step(gradient)


class LandmarkMisfit:
    """How far a head's landmarks are off, and the gradient of what a fit makes small.

    The gradient is written out. Autograd takes three times as long for it, and twice that again while another thread
    works beside it: its hundreds of operations take microseconds each, and every one asks for the interpreter anew.

    Args:
        regressor: Latent to 3D landmarks.
        landmarks: Where the landmarks should be, unit coordinates.

    Shape:
        landmarks (L, 2).
    """

    def __init__(self, regressor: LandmarkRegressor, landmarks: Tensor) -> None:
        first, _, second, _, third = (layer for layer in regressor.layers)
        # Transposed copies: both directions then read memory in a row.
        self._layers = [
            (weight, weight.T.contiguous(), layer.bias.detach().float().cpu())
            for layer in (first, second, third)
            if isinstance(layer, nn.Linear)
            for weight in (layer.weight.detach().float().cpu(),)
        ]
        self._mean, self._scale, self._wanted = (
            as_array(regressor.mean),
            np.float32(regressor.scale),
            as_array(landmarks),
        )
        self._middle, self._deviation = as_array(regressor.w_mean), as_array(regressor.w_std)

    def __call__(self, pose: Floats, latent: Floats) -> tuple[float, Floats, Floats]:
        """Mean distance [unit picture coordinates], and the gradients of the loss in pose and latent.

        Shape:
            pose (6,): yaw, pitch, log scale, roll, dx, dy; latent (style_dim,); returns (), (6,), (style_dim,).
        """
        yaw, pitch, grown, roll, right, down = pose
        inputs = torch.from_numpy((latent - self._middle) / self._deviation)
        one = torch.addmv(self._layers[0][2], self._layers[0][0], inputs)
        two = torch.addmv(self._layers[1][2], self._layers[1][0], functional.silu(one))
        out = torch.addmv(self._layers[2][2], self._layers[2][0], functional.silu(two)).numpy()
        points = self._mean + self._scale * out.reshape(-1, 3)

        # The camera's axes, as in ``core.tensor_camera.camera_frame``, and their slopes.
        (sy, cy), (sp, cp) = (np.sin(yaw), np.cos(yaw)), (np.sin(pitch), np.cos(pitch))
        axes = np.array([[cy, 0, -sy], [-sp * sy, cp, -sp * cy], [cp * sy, sp, cp * cy]], np.float32)
        turning = np.array([[-sy, 0, -cy], [-sp * cy, 0, sp * sy], [cp * cy, 0, -cp * sy]], np.float32)
        x, y, z = axes @ points.T
        tangent = np.float32(math.tan(HALF_FOV))
        shrink = tangent * (1.0 - z)
        uv = np.stack((x, -y)) / shrink
        size, turn = np.exp(grown), np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]], np.float32)
        placed = 0.5 * size * (turn @ uv)
        off = placed + np.array([[0.5 + right], [0.5 + down]], np.float32) - self._wanted.T
        away = np.sqrt((off**2).sum(axis=0))

        # Charbonnier: squared near 0, linear for points that the detector put elsewhere (covered, off a contour).
        pull = off * (INDEPENDENT / (len(points) * TOLERANCE**2)) / np.sqrt(1.0 + (away / TOLERANCE) ** 2)
        g_uv = 0.5 * size * (turn.T @ pull)
        g_x, g_y = g_uv[0] / shrink, -g_uv[1] / shrink
        g_z = tangent * (g_uv * uv).sum(axis=0) / shrink
        g_axes = np.stack((g_x, g_y, g_z))
        to_pose = np.array(
            [
                (g_axes * (turning @ points.T)).sum(),
                (g_z * y - g_y * z).sum(),
                (pull * placed).sum(),
                (pull[1] * placed[0] - pull[0] * placed[1]).sum(),
                pull[0].sum(),
                pull[1].sum(),
            ],
            np.float32,
        )
        g_out = torch.from_numpy((self._scale * (g_axes.T @ axes)).astype(np.float32).reshape(-1))
        g_two = torch.mv(self._layers[2][1], g_out).mul_(_silu_slope(two))
        g_one = torch.mv(self._layers[1][1], g_two).mul_(_silu_slope(one))
        to_latent = torch.mv(self._layers[0][1], g_one).numpy() / self._deviation
        return float(away.mean()), to_pose, to_latent.astype(np.float32)


def _silu_slope(x: Tensor) -> Tensor:
    gate = x.sigmoid()
    return gate * (1.0 + x * (1.0 - gate))


def as_array(values: Tensor) -> Floats:
    """The same numbers for numpy, float32."""
    return np.asarray(values.detach().float().cpu().numpy())
