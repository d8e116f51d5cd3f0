"""Hairlines: an edge of hair that the photo has elsewhere says by how much; outlines are left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.camera import HALF_FOV
from core.refinement.edges import projected, unprojected
from core.refinement.hairline import WITHIN, Hairline
from core.refinement.process import Process

SIDE = 128
AXES = np.eye(3)
DEPTH = 0.92
PIXEL = 2.0 * math.tan(HALF_FOV) * DEPTH / SIDE


def hair_above(row: float, start: int = 0, end: int = SIDE) -> torch.Tensor:
    """Hair (1, 1, SIDE, SIDE) above a row, a pixel soft, in some columns."""
    share = (row - torch.arange(SIDE).float() + 0.5).clamp(0.0, 1.0)[:, None].expand(SIDE, SIDE).clone()
    share[:, :start] = share[:, end:] = 0.0
    return share[None, None]


def a_hairline(own: float, wanted: float, lowest: float = 0.9) -> Hairline | None:
    whole = torch.ones(1, 1, SIDE, SIDE)
    return Hairline.of(hair_above(own), whole, DEPTH * whole, hair_above(wanted), whole, AXES, lowest)


@pytest.mark.parametrize("away", [-5.0, 0.0, 6.0])
def test_an_edge_that_lies_elsewhere_says_by_how_much(away: float) -> None:
    """The place where the photo has it must show what the head has so many pixels higher."""
    line = a_hairline(50.0, 50.0 + away)
    assert line is not None
    ties = line.ties(AXES, None)
    assert ties is not None
    inner = np.abs(ties.places[:, 0]) < 0.05
    np.testing.assert_allclose(ties.wanted[inner, 1], away * PIXEL, atol=0.4 * PIXEL)
    np.testing.assert_allclose(ties.wanted[inner, 0], 0.0, atol=1.5 * PIXEL)


def test_a_head_that_followed_has_its_hairline_there() -> None:
    line = a_hairline(50.0, 56.0)
    assert line is not None
    ties = line.ties(AXES, None)
    assert ties is not None
    process = Process(ties, AXES[2])
    again = line.ties(AXES, process)
    assert again is not None
    inner = np.abs(again.places[:, 0]) < 0.04
    left = again.wanted[inner] - process(again.places[inner])
    assert np.abs(left).max() < 2.0 * PIXEL
    assert np.abs(again.wanted[inner, 1]).mean() > 4.0 * PIXEL  # of the undeformed head, as the process wants it


def test_edges_too_far_apart_do_not_meet() -> None:
    line = a_hairline(40.0, 70.0)
    assert line is not None
    assert line.ties(AXES, None) is None


def test_without_hair_there_is_no_hairline() -> None:
    assert a_hairline(0.0, 50.0) is None
    assert a_hairline(50.0, 0.0) is None


def test_edges_at_the_outline_and_on_shoulders_are_left_alone() -> None:
    head = torch.zeros(1, 1, SIDE, SIDE)
    head[..., 20:110, 30:98] = 1.0
    hair = hair_above(60.0, 30, 98) * head
    line = Hairline.of(hair, head, DEPTH * torch.ones_like(head), hair, head, AXES, 0.9)
    assert line is not None
    assert line.own[:, 0].min() >= 30 + WITHIN - 1
    assert line.own[:, 0].max() <= 98 - WITHIN + 1
    assert np.abs(line.own[:, 1] - 60.0).max() < 1.0
    low = Hairline.of(hair, head, DEPTH * torch.ones_like(head), hair, head, AXES, 55.0 / SIDE)
    assert low is None


def test_places_come_back_from_the_world() -> None:
    random = np.random.default_rng(0)
    turned = np.linalg.qr(random.normal(size=(3, 3)))[0]
    places, depth = random.uniform(10, 110, (20, 2)), random.uniform(0.85, 1.1, 20)
    back, deep = projected(unprojected(places, depth, turned, SIDE), turned, SIDE)
    np.testing.assert_allclose(back, places, atol=1e-9)
    np.testing.assert_allclose(deep, depth, atol=1e-12)
