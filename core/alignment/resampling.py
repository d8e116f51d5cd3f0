"""Cuts a turned, scaled square out of a picture without aliasing and without moving it by half a pixel.

Three steps: the upright part of the picture that holds the square is shrunk to twice the density wanted (Lanczos), one
interpolation turns it onto that doubled grid, and a Lanczos filter halves it. When the cut enlarges, only the
interpolation remains. Outside the picture it is mirrored at the edge, as FFHQ does.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.alignment.values import Array, apply_affine, compose_affine, invert_affine

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
    ratio = _side(to_unit) / size  # picture pixels a crop pixel
    border = cv2.BORDER_REFLECT_101 if fill == "mirror" else cv2.BORDER_CONSTANT
    oversampling = 2 if sharp and ratio > 1.0 else 1
    if ratio > oversampling:
        pixels, to_unit = _shrunk(pixels, to_unit, ratio / oversampling, border, sharp)
    grid = size * oversampling
    # cv2 counts from pixel centres: out + 1/2 = A (in + 1/2), in unit coordinates times the grid
    affine = to_unit * grid
    affine[:, 2] += affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    flags = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    result = np.asarray(cv2.warpAffine(pixels, affine, (grid, grid), flags=flags, borderMode=border), np.uint8)
    if oversampling > 1:
        result = np.array(Image.fromarray(result).resize((size, size), Image.Resampling.LANCZOS))
    return result


def _side(to_unit: Array) -> float:
    """Side of the square in picture pixels."""
    return float(1.0 / np.sqrt(abs(np.linalg.det(to_unit[:, :2]))))


def _shrunk(pixels: Pixels, to_unit: Array, factor: float, border: int, sharp: bool) -> tuple[Pixels, Array]:
    """The part of the picture that the square needs, by a factor smaller, and the square's place in it."""
    height, width = pixels.shape[:2]
    corners = apply_affine(invert_affine(to_unit), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    margin = 8 * factor  # more than the filters reach
    low = np.floor(corners.min(axis=0) - margin).astype(int)
    high = np.ceil(corners.max(axis=0) + margin).astype(int)
    left, top = max(0, low[0]), max(0, low[1])
    right, bottom = min(width, high[0]), min(height, high[1])
    if right - left < 2 or bottom - top < 2:  # the square lies outside; what it shows are mirrors of everything
        left, top, right, bottom = 0, 0, width, height
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    pads = (max(0, top - low[1]), max(0, high[1] - bottom), max(0, left - low[0]), max(0, high[0] - right))
    if any(pads):
        part = np.asarray(cv2.copyMakeBorder(part, *pads, borderType=border), np.uint8)
    rows, columns = (max(1, round(extent / factor)) for extent in part.shape[:2])
    if sharp:
        small = np.asarray(Image.fromarray(part).resize((columns, rows), Image.Resampling.LANCZOS))
    else:
        small = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    back = np.array(
        [[part.shape[1] / columns, 0.0, left - pads[2]], [0.0, part.shape[0] / rows, top - pads[0]]], dtype=np.float64
    )
    return small, compose_affine(to_unit, back)
