"""A wish for a picture, and the picture.

Both are values that may cross threads: a request holds all that is needed to render it, a frame remembers the request
it answers. Tensors never appear here; the inversion inside a request is opaque to everybody but the engine.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.camera import Camera
from core.edit import LatentEdit

BACKDROP = (56, 56, 58)
"""What is painted behind the head: a dark neutral grey, in sRGB bytes."""
LAYERS = ("picture", "normals", "depth", "generator")
"""What can be rendered: the head in the photo's own colours, normals, depth, the generator's colours alone."""


@dataclass(frozen=True)
class RenderRequest:
    """Everything needed to render one picture. Hashable; equal requests give the same pixels."""

    inversion: Any
    """The ``Inversion`` of the photo; opaque here."""
    edit: LatentEdit
    camera: Camera
    size: int
    """Pixels a side."""
    layer: str = "picture"
    """One of ``LAYERS``."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a picture needs at least one pixel, got size {self.size}")
        if self.layer not in LAYERS:
            raise ValueError(f"unknown layer {self.layer!r}, known: {', '.join(LAYERS)}")


@dataclass(frozen=True, eq=False)
class Frame:
    """A rendered picture.

    Shape:
        pixels (size, size, 3) uint8 sRGB, the head over ``BACKDROP``; alpha (size, size) uint8, 255 = head.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    request: RenderRequest
    milliseconds: float
    """How long rendering took."""
    clamped: bool
    """Whether the camera asked for lay outside what the model was trained for and was moved back."""
    note: str = ""
    """What a person should know about this picture, as that memory allowed a smaller one only."""

    def cutout(self) -> NDArray[np.uint8]:
        """The head without its backdrop, (size, size, 4) uint8 sRGB and straight alpha."""
        share = self.alpha[..., None].astype(np.float32) / 255.0
        backdrop = np.array(BACKDROP, dtype=np.float32)
        colours = (self.pixels - backdrop * (1.0 - share)) / np.maximum(share, 1.0 / 255.0)
        straight = np.rint(np.clip(colours, 0.0, 255.0)).astype(np.uint8)
        return np.concatenate([straight, self.alpha[..., None]], axis=-1)
