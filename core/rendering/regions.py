"""Where on a head an attribute belongs, so that a beard leaves the hairline alone.

Directions are never pure: the further one goes, the more of something else comes along. Shape may follow wherever it
goes, but paint that an edit puts on the photo stays within heights of the canonical head where the attribute can be.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from core.edit import LatentEdit
from core.models.volume import VolumeMaps

# World heights (y) from which and up to which an attribute paints; others paint everywhere. The mean head has its chin
# at -0.080, the lips at -0.045, the tip of the nose at -0.028, the eyes at 0.007, the brows at 0.018.
HEIGHTS: dict[str, tuple[float, float]] = {
    "Smile": (-1.0, 0.005),
    "Mouth open": (-1.0, -0.015),
    "Beard": (-1.0, 0.0),
    "Eyeglasses": (-0.02, 0.03),
}
# Attributes that paint hair and nothing else, where it is known what is hair.
DYES = ("Age", "Hair colour")
# Attributes that leave skin of the face as it is: they move it, or put hair before it. A generator's head that has a
# beard where the photo has none would paint with it.
SKINLESS = ("Hair length", "Bangs", "Weight", "Mouth open")
# Over which the paint fades.
FADE = 0.012


def region(
    edit: LatentEdit,
    maps: VolumeMaps,
    hair: Tensor | None = None,
    skin: Tensor | None = None,
    drawn: Collection[str] = (),
) -> Tensor:
    """Where an edit may paint (1, 1, s, s), 0..1; the union of its attributes' places.

    Args:
        edit: The edit.
        maps: Of the edited head from the photo's camera.
        hair: What of the photo is hair, in the same view (1, 1, any, any), 0..1; None where that is not known.
        skin: What of it is skin of the face, likewise.
        drawn: Attributes that are drawn on the photo, and not painted.
    """
    height = maps.xyz[:, 1:2] / maps.alpha.clamp(min=1e-3)
    found = torch.zeros_like(height)
    for name, _ in edit.items():
        if hair is not None and name in DYES:
            found = torch.maximum(found, functional.interpolate(hair, size=found.shape[-2:], mode="area"))
            continue
        if name in drawn:
            continue
        low, high = HEIGHTS.get(name, (-1.0, 1.0))
        inside = torch.minimum((height - low) / FADE + 1.0, (high - height) / FADE + 1.0).clamp(0.0, 1.0)
        if skin is not None and name in SKINLESS:
            inside = inside * (1.0 - functional.interpolate(skin, size=found.shape[-2:], mode="area"))
        found = torch.maximum(found, inside)
    return found


__all__ = ["DYES", "HEIGHTS", "SKINLESS", "region"]
