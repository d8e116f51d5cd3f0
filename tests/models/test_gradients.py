"""Analytic against numerical gradients, in float64 at toy width."""

from __future__ import annotations

import torch
from torch.autograd import gradcheck

from core.models.aligner import ResidualAligner
from core.models.configuration import AlignerConfig, FieldConfig
from core.models.field import Field
from core.models.layers import ModulatedConv
from core.models.volume import integrate, look_at_origin


def test_gradients_of_the_field_are_right() -> None:
    torch.manual_seed(0)
    config = FieldConfig(width=4, depth=2, style_dim=3, sdf_scale=0.1, sdf_sphere_radius=0.1)
    field = Field(config).double()
    points = (0.05 * torch.randn(1, 3, 3).double()).requires_grad_()
    styles = (0.5 * torch.randn(1, 3, 3).double()).requires_grad_()
    view = torch.randn(1, 3, 3).double().requires_grad_()
    alpha = (0.1 * torch.randn(1, 3, 4).double()).requires_grad_()
    delta = (0.1 * torch.randn(1, 3, 4).double()).requires_grad_()
    assert gradcheck(lambda p, s, v, a, d: tuple(field(p, s, v, (a, d))), (points, styles, view, alpha, delta))
    assert gradcheck(field.sdf_with_gradient, (points, styles), atol=1e-4)


def test_gradients_of_the_integral_are_right() -> None:
    torch.manual_seed(0)
    sdf = (0.05 * torch.randn(1, 2, 4, 1).double()).requires_grad_()
    colour = torch.randn(1, 2, 4, 3).double().requires_grad_()
    feature = torch.randn(1, 2, 4, 2).double().requires_grad_()
    t = torch.rand(1, 2, 4).double().requires_grad_()
    deltas = (0.01 + 0.03 * torch.rand(1, 2, 4).double()).requires_grad_()
    beta = torch.tensor([0.05]).double().requires_grad_()
    for forced in (False, True):
        assert gradcheck(
            lambda *a, forced=forced: tuple(x for x in integrate(*a, forced) if x is not None),
            (sdf, colour, feature, t, deltas, beta),
        )


def test_gradients_of_the_modulated_convolution_are_right() -> None:
    torch.manual_seed(0)
    x, style = torch.randn(2, 2, 3, 3).double().requires_grad_(), torch.randn(2, 3).double().requires_grad_()
    for upsample in (False, True):
        layer = ModulatedConv(2, 2, 3, 3, upsample=upsample).double()
        assert gradcheck(layer, (x, style))


def test_gradients_of_the_aligner_are_right() -> None:
    torch.manual_seed(0)
    for plain in (False, True):
        config = AlignerConfig(channels=(2, 2, 2, 2), units=2, out_channels=3, plain_head=plain)
        aligner = ResidualAligner(config).double().eval()
        for parameter in aligner.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        x = torch.randn(1, 6, 8, 8).double().requires_grad_()
        assert gradcheck(aligner, (x,), nondet_tol=0, fast_mode=True)


def test_gradients_of_the_camera_are_right() -> None:
    angles = [torch.tensor([a]).double().requires_grad_() for a in (0.3, -0.2)]
    assert gradcheck(look_at_origin, angles)
