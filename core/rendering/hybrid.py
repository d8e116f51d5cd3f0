"""Hybrid alignment as one pair of functions: what the latents missed, carried to another view (E3DGE, section 3.4).

Pure and differentiable, so that training and product run the same steps (specification §3.8). The names follow the
paper: the *reference* is the photo's own view, the *query* the view that is rendered.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV
from core.models.generator import Modulate
from core.models.local import lookup
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.precision import packed
from core.tensor_camera import project

__all__ = ["LOCAL_SIZE", "aligned_residual", "enlarged", "hybrid_modulation", "local_depth", "reference_features"]

# Side of the pictures that E_ADA and E1 look at.
LOCAL_SIZE = 256


def enlarged(picture: Tensor, size: int = LOCAL_SIZE) -> Tensor:
    """A small render at the local networks' size; nearest, as in the reference (specification §3.8)."""
    return functional.interpolate(picture, size=(size, size), mode="nearest")


def local_depth(maps: VolumeMaps) -> Tensor:
    """The depth that E1 reads, (B, 1, s, s): optical-axis depth, the far end of the scene where nothing is hit."""
    return maps.depth + (1.0 - maps.alpha) * FAR


def aligned_residual(networks: Networks, residual: Tensor, thumb: Tensor) -> tuple[Tensor, Tensor | None]:
    """E_ADA: the photo's residual as another render of the head needs it, and the flow that leads there.

    Shape:
        residual (B, 3, 256, 256): photo minus enlarged thumb of its own view; thumb (B, 3, s, s) of the target;
        returns (B, 3, 256, 256) and the flow (B, 2, 256, 256) in unit picture coordinates (target pixel + flow =
        where to look in the photo), or None where the family has none.
    """
    if networks.aligner is None:
        return residual, None
    output = networks.aligner(packed(torch.cat((residual, enlarged(thumb, residual.shape[-1])), dim=1)))
    return output[:, :3], output[:, 3:5] if output.shape[1] >= 5 else None


def reference_features(networks: Networks, residual: Tensor, depth: Tensor) -> Tensor | None:
    """E1 in the reference view.

    Shape:
        residual (B, 3, 256, 256), depth (B, 1, s, s) as ``local_depth`` gives it; returns (B, C, 64, 64).
    """
    if networks.local is None:
        return None
    features: Tensor = networks.local(residual, enlarged(depth))
    return features


def hybrid_modulation(
    networks: Networks,
    reference: Tensor,
    reference_angles: Tensor,
    residual: Tensor,
    query: VolumeMaps,
    angles: Tensor,
    half_fov: float = HALF_FOV,
    size: int = LOCAL_SIZE,
) -> Modulate | None:
    """The texture modulation of a query view.

    Args:
        networks: All of them; None is returned when the local branch is not there.
        reference: E1's features of the reference view.
        reference_angles: Its camera.
        residual: The photo's residual in its own view (unedited).
        query: Render of the query view without modulation.
        angles: The query's camera.
        half_fov: Of both cameras.
        size: Side at which the query view is looked at; its features have a quarter of it.

    Returns:
        A function from sample points (B, N, 3) to (α, δ), each (B, N, W).

    Shape:
        reference (B, C, 64, 64), angles (B, 2), residual (B, 3, 256, 256).
    """
    local, modulation = networks.local, networks.modulation
    if local is None or modulation is None:
        return None
    if size != residual.shape[-1]:
        residual = functional.interpolate(residual, size=(size, size), mode="area")
    aligned, _ = aligned_residual(networks, residual, query.rgb)
    query_features = local(aligned, enlarged(local_depth(query), size))

    def modulate(points: Tensor, rays: slice) -> tuple[Tensor, Tensor]:
        del rays
        uv, _ = project(points, angles, half_fov)
        aligned_features = lookup(query_features, uv)
        if networks.fusion is None:
            plain: tuple[Tensor, Tensor] = modulation(aligned_features, points)
            return plain
        uv, _ = project(points, reference_angles, half_fov)
        # The frustum test of the reference: inside its picture or not. Occlusion is what the fusion learns from depth.
        visible = (uv.abs().amax(dim=-1, keepdim=True) <= 1.0).to(aligned_features.dtype)
        fused = networks.fusion(aligned_features, visible, lookup(reference, uv))
        result: tuple[Tensor, Tensor] = modulation(fused, points)
        return result

    return modulate
