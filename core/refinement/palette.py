"""A start for tuning: the field's colour head fitted to its targets in closed form.

The unrefined head leaves its tones to the photo (``core.rendering.tones``); tuned weights must say them themselves, and
gradient descent spends a quarter of a short run on nothing else. The head is linear in the field's features, so a few
Gauss-Newton steps over all views do it at once, held to the weights as they were where the views say little.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from core.models.generator import Generator
from core.models.volume import VolumeMaps
from core.rendering.hands import Pause, resting

STEPS = 4
HELD = 1e-2
"""Weight of the colour head as it was against the mean over all pixels."""
THIN = 0.5
"""Alpha below which a pixel of the field's picture shows too little to count."""


@torch.no_grad()
def fit_colours(
    generator: Generator, seen: Sequence[tuple[VolumeMaps, Tensor, Tensor]], pause: Pause = resting
) -> None:
    """Change weight and bias of the colour head so that the field's own pictures meet their targets.

    Args:
        generator: The copy that is being tuned; changed in place.
        seen: Per view its maps, the wanted colours, straight, and how much each pixel counts.
        pause: Called between steps.

    Shape:
        maps at s x s; colours (1, 3, s, s) in [-1, 1]; weights (1, 1, s, s).
    """
    head = generator.field.rgb_linear
    features, wanted, weights = [], [], []
    for maps, colours, weight in seen:
        solid = (maps.alpha > THIN).flatten()
        mean = (maps.feature / maps.alpha.clamp(min=THIN)).flatten(2)[0].T
        features.append(functional.pad(mean[solid], (0, 1), value=1.0))
        wanted.append(colours.flatten(2)[0].T[solid])
        weights.append(weight.flatten()[solid] / max(1, len(seen)))
    rows, target, share = torch.cat(features).double(), torch.cat(wanted).double(), torch.cat(weights).double()
    if not bool(share.sum() > 0):
        return
    share = share / share.sum()
    start = torch.cat((head.weight, head.bias[:, None]), dim=1).double()  # (3, W + 1)
    held = HELD * torch.eye(start.shape[1], dtype=torch.float64, device=start.device)
    found = start.clone()
    for _ in range(STEPS):
        lit = torch.sigmoid(rows @ found.T)
        slope = 2.0 * lit * (1.0 - lit)
        missing = target - (2.0 * lit - 1.0)
        for channel in range(3):
            pause()
            scaled = rows * slope[:, channel, None]
            normal = scaled.T @ (scaled * share[:, None]) + held
            pull = scaled.T @ (missing[:, channel] * share) - held @ (found[channel] - start[channel])
            found[channel] += torch.linalg.solve(normal, pull)
    head.weight.copy_(found[:, :-1])
    head.bias.copy_(found[:, -1])
