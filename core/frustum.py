"""The reference's own way from a rendered distance volume to a mesh, kept for parity with its published shapes.

E3DGE samples distances along rays, resamples that frustum into a box with a factor that is linear in depth (the true
one is not), and runs marching cubes on the box; a second mesh joins the pixels of the surface map. Both approximations
are kept as they are. The meshes Cameo exports come from core.meshing, which asks the field itself.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.camera import FAR, NEAR, SCENE_RADIUS

__all__ = ["aligned_volume", "depth_mesh", "frustum_mesh"]

OUTSIDE = 1.0  # distance given to cells that the frustum does not reach


def aligned_volume(sdf: Tensor) -> Tensor:
    """Resample a frustum of distances into a box in the camera's frame.

    Lateral coordinates grow by far/near at the near end, falling linearly to 1 at the far end.

    Shape: sdf (B, rows, columns, depths, 1); returns the same shape.
    """
    batch, rows, columns, depths, _ = sdf.shape
    axes = [torch.linspace(-1, 1, n, device=sdf.device, dtype=sdf.dtype) for n in (rows, columns, depths)]
    row, column, depth = torch.meshgrid(*axes, indexing="ij")
    ratio = FAR / NEAR
    factor = ratio + (1 - ratio) * (depth + 1) / 2
    # grid_sample wants the coordinate of the last axis first
    grid = torch.stack([depth, column * factor, row * factor], dim=-1).expand(batch, -1, -1, -1, -1)
    volume = F.grid_sample(sdf[..., 0][:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)
    reached = (grid.abs() <= 1).all(dim=-1)
    return torch.where(reached, volume[:, 0], torch.full_like(volume[:, 0], OUTSIDE))[..., None]


def frustum_mesh(volume: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Marching cubes at level 0 of an aligned volume; vertices in the frame of its camera.

    Shape: volume (rows, columns, depths, 1); returns vertices (V, 3) and faces (F, 3).

    Raises:
        ValueError: The volume has no surface.
    """
    from skimage.measure import marching_cubes  # slow to import, needed by nothing else here

    array = volume[..., 0].detach().cpu().numpy().transpose(1, 0, 2)  # (column, row, depth)
    vertices, faces, _, _ = marching_cubes(array, 0.0)
    vertices = (vertices / array.shape[0] - 0.5) * (2 * SCENE_RADIUS)
    vertices[:, 1:] *= -1
    return vertices.astype(np.float32), faces.astype(np.int32)


def depth_mesh(xyz: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Join the pixels of a surface map by a Delaunay triangulation of the pixel grid; vertices in the world.

    Shape: xyz (3, H, W); returns vertices (H·W, 3) and faces (F, 3).
    """
    from scipy.spatial import Delaunay  # slow to import, needed by nothing else here

    _, height, width = xyz.shape
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    triangles = Delaunay(np.stack([columns.ravel(), rows.ravel()], axis=1)).simplices
    vertices = xyz.detach().cpu().numpy().reshape(3, -1).T
    return vertices.astype(np.float32), triangles[:, [1, 0, 2]].astype(np.int32)
