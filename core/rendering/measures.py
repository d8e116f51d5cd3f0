"""Small things that many parts of pictures ask for: brightness, blur, a landmark, redness, the largest value nearby."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["blurred", "boxed", "luma", "place_of", "redder", "surroundings", "widest"]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (Rec. 601)."""


def blurred(picture: Tensor, width: float) -> Tensor:
    """By a Gaussian of so many pixels, edges repeated. Shape: (1, C, H, W); returns the same."""
    reach = max(1, round(3.0 * width))
    steps = torch.arange(-reach, reach + 1).to(picture)
    weights = torch.exp(-0.5 * (steps / width).square())
    weights = (weights / weights.sum())[None, None, None].expand(picture.shape[1], -1, -1, -1)
    padded = functional.pad(picture, (reach,) * 4, mode="replicate")
    along = functional.conv2d(padded, weights, groups=picture.shape[1])
    return functional.conv2d(along, weights.transpose(-1, -2), groups=picture.shape[1])


def boxed(values: Tensor, reach: int) -> Tensor:
    """The mean over the square window around each pixel (B, C, H, W), with nothing beyond the edges.

    Along rows, then columns: both at once would look at every pixel of the window, half a minute for the skin around
    the brows of a large photo.
    """
    window = 2 * reach + 1
    along = functional.avg_pool2d(values, (1, window), 1, (0, reach))
    return functional.avg_pool2d(along, (window, 1), 1, (reach, 0))


def luma(colours: Tensor, dim: int = 1) -> Tensor:
    """Brightness of colours in any range.

    Shape:
        colours with three channels in ``dim``; returns the same with one.
    """
    red, green, blue = colours.unbind(dim=dim)
    return torch.unsqueeze(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue, dim)


def place_of(numbers: Tensor | NDArray[np.int64]) -> dict[int, int]:
    """MediaPipe's number of a landmark → its place among a model's landmarks. Shape: numbers (L,)."""
    return {number: place for place, number in enumerate(numbers.tolist())}


def redder(colours: Tensor, tone: Tensor) -> Tensor:
    """How far each pixel is lip and no tooth, gap or skin: by how red it is beside the skin, 0..1.

    Shape:
        colours, tone (1, 3, S, S) in [0, 1]: the picture and the skin around; returns (1, 1, S, S).
    """

    def redness(some: Tensor) -> Tensor:
        red, green, blue = some.split(1, dim=1)
        return (red - 0.5 * (green + blue)) / (red + green + blue).clamp(min=0.1)

    dark = ((luma(colours) - 0.1) / 0.1).clamp(0.0, 1.0)
    return ((redness(colours) - redness(tone) + 0.035) / 0.05).clamp(0.0, 1.0) * dark


def surroundings(values: Tensor, weight: Tensor, width: float) -> Tensor:
    """Weighted means over a wide window of so many pixels, worked out small.

    Shape:
        values (1, C, S, S), weight (1, 1, S, S); returns (1, C, S, S).
    """
    size, side = values.shape[-1], 64
    small, share = (functional.interpolate(one, size=(side, side), mode="area") for one in (values * weight, weight))
    reach = width * side / size
    mean = blurred(small, reach) / blurred(share, reach).clamp(min=1e-3)
    return functional.interpolate(mean, size=(size, size), mode="bilinear", align_corners=False)


def widest(values: Tensor, reach: int) -> Tensor:
    """The largest of the square window around each pixel (B, C, H, W): along rows, then along columns."""
    window = 2 * reach + 1
    along = functional.max_pool2d(values, (1, window), 1, (0, reach))
    return functional.max_pool2d(along, (window, 1), 1, (reach, 0))
