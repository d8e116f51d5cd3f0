"""How alike two pictures are, as numbers.

Pictures are in [-1, 1]. The ssim of E3DGE's evaluation is a convention of its own (and flatters); it is kept apart
from the ordinary one. With a mask both pictures are set to the same grey outside it and means go over the mask only: a
background pasted back would flatter a head. Refuses to know photos and models.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["l2", "mae", "psnr", "ssim", "ssim_e3dge", "ssim_map"]

GREY = 0.0  # of both pictures outside the mask


def _masked_mean(values: Tensor, mask: Tensor | None) -> float:
    """Mean of a (B, C, H, W) map over a (B, 1, H, W) mask."""
    if mask is None:
        return float(values.mean())
    inside = mask.to(values.dtype).expand_as(values)
    total = float(inside.sum())
    if total == 0:
        raise ValueError("the mask is empty")
    return float((values * inside).sum() / total)


def _greyed(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else torch.where(mask.bool(), x, torch.full_like(x, GREY))


def mae(x: Tensor, y: Tensor, mask: Tensor | None = None) -> float:
    """Mean absolute difference on [-1, 1], twice the value on [0, 1].

    Shape: x and y (B, C, H, W), mask (B, 1, H, W).
    """
    return _masked_mean((x - y).abs(), mask)


def l2(x: Tensor, y: Tensor, mask: Tensor | None = None) -> float:
    """Mean squared difference on [-1, 1]. Shape: x and y (B, C, H, W), mask (B, 1, H, W)."""
    return _masked_mean((x - y).square(), mask)


def psnr(x: Tensor, y: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal to noise ratio in dB, of the pictures on [0, 1]; 100 for equal pictures.

    Shape: x and y (B, C, H, W), mask (B, 1, H, W).
    """
    error = l2(x, y, mask) / 4
    return 100.0 if error <= 1e-10 else -10.0 * float(torch.log10(torch.tensor(error, dtype=torch.float64)))


def ssim_map(
    x: Tensor, y: Tensor, *, window: int, sigma: float, dynamic_range: float, padding: str = "reflect"
) -> Tensor:
    """Structural similarity at every pixel (Wang et al. 2004, equation 13).

    Args:
        x: One picture.
        y: The other.
        window: Side of the Gaussian window, odd.
        sigma: Its standard deviation in pixels.
        dynamic_range: The L of the constants (0.01 L)² and (0.03 L)².
        padding: "reflect": same size; "valid": smaller by ``window - 1``.

    Shape: x and y (B, C, H, W); returns (B, C, H', W').
    """
    channels = x.shape[1]
    offsets = torch.arange(window, dtype=x.dtype, device=x.device) - window // 2
    gauss = torch.exp(-offsets.square() / (2 * sigma**2))
    gauss = gauss / gauss.sum()
    kernel = torch.outer(gauss, gauss).expand(channels, 1, window, window)

    def local_mean(values: Tensor) -> Tensor:
        if padding == "reflect":
            values = F.pad(values, (window // 2,) * 4, mode="reflect")
        return F.conv2d(values, kernel, groups=channels)

    mean_x, mean_y = local_mean(x), local_mean(y)
    var_x = local_mean(x * x) - mean_x**2
    var_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * dynamic_range) ** 2, (0.03 * dynamic_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2) + 1e-12)


def ssim(x: Tensor, y: Tensor, mask: Tensor | None = None) -> float:
    """Ordinary structural similarity: Gaussian 11, σ 1.5, range 2, mean over the mask.

    Shape: x and y (B, C, H, W), mask (B, 1, H, W).
    """
    values = ssim_map(_greyed(x, mask), _greyed(y, mask), window=11, sigma=1.5, dynamic_range=2.0)
    return _masked_mean(values, mask)


def ssim_e3dge(x: Tensor, y: Tensor, mask: Tensor | None = None) -> float:
    """What E3DGE reports as SSIM: (1 + ssim)/2 of a 5-pixel window, with the constants of range 1.

    A reported .780 is a true mean of about .56.

    Shape: x and y (B, C, H, W), mask (B, 1, H, W).
    """
    values = ssim_map(_greyed(x, mask), _greyed(y, mask), window=5, sigma=1.5, dynamic_range=1.0)
    return 1 - _masked_mean(((1 - values) / 2).clamp(0, 1), mask)
