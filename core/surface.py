"""A head as a triangle mesh, ready to be drawn or written.

Only the value and what can be told from it alone. How a mesh comes out of a signed distance field is ``core.meshing``'s
business, how it becomes a file ``core.export``'s.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PhotoTexture:
    """The photo on a mesh, finer than its vertices stand: where the photo saw them, and how far it counts there.

    Shape:
        pixels (H, W, 3) uint8 sRGB; places (V, 2) float32, in 0 … 1 of the picture, u right and v down, beyond it where
        the photo did not look; shares (V,) uint8, 0 the vertex' own colour alone … 255 the photo's alone.
    """

    pixels: NDArray[np.uint8]
    places: NDArray[np.float32]
    shares: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for name, dtype, axes in (("pixels", "uint8", 3), ("places", "float32", 2), ("shares", "uint8", 1)):
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype, order="C")
            if array.ndim != axes:
                raise ValueError(f"{name} must have {axes} axes, got {array.shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.pixels.shape[2] != 3 or self.places.shape != (len(self.shares), 2):
            raise ValueError(f"pixels {self.pixels.shape}, places {self.places.shape}, shares {self.shares.shape}")

    def with_bare(self, count: int) -> "PhotoTexture":
        """The same for so many more vertices that no photo saw."""
        places = np.concatenate((self.places, np.zeros((count, 2), np.float32)))
        return PhotoTexture(self.pixels, places, np.concatenate((self.shares, np.zeros(count, np.uint8))))


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """Triangles in the world frame of ``core.camera``; immutable: its arrays are read-only.

    Shape:
        vertices (V, 3) float32, world units; faces (F, 3) int32, counter-clockwise seen from outside; normals (V, 3)
        float32, unit length, outwards; colours (V, 3) uint8 sRGB.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8]
    raw_components: int = 1
    """Connected pieces of the surface before cleaning."""
    raw_largest_share: float = 1.0
    """Share of the raw surface's faces that belong to its largest piece, 0..1."""
    texture: PhotoTexture | None = None
    """The photo, for who can draw it; colours are complete without."""

    def __post_init__(self) -> None:
        for name, dtype in (("vertices", "float32"), ("faces", "int32"), ("normals", "float32"), ("colours", "uint8")):
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype, order="C")
            if array.ndim != 2 or array.shape[1] != 3:
                raise ValueError(f"{name} must have shape (N, 3), got {array.shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        count = len(self.vertices)
        if len(self.normals) != count or len(self.colours) != count:
            raise ValueError(f"{count} vertices, {len(self.normals)} normals and {len(self.colours)} colours")
        if self.texture is not None and len(self.texture.shares) != count:
            raise ValueError(f"{count} vertices and a texture for {len(self.texture.shares)}")
        if len(self.faces) and not (self.faces.min() >= 0 and self.faces.max() < count):
            raise ValueError("a face refers to a vertex that does not exist")

    @cached_property
    def watertight(self) -> bool:
        """Whether the surface is closed: every edge belongs to two faces that pass it in opposite directions."""
        if len(self.faces) == 0:
            return False
        corners = self.faces.astype(np.int64)
        edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        key = np.int64(len(self.vertices))
        forward = np.sort(edges[:, 0] * key + edges[:, 1])
        backward = np.sort(edges[:, 1] * key + edges[:, 0])
        return bool(np.all(np.diff(forward) > 0)) and bool(np.array_equal(forward, backward))
