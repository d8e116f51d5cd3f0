"""What a refinement may move: offsets of the latents, and the generator's parameters in named groups."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import CameoError
from core.models.generator import Generator
from core.refinement.methods import WEIGHTS


class Latents:
    """Latent rows and their offsets; the rows stay, the offsets move.

    Shape:
        styles (1, rows, style_dim), decoder_styles (1, rows_d, D). The last field row is colour's. lights
        (k, style_dim) and (k, D): see :func:`light_directions`.
    """

    def __init__(
        self, styles: Tensor, decoder_styles: Tensor, lights: Callable[[], tuple[Tensor, Tensor]] | None = None
    ) -> None:
        self._start = (styles, decoder_styles)
        self._find_lights = lights
        self._lights: tuple[Tensor, Tensor] | None = None
        self._shares: Tensor | None = None
        self._offsets: list[tuple[Tensor, Tensor]] = []
        self._names: list[str] = []

    def free(self, name: str) -> list[Tensor]:
        """New offsets of zero.

        Args:
            name: "w", one for all rows of a network; "w+", one a row; "appearance", of the colour row and the
                decoder's rows: the surface cannot move; "light", how much of each direction of light, (k,).

        Shape:
            Returns (1, 1 or rows, style_dim) and (1, 1 or rows_d, D); of "light" (k,).
        """
        styles, decoder = self._start
        if name == "light":
            if self._find_lights is None:
                raise ValueError("these latents know no light")
            self._lights = self._find_lights()
            self._shares = torch.zeros_like(self._lights[0][:, 0])
            return [self._shares]
        if name == "w":
            made = (torch.zeros_like(styles[:, :1]), torch.zeros_like(decoder[:, :1]))
        elif name == "w+":
            made = (torch.zeros_like(styles), torch.zeros_like(decoder))
        elif name == "appearance":
            made = (torch.zeros_like(styles[:, -1:]), torch.zeros_like(decoder))
        else:
            raise ValueError(f"unknown variable {name!r}")
        self._offsets.append(made)
        self._names.append(name)
        return list(made)

    def forget(self) -> None:
        """Take back what was freed last and how far it moved."""
        self._offsets.pop()
        self._names.pop()

    def rows(self, jitter: float = 0.0, random: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Latents with offsets, and noise of a standard deviation on them if asked for."""
        styles, decoder = self._start
        for name, (first, second) in zip(self._names, self._offsets, strict=True):
            if name == "appearance":
                first = torch.cat((torch.zeros_like(styles[:, :-1]), first), dim=1)
            styles, decoder = styles + first, decoder + second
        if self._lights is not None and self._shares is not None:
            for_colour, for_decoder = (self._shares @ part for part in self._lights)
            styles = torch.cat((styles[:, :-1], styles[:, -1:] + for_colour), dim=1)
            decoder = decoder + for_decoder
        if jitter > 0.0 and random is not None:
            # One draw for all rows: rows of their own would leave the latents that the field knows.
            noise = torch.randn(styles[:, :1].shape, generator=random).to(styles)
            more = torch.randn(decoder[:, :1].shape, generator=random).to(decoder)
            styles, decoder = styles + jitter * noise, decoder + jitter * more
        return styles, decoder

    def length(self) -> Tensor:
        """Mean length of the offsets, row by row (e4e's regulariser)."""
        parts = [offset.norm(dim=-1).mean() for pair in self._offsets for offset in pair]
        return torch.stack(parts).sum() if parts else self._start[0].new_zeros(())


LIGHT = slice(223, 247)
"""Coordinates of z that say how the world is lit: ``core.world.identity.IDENTITY_BLOCKS["light"]``."""


@torch.no_grad()
def light_directions(generator: Generator) -> tuple[Tensor, Tensor]:
    """What one standard deviation of each coordinate of the world's light does to the latents of the mean head.

    Light is a block of the world's code z; the mapping makes latents of it. Moving along these directions another light
    falls on the same person, as far as the generator has learned to keep them apart.

    Raises:
        CameoError: These weights were not trained on the world's codes.

    Shape:
        Returns (24, style_dim) and (24, D).
    """
    if generator.config.z_dim < LIGHT.stop:
        raise CameoError("These weights know no light.", hint="Refine without polishing the light.")
    count = LIGHT.stop - LIGHT.start
    z = torch.zeros(2 * count, generator.config.z_dim, device=generator.field.rgb_linear.weight.device)
    z[:count, LIGHT], z[count:, LIGHT] = torch.eye(count), -torch.eye(count)
    w = generator.mapping(z)
    s = generator.decoder_latent(w)
    return (w[:count] - w[count:]) / 2.0, (s[:count] - s[count:]) / 2.0


GROUPS = (*WEIGHTS, "guides")


def parameter_groups(generator: Generator) -> dict[str, dict[str, Tensor]]:
    """Names and tensors of every parameter, once, by what it does.

    geometry: layers and head of the distance; colour: view layer and colour head; decoder: without its mapping and its
    guides; mapping: both mapping networks; beta: the density's width; guides: what the decoder makes of the photo's
    colours, which no refinement shows it.
    """
    groups: dict[str, dict[str, Tensor]] = {name: {} for name in GROUPS}
    for name, parameter in generator.named_parameters():
        if name.startswith(("style.", "decoder.style.")):
            group = "mapping"
        elif name.startswith("decoder.guide_convs."):
            group = "guides"
        elif name.startswith("decoder."):
            group = "decoder"
        elif name == "renderer.sigmoid_beta":
            group = "beta"
        elif ".views_linears." in name or ".rgb_linear." in name:
            group = "colour"
        else:
            group = "geometry"
        groups[group][name] = parameter
    return groups
