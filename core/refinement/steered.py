"""The field of one head while its latent moves: distances, and their gradient in the latent written out.

A fit of the latent asks for both dozens of times. Folding layer by layer and going back by autograd takes hundreds of
operations of some microseconds each; two fits beside each other then wait for the interpreter and not for the
processor. Here the frequencies and shifts of all layers come out of one product, and the gradient is a loop. One latent
in all geometry rows. Refuses to know rays and photos.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from core.models.field import GAIN, OFFSET, SHIFT_GAIN, Field, FilmSine
from core.rendering.precision import has_fast_bfloat16

__all__ = ["SteeredField"]


class SteeredField:
    """Distances of a head whose geometry rows are one latent.

    Args:
        field: The networks.
    """

    def __init__(self, field: Field) -> None:
        config = field.config
        layers = [layer for layer in field.pts_linears if isinstance(layer, FilmSine)]
        self._scale, self._radius = config.sdf_scale, config.sdf_sphere_radius
        gammas, betas = ([getattr(layer, name) for layer in layers] for name in ("gamma", "beta"))
        weight = [GAIN * one.weight.detach() for one in gammas] + [SHIFT_GAIN * one.weight.detach() for one in betas]
        bias = [GAIN * one.bias.detach() + OFFSET for one in gammas] + [SHIFT_GAIN * one.bias.detach() for one in betas]
        self._film, self._film_bias = torch.cat(weight), torch.cat(bias)
        self._film_back = self._film.T.contiguous()
        self._first = layers[0].weight.detach() / config.scene_radius
        self._rest = torch.stack([layer.weight.detach() for layer in layers[1:]])
        self._bias = torch.stack([layer.bias.detach() for layer in layers])
        self._out = config.sdf_scale * field.sigma_linear.weight.detach()
        self._out_bias = config.sdf_scale * field.sigma_linear.bias.detach()
        self._low = torch.bfloat16 if has_fast_bfloat16(self._bias.device) else torch.float32
        self.steer(torch.zeros_like(self._film[0]))

    def steer(self, latent: Tensor) -> None:
        """Take another latent. Shape: (style_dim,)."""
        films = torch.addmv(self._film_bias, self._film, latent).reshape(2, *self._bias.shape)
        self._gamma, self._beta = films.unbind()
        offset = torch.addcmul(self._beta, self._gamma, self._bias)
        self._offsets = (offset[0], *offset[1:].to(self._low))
        rest = (self._gamma[1:, :, None] * self._rest).to(self._low)
        self._folded = (self._gamma[0, :, None] * self._first, *rest)

    def sdf(self, points: Tensor) -> Tensor:
        """Distances, as ``FoldedField.light`` tells them. Shape: points (N, 3) world units; returns (N,)."""
        h = points
        for weight, offset in zip(self._folded, self._offsets, strict=True):
            h = functional.linear(h.to(weight.dtype), weight, offset).sin_()
        return self._distances(h.float(), points)

    def _distances(self, h: Tensor, points: Tensor) -> Tensor:
        raw = functional.linear(h, self._out, self._out_bias)[:, 0]
        if self._radius is not None:
            raw = raw + (torch.linalg.vector_norm(points, dim=-1) - self._radius)
        return raw

    def gradient(self, points: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
        """The gradient of a sum over distances in the latent.

        Args:
            points: Where they are asked, world units.
            weigh: The sum's derivative in each distance (N,), given the distances (N,).

        Shape:
            points (N, 3); returns (style_dim,).
        """
        h, raws, phases = points, [], []
        for number, (weight, bias) in enumerate(zip((self._first, *self._rest), self._bias, strict=True)):
            raws.append(functional.linear(h, weight, bias))
            phases.append(torch.addcmul(self._beta[number], self._gamma[number], raws[-1]))
            h = phases[-1].sin()
        back = weigh(self._distances(h, points))[:, None] * self._out
        films = torch.empty_like(self._gamma), torch.empty_like(self._beta)
        for number in reversed(range(len(phases))):
            back = back * phases[number].cos_()
            films[0][number] = (back * raws[number]).sum(dim=0)
            films[1][number] = back.sum(dim=0)
            if number:
                back = (back * self._gamma[number]) @ self._rest[number - 1]
        return torch.mv(self._film_back, torch.cat(films).flatten())
