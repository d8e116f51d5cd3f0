"""Rays of one camera onto the surface of one head, with as few evaluations of the field as the picture allows.

The training code samples every ray for itself (``core.models.guided``). Here a picture's rays share their search: a
coarse picture is traced first and tells its children where to start and which of them cannot hit anything. It needs
nothing but the distance: the slow twin of ``core.rendering.search``, which knows the head's shape roughly beforehand.
One head, one camera, no gradients; refuses to know photos.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.models.guided import SMALLEST_STEP, STEP_SHARE
from core.rendering.hands import hands, together
from core.rendering.precision import Sdf
from core.surface_maps import extended
from core.tensor_camera import rays

# Sides of the pictures that are traced one after the other, and the field evaluations that a grazing ray of each may
# cost; most rays are done after three or four.
LEVELS = ((16, 32), (32, 24), (64, 28))
# Rays that pass the surface by less than this still carry a share of its soft density (world units).
SOFT_RIM = 0.008
# Depth range of nine neighbouring pixels below which they show one patch of surface, and how far before it the finer
# picture begins (world units).
SMOOTH, BEFORE_PATCH = 0.02, 0.0015
# Distance at which a ray counts as having met the surface (world units).
TOUCHING = 2e-4
# The same where the surface is met steeply and the slope is roughly known: the step that follows leaves a tenth of it.
NEARLY_TOUCHING, STEEP = 5e-4, 0.5
# Difference of a cubic and a straight line through neighbouring depths below which the cubic is believed, and what a
# rough distance may say there at most (world units).
EVEN, AGREED = 2e-4, 3e-4
# A refined depth may leave its start by this much (world units); farther means that it slid off an edge.
REFINE_REACH = 0.012
# Share of a distance that a step down a known slope leaves over, at most.
LEFT_OVER = 0.15
# Depth before and behind a pixel's surface between which its slope is estimated (world units): a cell of the volume.
BESIDE = 0.003
# A pixel whose last measured distance is below this has met the surface; others look past its silhouette.
SURFACE_FOUND = 0.001


class Crossings(NamedTuple):
    """Where the rays of a square picture meet the surface.

    Shape:
        depth (R,) optical-axis depth of the crossing or of the closest approach; gap (R,) smallest signed distance
        before it: below 0 for hits, up to infinity for rays that were never looked at; entry (R,) depth up to which the
        tube around the ray is known to be empty, infinity if all of it is.
    """

    depth: Tensor
    gap: Tensor
    entry: Tensor

    @property
    def hit(self) -> Tensor:
        """(R,) bool."""
        return self.gap <= 0.0


class SurfaceMap(NamedTuple):
    """The surface as a camera sees it.

    Shape:
        depth (1, 1, s, s) optical-axis depth, carried past the silhouette; points (1, 3, s, s) world; hit (1, 1, s, s)
        0 or 1.
    """

    depth: Tensor
    points: Tensor
    hit: Tensor


def trace(sdf: Sdf, origin: Tensor, directions: Tensor, start: Tensor, steps: int, reach: float = 0.0) -> Crossings:
    """Sphere-trace rays from given depths; once a sign change is bracketed, secant steps close in on it.

    Rays that are done, because they are on the surface or leave it behind, are not asked again: only grazing rays take
    all steps.

    Args:
        sdf: Distances of points.
        origin: Camera position.
        directions: Of the rays, optical-axis component 1.
        start: Depths to begin at.
        steps: Evaluations that a ray may cost.
        reach: Radius of the tube whose emptiness ``entry`` tells.

    Shape:
        origin (3,), directions (R, 3), start (R,).
    """
    length = directions.norm(dim=-1)
    t = start.clone()
    entry = torch.full_like(t, float("inf"))
    depth, gap = t.clone(), torch.full_like(t, float("inf"))
    # The bracket: last depth outside, first depth inside, and the distances there.
    near_t, near_d = t.clone(), torch.full_like(t, float("inf"))
    far_t, far_d = torch.full_like(t, FAR), torch.full_like(t, -1.0)
    crossed = torch.zeros_like(t, dtype=torch.bool)
    live = torch.arange(len(t), device=t.device)
    for _ in range(steps):
        here = t[live]
        d = sdf((origin + directions[live] * here[:, None])[None])[0, :, 0].to(t.dtype)
        inside = d < 0.0
        # Between two steps the tube was empty for as long as the last distance vouches for it.
        vouched = torch.where(near_d[live].isinf(), here, near_t[live] + (near_d[live] - reach) / length[live])
        entry[live] = torch.where((d < reach) & entry[live].isinf(), torch.minimum(vouched, here), entry[live])
        was_crossed = crossed[live]
        crossed[live] = was_crossed | inside
        far_t[live], far_d[live] = torch.where(inside, here, far_t[live]), torch.where(inside, d, far_d[live])
        near_t[live], near_d[live] = torch.where(inside, near_t[live], here), torch.where(inside, near_d[live], d)
        better = inside | (~was_crossed & (d < gap[live]))
        depth[live] = torch.where(better | was_crossed, here, depth[live])
        gap[live] = torch.where(better, d.clamp(min=-1.0), gap[live])
        before, beyond = near_d[live], far_d[live]
        secant = near_t[live] + (far_t[live] - near_t[live]) * before / (before - beyond)
        # A ray that starts inside has no bracket yet: it steps back by the distance.
        secant = torch.where(before.isinf(), here + d / length[live], secant)
        # A hair beyond the distance, or a ray would creep up to the surface for ever and never bracket it.
        onward = here + (STEP_SHARE * d.clamp(min=0.0) + SMALLEST_STEP) / length[live]
        now_crossed = crossed[live]
        t[live] = torch.where(now_crossed, secant, onward)
        gone = ~now_crossed & (onward > FAR)
        live = live[~(gone | (now_crossed & (d.abs() < TOUCHING)))]
        if not len(live):
            break
    return Crossings(torch.where(crossed, t, depth), torch.where(crossed, gap.clamp(max=0.0), gap), entry)


def crossings(sdf: Sdf, angles: Tensor, half_fov: float = HALF_FOV) -> Crossings:
    """First crossings of a picture's rays, coarse to fine; the last of ``LEVELS`` gives the picture's side.

    Shape:
        angles (1, 2).
    """

    def reach(side: int) -> float:
        """Radius around a ray within which the rays of its pixel, and of half the next ones, lie."""
        return 3.0 * FAR * math.tan(half_fov) / side

    side, steps = LEVELS[0]
    origin, directions = rays(angles, side, half_fov)
    found = trace(sdf, origin[0], directions[0], torch.full_like(directions[0, :, 0], NEAR), steps, reach(side))
    for (coarse, _), (size, steps) in itertools.pairwise(LEVELS):
        begin = found.entry.clamp(max=FAR).reshape(1, 1, coarse, coarse)
        begin = -torch.nn.functional.max_pool2d(-begin, 3, 1, 1)
        begin = torch.nn.functional.interpolate(begin, size=size, mode="nearest-exact")
        begin = torch.where(*_shortcut(found, size), begin).reshape(-1).clamp(min=NEAR)
        origin, directions = rays(angles, size, half_fov)
        active = (begin < FAR).nonzero()[:, 0]
        depth, gap = torch.full_like(begin, FAR), torch.full_like(begin, float("inf"))
        entry = gap.clone()
        if len(active):
            part = trace(sdf, origin[0], directions[0, active], begin[active], steps, reach(size))
            depth[active], gap[active], entry[active] = part
        found = Crossings(depth, gap, entry)
    return found


def _shortcut(found: Crossings, size: int) -> tuple[Tensor, Tensor]:
    """Where a finer picture may begin just before its coarse one's surface, and at which depth.

    In the middle of a smooth patch, all of whose neighbours met the surface at about the same depth, nothing can stand
    before it that is wider than a coarse pixel.

    Shape:
        Returns a mask and depths, (1, 1, size, size).
    """
    side = round(len(found.depth) ** 0.5)
    depth = found.depth.reshape(1, 1, side, side)
    padded = torch.nn.functional.pad(depth, (1, 1, 1, 1), mode="replicate")
    spread = torch.nn.functional.max_pool2d(padded, 3, 1) + torch.nn.functional.max_pool2d(-padded, 3, 1)
    met = -torch.nn.functional.max_pool2d(-found.hit.to(depth.dtype).reshape(1, 1, side, side), 3, 1, 1)
    smooth = ((spread < SMOOTH) & (met > 0.5)).to(depth.dtype)
    mask = torch.nn.functional.interpolate(smooth, size=size, mode="nearest-exact") > 0.5
    near = torch.nn.functional.interpolate(depth, size=size, mode="bilinear", align_corners=False)
    return mask, near - BEFORE_PATCH


def refined_surface(
    sdf: Sdf,
    angles: Tensor,
    found: Crossings,
    size: int,
    steps: int = 4,
    half_fov: float = HALF_FOV,
    estimate: Callable[[Tensor], Tensor] | None = None,
    *,
    guessing: bool = False,
) -> SurfaceMap:
    """The surface at a higher resolution than it was traced at, by secant steps; most pixels need one or two.

    At the resolution that it was traced at it is the crossings themselves.

    Args:
        sdf: Distances of points.
        angles: The camera.
        found: Its rays' crossings at a lower resolution.
        size: Side of the map.
        steps: Evaluations that a pixel may cost.
        half_fov: Of the camera.
        estimate: Distances (...) of points (..., 3), roughly but at next to no cost: they say how steep the surface is.
        guessing: Whether a cubic through the traced depths does where the surface bends evenly and the estimate agrees:
            for colours, not for normals.

    Shape:
        angles (1, 2).
    """
    side = round(len(found.depth) ** 0.5)
    if side == size:
        steps = 0
    hit = found.hit.to(found.depth.dtype).reshape(1, 1, side, side)
    depth = extended(found.depth.reshape(1, 1, side, side), hit)
    smooth = torch.nn.functional.interpolate(depth, size=size, mode="bilinear", align_corners=False)
    nearest = torch.nn.functional.interpolate(depth, size=size, mode="nearest-exact")
    depth = torch.where((smooth - nearest).abs() > 0.5 * REFINE_REACH, nearest, smooth)
    coverage = torch.nn.functional.interpolate(hit, size=size, mode="bilinear", align_corners=False)
    origin, directions = rays(angles, size, half_fov)
    active = (coverage.reshape(-1) > 0.02).nonzero()[:, 0]
    t, gap = depth.reshape(-1).clone(), torch.full_like(depth.reshape(-1), float("inf"))
    if guessing and estimate is not None and steps:
        even, curved = _even(found.depth.reshape(1, 1, side, side), hit, smooth)
        agreed = estimate(origin[0] + directions[0, even] * curved[:, None]).abs() < AGREED
        even, curved = even[agreed], curved[agreed]
        t[even], gap[even] = curved, 0.0
        asked = coverage.reshape(-1) > 0.02
        asked[even] = False
        active = asked.nonzero()[:, 0]
    if len(active) and steps:

        def settled(some: Tensor) -> tuple[Tensor, Tensor]:
            ahead, begin = directions[0, some], t[some]
            slope = None
            if estimate is not None:
                beside = origin[0] + ahead[:, None] * torch.stack((begin - BESIDE, begin + BESIDE), dim=1)[..., None]
                slope = estimate(beside).diff(dim=1)[:, 0] / (2.0 * BESIDE)
            return polished(sdf, origin[0], ahead, begin, steps, slope)

        shares = [active[share :: hands(t.device)] for share in range(hands(t.device))]
        for some, found_there in zip(shares, together(*(partial(settled, some) for some in shares)), strict=True):
            t[some], gap[some] = found_there
    elif len(active):
        gap[active] = torch.where(coverage.reshape(-1)[active] > 0.5, -1.0, 1.0).to(gap.dtype)
    seen = (gap < SURFACE_FOUND).to(t.dtype).reshape(1, 1, size, size)
    depth = extended(t.reshape(1, 1, size, size), seen)
    points = origin[:, None] + directions * depth.reshape(1, -1, 1)
    return SurfaceMap(depth, points.transpose(1, 2).reshape(1, 3, size, size), seen)


def _even(depth: Tensor, hit: Tensor, smooth: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of a larger map whose depth a cubic through their neighbours tells: it hardly leaves the straight line.

    Args:
        depth: What was traced (1, 1, s, s).
        hit: Where it met the surface, likewise.
        smooth: Its bilinear enlargement (1, 1, S, S).

    Shape:
        Returns indices (E,) and depths (E,).
    """
    size = smooth.shape[-1]
    within = -functional.max_pool2d(-hit, 5, 1, 2)
    within = functional.interpolate(within, size=size, mode="nearest-exact")
    cubic = functional.interpolate(depth, size=size, mode="bicubic", align_corners=False)
    even = ((within > 0.5) & ((cubic - smooth).abs() < EVEN)).reshape(-1).nonzero()[:, 0]
    return even, cubic.reshape(-1)[even]


def polished(
    sdf: Sdf, origin: Tensor, directions: Tensor, start: Tensor, steps: int, slope: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Depths nearer to the zero of the distance than ``start``, and the distance there, or the last before it.

    Args:
        sdf: Distances of points.
        origin: Camera position.
        directions: Of the rays.
        start: Depths to begin at.
        steps: Evaluations that a ray may cost.
        slope: How the distance changes along each ray, where that is roughly known: the first step is then nearly as
            good as a second.

    Shape:
        origin (3,), directions (R, 3), start (R,), slope (R,).
    """
    length = directions.norm(dim=-1)
    t, gap = start.clone(), torch.full_like(start, float("inf"))
    before_t, before_d = start.clone(), torch.full_like(start, float("inf"))
    enough = None if slope is None else torch.where(slope < -STEEP, NEARLY_TOUCHING, TOUCHING)
    live = torch.arange(len(t), device=t.device)
    for _ in range(steps):
        here = t[live]
        d = sdf((origin + directions[live] * here[:, None])[None])[0, :, 0].to(start.dtype)
        # What the step that follows leaves of it, where it goes steeply down a slope that is known.
        gap[live] = d.abs() if enough is None else d.abs() * torch.where(enough[live] > TOUCHING, LEFT_OVER, 1.0)
        run = here - before_t[live]
        fall = (d - before_d[live]) / torch.where(run.abs() < 1e-7, torch.full_like(run, 1e-7), run)
        # The distance falls along a ray that enters the surface; anything flatter than this is a silhouette.
        first = d / length[live] if slope is None else -d / slope[live].clamp(max=-STEEP)
        step = torch.where(before_d[live].isinf(), first, -d / fall.clamp(max=-0.15))
        before_t[live], before_d[live] = here, d
        onward = here + step.clamp(-REFINE_REACH, REFINE_REACH)
        t[live] = torch.maximum(torch.minimum(onward, start[live] + REFINE_REACH), start[live] - REFINE_REACH)
        live = live[d.abs() > (TOUCHING if enough is None else enough[live])]
        if not len(live):
            break
    return t, gap
