"""Attribute directions: a separable attribute is found, and conditional directions leave the others alone."""

from __future__ import annotations

import torch

from core.training.directions import STEPS, conditional, find_directions, linear_svm, whitening


def test_the_svm_finds_the_axis_that_separates() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 5)
    y = torch.where(x[:, 2] > 0.3, 1.0, -1.0)
    normal, offset = linear_svm(x, y)
    assert ((x @ normal + offset).sign() == y).float().mean() > 0.97
    assert int(normal.abs().argmax()) == 2


def test_conditional_directions_are_orthogonal_to_the_other_normals() -> None:
    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(4, 16), dim=1)
    out = conditional(normals)
    products = out @ normals.T
    torch.testing.assert_close(products - torch.diag(products.diag()), torch.zeros(4, 4), atol=1e-5, rtol=0)
    assert (products.diag() > 0).all()


def test_whitened_latents_are_white_and_come_back() -> None:
    torch.manual_seed(0)
    latents = torch.randn(4000, 6) @ torch.randn(6, 6) + 3.0
    mean, back = whitening(latents)
    white = torch.linalg.solve(back, (latents - mean).T).T
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(6), atol=1e-2, rtol=0)
    torch.testing.assert_close(white @ back + mean, latents, atol=1e-3, rtol=1e-3)


def test_shape_alone_and_colour_alone_move_their_own_blocks_only() -> None:
    from core.models.configuration import TOY_256
    from core.models.generator import Generator

    torch.manual_seed(0)
    generator = Generator(TOY_256.generator).requires_grad_(False).eval()
    found = find_directions(generator, count=200)
    weight, skin = found["Weight"].direction, found["Skin tone"].direction
    assert weight.renderer[:-1].any()
    assert not weight.renderer[-1].any()
    assert not weight.decoder.any()
    assert not skin.renderer[:-1].any()
    assert skin.renderer[-1].any()
    assert skin.decoder.any()


def test_every_attribute_of_the_product_gets_a_direction() -> None:
    from core.models.configuration import TOY_256
    from core.models.generator import Generator

    torch.manual_seed(0)
    generator = Generator(TOY_256.generator).requires_grad_(False).eval()
    found = find_directions(generator, count=120)
    assert list(found) == list(STEPS)
    for name, result in found.items():
        assert result.direction.renderer.shape == (3, 8)
        assert result.direction.decoder.shape == (6, 8)
        assert abs(result.leakage[name] - 1) < 1e-3  # a step is a step
