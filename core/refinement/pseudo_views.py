"""Pseudo-views: what the photo would look like from elsewhere, and the generator's picture where it cannot know.

HFGI3D (Xie et al. 2023, supplement B; specification §2.4 to §2.7): the photo's relief is drawn from another camera with
the photo's colours, pixels that the photo did not see are masked out with a soft edge, and the generator fills them.
Functions of tensors only; pictures are in [-1, 1], masks in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.refinement.relief import Raster, Relief, rasterise, seen_from
from core.rendering.hands import Pause, resting

REFERENCE = 512
"""Side of the pictures that the published kernel sizes belong to."""
EDGE_KERNEL, BORDER_KERNEL, BLUR_KERNEL = 3, 51, 21
"""Erosion of the visible part, erosion of the covered part, and Gaussian blur, at 512 px."""
FACING_NONE, FACING_FULL = 0.15, 0.40
"""Cosine to the photo's ray below which a patch says nothing, and from which on it says all."""
POISSON_STEPS = 400


@dataclass(frozen=True, eq=False)
class Warp:
    """The photo carried to another camera.

    Shape:
        picture (1, 3, S, S), 0 where nothing was carried; visible, covered (1, 1, S, S) 0 or 1: seen by the photo, and
        on the relief at all; facing (1, 1, S, S) in [0, 1].
    """

    picture: Tensor
    visible: Tensor
    covered: Tensor
    facing: Tensor


@torch.no_grad()
def warp(
    relief: Relief,
    photo: Tensor,
    source: Tensor,
    target: Tensor,
    size: int,
    half_fov: float = HALF_FOV,
    pause: Pause = resting,
) -> Warp:
    """Draw the relief from a target camera in the photo's own colours (bilinear, no light model).

    Args:
        relief: From ``relief_of`` at the source camera.
        photo: The picture of the source camera, colours carried past the head's edge.
        source: The photo's camera.
        target: The camera to draw from.
        size: Side of the drawing.
        half_fov: Of both cameras.
        pause: Called between steps.

    Shape:
        photo (1, 3, H, H), source and target (1, 2).
    """
    drawn = rasterise(relief.points, relief.faces, target, size, half_fov)
    pause()
    covered = drawn.covered
    face = drawn.face.clamp(min=0)
    corners = relief.faces[face]
    uv = (relief.uv[corners] * drawn.weights[..., None]).sum(dim=-2)
    points = (relief.points[corners] * drawn.weights[..., None]).sum(dim=-2)
    pause()
    # A relief hides parts of itself from its own camera only at sheets; the test holds for any mesh.
    own: Raster = rasterise(relief.points, relief.faces, source, size, half_fov)
    pause()
    seen = seen_from(points.reshape(-1, 3), source, _nearer_neighbours(own.depth), half_fov).reshape(size, size)
    pause()
    colours = functional.grid_sample(photo, uv[None], align_corners=False, padding_mode="border")
    visible = covered & ~relief.sheet[face] & seen
    facing = ((relief.facing[face] - FACING_NONE) / (FACING_FULL - FACING_NONE)).clamp(0.0, 1.0) * covered
    mask = covered[None, None].to(photo.dtype)
    return Warp(colours * mask, visible[None, None].to(photo.dtype), mask, facing[None, None])


def _nearer_neighbours(depth: Tensor) -> Tensor:
    """Depths as the pixel next to it sees them at most: slopes between two pixel centres do not hide themselves."""
    finite = torch.where(torch.isfinite(depth), depth, depth.new_zeros(()))
    grown = functional.max_pool2d(finite[None, None], 3, 1, 1)[0, 0]
    return torch.where(grown > 0, grown, torch.full_like(grown, math.inf))


def scaled_kernel(kernel: int, size: int) -> int:
    """A kernel of the published 512 px for another size: odd, at least 1."""
    return max(1, 2 * round((kernel * size / REFERENCE - 1) / 2) + 1)


def eroded(mask: Tensor, kernel: int) -> Tensor:
    """Minimum over a square window; the picture's border does not count as an edge. Shape: mask (B, 1, S, S)."""
    return -functional.max_pool2d(-mask, kernel, stride=1, padding=kernel // 2)


def blurred(mask: Tensor, kernel: int) -> Tensor:
    """Gaussian blur; the border repeats. Shape: mask (B, C, S, S).

    σ = 0.3·((k − 1)/2 − 1) + 0.8, OpenCV's rule: 3.5 px for 21.
    """
    if kernel < 3:
        return mask
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1.0) + 0.8
    steps = torch.arange(kernel, device=mask.device, dtype=mask.dtype) - kernel // 2
    taps = torch.exp(-steps.square() / (2.0 * sigma * sigma))
    taps = (taps / taps.sum()).expand(mask.shape[1], 1, 1, kernel)
    padded = functional.pad(mask, (kernel // 2,) * 4, mode="replicate")
    across = functional.conv2d(padded, taps, groups=mask.shape[1])
    return functional.conv2d(across, taps.transpose(2, 3), groups=mask.shape[1])


def soft_mask(carried: Warp, border: int = BORDER_KERNEL) -> Tensor:
    """How far each pixel of a warp may be believed: eroded, blurred, and less at grazing patches (§2.7).

    Args:
        carried: The warp.
        border: Erosion at the relief's outer border, at 512 px. The published 51 was chosen for reliefs that fill the
            whole picture; heads cut out by their matte bear less.

    Shape:
        Returns (1, 1, S, S).
    """
    size = carried.visible.shape[-1]
    inner = eroded(carried.visible, scaled_kernel(EDGE_KERNEL, size) if size >= REFERENCE // 2 else 1)
    inner = inner * eroded(carried.covered, scaled_kernel(border, size))
    return blurred(inner, scaled_kernel(BLUR_KERNEL, size)) * carried.facing


def blend(carried: Tensor, generated: Tensor, mask: Tensor) -> Tensor:
    """``M · warp + (1 − M) · generator`` (§2.7). Shape: pictures (1, 3, S, S), mask (1, 1, S, S)."""
    return mask * carried + (1.0 - mask) * generated


@torch.no_grad()
def poisson_blend(carried: Tensor, generated: Tensor, mask: Tensor, steps: int = POISSON_STEPS) -> Tensor:
    """The warp's gradients inside a hard mask, the generator's colours on its rim (Pérez et al. 2003, equation 4).

    The mask is shrunk by two pixels and kept off the border. Conjugate gradients on the five-point Laplacian, all
    channels at once. It removes colour seams but tints a whole patch where the two disagree in brightness; the Gaussian
    blend is therefore the default.

    Shape:
        pictures (1, 3, S, S) in [-1, 1], mask (1, 1, S, S), taken as 1 above a half; returns (1, 3, S, S), clamped.
    """
    inside = eroded((mask > 0.5).to(carried.dtype), 5)
    inside[..., :2, :], inside[..., -2:, :], inside[..., :, :2], inside[..., :, -2:] = 0, 0, 0, 0
    if not inside.any():
        return generated.clamp(-1.0, 1.0)
    taps = carried.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]).expand(3, 1, 3, 3)

    def laplacian(picture: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(picture, (1, 1, 1, 1), mode="replicate"), taps, groups=3) * inside

    def inner(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(dim=(2, 3), keepdim=True)

    # Unknown: the correction of the generator's picture inside the mask; zero on and beyond its rim.
    residual = laplacian(carried) - laplacian(generated)
    step, found = residual.clone(), torch.zeros_like(residual)
    energy = inner(residual, residual)
    for _ in range(steps):
        moved = laplacian(step)
        length = energy / inner(step, moved).clamp(min=1e-20)
        found = found + length * step
        residual = residual - length * moved
        after = inner(residual, residual)
        if float(after.amax()) < 1e-8:
            break
        step = residual + after / energy.clamp(min=1e-20) * step
        energy = after
    return (generated + found).clamp(-1.0, 1.0)
