"""Editing directions of the released project: InterfaceGAN boundaries as ``.npy`` files.

One folder an attribute and space, ``renderer_Smiling/boundary.npy`` beside ``decoder_Smiling/boundary.npy`` (E3DGE,
section 3.5; Shen et al. 2020). Both spaces are always moved together, on all rows alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import WeightsCorrupt, WeightsMissing
from core.models.networks import Direction

__all__ = ["OFFICIAL_ATTRIBUTES", "apply_directions", "load_boundaries"]

OFFICIAL_ATTRIBUTES: tuple[str, ...] = ("Bangs", "Smiling", "No_Beard", "Young", "Eyeglasses")
"""In the order of the reference's strengths; its authors call Eyeglasses unstable and do not load it."""


def load_boundaries(folder: Path, attributes: Sequence[str] = OFFICIAL_ATTRIBUTES[:-1]) -> dict[str, Direction]:
    """Read boundaries; a direction has one row, which serves all rows of the latents.

    Raises:
        WeightsMissing: A file is not there.
        WeightsCorrupt: A file is not a (1, n) float array.
    """
    directions = {}
    for attribute in attributes:
        vectors = []
        for space in ("renderer", "decoder"):
            path = folder / f"{space}_{attribute}" / "boundary.npy"
            if not path.is_file():
                raise WeightsMissing(f"no editing direction at {path}", hint="Install the editing boundaries again.")
            try:
                array = np.load(path, allow_pickle=False)
            except (ValueError, EOFError, OSError) as error:
                raise WeightsCorrupt(f"{path} cannot be read: {error}", hint="Fetch the file again.") from error
            if array.ndim != 2 or array.shape[0] != 1:
                raise WeightsCorrupt(f"{path} has shape {array.shape}, not (1, n)", hint="Fetch the file again.")
            vectors.append(torch.from_numpy(array.astype(np.float32)))
        directions[attribute] = Direction(*vectors)
    return directions


def apply_directions(
    styles: Tensor, decoder_styles: Tensor, directions: Mapping[str, Direction], strengths: Mapping[str, float]
) -> tuple[Tensor, Tensor]:
    """Latents moved by strengths; the arguments stay as they are.

    Shape: styles (B, rows, style_dim), decoder_styles (B, rows_d, D); returns the same.
    """
    for name, strength in strengths.items():
        if strength:
            styles = styles + strength * directions[name].renderer.to(styles)
            decoder_styles = decoder_styles + strength * directions[name].decoder.to(decoder_styles)
    return styles, decoder_styles
