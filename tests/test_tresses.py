"""Strands shade hair that no photo saw, and nothing else; as much as the photo's own; no finer than can be drawn."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from core.rendering.tresses import LEAST, MOST, Tresses, contrast_of, tresses_on

FINE = torch.tensor([0.0002])


def shell(count: int = 20_000) -> Tensor:
    """Points of a ball of a head's size."""
    random = torch.Generator().manual_seed(0)
    return 0.09 * torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=1)


@pytest.fixture(scope="module")
def tresses() -> Tresses:
    points = shell()
    behind = points[:, 2] < -0.02
    return tresses_on(points[behind], points[~behind], 0.2)


def test_hair_is_shaded_as_much_as_asked_and_skin_not_at_all(tresses: Tresses) -> None:
    points = shell()
    shade = tresses.shade(points, FINE)[:, 0]
    # At the crown the pattern meets, so there it is faint.
    back, front = (points[:, 2] < -0.05) & (points[:, 1] < 0.03), points[:, 2] > 0.01
    assert float(shade[back].std()) == pytest.approx(0.2, rel=0.25)
    assert abs(float(shade[back].mean()) - 1.0) < 0.03
    assert float((shade[front] - 1.0).abs().max()) == 0.0


def test_strands_run_down_and_not_across(tresses: Tresses) -> None:
    """A millimetre down the back of the head a strand goes on; a few to the side it is another one."""
    turn = torch.linspace(-0.5, 0.5, 2000)
    back = torch.stack((0.09 * turn.sin(), torch.full_like(turn, -0.01), -0.09 * turn.cos()), dim=1)
    here, below, beside = (
        tresses.shade(points, FINE)[:, 0] - 1.0
        for points in (back, back + torch.tensor([0.0, -0.002, 0.0]), back + torch.tensor([0.002, 0.0, 0.0]))
    )
    along = float((here * below).mean() / here.square().mean())
    across = float((here * beside).mean() / here.square().mean())
    assert along > 0.7
    assert across < along - 0.25


def test_the_pattern_closes_around_the_head(tresses: Tresses) -> None:
    """Where its ends meet, behind: shades on both sides of it are the same."""
    everywhere = Tresses(torch.ones_like(tresses.volume), tresses.pattern, tresses.contrast)
    near = torch.tensor([[1e-7, 0.01, -0.1], [-1e-7, 0.01, -0.1]])
    left, right = everywhere.shade(near, FINE)[:, 0]
    assert float((left - right).abs()) < 1e-3
    open_ended = torch.cat((tresses.pattern[..., :-1], -tresses.pattern[..., -1:]), dim=-1)
    left, right = dataclasses.replace(everywhere, pattern=open_ended).shade(near, FINE)[:, 0]
    assert float((left - right).abs()) > 1e-2


@pytest.mark.parametrize(("spacing", "least", "most"), [(0.0008, 0.8, 1.0), (0.0017, 0.3, 0.85), (0.02, 0.0, 0.0)])
def test_what_is_too_fine_for_the_picture_is_left_out(
    tresses: Tresses, spacing: float, least: float, most: float
) -> None:
    points = shell()
    back = points[(points[:, 2] < -0.05) & (points[:, 1] < 0.03)]
    whole = tresses.shade(back, FINE).std()
    assert least <= float(tresses.shade(back, torch.tensor([spacing])).std() / whole) <= most + 1e-6


def test_heads_have_the_same_strands_every_time() -> None:
    points = shell(500)
    first, second = (tresses_on(points[:250], points[250:], 0.1).shade(points, FINE) for _ in range(2))
    assert torch.equal(first, second)


def test_contrast_is_the_photos_and_bounded() -> None:
    hair = torch.ones(1, 1, 128, 128)

    def striped(deviation: float) -> Tensor:
        """Hair of luma 0.5 with stripes, in [-1, 1]."""
        column = math.sqrt(2.0) * deviation * torch.sin(torch.arange(256) * (2.0 * math.pi / 4.0) + 0.7)
        return (2.0 * (0.5 + column) - 1.0).expand(1, 3, 256, 256)

    assert contrast_of(striped(0.0), hair) == LEAST
    assert contrast_of(striped(0.06), hair) == pytest.approx(0.12, rel=0.15)
    assert contrast_of(striped(0.3), hair) == MOST
    assert contrast_of(striped(0.06), torch.zeros_like(hair)) == LEAST
