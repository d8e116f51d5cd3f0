"""LPIPS (Zhang et al. 2018, version 0.1, AlexNet): the perceptual loss and metric of E3DGE.

AlexNet's weights are the user's to bring; the names are torchvision's (``features.0.weight`` …) and, for the linear
layers, those of the released metric. The released numbers could not be compared: no golden holds them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AlexNetFeatures", "Lpips"]

SHIFT = (-0.030, -0.088, -0.188)  # of pictures in [-1, 1]
SCALE = (0.458, 0.448, 0.450)
WIDTHS = (64, 192, 384, 256, 256)
TAPS = (1, 4, 7, 9, 11)  # rectified outputs, by index in ``features``


class AlexNetFeatures(nn.Module):
    """AlexNet's convolutions (Krizhevsky 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, 1, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Shape: x (B, 3, H, W); returns the five rectified maps."""
        taps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in TAPS:
                taps.append(x)
        return taps


class Lpips(nn.Module):
    """Perceptual distance of pictures."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = AlexNetFeatures()
        # Dropout stands before every linear layer in the released metric, hence the index 1.
        self.lins = nn.ModuleList(nn.Sequential(nn.Dropout(), nn.Conv2d(w, 1, 1, bias=False)) for w in WIDTHS)
        self.register_buffer("shift", torch.tensor(SHIFT).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Shape: x and y (B, 3, H, W) in [-1, 1]; returns (B,)."""
        total = x.new_zeros(x.shape[0])
        pairs = zip(self.net((x - self.shift) / self.scale), self.net((y - self.shift) / self.scale), strict=True)
        for lin, (a, b) in zip(self.lins, pairs, strict=True):
            total = total + lin((_unit(a) - _unit(b)).square()).mean(dim=(1, 2, 3))
        return total


def _unit(x: Tensor) -> Tensor:
    return x / (torch.sqrt(x.square().sum(dim=1, keepdim=True) + 1e-8) + 1e-10)
