"""The field, the integral along rays, and the differentiable camera."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.camera import FAR, HALF_FOV, NEAR, SCENE_RADIUS, Camera
from core.models.configuration import CAMEO_256, OFFICIAL_1024, TOY, FieldConfig
from core.models.field import Field
from core.models.generator import Generator
from core.models.volume import (
    camera_rays,
    integrate,
    look_at_origin,
    project,
    projection_matrix,
    ray_weights,
    stratified_samples,
)

angles = st.tuples(st.floats(-3, 3), st.floats(-1.2, 1.2))


def test_the_networks_take_the_camera_s_own_constants() -> None:
    for config in (OFFICIAL_1024, CAMEO_256, TOY):
        volume = config.generator.volume
        assert (volume.near, volume.far) == (NEAR, FAR)
        assert volume.half_fov == HALF_FOV
        assert config.generator.field.scene_radius == SCENE_RADIUS


@settings(max_examples=25, deadline=None)
@given(angles)
def test_the_differentiable_camera_obeys_the_one_law(angle: tuple[float, float]) -> None:
    camera = Camera(*angle)
    pose = look_at_origin(*(torch.tensor([a], dtype=torch.float64) for a in angle))
    np.testing.assert_allclose(pose[0].numpy(), camera.pose(), atol=1e-12)
    origin, directions, _ = camera_rays(pose, 5, camera.half_fov)
    ours, theirs = camera.rays(5)
    np.testing.assert_allclose(origin[0].numpy(), ours, atol=1e-12)
    np.testing.assert_allclose(directions[0].numpy(), theirs.reshape(-1, 3), atol=1e-12)
    points = 0.1 * torch.randn(1, 20, 3, dtype=torch.float64)
    uv, depth = project(points, projection_matrix(pose, camera.half_fov))
    expected_uv, expected_depth = camera.project(points[0].numpy())
    np.testing.assert_allclose(uv[0].numpy(), expected_uv, atol=1e-10)
    np.testing.assert_allclose(depth[0].numpy(), expected_depth, atol=1e-12)


def test_every_sample_projects_back_onto_its_pixel_centre() -> None:
    pose = look_at_origin(torch.tensor([0.4]), torch.tensor([-0.2]))
    samples = stratified_samples(pose, 4, 3, near=NEAR, far=FAR, half_fov=HALF_FOV, endless=False)
    uv, depth = project(samples.points.reshape(1, -1, 3), projection_matrix(pose, HALF_FOV))
    torch.testing.assert_close(depth.reshape(1, 16, 3), samples.t, atol=1e-6, rtol=0)
    centres = (torch.arange(4) + 0.5) / 2 - 1
    torch.testing.assert_close(uv.reshape(4, 4, 3, 2)[0, :, 0, 0], centres, atol=1e-5, rtol=0)
    torch.testing.assert_close(uv.reshape(4, 4, 3, 2)[:, 0, 0, 1], centres, atol=1e-5, rtol=0)


def test_intervals_reach_from_near_to_far_along_the_ray() -> None:
    pose = look_at_origin(torch.zeros(1), torch.zeros(1))
    samples = stratified_samples(pose, 2, 8, near=NEAR, far=FAR, half_fov=HALF_FOV, endless=False)
    length = camera_rays(pose, 2, HALF_FOV)[1].norm(dim=-1)
    torch.testing.assert_close(samples.deltas.sum(dim=-1), (FAR - NEAR) * length)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_weights_are_shares_and_forcing_the_background_makes_them_whole(seed: int, forced: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    sdf = 0.05 * torch.randn(1, 6, 9, 1, generator=rng)
    deltas = torch.rand(1, 6, 9, generator=rng) * 0.03
    weights, alpha = ray_weights(sdf, deltas, torch.tensor([0.01]), force_background=forced)
    assert weights.min() >= -1e-6
    assert alpha.max() <= 1 + 1e-6
    if forced:
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 6))
    else:
        torch.testing.assert_close(weights.sum(dim=-1), alpha)


def test_weights_are_those_of_the_product_over_transparencies() -> None:
    torch.manual_seed(0)
    sdf, deltas = 0.05 * torch.randn(2, 3, 7, 1).double(), 0.03 * torch.rand(2, 3, 7).double()
    beta = torch.tensor([0.02]).double()
    weights, _ = ray_weights(sdf, deltas, beta, force_background=False)
    density = torch.sigmoid(-sdf[..., 0] / beta) / beta
    for b in range(2):
        for r in range(3):
            clear = 1.0
            for k in range(7):
                a = 1 - math.exp(-float(density[b, r, k] * deltas[b, r, k]))
                assert float(weights[b, r, k]) == pytest.approx(a * clear, abs=1e-12)
                clear *= 1 - a


def test_a_sharp_sphere_is_seen_where_it_is() -> None:
    pose = look_at_origin(torch.tensor([0.7]), torch.tensor([0.3]))
    samples = stratified_samples(pose, 17, 200, near=NEAR, far=FAR, half_fov=HALF_FOV, endless=False)
    sdf = samples.points.norm(dim=-1, keepdim=True) - 0.06
    colour = torch.full_like(samples.points, 3.0)
    out = integrate(sdf, colour, colour, samples.t, samples.deltas, torch.tensor([0.0005]), False, samples.points)
    maps = out.maps(17)
    assert maps.alpha[0, 0, 8, 8] == pytest.approx(1, abs=1e-3)
    assert maps.alpha[0, 0, 0, 0] == pytest.approx(0, abs=1e-3)
    assert maps.depth[0, 0, 8, 8] == pytest.approx(0.94, abs=2e-3)
    assert maps.xyz[0, :, 8, 8].norm() == pytest.approx(0.06, abs=2e-3)
    assert maps.rgb[0, 0, 8, 8] == pytest.approx(2 / (1 + math.exp(-3)) - 1, abs=1e-3)
    assert maps.rgb[0, 0, 0, 0] == pytest.approx(0, abs=1e-3), "nothing hit is mid-grey"


@pytest.mark.parametrize("view_directions", [False, True])
def test_the_forward_gradient_of_the_distance_is_autograd_s(view_directions: bool) -> None:
    torch.manual_seed(0)
    config = replace(TOY.generator.field, view_directions=view_directions)
    field = Field(config).double()
    points = (0.1 * torch.randn(2, 5, 3).double()).requires_grad_()
    styles = torch.randn(2, config.rows, config.style_dim).double()
    sdf, gradient = field.sdf_with_gradient(points, styles)
    (expected,) = torch.autograd.grad(field.sdf(points, styles).sum(), points)
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(sdf, field.sdf(points, styles))


def test_texture_modulation_never_moves_the_surface() -> None:
    torch.manual_seed(0)
    field = Field(TOY.generator.field)
    points, styles = 0.1 * torch.randn(1, 6, 3), torch.randn(1, 3, 8)
    plain = field(points, styles)
    changed = field(points, styles, modulation=(torch.ones(1, 6, 8), torch.ones(1, 6, 8)))
    assert torch.equal(plain.sdf, changed.sdf)
    assert not torch.allclose(plain.rgb_raw, changed.rgb_raw)
    zero = torch.zeros(1, 6, 8)
    torch.testing.assert_close(field(points, styles, modulation=(zero, zero)).rgb_raw, plain.rgb_raw)


def test_chunks_of_rays_give_the_same_picture() -> None:
    torch.manual_seed(0)
    generator = Generator(TOY.generator)
    styles = torch.randn(2, 3, 8)
    poses = look_at_origin(torch.tensor([0.1, -0.5]), torch.tensor([0.0, 0.2]))
    whole = generator.render(styles, poses, size=8)
    parts = generator.render(styles, poses, size=8, ray_chunk=7)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_without_view_directions_the_field_ignores_them_and_with_them_absent_means_zero() -> None:
    torch.manual_seed(0)
    field = Field(FieldConfig(width=8, depth=2, style_dim=8))
    points, styles = 0.1 * torch.randn(1, 4, 3), torch.randn(1, 3, 8)
    torch.testing.assert_close(field(points, styles).feature, field(points, styles, torch.zeros(1, 4, 3)).feature)


def test_a_forced_background_leaves_nothing_transparent() -> None:
    sdf, deltas = torch.full((1, 2, 5, 1), 0.1), torch.full((1, 2, 5), 0.01)
    weights, alpha = ray_weights(sdf, deltas, torch.tensor([0.01]), force_background=True)
    assert (alpha == 1).all()
    torch.testing.assert_close(weights[..., -1], torch.ones(1, 2), atol=1e-3, rtol=0)
