"""E_ADA: moves the photo's residual to where the edited or turned render needs it.

The residual aligner of HFGI (Wang et al. 2022, "adaptive distortion alignment"): units without squeeze-and-excitation,
three halvings, three doublings with skips. cameo-256 adds a flow: two more channels, in unit crop coordinates.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.configuration import AlignerConfig
from core.models.encoder import input_block
from core.models.layers import ResidualUnit, zeroed_conv

__all__ = ["ResidualAligner"]


def _units(inputs: int, widths: list[int], stride: int) -> nn.Sequential:
    before = [inputs, *widths[:-1]]
    return nn.Sequential(
        *(ResidualUnit(a, b, stride if i == 0 else 1) for i, (a, b) in enumerate(zip(before, widths, strict=True)))
    )


class ResidualAligner(nn.Module):
    """[residual, render of the target view] → residual aligned with the target view (and a flow)."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        self.config = config
        c1, c2, c3, c4 = config.channels
        out, tail = config.out_channels, config.units - 1
        self.conv_layer1 = input_block(config.in_channels, c1)
        self.conv_layer2 = _units(c1, [c2] * config.units, 2)
        self.conv_layer3 = _units(c2, [c3] * config.units, 2)
        self.conv_layer4 = _units(c3, [c4] * config.units, 2)
        self.dconv_layer1 = _units(c4 + c3, [c4] + [c2] * tail, 1)
        middle = c2 if tail else c4
        self.dconv_layer2 = _units(middle + c2, [c2] + [c1] * tail, 1)
        middle = c1 if tail else c2
        self.head = None
        if config.plain_head:
            self.dconv_layer3 = _units(middle + c1, [c1] * config.units, 1)
            self.head = zeroed_conv(c1, out)
        else:
            self.dconv_layer3 = _units(middle + c1, [c1] + [out] * tail, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, 6, S, S): residual (3), render in [-1, 1] (3); returns (B, out, S, S)."""
        first = self.conv_layer1(x)
        second = self.conv_layer2(first)
        third = self.conv_layer3(second)
        fourth = self.conv_layer4(third)
        y = self.dconv_layer1(_joined(fourth, third))
        y = self.dconv_layer2(_joined(y, second))
        y = self.dconv_layer3(_joined(y, first))
        return y if self.head is None else self.head(y)


def _joined(low: Tensor, skip: Tensor) -> Tensor:
    up = F.interpolate(low, size=skip.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([up, skip], dim=1)
