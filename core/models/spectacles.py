"""Whether a face wears glasses: a linear score of the edges around its eyes.

Histograms of oriented gradients (Dalal and Triggs, CVPR 2005) of a crop that the eyes' centres fix; a ridge regression
over portraits that were looked at says what they are worth (``core.training.spectacles``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EYES", "SpectaclesDetector", "edges", "eye_crops", "eyes_of"]

EYES = ((33, 133), (263, 362))
"""MediaPipe's outer and inner corners of the picture's left and right eye."""
# Height and width of the crop in pixels, how far the eyes' centres are apart in it, and their height from its top.
CROP, APART, LEVEL = (64, 120), 40.0, 25.6
# Side of a cell [pixels], orientations without their sign, cells a side of a block, and what a block's share is cut at.
CELL, ORIENTATIONS, BLOCK, CUT = 8, 8, 2, 0.2
FEATURES = (CROP[0] // CELL - BLOCK + 1) * (CROP[1] // CELL - BLOCK + 1) * BLOCK**2 * ORIENTATIONS


class SpectaclesDetector(nn.Module):
    """Above zero for faces that wear glasses."""

    weight: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(FEATURES))
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, picture: Tensor, eyes: Tensor) -> Tensor:
        """The mean score of a face and its mirror image.

        Shape:
            picture (B, 3, S, S) in [-1, 1]; eyes (B, 2, 2): centres of the picture's left and right eye, unit
            coordinates, v down; returns (B,).
        """
        crops = eye_crops(picture, eyes)
        both = edges(torch.cat((crops, crops.flip(-1)))) @ self.weight + self.offset
        return both.reshape(2, -1).mean(dim=0)


def eyes_of(marks: Tensor) -> Tensor:
    """Centres of the eyes (B, 2, 2) of MediaPipe's landmarks (B, 468, 2)."""
    return torch.stack([0.5 * (marks[:, outer] + marks[:, inner]) for outer, inner in EYES], dim=1)


def eye_crops(picture: Tensor, eyes: Tensor) -> Tensor:
    """The brightness around two eyes, turned level, in [0, 1].

    Shape:
        As in :class:`SpectaclesDetector`; returns (B, 1, 64, 120).
    """
    height, width = CROP
    left, right = eyes[:, 0], eyes[:, 1]
    along = (right - left) / APART
    down = torch.stack((-along[:, 1], along[:, 0]), dim=1)
    x = torch.arange(width, device=picture.device) + 0.5 - width / 2
    y = torch.arange(height, device=picture.device) + 0.5 - LEVEL
    places = (0.5 * (left + right))[:, None, None] + along[:, None, None] * x[None, None, :, None]
    places = places + down[:, None, None] * y[None, :, None, None]
    brightness = (picture.mean(dim=1, keepdim=True) + 1.0) * 0.5
    return functional.grid_sample(brightness, 2.0 * places - 1.0, padding_mode="border", align_corners=False)


def edges(crops: Tensor) -> Tensor:
    """Histograms of oriented gradients.

    Shape:
        crops (B, 1, 64, 120) in [0, 1]; returns (B, FEATURES).
    """
    padded = functional.pad(crops, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt()
    turn = torch.atan2(down, across).remainder(math.pi) * (ORIENTATIONS / math.pi)
    bins = functional.one_hot(turn.long().clamp(max=ORIENTATIONS - 1)[:, 0], ORIENTATIONS).movedim(-1, 1)
    cells = functional.avg_pool2d(bins * strength, CELL)
    blocks = functional.unfold(cells, BLOCK)
    for most in (CUT, None):
        blocks = blocks / (blocks.square().sum(dim=1, keepdim=True) + 1e-10).sqrt()
        blocks = blocks if most is None else blocks.clamp(max=most)
    return blocks.flatten(1)
