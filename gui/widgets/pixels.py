"""Arrays to Qt pictures and back to square thumbnails: the only place where NumPy meets QImage."""

import functools

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap

FEATHER = 0.04
"""Share of the picture's side over which a head fades at the border."""


def image_from(pixels: NDArray[np.uint8]) -> QImage:
    """A QImage of its own memory.

    Args:
        pixels: ``(H, W, 3)`` uint8 sRGB, or ``(H, W, 4)`` with straight alpha.
    """
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels)
    if pixels.shape[2] == 3:
        return QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    straight = QImage(rows.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    # Premultiplied scales without dark or bright fringes at the border of the head.
    return straight.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def feathered(cutout: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A head that fades where its picture ends, so that neck and hair are not cut off like paper.

    Args:
        cutout: ``(S, S, 4)`` uint8 with straight alpha.
    """
    faded = cutout.copy()
    faded[..., 3] = np.rint(cutout[..., 3] * _window(cutout.shape[0]))
    return faded


@functools.lru_cache(maxsize=8)
def _window(size: int) -> NDArray[np.float32]:
    places = (np.arange(size, dtype=np.float32) + 0.5) / size
    share = np.clip(np.minimum(places, 1.0 - places) / FEATHER, 0.0, 1.0)
    ramp = share * share * (3.0 - 2.0 * share)
    window: NDArray[np.float32] = np.minimum(ramp[:, None], ramp[None, :])
    return window


def thumbnail(pixels: NDArray[np.uint8], side: int, ratio: float = 1.0) -> QPixmap:
    """A pixmap whose longer side is ``side`` logical pixels."""
    step = max(1, min(pixels.shape[:2]) // max(1, round(4 * side * ratio)))
    small = image_from(pixels[::step, ::step])
    pixels_a_side = round(side * ratio)
    scaled = small.scaled(
        pixels_a_side,
        pixels_a_side,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    made = QPixmap.fromImage(scaled)
    made.setDevicePixelRatio(ratio)
    return made
