"""The decoder of one head, its styles folded into the kernels once: what pictures are painted with.

``core.models.decoder`` modulates, demodulates and rounds its kernels in every call, because training changes styles and
weights; under one edit they are constants. Here that is done once an edit: kernels carry style, norm and the
rectifier's gain (a leaky rectifier passes a positive factor through), biases ride along in the convolutions, and
everything is laid out as the processor's convolutions want it. Where bfloat16 is fast it is used, as autocast would.
Inference only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.capability import capability_of
from core.models.decoder import Decoder, StyledConv, ToRGB
from core.models.layers import EqualConv, ModulatedConv
from core.models.ops import LEAK
from core.recorded import Recorded, weakly
from core.rendering.hands import Pause, resting
from core.rendering.precision import has_fast_bfloat16, packed

__all__ = ["Painter"]


class _Styled(NamedTuple):
    """Convolution, rectifier. Shape: kernel as convolutions take it, bias (C,), noise (1, 1, H, W) or None."""

    kernel: Tensor
    bias: Tensor
    noise: Tensor | None
    blur: Tensor | None


class _Level(NamedTuple):
    """One resolution of the decoder."""

    size: int
    enters: _Styled
    guide: tuple[Tensor, Tensor] | None
    stays: _Styled | None
    colour: tuple[Tensor, Tensor]


class Painter:
    """Feature map → picture for one head.

    Args:
        decoder: The networks.
        styles: The head's decoder rows.

    Shape:
        styles (1, rows, style_dim).
    """

    def __init__(self, decoder: Decoder, styles: Tensor) -> None:
        self._type = torch.bfloat16 if has_fast_bfloat16(styles.device) else torch.float32
        noise = decoder.noises.all()
        rows = styles[0]
        guides = getattr(decoder, "guide_convs", {})
        levels = []
        for number, (size, _) in enumerate(decoder.config.channels):
            before = 2 * number - 2
            enters = decoder.conv1 if number == 0 else decoder.convs[before]
            stays = None if number == 0 else decoder.convs[before + 1]
            colour = decoder.to_rgb1 if number == 0 else decoder.to_rgbs[number - 1]
            first = 0 if number == 0 else 2 * number - 1
            guide = dict(guides).get(str(size))
            levels.append(
                _Level(
                    size,
                    self._styled(enters, rows[first], noise[first]),
                    None if guide is None else self._guide(guide),
                    None if stays is None else self._styled(stays, rows[first + 1], noise[first + 1]),
                    self._colour(colour, rows[1 if number == 0 else 2 * number + 1]),
                )
            )
        self._levels = tuple(levels)
        out = decoder.config.out_channels
        row = styles.new_tensor((1.0, 3.0, 3.0, 1.0)) / 4.0
        self._grow = torch.outer(row, row).expand(out, 1, 4, 4).contiguous()
        # There the calls cost more than the work, which is too short for a pause.
        self._records = capability_of(styles.device).records
        self._recorded: dict[int | None, Recorded] = {}

    def _styled(self, layer: object, style: Tensor, noise: Tensor) -> _Styled:
        assert isinstance(layer, StyledConv)
        gain = layer.activate.scale
        kernel = gain * _modulated(layer.conv, style)
        blur = None
        if layer.conv.blur is not None:
            taps = layer.conv.blur.kernel.flip(0, 1)
            blur = taps.expand(len(kernel), 1, *taps.shape).to(self._type).contiguous()
            kernel = kernel.transpose(0, 1)
        strength = gain * layer.noise.weight.detach()
        return _Styled(
            packed(kernel.to(self._type)),
            (gain * layer.activate.bias.detach()).to(self._type),
            (strength * noise).to(self._type) if bool(strength != 0) else None,
            blur,
        )

    def _guide(self, conv: object) -> tuple[Tensor, Tensor]:
        assert isinstance(conv, EqualConv)
        bias = conv.bias if conv.bias is not None else conv.weight.new_zeros(len(conv.weight))
        return packed((conv.weight.detach() * conv.scale).to(self._type)), bias.detach().to(self._type)

    def _colour(self, layer: object, style: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(layer, ToRGB)
        return packed(_modulated(layer.conv, style).to(self._type)), layer.bias.detach()

    def paint(
        self,
        features: Tensor,
        guide: Tensor | None = None,
        resolution: int | None = None,
        pause: Pause = resting,
    ) -> Tensor:
        """Decode; see ``core.models.decoder.Decoder.forward``. Pauses between resolutions.

        Shape:
            features (1, W, s, s), guide (1, Gc, S, S); returns (1, out, S, S) float32, unclamped.
        """
        if not self._records or guide is None:
            return self._painted(features, guide, resolution, pause)
        pause()
        if resolution not in self._recorded:
            painted = weakly(self._painted)
            self._recorded[resolution] = Recorded(lambda *given: painted(*given, resolution))
        return self._recorded[resolution](features, guide)

    def _painted(
        self, features: Tensor, guide: Tensor | None, resolution: int | None = None, pause: Pause = resting
    ) -> Tensor:
        x = packed(features.to(self._type))
        picture: Tensor | None = None
        for level in self._levels:
            if resolution is not None and level.size > resolution:
                break
            if picture is not None:
                pause()
            x = self._convolved(x, level.enters)
            if guide is not None and level.guide is not None:
                seen = (
                    guide
                    if guide.shape[-1] == level.size
                    else functional.avg_pool2d(guide, guide.shape[-1] // level.size)
                )
                x = x.add_(functional.conv2d(packed(seen.to(self._type)), *level.guide, padding=1))
            if level.stays is not None:
                x = self._convolved(x, level.stays)
            kernel, bias = level.colour
            colour = functional.conv2d(x, kernel).float() + bias
            if picture is not None:
                colour += functional.conv_transpose2d(picture, self._grow, stride=2, padding=1, groups=picture.shape[1])
            picture = colour
        assert picture is not None
        return picture

    def _convolved(self, x: Tensor, layer: _Styled) -> Tensor:
        if layer.blur is None:
            y = functional.conv2d(x, layer.kernel, layer.bias, padding=layer.kernel.shape[-1] // 2)
        else:
            wide = functional.conv_transpose2d(x, layer.kernel, stride=2)
            y = functional.conv2d(wide, layer.blur, layer.bias, padding=1, groups=len(layer.blur))
        if layer.noise is not None:
            y = y.add_(layer.noise)
        return functional.leaky_relu_(y, LEAK)


def _modulated(conv: ModulatedConv, style: Tensor) -> Tensor:
    """The kernel (outputs, inputs, k, k) under a style (style_dim,), float32."""
    kernel = conv.weight.detach()[0] * conv.scale * conv.modulation(style)[:, None, None]
    if conv.demodulate:
        kernel = kernel * torch.rsqrt(kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
    return kernel
