"""Rays onto a head whose shape is known roughly: the volume says where, the field says exactly where.

The fast twin of ``surfaces.crossings``, which traces every ray through the field alone. Every ray first reads the
volume. Where that is sure of one crossing, the field only polishes it; where it is not (rims, strands of hair, an ear
before a cheek) the field itself is asked at close intervals. Refuses to know photos.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.rendering.hands import Pause, hands, resting, together
from core.rendering.shape import HeadShape
from core.rendering.surfaces import SOFT_RIM, Crossings, SurfaceMap, polished
from core.surface_maps import extended
from core.tensor_camera import rays, unproject

__all__ = ["at_steps", "located"]

# Depths between two readings of the volume: to find where a ray comes near the surface, and within that (world units).
STRIDE, INTERVAL = 0.01, 0.002
# The learned distance may be as much as this steeper than a true one.
STEEPNESS = 1.6
# Fall of the distance along a ray, per unit of depth, below which it grazes.
GRAZING = 0.25
# Readings of an ordinary ray.
SHORT = 20
# Evaluations that may polish a crossing.
POLISH = 3
# Twice how much a depth may be off the mean of its neighbours' (world units) before one part stands before another: the
# slope of a cheek is none.
STEP = 0.005


def located(
    shape: HeadShape,
    angles: Tensor,
    half_fov: float = HALF_FOV,
    size: int = 64,
    *,
    draft: bool = False,
    pause: Pause = resting,
) -> Crossings:
    """First crossings of a picture's rays.

    Args:
        shape: The head.
        angles: The camera.
        half_fov: Of the camera.
        size: Side of the picture.
        draft: Look half as closely, as while a hand moves: strands of hair may be missed.
        pause: Called between steps.

    Shape:
        angles (1, 2); the result is for size * size rays.
    """
    origin, directions = rays(angles, size, half_fov)
    depth, gap = _shared_out(shape, origin[0], directions[0], 2 if draft else 1, pause)
    # Nothing is claimed about a tube around the rays: nobody is traced after this.
    return Crossings(depth, gap, torch.full_like(depth, NEAR))


def at_steps(
    shape: HeadShape,
    surface: SurfaceMap,
    found: Crossings,
    angles: Tensor,
    half_fov: float = HALF_FOV,
    pause: Pause = resting,
) -> SurfaceMap:
    """A surface map whose pixels beside steps were looked for on their own.

    Elsewhere the depth of a coarser picture's pixels is a good beginning. Where one part stands before another it is
    the wrong part's for half of them, and a sliver of cheek behind a nose may have been met by none.

    Args:
        shape: The head.
        surface: The map.
        found: Crossings at a lower resolution, which it was made of.
        angles: The camera (1, 2).
        half_fov: Of the camera.
        pause: Called between steps.
    """
    side, size = round(len(found.depth) ** 0.5), surface.depth.shape[-1]
    depth, hit = found.depth.reshape(1, 1, side, side), found.hit.reshape(1, 1, side, side)
    if size <= side:
        return surface
    bent = torch.zeros_like(hit)
    for axis in (2, 3):
        before, here, behind = (depth.narrow(axis, start, side - 2) for start in range(3))
        met = hit.narrow(axis, 0, side - 2) & hit.narrow(axis, 1, side - 2) & hit.narrow(axis, 2, side - 2)
        bent.narrow(axis, 1, side - 2).logical_or_(met & ((before - 2.0 * here + behind).abs() > STEP))
    beside = functional.max_pool2d(bent.to(depth), 3, 1, 1)
    step = functional.interpolate(beside, size=size, mode="nearest-exact")
    asked = step.flatten().nonzero()[:, 0]
    if not len(asked):
        return surface
    origin, directions = rays(angles, size, half_fov)
    depths, gaps = _shared_out(shape, origin[0], directions[0, asked], 1, pause)
    flat, seen = surface.depth.flatten().clone(), surface.hit.flatten().clone()
    seen[asked] = (gaps <= 0.0).to(seen)
    flat[asked] = torch.where(gaps <= 0.0, depths, flat[asked])
    seen = seen.reshape(surface.hit.shape)
    deep = extended(flat.reshape(surface.depth.shape), seen)
    return SurfaceMap(deep, unproject(deep, angles, half_fov), seen)


def _shared_out(
    shape: HeadShape, origin: Tensor, directions: Tensor, coarse: int, pause: Pause
) -> tuple[Tensor, Tensor]:
    """Depth and gap of rays, every hand taking every other one: hair and cheek are shared out alike.

    Shape:
        As in :func:`_located`.
    """
    shares = hands(directions.device)
    parts = together(
        *(
            # Only this thread may pause.
            partial(
                _located, shape, origin, directions[share::shares].contiguous(), coarse, resting if share else pause
            )
            for share in range(shares)
        )
    )
    depth, gap = (directions.new_zeros(len(directions)) for _ in range(2))
    for share, (depths, gaps) in enumerate(parts):
        depth[share::shares], gap[share::shares] = depths, gaps
    return depth, gap


def _located(shape: HeadShape, origin: Tensor, directions: Tensor, coarse: int, pause: Pause) -> tuple[Tensor, Tensor]:
    """Depth and gap of rays; see :class:`Crossings`.

    Shape:
        origin (3,), directions (R, 3); readings are ``coarse`` intervals apart; returns (R,) twice.
    """
    depth = directions.new_full((len(directions),), FAR)
    gap = torch.full_like(depth, float("inf"))
    slope = torch.full_like(depth, -1.0)
    active, first, count = _windows(shape, origin, directions)
    # Rays with long windows graze; apart from the others they do not make everybody's tables long.
    for some in (count <= SHORT, count > SHORT):
        if some.any():
            pause()
            part = active[some]
            depth[part], gap[part], slope[part] = _searched(
                shape, origin, directions[part], first[some], count[some].div(coarse).ceil().long(), coarse * INTERVAL
            )
    hit = (gap <= 0.0).nonzero()[:, 0]
    pause()
    if len(hit):
        depth[hit], _ = polished(shape.light, origin, directions[hit], depth[hit], POLISH // coarse, slope[hit])
    return depth, gap


def _windows(shape: HeadShape, origin: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rays that may come near the surface, the depth where they first may, and readings until they are deep inside.

    Shape:
        origin (3,), directions (R, 3); returns (A,) indices, (A,) depths, (A,) counts.
    """
    steps = round((FAR - NEAR) / STRIDE)
    t = NEAR + (torch.arange(steps, device=origin.device) + 0.5) * STRIDE
    read, error = shape.estimate(origin + directions[:, None] * t[:, None])
    # Up to the first reading that is inside even if the volume is wrong there.
    deep = (read < -error).to(torch.int8)
    before = (deep.cumsum(dim=1, dtype=torch.int8) - deep) == 0
    between = error + STEEPNESS * 0.5 * STRIDE
    close = (read < between) & before
    # A ray that only brushes the surface's soft rim needs the place where it comes closest.
    lowest, place = torch.where(before, read, FAR).min(dim=1)
    brushes = ~close.any(dim=1) & (lowest < SOFT_RIM + between.gather(1, place[:, None])[:, 0])
    close[brushes, place[brushes]] = True
    active = close.any(dim=1).nonzero()[:, 0]
    near = close[active].to(torch.int8)
    start = near.argmax(dim=1)
    end = steps - near.flip(1).argmax(dim=1)
    counts = (end - start) * round(STRIDE / INTERVAL)
    return active, NEAR + start * STRIDE, counts


def _searched(
    shape: HeadShape, origin: Tensor, directions: Tensor, first: Tensor, count: Tensor, interval: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Depth and gap of rays with their windows (see :class:`Crossings`), and how the distance falls where they cross.

    Shape:
        directions (A, 3), first (A,), count (A,); returns (A,) three times.
    """
    longest = int(count.max())
    number = torch.arange(longest, device=origin.device)
    t = first[:, None] + (number + 0.5) * interval
    ray, place = (number < count[:, None]).nonzero(as_tuple=True)
    read = t.new_full(t.shape, float("inf"))
    error = torch.zeros_like(read)
    read[ray, place], error[ray, place] = shape.estimate(origin + directions[ray] * t[ray, place][:, None])
    # The part of each ray that counts: up to where even a wrong volume is inside.
    sure = read < -error
    ahead = (sure.cumsum(dim=1) - sure.long()) == 0
    doubtful = (read < error) & ahead
    falling = (read[:, :-1] - read[:, 1:]) > GRAZING * interval
    steady = ~(doubtful[:, :-1] & ahead[:, 1:] & ~falling).any(dim=1)
    clean = sure.any(dim=1) & steady
    asked = doubtful & ~clean[:, None]

    def ask(some: Tensor) -> None:
        ray, place = some.nonzero(as_tuple=True)
        points = origin + directions[ray] * t[ray, place][:, None]
        read[ray, place] = shape.light(points[None])[0, :, 0]

    # Up to where the volume enters first: most rays have then met the surface, and what lies behind is not asked.
    supposed = torch.where((read < 0.0).any(dim=1), (read < 0.0).to(torch.int8).argmax(dim=1), longest)
    front = number <= supposed[:, None] + 1
    ask(asked & front)
    behind = asked & ~front & ~((read < 0.0) & front).any(dim=1)[:, None]
    if behind.any():
        ask(behind)
    read = torch.where(ahead, read, read.new_full((), float("inf")))
    inside = read < 0.0
    hit = inside.any(dim=1)
    entered = inside.to(torch.int8).argmax(dim=1)
    closest = torch.where(hit, entered, read.argmin(dim=1))
    gap = read.gather(1, closest[:, None])[:, 0]
    depth = t.gather(1, closest[:, None])[:, 0]
    before = read.gather(1, (closest - 1).clamp(min=0)[:, None])[:, 0]
    share = (gap / (gap - before)).clamp(0.0, 1.0)
    between = hit & (closest > 0) & before.isfinite()
    depth = torch.where(between, depth - share * interval, depth)
    return depth, gap, torch.where(between, (gap - before) / interval, -1.0)
