"""A second, smaller look at the photo: latents of a head whose place in the picture is known.

E0 looks at a whole crop at 256 px to find out where the head is, how it is turned, and what it is. Once landmarks have
settled place and pose, the canonical picture at 64 px tells the rest: length and volume of hair, skin, age, build. The
reader answers only that. It is light enough to see millions of pictures on two processor cores, which E0 is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

SIZE = 64
"""Side of the picture it reads."""
WIDTHS = (32, 64, 96, 160, 224)
GATHERED = 512
"""Numbers that are made of the trunk's last maps, unless a state has more."""
INPUTS = 6  # red, green, blue on mid-grey, matte, yaw, pitch


class Reading(NamedTuple):
    """Latents in units of their standard deviation from the mean; ``Reader.latents`` turns them into w.

    Shape:
        geometry, colour (B, style_dim).
    """

    geometry: Tensor
    colour: Tensor


class ResidualUnit(nn.Module):
    """Two convolutions with batch normalisation around a skip; the first may halve the side.

    Args:
        inputs: Channels.
        outputs: Channels.
        stride: 2 halves the side.
        projecting: Whether the skip is a convolution though it need not be one.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, projecting: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if projecting or stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: x (B, inputs, S, S)."""
        return torch.relu(self.body(x) + self.skip(x))


class Reader(nn.Module):
    """Canonical picture and pose → latents.

    Args:
        style_dim: Width of a latent.
        widths: Channels of each level; the first has half the picture's side.
        gathered: Numbers that the answer is read off.
    """

    w_mean: Tensor
    w_std: Tensor

    def __init__(self, style_dim: int, widths: tuple[int, ...] = WIDTHS, gathered: int = GATHERED) -> None:
        super().__init__()
        self.widths = widths
        self.register_buffer("w_mean", torch.zeros(style_dim))
        self.register_buffer("w_std", torch.ones(style_dim))
        units: list[nn.Module] = [
            nn.Conv2d(INPUTS, widths[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        previous = widths[0]
        for level, width in enumerate(widths):
            units += [ResidualUnit(previous, width, 1 if level == 0 else 2), ResidualUnit(width, width, 1)]
            previous = width
        self.trunk = nn.Sequential(*units)
        side = SIZE // 2 ** len(widths)
        self.gather = nn.Sequential(nn.Linear(previous * side * side, gathered), nn.ReLU(inplace=True))
        self.answer = nn.Linear(gathered, 2 * style_dim)
        nn.init.zeros_(self.answer.bias)

    def forward(self, picture: Tensor, angles: Tensor) -> Reading:
        """Read pictures of known pose.

        Shape:
            picture (B, 4, 64, 64): colours in [-1, 1] times matte, and matte; angles (B, 2) yaw and pitch [rad].
        """
        geometry, colour = self.answer(self.gathered(picture, angles)).chunk(2, dim=1)
        return Reading(geometry, colour)

    def gathered(self, picture: Tensor, angles: Tensor) -> Tensor:
        """What the answer is read off, (B, gathered). Shape: as in :meth:`forward`."""
        pose = angles[:, :, None, None].expand(-1, -1, *picture.shape[-2:])
        found: Tensor = self.gather(self.trunk(torch.cat((picture, pose), dim=1)).flatten(1))
        return found

    def latents(self, read: Reading) -> tuple[Tensor, Tensor]:
        """W of geometry and of colour, each (B, style_dim)."""
        return read.geometry * self.w_std + self.w_mean, read.colour * self.w_std + self.w_mean


def reader_like(state: Mapping[str, Tensor], style_dim: int) -> Reader:
    """A reader of the width that a state has; its parameters are yet to be loaded.

    Args:
        state: A reader's; one without that part gets the usual width, so that whoever loads it says what is missing.
        style_dim: Width of a latent.
    """
    bias = state.get("gather.0.bias")
    return Reader(style_dim, gathered=GATHERED if bias is None else len(bias))
