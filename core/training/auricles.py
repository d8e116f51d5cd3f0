"""Fits where heads of a generator have their ears: a ridge regression from w to frames of the world's exact ears."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.job import Job
from core.models.auricles import SCALE, AuricleFrames
from core.models.generator import Generator
from core.training.latents import latent_statistics
from core.world.assets import Pack
from core.world.auricles import PIXELS, WINDOW, ear_chart, ear_frames, ear_relief, neutral_head

__all__ = ["auricle_frames", "auricle_misfit"]

RIDGE = 100.0
EVERY = 2  # of the ear's vertices is kept to lay it on a field's ear
REPORTED = 500  # heads


def auricle_frames(
    generator: Generator, pack: Pack, heads: int, job: Job, seed: int = 0
) -> tuple[AuricleFrames, float]:
    """Ears of a generator's latents.

    Args:
        generator: Whose latents are read.
        pack: The world's meshes.
        heads: How many are looked at; a tenth takes no part in the regression.
        job: Progress and cancelling.
        seed: Of their codes.

    Returns:
        The frames, and how far points of ears of those that took no part are off in the mean (world units).
    """
    chart, relief = ear_chart(pack), ear_relief(pack, ear_chart(pack))
    codes = np.random.default_rng(seed).standard_normal((heads, generator.config.z_dim)).astype(np.float32)
    frames = np.zeros((heads, 2, 4, 3), np.float32)
    for number, code in enumerate(codes):
        frames[number] = ear_frames(chart, neutral_head(pack, code))
        if number % REPORTED == 0:
            job.report(number / heads, "measuring ears")
    latents = latent_statistics(generator)
    with torch.no_grad():
        w = torch.cat([generator.mapping(part) for part in torch.from_numpy(codes).split(4096)])
    found = AuricleFrames(len(latents.w_mean), -(-len(chart.places) // EVERY), PIXELS)
    found.w_mean.copy_(latents.w_mean)
    found.w_std.copy_(latents.w_std)
    found.points.copy_(torch.from_numpy(chart.places[::EVERY]))
    found.relief.copy_(torch.from_numpy(np.stack((relief.shade, relief.near, relief.auricle, relief.height))))
    found.window.copy_(torch.tensor(WINDOW))
    told, apart = torch.from_numpy(frames), heads // 10
    normal = ((w - found.w_mean) / found.w_std)[apart:].double()
    found.mean.copy_(told[apart:].mean(dim=0))
    wanted = (told[apart:] - found.mean).flatten(1).double()
    gram = normal.T @ normal + RIDGE * torch.eye(normal.shape[1], dtype=torch.float64)
    found.slope.copy_(torch.linalg.solve(gram, normal.T @ wanted) / SCALE)
    return found, auricle_misfit(found, w[:apart], told[:apart])


def auricle_misfit(found: AuricleFrames, w: Tensor, frames: Tensor) -> float:
    """How far points of ears are from true ones, mean over heads and points (world units)."""
    places = torch.cat((found.points, torch.ones_like(found.points[:, :1])), dim=1)
    return float((places @ (found(w) - frames)).norm(dim=-1).mean())
