"""The style decoder under one latent: kernels modulated, demodulated and scaled once an edit, channels side by side.

The plain decoder builds its kernels in every call, because training changes them. Here noise, bias and gain go into
constants. (Doubling the size in one convolution to four pictures would spare the blur; oneDNN is four times faster at
the transposed one.) Inference only. Refuses guides, which the released family has none of.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.capability import capability_of
from core.job import Job
from core.models.decoder import Decoder, StyledConv, ToRGB
from core.models.layers import ModulatedConv
from core.models.ops import LEAK, resampling_kernel
from core.recorded import Recorded, weakly
from core.rendering.precision import packed

__all__ = ["FrozenDecoder"]


@dataclass(frozen=True, eq=False)
class _Styled:
    """Shape: kernel (O, I, 3, 3), or (I, O, 3, 3) where the size is doubled, bias (O), noise (1, 1, S, S)."""

    kernel: Tensor
    bias: Tensor
    noise: Tensor
    taps: Tensor | None
    """Of the blur after doubling (O, 1, 4, 4)."""

    def __call__(self, x: Tensor) -> Tensor:
        if self.taps is None:
            y = functional.conv2d(x, self.kernel, self.bias, padding=1)
        else:
            y = functional.conv_transpose2d(x, self.kernel, stride=2)
            y = functional.conv2d(y, self.taps, self.bias, padding=1, groups=len(self.taps))
        return functional.leaky_relu_(y.add_(self.noise), LEAK)


@dataclass(frozen=True, eq=False)
class _Colour:
    """Shape: kernel (out, I, 1, 1), bias (1, out, 1, 1)."""

    kernel: Tensor
    bias: Tensor

    def __call__(self, x: Tensor, skip: Tensor | None) -> Tensor:
        y = functional.conv2d(x, self.kernel).float() + self.bias
        if skip is None:
            return y
        count = y.shape[1]
        taps = resampling_kernel(4.0).to(y).expand(count, 1, 4, 4)
        return y + functional.conv_transpose2d(skip, taps, stride=2, padding=1, groups=count)


class FrozenDecoder:
    """Feature map → picture for one latent.

    Args:
        decoder: The networks.
        styles: Latent rows.
        low: Convolutions in bfloat16.
        resolution: Stop after this block; the picture's own when absent.

    Shape:
        styles (1, rows, D).
    """

    def __init__(self, decoder: Decoder, styles: Tensor, *, low: bool = False, resolution: int | None = None) -> None:
        if decoder.config.guide_channels:
            raise ValueError("a decoder with guides cannot be frozen")
        self.dtype = torch.bfloat16 if low else styles.dtype
        noises = decoder.noises.all()
        self._blocks: list[tuple[list[_Styled], _Colour]] = [
            ([self._styled(decoder.conv1, styles[0, 0], noises[0])], self._colour(decoder.to_rgb1, styles[0, 1]))
        ]
        for p, (size, _) in enumerate(decoder.config.channels[1:]):
            if resolution is not None and size > resolution:
                break
            pair = [
                self._styled(decoder.convs[2 * p + i], styles[0, 2 * p + 1 + i], noises[2 * p + 1 + i])
                for i in range(2)
            ]
            self._blocks.append((pair, self._colour(decoder.to_rgbs[p], styles[0, 2 * p + 3])))
        # There the calls cost more than the work, which is too short for a pause.
        self._recorded = Recorded(weakly(self._decoded)) if capability_of(styles.device).records else None

    def __call__(self, features: Tensor, job: Job) -> Tensor:
        """Decode; every convolution is followed by a yield point.

        Shape: features (1, W, s, s); returns (1, out, S, S) float32, unclamped.
        """
        if self._recorded is None:
            return self._decoded(features, job)
        job.report(0.0, "painting the picture")
        return self._recorded(features)

    def _decoded(self, features: Tensor, job: Job | None = None) -> Tensor:
        x = packed(features.to(self.dtype))
        picture = None
        for number, (convolutions, colour) in enumerate(self._blocks):
            for convolution in convolutions:
                x = convolution(x)
                if job is not None:
                    job.report(number / len(self._blocks), "painting the picture")
            picture = colour(x, picture)
        assert picture is not None
        return picture

    def _styled(self, layer: torch.nn.Module, style: Tensor, noise: Tensor) -> _Styled:
        assert isinstance(layer, StyledConv)
        conv, gain = layer.conv, layer.activate.scale
        kernel = gain * _modulated(conv, style)
        bias = gain * layer.activate.bias
        taps = None
        if conv.blur is not None:
            kernel = kernel.transpose(0, 1)
            taps = resampling_kernel(4.0).to(kernel).expand(kernel.shape[1], 1, 4, 4).to(self.dtype).contiguous()
        return _Styled(
            kernel.to(self.dtype).contiguous(memory_format=torch.channels_last),
            bias.to(self.dtype),
            (gain * layer.noise.weight * noise).to(self.dtype),
            taps,
        )

    def _colour(self, layer: torch.nn.Module, style: Tensor) -> _Colour:
        assert isinstance(layer, ToRGB)
        return _Colour(_modulated(layer.conv, style).to(self.dtype), layer.bias.detach())


def _modulated(conv: ModulatedConv, style: Tensor) -> Tensor:
    """The kernel (O, I, k, k) of one style; see ``ModulatedConv``."""
    scales = conv.modulation(style[None])[0]
    kernel = conv.weight[0] * conv.scale * scales[None, :, None, None]
    if conv.demodulate:
        kernel = kernel * torch.rsqrt(kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
    return kernel.detach()
