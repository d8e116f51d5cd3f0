"""Surface-guided ray samples: spend the field's evaluations where an opaque SDF has its weight.

An SDF head is opaque: of the 24 plain samples of a ray (StyleSDF, Section 3.2) all but a few have no weight. Here
each ray is sphere-traced without gradients to its first crossing, and only a handful of samples around it are handed
to the volume integration, which stays the one of :mod:`core.models.volume`. Knows nothing of photos, cameras or
devices.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SdfFunction = Callable[[Tensor], Tensor]

STEP_SHARE = 0.9
"""Share of the distance that a step takes: the learned field is only nearly 1-Lipschitz."""
SMALLEST_STEP = 0.001
"""World units. Keeps grazing rays moving; below the thickness of an ear rim (about 0.004)."""


@torch.no_grad()
def trace_surface(
    sdf: SdfFunction,
    origins: Tensor,
    directions: Tensor,
    *,
    steps: int = 12,
    near: float = 0.88,
    far: float = 1.12,
) -> tuple[Tensor, Tensor]:
    """Finds the first surface along each ray by sphere tracing with a final secant step.

    Args:
        sdf: Signed distance (B, N, 1) of world points (B, N, 3), negative inside.
        origins: Camera positions (B, 3), world frame.
        directions: Ray directions (B, R, 3) with optical-axis depth 1 (not normalised).
        steps: Evaluations of the field per ray.
        near: Optical-axis depth where tracing begins.
        far: Optical-axis depth where it ends.

    Returns:
        Optical-axis depth of the crossing (B, R); for rays that miss, of the closest approach. And the smallest signed
        distance met before the crossing (B, R): positive for rays that miss.
    """
    batch, rays, _ = directions.shape
    length = directions.norm(dim=-1)
    t = torch.full((batch, rays), near, device=directions.device, dtype=directions.dtype)
    outside_t, outside_d = t.clone(), torch.ones_like(t)
    inside_t, inside_d = torch.full_like(t, far), torch.full_like(t, -1.0)
    best_t, best_d = t.clone(), torch.ones_like(t)
    crossed = torch.zeros_like(t, dtype=torch.bool)
    for _ in range(steps):
        d = sdf(origins[:, None] + directions * t[..., None])[..., 0].to(t.dtype)
        inside = d < 0
        inside_t, inside_d = torch.where(inside, t, inside_t), torch.where(inside, d, inside_d)
        outside_t, outside_d = torch.where(inside, outside_t, t), torch.where(inside, outside_d, d)
        crossed = crossed | inside
        closer = (d < best_d) & ~crossed
        best_t, best_d = torch.where(closer, t, best_t), torch.where(closer, d, best_d)
        # Once a sign change brackets the crossing, the secant through the bracket replaces the step.
        secant = outside_t + (inside_t - outside_t) * outside_d / (outside_d - inside_d).clamp(min=1e-6)
        step = (t + (STEP_SHARE * d / length).clamp(min=SMALLEST_STEP)).clamp(max=far)
        t = torch.where(crossed, secant, step)
    best_t, best_d = torch.where(crossed, t, best_t), torch.where(crossed, inside_d, best_d)
    return best_t, best_d


def surface_samples(
    sdf: SdfFunction,
    origins: Tensor,
    directions: Tensor,
    *,
    steps: int = 12,
    fine: int = 6,
    spacing: float = 0.003,
    near: float = 0.88,
    far: float = 1.12,
) -> tuple[Tensor, Tensor]:
    """Places ``fine`` evenly spaced samples around the first surface of each ray.

    Args:
        sdf: Signed distance (B, N, 1) of world points (B, N, 3).
        origins: Camera positions (B, 3), world frame.
        directions: Ray directions (B, R, 3), optical-axis depth 1.
        steps: Evaluations spent on finding the surface.
        fine: Samples a ray, S.
        spacing: Optical-axis distance between samples, about the width of the density's sigmoid.
        near: Optical-axis depth where tracing begins.
        far: Optical-axis depth where it ends.

    Returns:
        Optical-axis depths t (B, R, S) and interval lengths (B, R, S) in world units for the quadrature.
    """
    t0, _ = trace_surface(sdf, origins, directions, steps=steps, near=near, far=far)
    # One third of the samples before the crossing, two thirds behind: weight falls off after the surface is entered.
    offsets = (torch.arange(fine, device=t0.device, dtype=t0.dtype) - (fine - 1) * 0.4) * spacing
    t = t0[..., None] + offsets
    deltas = spacing * directions.norm(dim=-1, keepdim=True).expand_as(t)
    return t, deltas
