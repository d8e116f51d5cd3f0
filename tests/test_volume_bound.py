"""The bound that rays rely on: near the surface a head's volume is never off by more than it says, under any edit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.rendering.deformation import Deformation
from core.rendering.search import located
from core.rendering.shape import HeadShape, head_shape
from core.rendering.surfaces import crossings
from core.tensor_camera import rays
from tests.toy_head import toy_networks

NETWORKS = toy_networks()
# World units: what the light field's rounding adds.
ROUNDING = 3e-4


def edited_shape(seed: int, strength: float, bend: float) -> HeadShape:
    """A head under an edit of some strength, with a deformation of its own."""
    draw = torch.Generator().manual_seed(seed)
    rows = NETWORKS.generator.field.config.depth + 1
    latent, direction = (torch.randn(1, 1, 8, generator=draw).expand(-1, rows, -1) for _ in range(2))
    deformation = Deformation(bend * torch.randn(5, 5, 5, 3, generator=draw))
    with torch.inference_mode():
        return head_shape(NETWORKS.generator.field, 0.3 * latent + strength * direction, None, deformation=deformation)


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    seed=st.integers(0, 50),
    strength=st.floats(-0.5, 0.5),
    bend=st.sampled_from((0.0, 0.003, 0.008)),
    yaw=st.floats(-1.2, 1.2),
    pitch=st.floats(-0.6, 0.6),
)
def test_the_volume_is_off_by_no_more_than_it_says(
    seed: int, strength: float, bend: float, yaw: float, pitch: float
) -> None:
    shape = edited_shape(seed, strength, bend)
    with torch.inference_mode():
        origin, directions = rays(torch.tensor([[yaw, pitch]]), 24)
        t = torch.linspace(0.9, 1.1, 61)
        points = (origin[0] + directions[0, :, None] * t[:, None]).reshape(-1, 3)
        points = points[(points.abs() < 0.115).all(dim=1)]
        read, error = shape.estimate(points)
        near = read.abs() < error
        exact = shape.sdf(points[near][None])[0, :, 0]
        beyond = (read[near] - exact).abs() - error[near]
    # A measured bound and not a proven one: one point in five hundred may break it, and by a tenth of a millimetre.
    assert near.any() or not (read < 0).any()
    if near.any():
        assert (beyond > ROUNDING).float().mean() < 0.002
        assert beyond.max() < 1e-3


@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 50), strength=st.floats(-0.5, 0.5), yaw=st.floats(-1.0, 1.0), pitch=st.floats(-0.5, 0.5))
def test_rays_by_the_volume_are_rays_by_the_field(seed: int, strength: float, yaw: float, pitch: float) -> None:
    shape, angles = edited_shape(seed, strength, 0.003), torch.tensor([[yaw, pitch]])
    with torch.inference_mode():
        fast, slow = located(shape, angles), crossings(shape.sdf, angles)
    assert (fast.hit != slow.hit).float().mean() < 0.005
    both = fast.hit & slow.hit
    if both.any():
        away = (fast.depth - slow.depth).abs()[both]
        assert away.median() < 5e-4
        assert away.quantile(0.98) < 4e-3
    assert math.isfinite(float(fast.depth.sum()))


@pytest.fixture(autouse=True)
def _no_gradients() -> None:
    NETWORKS.generator.requires_grad_(False)
