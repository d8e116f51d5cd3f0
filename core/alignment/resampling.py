"""Cuts a turned, scaled square out of a picture without aliasing and without moving it by half a pixel.

Two steps: shrink by whole factors with a box filter (whose zeros lie exactly where aliases of low frequencies come
from), then one interpolation onto a doubled grid that a Lanczos filter halves. When the cut enlarges, only the
interpolation remains. Outside the picture it is mirrored at the edge, as FFHQ does.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.alignment.values import Array, compose_affine, invert_affine

Pixels = NDArray[np.uint8]


def cut(pixels: Pixels, to_unit: Array, size: int, *, fill: str = "mirror", sharp: bool = True) -> Pixels:
    """Cut the square that ``to_unit`` maps to [0, 1]².

    Args:
        pixels: (H, W, 3) or (H, W) uint8.
        to_unit: similarity (2, 3) from picture coordinates (pixel edges) to unit crop coordinates.
        size: side of the result in pixels.
        fill: what lies outside the picture: "mirror" or "black".
        sharp: cubic interpolation and Lanczos reduction; False is bilinear, for networks with small inputs.

    Returns:
        (size, size, 3) or (size, size) uint8.
    """
    side = 1.0 / np.sqrt(abs(np.linalg.det(to_unit[:, :2])))  # of the square, in picture pixels
    factor = max(1, int(side / size))
    border = cv2.BORDER_REFLECT_101 if fill == "mirror" else cv2.BORDER_CONSTANT
    if factor > 1:
        pixels, to_unit = _shrunk(pixels, to_unit, factor, border)
    oversampling = 2 if sharp and side / factor / size > 1.0 else 1
    grid = size * oversampling
    # cv2 counts from pixel centres: out + 1/2 = A (in + 1/2), in unit coordinates times the grid
    affine = to_unit * grid
    affine[:, 2] += affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    flags = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    result = cv2.warpAffine(pixels, affine, (grid, grid), flags=flags, borderMode=border)
    if oversampling > 1:
        result = np.asarray(Image.fromarray(result).resize((size, size), Image.Resampling.LANCZOS))
    return np.asarray(result, dtype=np.uint8)


def _shrunk(pixels: Pixels, to_unit: Array, factor: int, border: int) -> tuple[Pixels, Array]:
    """Box-filter and decimate the part of the picture that the square needs."""
    height, width = pixels.shape[:2]
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    inverse = invert_affine(to_unit)
    corners = corners @ inverse[:, :2].T + inverse[:, 2]
    margin = 4 * factor
    low = np.floor(corners.min(axis=0)).astype(int) - margin
    count = (np.ceil(corners.max(axis=0)).astype(int) + margin - low + factor - 1) // factor
    high = low + count * factor
    left, top = max(0, low[0]), max(0, low[1])
    right, bottom = min(width, high[0]), min(height, high[1])
    if right - left < 2 or bottom - top < 2:  # the square lies (nearly) outside; mirror the whole picture instead
        left, top, right, bottom = 0, 0, width, height
    part = pixels[top:bottom, left:right]
    pads = (max(0, top - low[1]), max(0, high[1] - bottom), max(0, left - low[0]), max(0, high[0] - right))
    if any(pads):
        part = cv2.copyMakeBorder(part, *pads, borderType=border)
    origin = np.array([left - pads[2], top - pads[0]], dtype=np.float64)
    columns, rows = part.shape[1] // factor, part.shape[0] // factor
    part = cv2.resize(part[: rows * factor, : columns * factor], (columns, rows), interpolation=cv2.INTER_AREA)
    back = np.array([[factor, 0.0, origin[0]], [0.0, factor, origin[1]]])
    return np.asarray(part, dtype=np.uint8), compose_affine(to_unit, back)
