"""The released field under one latent: γ folded into the weights once an edit, view directions kept.

The twin of ``core.rendering.folded`` for a field that is twice as wide, looks at view directions and may run its layers
in bfloat16. Coordinates, the first layer and the distance stay float32. A phase of a few radians that is rounded to
bfloat16 is off by some thousandths, which the released field forgives (docs/performance.md). Inference only.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.fused import compiled_for
from core.job import Job
from core.models.field import Field, FilmSine

__all__ = ["FrozenField"]

# Points a chunk: 4 MB of activations, which stay in the cache from one layer to the next.
CHUNK = 4096


class FrozenField:
    """Distance, colour and feature of one head's points.

    Args:
        field: The networks.
        styles: The head's latent rows.
        low: Layers after the first in bfloat16.

    Shape:
        styles (1, rows, style_dim).
    """

    def __init__(self, field: Field, styles: Tensor, *, low: bool = False) -> None:
        self.config = field.config
        self.width = field.config.width
        self.low = low
        self._layers = []
        for row, layer in enumerate(field.pts_linears):
            assert isinstance(layer, FilmSine)
            weight, offset = _folded(layer, styles[:, row])
            self._layers.append((weight, offset) if row == 0 or not low else (weight.bfloat16(), offset.bfloat16()))
        first, offset = self._layers[0]
        self._layers[0] = (first / field.config.scene_radius, offset)
        paint, offset = _folded(field.views_linears, styles[:, -1])
        own = paint[:, : self.width].contiguous()
        self._paint = (own.bfloat16(), offset) if low else (own, offset)
        self.dtype = torch.bfloat16 if low else torch.float32
        self._looks = paint[:, self.width :].contiguous() if field.config.view_directions else None
        scale = field.config.sdf_scale
        self._sdf = (scale * field.sigma_linear.weight.detach(), scale * field.sigma_linear.bias.detach())
        self._rgb = (field.rgb_linear.weight.detach(), field.rgb_linear.bias.detach())
        self._kernel = compiled_for(self._layers) if low else None

    def hidden(self, points: Tensor, job: Job | None = None) -> Tensor:
        """Last geometry activation; every chunk is a yield point.

        Shape: points (N, 3) world units; returns (N, W), bfloat16 if ``low``.
        """
        whole = points.new_zeros(len(points), self.width, dtype=self.dtype)
        for start in range(0, len(points), CHUNK):
            if job is not None:
                job.report(start / len(points), "looking at the head")
            whole[start : start + CHUNK] = self._hidden(points[start : start + CHUNK])
        return whole

    def _hidden(self, points: Tensor) -> Tensor:
        if self._kernel is not None:
            return self._kernel.hidden(points, self._layers)
        first, *others = self._layers
        h = functional.linear(points, *first).sin_().to(self.dtype)
        for weight, offset in others:
            h = (functional.linear(h, weight, offset) if self.low else _phase(h, weight, offset)).sin_()
        return h

    def sdf_from(self, h: Tensor, points: Tensor) -> Tensor:
        """Signed distance (N,) from the last geometry activation. Shape: h (N, W), points (N, 3)."""
        raw = functional.linear(h.float(), *self._sdf)[:, 0]
        if self.config.sdf_sphere_radius is not None:
            raw += torch.linalg.vector_norm(points, dim=-1) - self.config.sdf_sphere_radius
        return raw

    def sdf(self, points: Tensor) -> Tensor:
        """Signed distance. Shape: points (N, 3) world units; returns (N,)."""
        parts = [self.sdf_from(self._hidden(part), part) for part in points.split(CHUNK)]
        return torch.cat(parts) if parts else points.new_zeros(0)

    def appearance(
        self, h: Tensor, view: Tensor | None = None, modulation: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Feature (N, W) and raw colour (N, 3) of some chunk of points.

        Args:
            h: Last geometry activation.
            view: Camera-frame unit directions of the pixels; zero when absent.
            modulation: (α, δ) of the local branch, as in ``Field.appearance``.

        Shape: h (N, W), view (N, 3), α and δ (N, W).
        """
        if modulation is not None:
            alpha, delta = modulation
            h = torch.addcmul(h + delta.to(h.dtype), alpha.to(h.dtype), h)
        phase = _phase(h, *self._paint)
        if view is not None and self._looks is not None:
            phase = phase.addmm_(view, self._looks.T)
        feature = phase.sin_()
        return feature, functional.linear(feature, *self._rgb)


def _folded(layer: FilmSine, style: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (W, inputs) and offset (W) of a layer under a latent."""
    gamma, shift = (value[0, 0] for value in layer.film(style))
    weight = gamma[:, None] * layer.weight.detach()
    return weight.contiguous(), torch.addcmul(shift, gamma, layer.bias.detach())


def _phase(h: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
    """``h @ weight.T + offset`` in float32, (N, in) → (N, W); on a CPU by oneDNN (see ``core.rendering.folded``)."""
    if weight.dtype == torch.bfloat16:
        return functional.linear(h.bfloat16(), weight).float().add_(offset)  # the phase of colours is float32
    small = weight.shape[1] < 16 or not len(h)
    if small or h.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return functional.linear(h, weight, offset)
    rows = h.reshape(1, len(h), 1, -1).permute(0, 3, 1, 2)
    found = functional.conv2d(rows, weight[:, :, None, None], offset)
    return found.permute(0, 2, 3, 1).reshape(len(h), -1)
