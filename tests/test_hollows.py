"""Shade in hollows: pits are darker, flat skin, outlines and what lies far behind are not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.rendering.contours import Contours
from core.rendering.hollows import DARKEST, LIGHTEST, STEP, hollowed
from core.rendering.surfaces import SurfaceMap

SIDE = 128
GREY = torch.zeros(1, 3, 2 * SIDE, 2 * SIDE)
UNSEEN = torch.ones(1, 1, 2 * SIDE, 2 * SIDE)


def shaded(depth: Tensor, hit: Tensor | None = None, share: Tensor = UNSEEN) -> Tensor:
    """By how much each pixel of a grey picture was made brighter (2 SIDE, 2 SIDE)."""
    hit = torch.ones(1, 1, SIDE, SIDE) if hit is None else hit
    surface = SurfaceMap(depth, torch.zeros(1, 3, SIDE, SIDE), hit)
    return hollowed(GREY, surface, share, HALF_FOV)[0, 0]


def pit(deep: float) -> Tensor:
    """A plane with a pit of ten pixels in its middle."""
    depth = torch.ones(1, 1, SIDE, SIDE)
    depth[..., 59:69, 59:69] += deep
    return depth


def test_a_plane_has_no_shade_and_a_slope_neither() -> None:
    assert torch.equal(shaded(torch.ones(1, 1, SIDE, SIDE)), torch.zeros(2 * SIDE, 2 * SIDE))
    slope = 1.0 + 0.1 * torch.linspace(-1, 1, SIDE).expand(1, 1, SIDE, SIDE)
    assert shaded(slope)[40:-40, 40:-40].abs().max() < 1e-4


def test_a_pit_is_darker_and_its_brim_a_little_lighter() -> None:
    found = shaded(pit(0.004))
    assert -DARKEST <= float(found[SIDE, SIDE]) < -0.05
    assert 0.0 < float(found[SIDE, SIDE + 13]) < 0.06
    assert abs(float(found[SIDE, 20])) < 1e-4


def test_the_shade_of_a_step_is_bounded_and_ends_beside_it() -> None:
    """Of a chin before a neck, or an ear before hair: a shade of contact, and no more."""
    found = shaded(pit(3.0 * STEP))
    assert float(found.min()) >= -DARKEST
    assert float(found.max()) <= LIGHTEST + 1e-6
    far = torch.ones_like(found, dtype=torch.bool)
    far[SIDE - 40 : SIDE + 40, SIDE - 40 : SIDE + 40] = False
    assert torch.equal(found[far], torch.zeros_like(found[far]))
    # Its bottom is a thing of its own.
    assert abs(float(shaded(_wide(3.0 * STEP))[SIDE, SIDE])) < 1e-4


def _wide(deep: float) -> Tensor:
    depth = torch.ones(1, 1, SIDE, SIDE)
    depth[..., 34:94, 34:94] += deep
    return depth


def test_outlines_are_no_ridges() -> None:
    hit = torch.zeros(1, 1, SIDE, SIDE)
    hit[..., :64] = 1.0
    round_off = 1.0 + 0.02 * torch.linspace(0, 2, SIDE).clamp(max=1).pow(4).expand(1, 1, SIDE, SIDE)
    assert shaded(round_off, hit)[:, 120:].abs().max() < 0.01


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_where_the_photo_is_seen_it_says_how_dark_it_is(share: float) -> None:
    found, whole = shaded(pit(0.004), share=share * UNSEEN), shaded(pit(0.004))
    assert torch.allclose(found, share * whole, atol=1e-6)


def test_shade_beside_a_contour_ends_where_the_contour_does() -> None:
    """A jaw before a neck, whose edge rises by one pixel in six: plainly enlarged, its shade is a stair."""
    fine, pixel = 4 * SIDE, 2.0 * math.tan(HALF_FOV) / SIDE
    columns, rows = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="xy")
    below = (rows - 64.0 - (columns - 64.0) / 6.0)[None, None]  # pixels under the edge
    depth = torch.where(below > 0.0, 1.0 + 1.5 * STEP, 1.0)
    zone = (below.abs() < 3.0).float()
    front, back = torch.ones_like(depth), torch.full_like(depth, 1.0 + 1.5 * STEP)
    layers = Contours(front, back, below * pixel, zone, torch.zeros_like(zone))
    surface = SurfaceMap(depth, torch.zeros(1, 3, SIDE, SIDE), torch.ones_like(depth))
    own, share = torch.zeros(1, 3, fine, fine), torch.ones(1, 1, fine, fine)
    middle = slice(fine // 2 - 60, fine // 2 + 60)
    truth = fine / 2 + (torch.arange(fine)[middle] + 0.5 - fine / 2) / 6.0

    def edge(layers: Contours | None) -> Tensor:
        """In which row every column gets dark."""
        shade = hollowed(own, surface, share, HALF_FOV, layers)[0, 0, :, middle]
        return shade.diff(dim=0).argmin(dim=0) + 1.0

    smooth, stairs = (edge(one) - truth for one in (layers, None))
    assert float((smooth - smooth.mean()).abs().max()) < 1.3
    assert float((stairs - stairs.mean()).abs().max()) > 1.8
