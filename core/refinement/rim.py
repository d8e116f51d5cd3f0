"""The head's outline as a loss on the geometry itself, where latents alone cannot follow the photo's matte.

Rays through pixels near the outline say whether the head should be met there; at their nearest approach the distance
has a gradient. No colour takes part: colours alone flatten a head, a matte only says where it ends. What the matte does
not touch is held by ``losses.shape_drift`` at the surface as it was, seen from all around.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.models.field import Field
from core.models.generator import Generator
from core.models.networks import Networks
from core.refinement.passes import Body, Prepared, prepare
from core.refinement.silhouette import ABOVE_CHIN, CLEAR, SOFTNESS, SOLID, nearest_wrong
from core.rendering.precision import Sdf
from core.tensor_camera import camera_frame, project, rays_through

BAND = 5
"""Pixels of the surface map on either side of an outline, the matte's or the head's, that are asked."""
RAYS = 600
ROUND = (0.6, -0.6, 1.5, -1.5, math.pi)
"""Yaws from the photo's camera at which the surface is held too."""


def outline_loss(
    field: Field,
    sdf: Sdf,
    styles: Tensor,
    angles: Tensor,
    hit: Tensor,
    matte: Tensor,
    lowest: float,
    random: torch.Generator,
    source: Callable[[Tensor], Tensor] = lambda points: points,
) -> Tensor:
    """How far rays near the outline pass on the wrong side of the surface: 1 is ``SOFTNESS`` in the mean.

    Args:
        field: As it is now; gradients reach it.
        sdf: Its distances, strays left out.
        styles: As they are now.
        angles: The photo's camera.
        hit: Where its rays meet the head.
        matte: Where they should.
        lowest: Picture height, 0 top to 1, below which a clear matte says nothing: clothes begin there.
        random: Which rays.
        source: Where to ask the field for places of the head.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), hit (1, 1, s, s) 0 or 1, matte (1, 1, S, S); returns a scalar.
    """
    size = hit.shape[-1]
    wanted = functional.interpolate(matte, size=(size, size), mode="area")
    asked = band(hit) | band((wanted > 0.5).to(hit)) | ((wanted > 0.5) != (hit > 0.5))
    pixels = asked[0, 0].nonzero()
    if not len(pixels):
        return styles.new_zeros(())
    chosen = pixels[torch.randint(len(pixels), (RAYS,), generator=random).to(pixels.device)]
    jitter = torch.rand(RAYS, 2, generator=random).to(styles)
    places = (chosen.flip(-1) + jitter) / size
    shown = functional.grid_sample(matte, (places * 2.0 - 1.0)[None, None], align_corners=False)[0, 0, 0]
    sure = (shown > SOLID) | ((shown < CLEAR) & (places[:, 1] < lowest))
    places, solid = places[sure], shown[sure] > 0.5
    directions = rays_through(angles, places[None] * 2.0 - 1.0, HALF_FOV)[0]
    with torch.no_grad():
        position, _ = camera_frame(angles)
        points, sign = nearest_wrong(sdf, position[0], directions, solid)
    if not len(points):
        return styles.new_zeros(())
    distance = field.sdf(source(points)[None], styles)[0, :, 0]
    return functional.softplus(sign * distance / SOFTNESS).sum() / RAYS


def band(mask: Tensor) -> Tensor:
    """Pixels within ``BAND`` of a mask's edge; the picture's border is none. Shape: mask (1, 1, s, s), returns bool."""
    reach = 2 * BAND + 1
    grown = functional.max_pool2d(mask, reach, 1, BAND)
    return (grown > 0.5) & (-functional.max_pool2d(-mask, reach, 1, BAND) < 0.5)


def lowest_of(networks: Networks, styles: Tensor, angles: Tensor) -> float:
    """Picture height of the chin, a little above it; 1, the picture's end, without landmarks. Shape: as above."""
    if networks.landmarks is None:
        return 1.0
    uv, _ = project(networks.landmarks(styles[:, 0]), angles)
    return float((uv[0, :, 1].amax() + 1.0) / 2.0) - ABOVE_CHIN


@torch.no_grad()
def surface_around(
    generator: Generator, styles: Tensor, ready: Prepared, body: Body, breathe: Callable[[], None]
) -> Tensor:
    """Where the field is asked (N, 3) for the surface that the photo's camera and five others see.

    ``breathe`` is called between them.
    """
    seen = [ready.surface]
    for turn in ROUND:
        breathe()
        angles = ready.angles + ready.angles.new_tensor([[turn, 0.0]])
        seen.append(prepare(generator, styles, angles, body, frozen=False).surface)
    return body.source(torch.cat([one.points.flatten(2)[0].T[one.hit.flatten() > 0.5] for one in seen]))
