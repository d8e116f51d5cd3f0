"""Laws of what the photo saw: camera agreement, exact colours at the source, occlusion, mirroring, guide layout."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from core import surface_maps, tensor_camera, visibility
from core.camera import Camera

RADIUS = 0.08
SIZE = 64


def sphere_surface(angles: torch.Tensor, size: int = SIZE) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact depth and alpha of a sphere about the origin."""
    origin, directions = tensor_camera.rays(angles, size)
    a = directions.square().sum(-1)
    b = (directions * origin[:, None]).sum(-1)
    c = origin.square().sum(-1, keepdim=True) - RADIUS**2
    inside = b.square() - a * c
    depth = (-b - inside.clamp(min=0).sqrt()) / a
    alpha = (inside > 0).float()
    return (depth * alpha).reshape(-1, 1, size, size), alpha.reshape(-1, 1, size, size)


def colour_of(points: torch.Tensor) -> torch.Tensor:
    """A smooth colour that is a function of the point on the sphere."""
    return torch.stack((points[..., 0], points[..., 1], points[..., 0] * 0.5 + points[..., 1]), dim=-1) / 0.12


def sphere_view(angles: torch.Tensor, photo_size: int = 128, size: int = SIZE) -> visibility.SourceView:
    depth, alpha = sphere_surface(angles, photo_size)
    points = tensor_camera.unproject(depth, angles)
    photo = colour_of(points.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) * alpha
    depth, alpha = sphere_surface(angles, size)
    return visibility.source_view(photo, depth, alpha, torch.ones(len(angles), 1, 32, 32), angles)


@settings(max_examples=40, deadline=None)
@given(
    yaw=st.floats(-math.pi, math.pi),
    pitch=st.floats(-1.2, 1.2),
    point=st.tuples(*[st.floats(-0.12, 0.12)] * 3),
)
def test_projection_and_rays_agree_with_the_camera_law(
    yaw: float, pitch: float, point: tuple[float, float, float]
) -> None:
    camera, angles = Camera(yaw, pitch), torch.tensor([[yaw, pitch]])
    expected_uv, expected_depth = camera.project(torch.tensor([point]).double().numpy())
    uv, depth = tensor_camera.project(torch.tensor([[point]]), angles)
    assert (uv[0].double() - torch.as_tensor(expected_uv)).abs().max() < 1e-5
    assert (depth[0].double() - torch.as_tensor(expected_depth).reshape(-1)).abs().max() < 1e-5
    origin, directions = camera.rays(8)
    position, mine = tensor_camera.rays(angles, 8)
    assert (position[0].double() - torch.as_tensor(origin)).abs().max() < 1e-5
    assert (mine[0].reshape(8, 8, 3).double() - torch.as_tensor(directions)).abs().max() < 1e-5


def test_unprojected_depth_projects_back_onto_its_own_pixel() -> None:
    angles = torch.tensor([[0.3, -0.2], [-1.0, 0.4]])
    depth = 0.9 + 0.1 * torch.rand(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    points = tensor_camera.unproject(depth, angles).flatten(2).transpose(1, 2)
    uv, again = tensor_camera.project(points, angles)
    steps = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    assert (uv - torch.stack((u, v), -1).reshape(1, -1, 2)).abs().max() < 1e-4
    assert (again - depth.flatten(1)).abs().max() < 1e-6


def test_a_surface_seen_from_its_own_camera_gets_its_own_colours() -> None:
    angles = torch.tensor([[0.2, 0.1]])
    view = sphere_view(angles, SIZE)
    depth, alpha = sphere_surface(angles)
    points = tensor_camera.unproject(depth, angles).flatten(2).transpose(1, 2)
    colour, confidence = visibility.look_up(view, points)
    middle = (confidence > 0.99) & (alpha.flatten(1) > 0)
    assert middle.float().mean() > 0.15
    assert (colour - colour_of(points)).abs()[middle].max() < 1e-4


def test_another_camera_sees_the_same_colours_where_both_look_and_none_where_only_one_does() -> None:
    view = sphere_view(torch.tensor([[0.0, 0.0]]))
    turned = torch.tensor([[0.6, 0.0]])
    depth, alpha = sphere_surface(turned)
    points = tensor_camera.unproject(depth, turned).flatten(2).transpose(1, 2)
    colour, confidence = visibility.look_up(view, points, functional.normalize(points, dim=-1))
    on_sphere = alpha.flatten(1) > 0
    trusted = (confidence > 0.9) & on_sphere
    hidden = on_sphere & (points[..., 2] < 0.15 * RADIUS)
    assert trusted.float().mean() > 0.1
    assert (colour - colour_of(points)).abs()[trusted].max() < 0.02
    assert confidence[hidden].max() < 1e-3


def test_the_back_of_the_head_never_takes_the_face() -> None:
    view = sphere_view(torch.tensor([[0.0, 0.0]]))
    back = torch.tensor([[[0.0, 0.0, -RADIUS], [0.02, 0.01, -0.075]]])
    assert visibility.look_up(view, back)[1].max() == 0


def test_an_unseen_point_takes_the_colour_of_its_mirror_image() -> None:
    view = sphere_view(torch.tensor([[0.7, 0.0]]))
    seen = functional.normalize(torch.tensor([[[0.9, 0.1, 0.35]]]), dim=-1) * RADIUS
    unseen = seen * torch.tensor([-1.0, 1.0, 1.0])
    direct, confidence = visibility.look_up(view, seen)
    mirrored, mirror_confidence = visibility.look_up(view, unseen, mirrored=True)
    assert visibility.look_up(view, unseen)[1].max() == 0
    assert torch.equal(direct, mirrored)
    assert torch.equal(confidence, mirror_confidence)
    assert confidence.min() > 0.9


def test_matte_edges_and_silhouettes_are_faded_and_background_does_not_bleed() -> None:
    angles = torch.tensor([[0.0, 0.0]])
    depth, alpha = sphere_surface(angles)
    photo = torch.full((1, 3, SIZE, SIZE), -1.0)
    photo[..., SIZE // 2 :] = 1.0
    matte = torch.zeros(1, 1, SIZE, SIZE)
    matte[..., SIZE // 2 + 4 :] = 1.0
    view = visibility.source_view(photo, depth, alpha, matte, angles)
    assert view.weight[..., : SIZE // 2 + 4].max() == 0
    assert view.weight.max() > 0.99
    assert (view.photo - 1.0).abs().max() < 1e-4, "colours outside the matte come from inside it"


def test_extending_keeps_what_is_known_and_fills_the_rest_with_it() -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(2, 3, 37, 50, generator=generator)
    mask = (torch.rand(2, 1, 37, 50, generator=generator) > 0.7).float()
    filled = surface_maps.extended(values, mask)
    assert torch.equal(filled * mask, values * mask)
    assert filled.min() >= 0
    assert filled.max() <= 1
    constant = surface_maps.extended(values * 0 + 0.25, mask)
    assert (constant - 0.25).abs().max() < 1e-5


def test_confidences_are_shares_and_gradients_reach_the_photo_and_the_points() -> None:
    view = sphere_view(torch.tensor([[0.1, 0.0]]))
    photo = view.photo.clone().requires_grad_()
    turned = torch.tensor([[-0.3, 0.1]])
    depth, alpha = sphere_surface(turned)
    points = tensor_camera.unproject(depth, turned).requires_grad_()
    channels = visibility.guide(view.with_photo(photo), points, alpha, size=32)
    assert channels.shape == (1, visibility.GUIDE_CHANNELS, 32, 32)
    assert channels[:, 3:].min() >= 0
    assert channels[:, 3:].max() <= 1
    channels.square().sum().backward()
    assert photo.grad is not None
    assert points.grad is not None
    assert photo.grad.abs().sum() > 0
    assert torch.isfinite(points.grad).all()


def test_the_guide_knows_nothing_outside_the_head() -> None:
    angles = torch.tensor([[0.0, 0.0]])
    depth, alpha = sphere_surface(angles)
    channels = visibility.guide(sphere_view(angles), tensor_camera.unproject(depth, angles), alpha, size=SIZE)
    assert channels[..., 0, 0].abs().max() == 0
    assert torch.equal(channels[:, 4:5], alpha)


def test_merging_prefers_the_direct_look() -> None:
    view = sphere_view(torch.tensor([[0.0, 0.0]]))
    points = functional.normalize(torch.tensor([[[0.2, 0.1, 1.0]]]), dim=-1) * RADIUS
    premultiplied, direct, mirror = visibility.merged(view, points)
    assert direct.item() > 0.99
    assert mirror.item() == pytest.approx(visibility.MIRROR_TRUST, abs=0.01)
    assert (premultiplied - colour_of(points)).abs().max() < 0.02


def test_without_trust_the_blend_is_the_decoder_and_with_full_trust_the_photo() -> None:
    generator = torch.Generator().manual_seed(2)
    decoded = torch.randn(1, 5, 8, 8, generator=generator)
    channels = torch.rand(1, 6, 8, 8, generator=generator)
    channels[:, 3] = 1.0
    decoded[:, 4] = -1e4
    assert torch.equal(visibility.blend(channels, decoded)[0], decoded[:, :3])
    decoded[:, 4] = 1e4
    assert (visibility.blend(channels, decoded)[0] - channels[:, :3]).abs().max() < 1e-6


def test_resampling_a_surface_does_not_bridge_its_contours() -> None:
    points = torch.zeros(1, 3, 16, 16)
    points[:, 2, :, 8:] = 0.1
    larger = visibility.resized_surface(points, torch.ones(1, 1, 16, 16), 64)
    assert torch.minimum(larger[:, 2].abs(), (larger[:, 2] - 0.1).abs()).max() < 1e-6


def test_a_batch_is_its_members() -> None:
    angles = torch.tensor([[0.0, 0.0], [0.5, -0.1]])
    view = sphere_view(angles)
    target = torch.tensor([[0.2, 0.0], [0.1, 0.1]])
    depth, alpha = sphere_surface(target)
    together = visibility.guide(view, tensor_camera.unproject(depth, target), alpha, size=32)
    for i in range(2):
        alone = sphere_view(angles[i : i + 1])
        points = tensor_camera.unproject(depth[i : i + 1], target[i : i + 1])
        assert (visibility.guide(alone, points, alpha[i : i + 1], size=32) - together[i]).abs().max() < 1e-5


def test_from_the_photos_own_camera_grazing_patches_are_believed_and_from_the_side_they_are_not() -> None:
    view = sphere_view(torch.tensor([[0.0, 0.0]]), 256, 128)
    cosine = 0.38
    points = torch.tensor([[[math.sqrt(1 - cosine**2), 0.0, cosine]]]) * RADIUS
    angles = [torch.tensor([[yaw, 0.0]]) for yaw in (0.0, 1.3)]
    own, side = (visibility.look_up(view, points, target=target)[1].item() for target in angles)
    assert own > 0.95
    # Along a cheek's far edge lie pixels of ears that the geometry does not have there; a mesh is seen from anywhere.
    assert side < 0.6 * own
    assert side + 0.3 < visibility.look_up(view, points)[1].item() < own


def test_rays_that_missed_in_the_middle_of_a_head_are_no_holes_in_the_photo() -> None:
    angles = torch.zeros(1, 2)
    depth, alpha = sphere_surface(angles, 128)
    alpha[:, :, 60:64, 60:66] = 0.0
    view = visibility.source_view(torch.zeros(1, 3, 128, 128), depth * alpha, alpha, torch.ones(1, 1, 32, 32), angles)
    assert view.weight[0, 0, 50:74, 50:76].min() > 0.99
    wide = alpha.clone()
    wide[:, :, 50:74, 50:76] = 0.0
    view = visibility.source_view(torch.zeros(1, 3, 128, 128), depth * wide, wide, torch.ones(1, 1, 32, 32), angles)
    assert view.weight[0, 0, 58:66, 58:68].max() < 0.01


def test_at_the_photos_own_camera_each_pixel_is_the_photos_whatever_lies_there() -> None:
    """Loose geometry before a face hides it from the side, never from where the photo was taken."""
    angles = torch.tensor([[0.2, 0.0]])
    view = sphere_view(angles, size=128)
    position, _ = tensor_camera.camera_frame(angles)
    loose = functional.normalize(torch.tensor([[[0.2, 0.3, 1.0]]]), dim=-1) * RADIUS
    loose = loose + 0.02 * functional.normalize(position[:, None] - loose, dim=-1)
    asked = [visibility.look_up(view, loose, target=angles + torch.tensor([[turn, 0.0]]))[1] for turn in (0, 0.07, 0.2)]
    assert asked[0] > 0.99
    assert 0.2 < asked[1] < 0.8
    assert asked[2] < 0.01
    mirrored = visibility.look_up(view, loose, target=angles, mirrored=True)[1]
    assert mirrored < 0.01


def test_what_is_doubted_is_believed_from_where_the_photo_was_taken_only() -> None:
    own, aside = torch.zeros(1, 2), torch.tensor([[0.6, 0.0]])
    view = sphere_view(own)
    doubted = view.doubted(torch.zeros(1, 1, 32, 32))
    depth, _ = sphere_surface(own, 32)
    points = tensor_camera.unproject(depth, own)[:, :, 12:20, 12:20].flatten(2).transpose(1, 2)
    for target, same in ((own, True), (aside, False)):
        before, after = (visibility.look_up(one, points, target=target)[1] for one in (view, doubted))
        assert before.min() > 0.9
        torch.testing.assert_close(after, before if same else torch.zeros_like(before))
