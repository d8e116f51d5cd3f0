"""Arrays to Qt pictures and back to square thumbnails: the only place where NumPy meets QImage."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap


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
