"""ArcFace IR-SE50 face embedding, for the identity loss and the similarity metric of E3DGE's evaluation.

The released weights are not ours to ship; the class exists so that a user's own file can be used.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoder import IrSeBackbone

__all__ = ["ArcFace"]

CROP = (slice(35, 223), slice(32, 220))  # rows and columns of a 256² picture that hold the face
SIDE = 112


class ArcFace(IrSeBackbone):
    """Face → unit vector of 512 numbers (Deng et al. 2019)."""

    def __init__(self) -> None:
        super().__init__(3, 64, (64, 128, 256, 512), (3, 4, 14, 3), 16)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Shape: images (B, 3, S, S) in [-1, 1], FFHQ-framed; returns (B, 512), unit length."""
        if images.shape[-1] != 256:
            images = F.adaptive_avg_pool2d(images, 256)
        faces = F.adaptive_avg_pool2d(images[:, :, CROP[0], CROP[1]], SIDE)
        return F.normalize(self.output_layer(self.taps(faces)[-1]), dim=1)
