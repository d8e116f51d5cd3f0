"""Stage G1: the decoder to 256, with the photo's own pixels as its guide.

Pairs of views of one head: what the source view saw is projected onto the target view (the same functions that the
product uses), and the decoder learns where to trust it, how to mend its faults and what to put where nothing was
seen. Latents and cameras are disturbed, since an encoder's never fit exactly. L1, perceptual and R1-regularised
adversarial loss.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core import visibility
from core.models.generator import Generator
from core.training.data import WorldHeads
from core.training.latents import Latents, latent_statistics
from core.training.losses import PerceptualDistance, discriminator_loss, generator_loss, r1_penalty, total_loss
from core.training.precision import mixed_precision
from core.training.processes import processes
from core.training.renders import on_grey, render, surface_map
from core.training.sheets import contact_sheet


@dataclasses.dataclass(frozen=True)
class DecoderTaskConfig:
    """Batch size and loss weights of the decoder stage."""

    pictures: int = 20
    farthest_yaw: float = 1.25
    without_guide: float = 0.15
    """Share of pictures without a source: the decoder stays a generator of its own."""
    latent_noise: float = 0.25
    """Standard deviations by which half of the latents are disturbed."""
    camera_noise: float = 0.015
    """Radians by which source cameras are disturbed."""
    colour: float = 4.0
    alpha: float = 2.0
    perceptual: float = 0.8
    adversarial: float = 0.03
    adversarial_from: float = 0.3
    r1: float = 10.0
    r1_every: int = 16
    discriminator_rate: float = 1e-3


class DecoderTask:
    """Losses of the decoder's stage; field and mappings stay frozen."""

    name = "decoder"

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module | None,
        data: WorldHeads,
        config: DecoderTaskConfig,
        *,
        perceptual: PerceptualDistance | None,
        compiled: bool,
        latents: Latents | None = None,
    ) -> None:
        generator.requires_grad_(False)
        generator.decoder.requires_grad_(True)
        # The latent mapping of the decoder stays what it is, so that E0 can learn its outputs at the same time.
        generator.decoder.style.requires_grad_(False)
        self.generator, self.data, self.config = generator, data, config
        self.modules: dict[str, nn.Module] = {"decoder": generator.decoder}
        self.perceptual, self.discriminator = perceptual, discriminator
        self.device = data.z.device
        self.latents = latents or latent_statistics(generator)
        self._sdf = torch.compile(generator.field.sdf) if compiled else generator.field.sdf
        self._step = itertools.count()
        self.d_optimiser = None
        if discriminator is not None:
            self.d_optimiser = torch.optim.Adam(
                discriminator.parameters(), config.discriminator_rate, betas=(0.0, 0.99)
            )

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The decoder without its mapping."""
        parameters = [p for p in self.generator.decoder.parameters() if p.requires_grad]
        return [{"params": parameters, "lr": learning_rate}]

    def pairs(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Heads, source views and target views (count,) of one state each, neither turned too far."""
        head = torch.randint(len(self.data), (count,), device=self.device)
        side = self.data.camera[head, 1, 0].abs() < self.config.farthest_yaw
        state = 3 * (torch.rand(count, device=self.device) < 0.4).long()
        frontal = self.data.camera[head, 1, 0].abs() < 0.8
        source = ((torch.rand(count, device=self.device) < 0.35) & frontal).long()
        target = ((torch.rand(count, device=self.device) < 0.6) & side).long()
        return head, source + state, target + state

    def source_of(self, head: Tensor, view: Tensor, styles: Tensor, angles: Tensor) -> visibility.SourceView:
        """What a world picture saw of the surface that the latents make, from assumed angles (N, 2)."""
        camera = torch.cat([angles, self.data.camera[head, view][:, 2:]], 1)
        _, depth, solid = surface_map(lambda x: self._sdf(x, styles), camera)
        straight = self.data.colour[head, view].permute(0, 3, 1, 2).float() / 255
        return visibility.source_view(straight[:, :3] * 2 - 1, depth, solid, straight[:, 3:], angles)

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch of pairs."""
        c, data = self.config, self.data
        n = c.pictures
        head, source, target = self.pairs(n)
        camera = data.camera[head, target]
        with torch.no_grad():
            w = self.generator.mapping(data.code(head, source))
            noisy = (torch.rand(n, 1, device=self.device) < 0.5).float()
            w = w + noisy * torch.randn_like(w) * self.latents.w_std * c.latent_noise
            styles, decoder_styles = self.generator.styles(w), self.generator.decoder_styles(w)
            out = render(self.generator, lambda x: self._sdf(x, styles), styles, camera)
            angles = data.camera[head, source][:, :2]
            angles = angles + noisy * torch.randn_like(angles) * c.camera_noise
            view = self.source_of(head, source, styles, angles)
            guide = visibility.guide(view, out.points, out.alpha)
            blind = (torch.rand(n, 1, 1, 1, device=self.device) < c.without_guide).float()
            guide = blinded(guide, blind)
            wanted = data.picture(head, target)
            real = wanted[:, :3] * 2 - wanted[:, 3:]
        with mixed_precision(self.device):
            decoded = self.generator.decoder(out.feature, decoder_styles, guide=guide)
        picture, alpha = visibility.blend(guide, decoded.float())
        fake = on_grey(picture, alpha)
        parts = picture_losses(fake, alpha, real, wanted[:, 3:], self.perceptual)
        # What the decoder paints must be good under the photo as well: next time the photo will be missing there.
        parts["painted"] = ((decoded[:, :3].float() - real) * wanted[:, 3:]).abs().mean()
        weights = {
            "colour": c.colour, "alpha": c.alpha, "perceptual": c.perceptual, "painted": 0.5 * c.colour,
            "adversarial": c.adversarial,
        }  # fmt: skip
        if self.discriminator is not None and progress > c.adversarial_from:
            self._train_discriminator(real, fake.detach())
            self.discriminator.requires_grad_(False)
            parts["adversarial"] = generator_loss(self.discriminator(fake))
            self.discriminator.requires_grad_(True)
        return total_loss(parts, weights), parts

    def _train_discriminator(self, real: Tensor, fake: Tensor) -> None:
        assert self.discriminator is not None
        assert self.d_optimiser is not None
        loss = discriminator_loss(self.discriminator(real), self.discriminator(fake))
        if next(self._step) % self.config.r1_every == 0:
            loss = loss + self.config.r1 * 0.5 * self.config.r1_every * r1_penalty(self.discriminator, real[:4])
        self.d_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        processes().average_gradients(self.discriminator.parameters())
        nn.utils.clip_grad_norm_(self.discriminator.parameters(), 1.0)
        self.d_optimiser.step()

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: source, target, guide, decoder's picture, with and without guide; eight pairs."""
        n, data = 8, self.data
        head = torch.arange(n, device=self.device)
        source, target = torch.zeros_like(head), torch.ones_like(head)
        target = torch.where(data.camera[head, 1, 0].abs() < self.config.farthest_yaw, target, source)
        w = self.generator.mapping(data.code(head, source))
        styles, decoder_styles = self.generator.styles(w), self.generator.decoder_styles(w)
        out = render(self.generator, lambda x: self._sdf(x, styles), styles, data.camera[head, target])
        view = self.source_of(head, source, styles, data.camera[head, source][:, :2])
        guide = visibility.guide(view, out.points, out.alpha)
        rows = [data.picture(head, source)[:, :3], data.picture(head, target)[:, :3]]
        rows.append((guide[:, :3] + 1) / 2)
        for g in (guide, blinded(guide, torch.ones_like(guide[:, :1, :1, :1]))):
            decoded = averaged["decoder"](out.feature, decoder_styles, guide=g)
            picture, alpha = visibility.blend(g, decoded)
            rows.append((on_grey(picture, alpha) + 1) / 2)
        return contact_sheet(rows)


def picture_losses(
    fake: Tensor, alpha: Tensor, real: Tensor, real_alpha: Tensor, perceptual: PerceptualDistance | None
) -> dict[str, Tensor]:
    """L1 on colour over grey and on alpha, and the perceptual distance; pictures (N, 3, S, S) in [-1, 1]."""
    parts = {"colour": (fake - real).abs().mean(), "alpha": (alpha - real_alpha).abs().mean()}
    if perceptual is not None:
        with mixed_precision(fake.device):
            parts["perceptual"] = perceptual(fake, real)
    return parts


def blinded(guide: Tensor, blind: Tensor) -> Tensor:
    """Guides (N, 6, S, S) that keep nothing but the field's alpha where ``blind`` (N, 1, 1, 1) is 1."""
    only_alpha = torch.tensor([0, 0, 0, 0, 1, 0], device=guide.device).view(1, 6, 1, 1)
    return guide * (1 - blind) + guide * only_alpha * blind
