"""Augmentation that bridges from renders to photographs, on premultiplied pictures (N, 4, S, S) in [0, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _normal(picture: Tensor, channels: int = 1) -> Tensor:
    return torch.randn(len(picture), channels, 1, 1, device=picture.device)


def _chance(picture: Tensor, share: float) -> Tensor:
    return (torch.rand(len(picture), 1, 1, 1, device=picture.device) < share).float()


def photographic(picture: Tensor) -> Tensor:
    """Exposure, white balance, gamma, contrast, shading, blur, resampling, noise; alpha untouched."""
    rgb, alpha = picture[:, :3], picture[:, 3:]
    straight = (rgb / alpha.clamp(min=1 / 255)).clamp(0, 1)
    gain, balance = (_normal(rgb) * 0.18).exp(), (_normal(rgb, 3) * 0.07).exp()
    gamma = (_normal(rgb) * 0.18).exp()
    straight = (straight.clamp(min=1e-4) ** gamma * gain * balance).clamp(0, 1)
    grey = straight.mean(1, keepdim=True)
    straight = grey + (straight - grey) * (_normal(rgb) * 0.2).exp()
    straight = (straight - 0.5) * (_normal(rgb) * 0.15).exp() + 0.5
    # A soft random light across the picture: renders are lit too evenly.
    field = F.interpolate(torch.randn(len(rgb), 1, 3, 3, device=rgb.device) * 0.15, size=rgb.shape[-2:], mode="bicubic")
    straight = straight * field.exp()
    size = rgb.shape[-1]
    for small in (size // 2, size // 3):
        low = F.interpolate(
            F.interpolate(straight, size=(small, small), mode="area"), size=(size, size), mode="bilinear"
        )
        share = _chance(rgb, 0.25)
        straight = straight * (1 - share) + low * share
    straight = straight + torch.randn_like(straight) * torch.rand_like(gain) * 0.04
    return torch.cat([straight.clamp(0, 1) * alpha, alpha], 1)


def side_lit(picture: Tensor, share: float = 0.4, darkest: float = 1.6) -> Tensor:
    """Light from one side, for a share of the pictures: the other side lies in the dark, skin and hair alike.

    Args:
        picture: Premultiplied.
        share: Of the pictures.
        darkest: Natural logarithm of how much darker one side may be than the other.
    """
    n, size = len(picture), picture.shape[-1]
    line = (torch.arange(size, device=picture.device) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(line, line, indexing="ij")
    turn = torch.rand(n, 1, 1, 1, device=picture.device) * 2 * torch.pi
    along = turn.cos() * u + turn.sin() * v * 0.6 + 0.3 * _normal(picture)
    step = torch.sigmoid(along * (2 + 8 * torch.rand_like(turn)))
    amount = darkest * torch.rand_like(turn) * _chance(picture, share)
    return torch.cat((picture[:, :3] * (-amount * step).exp(), picture[:, 3:]), dim=1)


def torn_matte(picture: Tensor) -> Tensor:
    """Faults of mattes: a lower cut at the neck, eroded or grown edges, holes by hands and microphones."""
    size = picture.shape[-1]
    n, device = len(picture), picture.device
    line = (torch.arange(size, device=device) + 0.5) / size
    y, x = line.view(1, 1, size, 1), line.view(1, 1, 1, size)
    cut = 0.84 + 0.22 * torch.rand(n, 1, 1, 1, device=device)
    bend = torch.randn(n, 1, 1, 1, device=device) * 0.25
    keep = torch.sigmoid((cut + bend * (x - 0.5).square() - y) * 80)
    centre = torch.rand(n, 2, 1, 1, device=device)
    half = torch.rand(n, 2, 1, 1, device=device) * 0.12 * _chance(picture, 0.3)
    hole = ((x - centre[:, :1]).abs() < half[:, :1]) & ((y - centre[:, 1:]).abs() < half[:, 1:])
    alpha = picture[:, 3:]
    eroded = -F.max_pool2d(-alpha, 5, 1, 2)
    share = _chance(picture, 0.3)
    factor = keep * (~hole).float() * (1 - share + share * eroded / alpha.clamp(min=1 / 255)).clamp(0, 1)
    return picture * factor


def jittered_framing(count: int, device: torch.device, amount: float = 1.0) -> Tensor:
    """Small random framings (N, 4): log scale, roll [rad], dx, dy in picture widths."""
    spread = torch.tensor([0.04, 0.03, 0.015, 0.015], device=device) * amount
    return torch.randn(count, 4, device=device) * spread
