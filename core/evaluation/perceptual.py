"""VGG16 perceptual distance, as a figure: how far apart two pictures are to a network that knows objects.

Never called LPIPS: the calibrated weights of that measure are not used. The mean over four blocks' channel-normalised
features of L1 (the norm of the training loss, written down again so that the figure stays what it is when the loss
changes). The convolutions are fetched by ``make install-eval`` and are no part of the program; without them the
figure is left out, and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[2]
PLACES = (ROOT / "weights" / "fetched" / "vgg16.npz", ROOT / "runs" / "vgg" / "vgg16.npz")
"""Where the convolutions are looked for when nobody says where they are."""
ABSENT = (
    "VGG16's convolutions are not there, so there is no perceptual distance: run `make install-eval`, or name the "
    "file with --vgg."
)
BLOCKS = (("block1", 2), ("block2", 2), ("block3", 3), ("block4", 2))
# Caffe's convention: blue, green, red in 0..255 less ImageNet's means.
MEANS = (103.939, 116.779, 123.68)


def vgg_file(named: Path | None, places: Sequence[Path] = PLACES) -> Path | None:
    """The file with VGG16's convolutions: the named one, else the first of the usual places; None when absent."""
    candidates = (named,) if named is not None else tuple(places)
    return next((path for path in candidates if path.is_file()), None)


class Perceptual:
    """VGG16 up to its fourth block, frozen.

    Args:
        path: npz with ``blockB_convC_weight`` (out, in, 3, 3) and ``blockB_convC_bias`` of the first nine convolutions.

    Raises:
        KeyError: The file lacks one.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self._layers = [
                [
                    tuple(
                        torch.from_numpy(arrays[f"{block}_conv{number}_{part}"].astype(np.float32))
                        for part in ("weight", "bias")
                    )
                    for number in range(1, count + 1)
                ]
                for block, count in BLOCKS
            ]

    @torch.inference_mode()
    def features(self, picture: Tensor) -> list[Tensor]:
        """Channel-normalised features of each block.

        Shape:
            picture (B, 3, H, W) in [-1, 1]; returns maps (B, C, H / 2^k, W / 2^k).
        """
        x = (picture.flip(1) + 1.0) * 127.5 - torch.tensor(MEANS)[:, None, None]
        taps = []
        for number, block in enumerate(self._layers):
            if number:
                x = functional.max_pool2d(x, 2)
            for weight, bias in block:
                x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            taps.append(functional.normalize(x, dim=1))
        return taps

    def __call__(self, a: Tensor, b: Tensor) -> float:
        """Distance of pictures (B, 3, H, W) in [-1, 1]; 0 for equal ones, about 2 for strangers."""
        pairs = zip(self.features(a), self.features(b), strict=True)
        return sum(float(((x - y).abs().sum(1) / x.shape[1] ** 0.5).mean()) for x, y in pairs)
