"""E0: photo → latents (and, for cameo-256, pose and framing).

IR-SE backbone, feature pyramid, one convolutional head a latent; geometry reads the coarse map, colour and decoder the
finer ones (E3DGE, Lan et al. 2023, section 3.2; map2style heads of pSp, Richardson et al. 2021). Returns offsets only:
the mean latents belong to the weights, and the caller adds them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.configuration import EncoderConfig, HeadConfig
from core.models.layers import EqualLinear, ResidualUnit

__all__ = ["Encoder", "EncoderOutput", "IrSeBackbone", "StyleHead"]

QUIET_STD = 0.02  # of a quiet head's last weights: offsets of a few thousandths


class EncoderOutput(NamedTuple):
    """What E0 found.

    Shape:
        styles (B, rows, style_dim) and decoder_styles (B, rows_d, D): offsets from the mean latents;
        pose (B, 6): yaw, pitch [rad], log scale, roll [rad], dx, dy [unit crop coordinates], or None.
    """

    styles: Tensor
    decoder_styles: Tensor
    pose: Tensor | None


def backbone_units(stem: int, channels: tuple[int, ...], units: tuple[int, ...], reduction: int) -> nn.Sequential:
    """IR-SE units, the first of each group with stride 2."""
    blocks: list[nn.Module] = []
    width = stem
    for channel, count in zip(channels, units, strict=True):
        for i in range(count):
            blocks.append(ResidualUnit(width, channel, 2 if i == 0 else 1, reduction))
            width = channel
    return nn.Sequential(*blocks)


def input_block(in_channels: int, stem: int) -> nn.Sequential:
    """Convolution, batch norm, PReLU."""
    conv = nn.Conv2d(in_channels, stem, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, a=0.25)
    return nn.Sequential(conv, nn.BatchNorm2d(stem), nn.PReLU(stem))


class IrSeBackbone(nn.Module):
    """The body of ArcFace's IR-SE50 at any size (Deng et al. 2019)."""

    def __init__(
        self, in_channels: int, stem: int, channels: tuple[int, ...], units: tuple[int, ...], reduction: int
    ) -> None:
        super().__init__()
        self.input_layer = input_block(in_channels, stem)
        self.body = backbone_units(stem, channels, units, reduction)
        ends: list[int] = []
        for count in units:
            ends.append((ends[-1] if ends else -1) + count)
        self.group_ends = tuple(ends)  # index of each group's last unit

    def taps(self, x: Tensor) -> list[Tensor]:
        """The map after each group. Shape: x (B, C, H, W); returns maps of side H/2, H/4 and so on."""
        x = self.input_layer(x)
        taps = []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in self.group_ends:
                taps.append(x)
        return taps


class StyleHead(nn.Module):
    """Stride-2 convolutions to one pixel, then an equalised linear layer."""

    def __init__(self, inputs: int, config: HeadConfig, *, quiet: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(config.convs):
            conv = nn.Conv2d(inputs if i == 0 else config.width, config.width, 3, 2, 1)
            nn.init.kaiming_normal_(conv.weight, a=0.01)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers += [conv, nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(config.width, config.out, fan=config.out)
        if quiet:
            nn.init.normal_(self.linear.weight, std=QUIET_STD)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, H, W); returns (B, out)."""
        y: Tensor = self.linear(self.convs(x).flatten(1))
        return y


class PoseHead(nn.Module):
    """Yaw, pitch and framing from the coarsest map; starts at exactly zero."""

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * channels, hidden)
        self.out = nn.Linear(hidden, outputs)
        nn.init.kaiming_normal_(self.hidden.weight, a=0.2)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, C, h, w); returns (B, outputs)."""
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        pose: Tensor = self.out(F.leaky_relu(self.hidden(pooled), 0.2))
        return pose


class Encoder(IrSeBackbone):
    """E0. Attribute names are those of the released file."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config.in_channels, config.stem, config.channels, config.units, config.se_reduction)
        self.config = config
        self.latlayer64 = nn.Conv2d(config.channels[0], config.pyramid, 1)
        self.latlayer128 = nn.Conv2d(config.channels[1], config.pyramid, 1)
        self.latlayer256 = nn.Conv2d(config.channels[2], config.pyramid, 1)
        self.widen = None
        if config.channels[3] != config.pyramid:  # the released pyramid is as wide as its coarsest map
            self.widen = nn.Conv2d(config.channels[3], config.pyramid, 1)
        quiet = config.quiet_heads
        self.styles_pigan = nn.ModuleList(StyleHead(config.pyramid, c, quiet=quiet) for c in config.renderer_heads)
        self.styles_stylegan = nn.ModuleList(StyleHead(config.pyramid, c, quiet=quiet) for c in config.decoder_heads)
        self.pose_head = None
        if config.pose_outputs:
            self.pose_head = PoseHead(config.channels[3], config.pose_hidden, config.pose_outputs)

    def pose(self, x: Tensor) -> Tensor | None:
        """Pose and framing alone, as :meth:`forward` finds them, in half the time. Shape: as there."""
        if self.pose_head is None:
            return None
        found: Tensor = self.pose_head(self.taps(self._sized(x))[-1])
        return found

    def _sized(self, x: Tensor) -> Tensor:
        size = self.config.size
        return x if x.shape[-2:] == (size, size) else F.adaptive_avg_pool2d(x, size)

    def pyramid(self, x: Tensor) -> dict[int, Tensor]:
        """Backbone and pyramid.

        Shape: x (B, C, S, S); returns maps by side at S = 256: 16 (backbone's), 32, 64, 128.
        """
        c128, c64, c32, c16 = self.taps(x)
        top = c16 if self.widen is None else self.widen(c16)
        p32 = _enlarged(top, c32) + self.latlayer256(c32)
        p64 = _enlarged(p32, c64) + self.latlayer128(c64)
        p128 = _enlarged(p64, c128) + self.latlayer64(c128)
        return {16: c16, 32: p32, 64: p64, 128: p128}

    def forward(self, x: Tensor) -> EncoderOutput:
        """Encode pictures; other sizes are pooled to the input size.

        Shape: x (B, C, S, S) in [-1, 1] (a fourth channel is alpha in [0, 1]).
        """
        config = self.config
        maps = self.pyramid(self._sized(x))
        styles = [head(maps[c.level]) for head, c in zip(self.styles_pigan, config.renderer_heads, strict=True)]
        used = {i: self.styles_stylegan[i](maps[config.decoder_heads[i].level]) for i in set(config.decoder_row_heads)}
        rows = [used[i] for i in config.decoder_row_heads]
        pose = None if self.pose_head is None else self.pose_head(maps[16])
        return EncoderOutput(torch.stack(styles, dim=1), torch.stack(rows, dim=1), pose)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)
