"""A small picture enlarged along a surface."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.rendering.contours import Contours
from core.rendering.upsampling import along_surface, steps

COARSE, FINE, SIZE = 16, 64, 128


def slanted(size: int) -> Tensor:
    """How far pixels lie behind a slanting edge, in pictures' widths (1, 1, size, size)."""
    line = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(line, line, indexing="ij")
    return (u + 0.35 * v - 0.65)[None, None]


def two_parts(size: int) -> Tensor:
    """Depths of one part before another."""
    return torch.where(slanted(size) < 0.0, 0.9, 0.95)


def colours(size: int) -> Tensor:
    """The front part is dark, the other light."""
    return torch.where(slanted(size) < 0.0, -1.0, 1.0).expand(1, 3, -1, -1)


def test_parts_end_where_the_finer_surface_does() -> None:
    wanted = colours(SIZE)
    plain = functional.interpolate(colours(COARSE), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    found = along_surface(colours(COARSE), two_parts(COARSE), two_parts(FINE), None, SIZE)
    assert (plain - wanted).abs().mean() > 0.04
    assert (found - wanted).abs().mean() < 0.01
    clear = slanted(SIZE)[0, 0].abs() > 2.0 / FINE
    assert (found - wanted)[0, :, clear].abs().max() < 0.02


@pytest.mark.parametrize("fov", [HALF_FOV, 0.05, 0.16])
def test_contours_say_it_to_the_pixel(fov: float) -> None:
    edge = slanted(FINE) * 2.0 * math.tan(fov) / math.hypot(1.0, 0.35)
    front, back = torch.full_like(edge, 0.9), torch.full_like(edge, 0.95)
    layers = Contours(front, back, edge, torch.ones_like(edge), torch.zeros_like(edge))
    found = along_surface(colours(COARSE), two_parts(COARSE), two_parts(FINE), layers, SIZE, fov)
    stepped = along_surface(colours(COARSE), two_parts(COARSE), two_parts(FINE), None, SIZE)
    # What a pixel on the edge shows of both.
    mixed = (2.0 * slanted(SIZE) * SIZE / math.hypot(1.0, 0.35)).clamp(-1.0, 1.0)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    # Torch's cubics (a = -0.75) bend a straight line by an eighth of a pixel.
    assert (found - mixed)[inner].abs().max() < 0.26
    assert (found - mixed).abs().mean() < 0.5 * (stepped - mixed).abs().mean()


def test_on_one_surface_it_is_smooth() -> None:
    ramp = slanted(COARSE).expand(1, 3, -1, -1)
    flat = torch.full((1, 1, COARSE, COARSE), 0.9)
    found = along_surface(ramp, flat, torch.full((1, 1, FINE, FINE), 0.9), None, SIZE)
    inner = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    assert (found - slanted(SIZE).expand(1, 3, -1, -1))[inner].abs().max() < 0.02
    assert float(steps(flat, SIZE).max()) == 0.0


def test_steps_are_where_parts_meet() -> None:
    found = steps(two_parts(COARSE), SIZE)
    away = slanted(SIZE).abs()
    assert float(found[away < 0.5 / COARSE].min()) > 0.5
    assert float(found[away > 3.0 / COARSE].max()) == 0.0
