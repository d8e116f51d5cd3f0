"""The whole differentiable path on toy networks."""

from __future__ import annotations

import torch

from core.models.configuration import TOY
from core.models.hybrid import HybridRenderer, inside
from core.models.volume import look_at_origin, projection_matrix

HALF_FOV = TOY.generator.volume.half_fov


def toy_path(fusion: bool = True) -> HybridRenderer:
    torch.manual_seed(0)
    network = HybridRenderer.build(TOY).eval()
    if not fusion:
        network.fusion = None
    return network


def view(network: HybridRenderer, yaw: float) -> tuple:
    pose = look_at_origin(torch.tensor([yaw]), torch.tensor([0.0]))
    return network.generator.renderer.plain_samples(pose), projection_matrix(pose, HALF_FOV)


def latents() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, 8, generator=rng), torch.randn(1, 4, 8, generator=rng)


def test_a_fresh_local_branch_changes_nothing() -> None:
    network = toy_path()
    styles, decoder_styles = latents()
    photo = torch.rand(1, 3, 64, 64) * 2 - 1
    reference_view, query_view = view(network, 0.0), view(network, 0.4)
    output = network(photo, (styles, decoder_styles), reference_view, query_view)
    plain = network.generator.renderer(styles, query_view[0])
    torch.testing.assert_close(output.volume.feature, plain.feature)
    expected = network.generator.decoder(plain.maps(64).feature, decoder_styles)
    torch.testing.assert_close(output.picture, expected)
    assert output.query.flow is not None
    assert output.query.flow.shape == (1, 2, 64, 64)


def test_every_part_of_the_local_branch_learns_from_the_picture() -> None:
    network = toy_path()
    for parameter in network.parameters():  # out of the quiet start, where products of zeros hide gradients
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    output = network(torch.rand(1, 3, 64, 64), latents(), view(network, 0.0), view(network, 0.4))
    (output.picture[:, :3].square().mean() + output.query.flow.mean()).backward()
    for name in ("local", "modulation", "aligner", "fusion"):
        silent = [key for key, p in getattr(network, name).named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent, f"{name}: {silent}"


def test_geometry_is_the_same_with_and_without_texture() -> None:
    network = toy_path()
    for parameter in network.modulation.parameters():
        torch.nn.init.normal_(parameter)
    styles, decoder_styles = latents()
    samples, projection = view(network, 0.2)
    geometry = network.geometry(styles, samples)
    reference = network.encode_reference(torch.rand(1, 3, 64, 64), styles, decoder_styles, geometry, projection)
    output = network.render_query(reference, geometry, projection)
    assert torch.equal(output.volume.depth, geometry.depth)
    assert not torch.allclose(output.volume.rgb, network.generator.renderer(styles, samples).rgb)


def test_without_fusion_only_the_query_s_own_features_count() -> None:
    network = toy_path(fusion=False)
    styles, decoder_styles = latents()
    samples, projection = view(network, 0.2)
    geometry = network.geometry(styles, samples)
    reference = network.encode_reference(torch.rand(1, 3, 64, 64), styles, decoder_styles, geometry, projection)
    assert reference.features is None
    query = network.prepare_query(reference, geometry, projection)
    points = samples.points[:, :5].reshape(1, -1, 3)
    local = network.local_features(reference, query, points, torch.ones(1, points.shape[1], 1))
    assert local.f3d is None
    assert torch.equal(local.fused, local.f2d)


def test_rays_in_chunks_give_the_same_picture() -> None:
    network = toy_path()
    for parameter in network.modulation.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    arguments = (torch.rand(1, 3, 64, 64), latents(), view(network, 0.0), view(network, 0.4))
    with torch.no_grad():
        whole = network(*arguments).picture
        network.ray_chunk = 1000
        torch.testing.assert_close(network(*arguments).picture, whole, atol=1e-5, rtol=1e-4)


def test_inside_means_within_the_frame_in_both_axes() -> None:
    uv = torch.tensor([[[0.0, 0.0], [1.0, -1.0], [1.01, 0.0], [0.0, -1.01]]])
    assert inside(uv)[0, :, 0].tolist() == [1, 1, 0, 0]
