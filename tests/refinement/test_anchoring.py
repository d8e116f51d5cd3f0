"""A head whose shape was moved is brought back onto its photo's outline; shares of that are between the two."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.photo import Photo
from core.refinement.anchoring import refitted
from core.refinement.passes import Body, prepare
from core.refining import _moved
from core.rendering.source import SourceHead

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"


@pytest.fixture(scope="module")
def read() -> tuple[Engine, SourceHead]:
    """The embedded weights, and the astronaut's head."""
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(ASTRONAUT), Job.quiet())
    return engine, engine.tiers.head(inversion, LatentEdit.none).source


def wrong(engine: Engine, styles: torch.Tensor, source: SourceHead, body: Body) -> float:
    """Share of the matte, above the chin, that the surface misses or covers wrongly."""
    ready = prepare(engine.tiers.networks.generator, styles, source.angles.clone(), body, frozen=False)
    hit = ready.surface.hit[0, 0] > 0.5
    matte = functional.interpolate(source.matte, size=hit.shape, mode="area")[0, 0] > 0.5
    upper = slice(0, int(0.6 * len(hit)))
    return float((hit ^ matte)[upper].sum() / matte[upper].sum())


def test_a_moved_shape_meets_the_outline_again(read: tuple[Engine, SourceHead]) -> None:
    engine, source = read
    networks = engine.tiers.networks
    moved = source.styles.clone()
    moved[:, :-1] -= 1.5 * networks.directions["Hair length"].renderer[:-1]
    angles = source.angles.clone()
    body = refitted(networks, networks.generator, moved, angles, source, lambda: None)
    before, after = (wrong(engine, moved, source, one) for one in (Body.of(source), body))
    assert after < 0.7 * before


def test_without_landmarks_a_head_keeps_what_it_had(read: tuple[Engine, SourceHead]) -> None:
    engine, source = read
    blind = dataclasses.replace(source, marks=None)
    networks = engine.tiers.networks
    body = refitted(networks, networks.generator, source.styles, source.angles, blind, lambda: None)
    assert source.deformation is not None
    assert body.deformation is not None
    assert torch.equal(body.deformation.displacement, source.deformation.displacement)


def test_a_share_of_a_deformation_is_between_both() -> None:
    old, new = np.zeros((2, 2, 2, 3), np.float32), np.ones((2, 2, 2, 3), np.float32)
    assert _moved(old, None, 0.5) is old
    assert _moved(old, new, 0.0) is old
    half = _moved(old, new, 0.5)
    assert half is not None
    np.testing.assert_allclose(half, 0.5)
    whole = _moved(None, new, 1.0)
    assert whole is not None
    np.testing.assert_allclose(whole, 1.0)
