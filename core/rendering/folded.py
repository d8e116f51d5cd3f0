"""The field of one head, its latent folded into the weights once: what pictures and meshes evaluate.

A layer's phase γ·(W h + b) + β is a plain product with γ·W once the latent is known. The plain field folds again in
every call, because training changes both; here it is done once an edit. Inference only. Refuses to know rays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.models.field import Field, FilmSine

__all__ = ["FoldedField"]

# Points a chunk: activations of a chunk stay in the cache from one layer to the next (measured: 2,000 to 8,000 alike).
CHUNK = 4096


class FoldedField:
    """Distance, colour and feature of one head's points; numbers are those of ``Field`` within float32 rounding.

    Args:
        field: The networks.
        styles: The head's latent rows.

    Shape:
        styles (1, rows, style_dim).
    """

    def __init__(self, field: Field, styles: Tensor) -> None:
        self.config = field.config
        width = field.config.width
        self._layers = []
        for row, layer in enumerate(field.pts_linears):
            assert isinstance(layer, FilmSine)
            self._layers.append(_folded(layer, styles[:, row], width if row else 3))
        first, offset = self._layers[0]
        self._layers[0] = (first / field.config.scene_radius, offset)
        # Pictures are taken without view directions: what a family has of them is zero, as in ``surfaces``.
        self._paint = _folded(field.views_linears, styles[:, -1], width)
        scale = field.config.sdf_scale
        self._sdf = (scale * field.sigma_linear.weight.detach(), scale * field.sigma_linear.bias.detach())
        self._rgb = (field.rgb_linear.weight.detach(), field.rgb_linear.bias.detach())

    def hidden(self, points: Tensor) -> Tensor:
        """Last geometry activation. Shape: points (N, 3) world units; returns (N, W)."""
        if len(points) <= CHUNK:
            return self._hidden(points)
        whole = points.new_zeros(len(points), self._sdf[0].shape[1])
        for start in range(0, len(points), CHUNK):
            whole[start : start + CHUNK] = self._hidden(points[start : start + CHUNK])
        return whole

    def _hidden(self, points: Tensor) -> Tensor:
        h = points
        for weight, offset in self._layers:
            h = _product(h, weight, offset).sin_()
        return h

    def sdf_from(self, h: Tensor, points: Tensor) -> Tensor:
        """Signed distance (N, 1) from the last geometry activation. Shape: h (N, W), points (N, 3)."""
        raw = functional.linear(h, *self._sdf)
        if self.config.sdf_sphere_radius is not None:
            raw += torch.linalg.vector_norm(points, dim=-1, keepdim=True) - self.config.sdf_sphere_radius
        return raw

    def sdf(self, points: Tensor) -> Tensor:
        """Signed distance. Shape: points (1, N, 3) world units; returns (1, N, 1)."""
        parts = [self.sdf_from(self._hidden(part), part) for part in points[0].split(CHUNK)]
        return torch.cat(parts)[None] if parts else points.new_zeros(1, 0, 1)

    def appearance(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Feature (N, W) and raw colour (N, 3) from the last geometry activation (N, W), modulated or not."""
        feature = _product(h, *self._paint).sin_()
        return feature, functional.linear(feature, *self._rgb)


def _folded(layer: FilmSine, style: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """Weight (W, inputs) and offset (W) of a layer under a latent."""
    gamma, shift = (value[0, 0] for value in layer.film(style))
    weight = gamma[:, None] * layer.weight.detach()[:, :inputs]
    return weight.contiguous(), torch.addcmul(shift, gamma, layer.bias.detach())


def _product(h: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
    """``h @ weight.T + offset``, (N, in) → (N, W).

    On a CPU as a 1×1 convolution over channels-last rows: oneDNN's kernels take half the time of the BLAS that comes
    with PyTorch on processors that are not Intel's, and give the same digits.
    """
    small = weight.shape[1] < 16 or not len(h)
    if small or h.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return functional.linear(h, weight, offset)
    rows = h.reshape(1, len(h), 1, -1).permute(0, 3, 1, 2)
    found = functional.conv2d(rows, weight[:, :, None, None], offset)
    return found.permute(0, 2, 3, 1).reshape(len(h), -1)
