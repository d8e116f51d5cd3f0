"""Where on its head each pixel of a picture lies, in measures of its own face: what a beard needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from core.training.views import pixel_grid, rays

MOUTH_CORNERS, CHIN, NOSE = (61, 291), 152, 2
"""Numbers of landmarks (MediaPipe's) that the face's measures are taken from."""
STEPS = 32.0
"""Steps a unit of the places that are stored: up to four units away."""


class Measures(NamedTuple):
    """A face's measures, each (N,) or (N, 3), world units."""

    mouth: Tensor
    unit: Tensor
    """From the mouth's middle down to the chin."""
    nose: Tensor
    """From there up to the nose."""


def measures_of(landmarks: Tensor, numbers: Sequence[int]) -> Measures:
    """Measures of faces from landmarks (N, L, 3), whose MediaPipe numbers are those of the list."""
    left, right, chin, nose = (landmarks[:, numbers.index(one)] for one in (*MOUTH_CORNERS, CHIN, NOSE))
    mouth = 0.5 * (left + right)
    return Measures(mouth, (mouth - chin).norm(dim=1), nose[:, 1] - mouth[:, 1])


def places_of(depth: Tensor, camera: Tensor, measures: Measures) -> Tensor:
    """Where on its head each pixel lies (N, 3, S, S) int8: aside, up and to the front of the mouth, in 1 / STEPS units.

    Shape:
        depth (N, S, S) along the optical axis, 0 where nothing is; camera (N, 3).
    """
    size = depth.shape[-1]
    origin, direction = rays(camera, pixel_grid(size, depth.device)[None].expand(len(depth), -1, -1))
    points = origin[:, None] + direction * depth.flatten(1)[..., None]
    local = (points - measures.mouth[:, None]) / measures.unit[:, None, None]
    return (local * STEPS).round().clamp(-127, 127).to(torch.int8).transpose(1, 2).reshape(-1, 3, size, size)


def has_measures(numbers: Sequence[int]) -> bool:
    """Whether landmarks of these numbers tell a face's measures."""
    return {*MOUTH_CORNERS, CHIN, NOSE} <= set(numbers)
