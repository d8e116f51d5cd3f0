"""How close a picture of a head comes to its photo: the figures that reports carry and refinement stops by."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from core.alignment import AlignedFace
from core.errors import WeightsMissing
from core.models.identity import IdentityEmbedding
from core.rendering.hands import Pause, resting
from core.tensors import picture_tensor

__all__ = ["Judge"]

Pixels = NDArray[np.uint8]


class Judge:
    """Compares pictures.

    Args:
        embedding: Network that compares faces, on its device; without it identity is left out.
    """

    def __init__(self, embedding: IdentityEmbedding | None) -> None:
        self.embedding = embedding

    def likeness(self, aligned: AlignedFace, pixels: Pixels, pause: Pause = resting) -> dict[str, float]:
        """How close a picture from the photo's camera comes to the photo: ``mae`` and ``identity_distance``.

        Both go over the head matte only; outside it both pictures are the same grey. Pauses between steps.
        """
        inside = aligned.matte256 > 0.5
        if not inside.any():
            return {}
        difference = np.abs(aligned.crop256.astype(np.float64) - pixels)[inside]
        metrics = {"mae": float(difference.mean() / 127.5)}
        if self.embedding is not None:
            pause()
            first = self.embed(aligned.crop256, inside)
            pause()
            metrics["identity_distance"] = float(np.linalg.norm(first - self.embed(pixels, inside)))
        return metrics

    def embed(self, pixels: Pixels, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The identity embedding (128,) of a head; outside the mask it looks at grey.

        Shape:
            pixels (256, 256, 3) uint8, inside (256, 256).
        """
        if self.embedding is None:
            raise WeightsMissing("The identity network is not there.", hint="Get the program again.")
        with torch.inference_mode():
            picture = picture_tensor(pixels, next(self.embedding.parameters()).device)
            mask = torch.from_numpy(inside).to(picture.device)[None, None]
            embedding = self.embedding((torch.where(mask, picture, torch.zeros_like(picture)) + 1.0) / 2.0)
        return np.asarray(embedding[0].double().cpu().numpy())
