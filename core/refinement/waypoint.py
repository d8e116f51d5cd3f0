"""A refinement at one of its steps: what it takes to go back there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.camera import Camera
from core.refinement.delta import Delta

MOST_BYTES = 48_000_000
"""Of all waypoints of a refinement together; beyond, every other one is forgotten."""


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Latents, camera, weights and deformation after some steps.

    Shape:
        styles (rows, style_dim), decoder_styles (rows_d, D); deformation as ``core.rendering.deformation`` says.
    """

    styles: Tensor
    decoder_styles: Tensor
    camera: Camera
    delta: Delta
    deformation: NDArray[np.float32] | None = None


def thinned(waypoints: Mapping[int, Waypoint], wanted: int, most: int = MOST_BYTES) -> dict[int, Waypoint]:
    """As many of the waypoints as fit, evenly; the wanted one and the last are always among them."""
    kept = dict(sorted(waypoints.items()))
    while len(kept) > 2 and sum(one.delta.bytes for one in kept.values()) > most:
        last = max(kept)
        fewer = {
            step: one for place, (step, one) in enumerate(kept.items()) if place % 2 == 0 or step in (wanted, last)
        }
        if len(fewer) == len(kept):
            fewer = {step: one for step, one in kept.items() if step in (wanted, last)}
        kept = fewer
    return kept
