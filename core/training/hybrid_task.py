"""Stage E1, E_ADA and hybrid fusion: what the latents missed, carried to new views and edits (E3DGE Sections 4.2, 4.3).

Novel-view training on pairs of one head (reference view encoded, another view wanted), edited states included: the
world has both states of a head with their exact flow. The path is the specification's Section 3.8; the decoder learns
along, since the projected colour it is guided by now comes from the encoder's own geometry. Real portraits join at
their own view, and by cycle: turned as the product would turn them, and back.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core import visibility
from core.models.encoder import Encoder
from core.models.generator import Generator
from core.training.data import RealPortraits, WorldHeads, encoder_input, premultiplied
from core.training.decoder_task import DecoderTask, DecoderTaskConfig, blinded, picture_losses
from core.training.latents import Latents
from core.training.local_branch import LocalBranch, Parts
from core.training.losses import PerceptualDistance, generator_loss, masked_mean, total_loss
from core.training.precision import mixed_precision
from core.training.renders import on_grey, surface_map
from core.training.sheets import contact_sheet
from core.training.views import HALF_FOV, pixel_grid, project
from core.training.warps import PICTURE, reframed, sample, transformed, up


@dataclasses.dataclass(frozen=True)
class HybridTaskConfig(DecoderTaskConfig):
    """Batch sizes and loss weights of the hybrid stage."""

    pictures: int = 12
    portraits: int = 6
    returning: int = 3
    """Of them, how many come back from another pose (cycle) instead of being seen from their own."""
    returning_from: float = 0.2
    """Progress from which portraits are turned: before, what is painted there teaches nothing."""
    turn: tuple[float, float] = (0.25, 0.9)
    """Smallest and largest turn of the way out, radians of yaw."""
    flows: int = 6
    """Pairs of two states at one camera a step, for the flow."""
    edited: float = 0.35
    """Share of pairs whose target is the edited state."""
    latent_noise: float = 0.12
    polished: float = 0.8
    """Up to this share of the way from E0's latents and pose to a world head's own ones, evenly drawn: the product fits
    landmarks and outline before it draws, so that these parts never work on E0's bare answer."""
    adversarial: float = 0.01
    residual: float = 0.1
    """Weight of E_ADA's residual (paper, Section 4.3)."""
    distorted: float = 0.1
    flow: float = 20.0
    decoder_rate: float = 0.4


class HybridTask(DecoderTask):
    """Losses of the hybrid stage; E0 and geometry stay frozen."""

    name = "hybrid"
    config: HybridTaskConfig

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        parts: Parts,
        discriminator: nn.Module | None,
        data: WorldHeads,
        portraits: RealPortraits | None,
        config: HybridTaskConfig,
        *,
        latents: Latents,
        perceptual: PerceptualDistance | None,
        compiled: bool,
    ) -> None:
        super().__init__(
            generator, discriminator, data, config, perceptual=perceptual, compiled=compiled, latents=latents
        )
        self.encoder = encoder.requires_grad_(False).eval()
        self.parts = parts
        self.branch = LocalBranch(generator, parts, self._sdf)
        self.modules = {"parts": parts, "decoder": generator.decoder}
        self.portraits = None if portraits is None else self._reframed(portraits)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The local branch at full rate, the decoder slower."""
        decoder = [p for p in self.generator.decoder.parameters() if p.requires_grad]
        return [
            {"params": list(self.parts.parameters()), "lr": learning_rate},
            {"params": decoder, "lr": learning_rate, "scale": self.config.decoder_rate},
        ]

    @torch.no_grad()
    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Styles, decoder styles and pose (N, 6) of premultiplied canonical pictures (N, 4, 256, 256)."""
        with mixed_precision(self.device):
            out = self.encoder(encoder_input(picture))
        return *self.latents.of(out), out.pose.float()

    @torch.no_grad()
    def _reframed(self, portraits: RealPortraits) -> Tensor:
        """Portraits (N, 4, 256, 256) uint8, framed twice by E0 into the canonical frame: straight RGB, matte."""
        out = []
        for start in range(0, len(portraits), 64):
            index = torch.arange(start, min(start + 64, len(portraits)), device=self.device)
            picture = torch.cat(
                [portraits.colour[index].float() / 255, portraits.matte[index][:, None].float() / 255], 1
            )
            for _ in range(2):
                _, _, pose = self.encode(premultiplied(picture))
                picture = reframed(picture, pose[:, 2:])
            out.append((picture * 255).clamp(0, 255).byte())
        return torch.cat(out)

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch of pairs, portraits and flows."""
        c, data = self.config, self.data
        n = c.pictures
        head, source, target = self.pairs(n)
        # Targets in the other state: views 3 and 4 are views 0 and 1 after an edit.
        edited = (torch.rand(n, device=self.device) < c.edited) & (source < 3)
        target = torch.where(edited, target + 3, target)
        camera = data.camera[head, target]
        picture = data.picture(head, source)
        straight = data.colour[head, source].permute(0, 3, 1, 2).float() / 255
        wanted = data.picture(head, target)
        z_from, z_to = data.code(head, source), data.code(head, target)
        with torch.no_grad():
            w_from, w_to = self.generator.mapping(z_from), self.generator.mapping(z_to)
            step, s_step = w_to - w_from, self.generator.decoder_latent(w_to) - self.generator.decoder_latent(w_from)
        if self.portraits is not None and c.portraits:
            index = torch.randint(len(self.portraits), (c.portraits,), device=self.device)
            real = self.portraits[index].float() / 255
            flip = torch.rand(len(real), 1, 1, 1, device=self.device) < 0.5
            real = torch.where(flip, real.flip(3), real)
            real_picture = premultiplied(real)
            picture, straight = torch.cat([picture, real_picture]), torch.cat([straight, real])
            wanted = torch.cat([wanted, real_picture])
            step, s_step = (F.pad(x, (0, 0, 0, len(real))) for x in (step, s_step))
        styles, decoder_styles, pose = self.encode(picture)
        with torch.no_grad():
            way = c.polished * torch.rand(n, 1, device=self.device)
            styles[:n].lerp_(self.generator.styles(w_from), way[..., None])
            decoder_styles[:n].lerp_(self.generator.decoder_styles(w_from), way[..., None])
            pose[:n, :2] = torch.lerp(pose[:n, :2], data.camera[head, source][:, :2], way)
        world = (torch.arange(len(picture), device=self.device) < n).float()
        noise = torch.randn_like(styles[:, :1]) * self.latents.w_std * c.latent_noise * world[:, None, None]
        styles = styles + noise
        fov = torch.full_like(pose[:, :1], HALF_FOV)
        camera_source = torch.cat([pose[:, :2], fov], 1)
        camera = torch.cat([camera, camera_source[n:]])
        shown, decoder_shown = styles + step[:, None], decoder_styles + s_step[:, None]
        photo = torch.cat([straight[:, :3] * 2 - 1, straight[:, 3:]], 1)
        back = torch.zeros(len(picture), dtype=torch.bool, device=self.device)
        if progress > c.returning_from and len(picture) > n:
            back[n : n + c.returning] = True
            photo[back], camera_source[back] = self._turned(
                photo[back], styles[back], decoder_styles[back], camera_source[back]
            )
        on_mid = premultiplied(photo)
        reference = self.branch.reference(on_mid, styles, shown, camera_source)
        feature, q, aligned = self.branch.query(reference, shown, camera_source, camera)
        with torch.no_grad():
            unedited = ~torch.cat([edited, torch.zeros(len(picture) - n, dtype=torch.bool, device=self.device)])
            colours = torch.where(unedited.view(-1, 1, 1, 1), photo, reference.carried)
            _, depth, solid = surface_map(lambda x: self._sdf(x, shown), camera_source)
            view = visibility.source_view(colours[:, :3], depth, solid, colours[:, 3:], camera_source[:, :2])
            points, _, _ = surface_map(lambda x: self._sdf(x, shown), camera)
            guide = visibility.guide(view, points, q.alpha)
            share = torch.where(world > 0, torch.tensor(c.without_guide, device=self.device), 0.5) * (~back).float()
            blind = (torch.rand(len(picture), device=self.device) < share).float().view(-1, 1, 1, 1)
            guide = blinded(guide, blind)
        with mixed_precision(self.device):
            decoded = self.generator.decoder(feature, decoder_shown, guide=guide)
        out, alpha = visibility.blend(guide, decoded.float())
        fake, truth = on_grey(out, alpha), wanted[:, :3] * 2 - wanted[:, 3:]
        parts = picture_losses(fake, alpha, truth, wanted[:, 3:], self.perceptual)
        parts["painted"] = ((decoded[:, :3].float() - truth) * wanted[:, 3:]).abs().mean()
        parts["residual"] = (aligned - (truth - up(q.thumb))).abs().mean()
        parts |= self._flow_losses(reference.residual[:n], styles[:n], camera_source[:n])
        weights = {
            "colour": c.colour, "alpha": c.alpha, "perceptual": c.perceptual, "painted": 0.5 * c.colour,
            "residual": c.residual, "distorted": c.distorted, "flow": c.flow, "distorted_flow": 0.3 * c.flow,
            "adversarial": c.adversarial,
        }  # fmt: skip
        if self.discriminator is not None and progress > c.adversarial_from:
            self._train_discriminator(truth, fake.detach())
            self.discriminator.requires_grad_(False)
            parts["adversarial"] = generator_loss(self.discriminator(fake))
            self.discriminator.requires_grad_(True)
        return total_loss(parts, weights), parts

    @torch.no_grad()
    def _turned(self, photo: Tensor, styles: Tensor, decoder_styles: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
        """Portraits as the product would show them from another side, with that camera: the way out of the cycle.

        On the way back half of the face has to be invented, and for once the truth about it is a photograph.

        Shape:
            photo (N, 4, 256, 256) straight colours in [-1, 1] and matte; returns the same, and cameras (N, 3).
        """
        low, high = self.config.turn
        amount = low + (high - low) * torch.rand(len(photo), device=self.device)
        away = camera.clone()
        away[:, 0] += amount * torch.where(torch.rand_like(amount) < 0.5, -1.0, 1.0)
        reference = self.branch.reference(premultiplied(photo), styles, styles, camera)
        feature, q, _ = self.branch.query(reference, styles, camera, away)
        _, depth, solid = surface_map(lambda x: self._sdf(x, styles), camera)
        view = visibility.source_view(photo[:, :3], depth, solid, photo[:, 3:], camera[:, :2])
        points, _, _ = surface_map(lambda x: self._sdf(x, styles), away)
        guide = visibility.guide(view, points, q.alpha)
        with mixed_precision(self.device):
            decoded = self.generator.decoder(feature, decoder_styles, guide=guide)
        out, alpha = visibility.blend(guide, decoded.float())
        return torch.cat([out.clamp(-1, 1), alpha], 1), away

    def _flow_losses(self, residual: Tensor, styles: Tensor, source: Tensor) -> dict[str, Tensor]:
        """E_ADA on randomly distorted residuals, and the world's exact flow between two states at one camera."""
        c, data, device = self.config, self.data, self.device
        n = len(residual)
        with torch.no_grad():
            thumb = up(self.branch.geometry(styles, source).thumb)
            eye = torch.eye(3, device=device)
            matrix = eye + torch.randn(n, 3, 3, device=device) * torch.tensor(
                [[0.05, 0.05, 0.06], [0.05, 0.05, 0.06], [0.05, 0.05, 0.0]], device=device
            )
            grid = pixel_grid(PICTURE, device)
            distorted = sample(residual, transformed(matrix, grid))
            back = transformed(torch.linalg.inv(matrix), grid)
            distorted_flow = ((back - grid) / 2).transpose(1, 2).reshape(n, 2, PICTURE, PICTURE)
            head = torch.randint(len(data), (c.flows,), device=device)
            first = torch.zeros_like(head)
            camera = data.camera[head, first]
            before = self.generator.styles(self.generator.mapping(data.z[head]))
            after = self.generator.styles(self.generator.mapping(data.z_edit[head]))
            picture = data.picture(head, first)
            thumb_a, thumb_b = (
                up(self.branch.geometry(before, camera).thumb),
                up(self.branch.geometry(after, camera).thumb),
            )
            delta = picture[:, :3] * 2 - picture[:, 3:] - thumb_a
            other = data.other[head, 0].flatten(1, 2).float()
            known = (other.abs().sum(-1) > 0).float()
            uv, _ = project(camera, other)
            side = data.other.shape[2]
            # Only material whose place in the photo is plausible: farther moves are hair and glasses that appeared.
            flow = ((uv - pixel_grid(side, device)) / 2).transpose(1, 2).reshape(-1, 2, side, side)
            mask = known.reshape(-1, 1, side, side) * (flow.norm(dim=1, keepdim=True) < 0.12).float()
        with mixed_precision(device):
            out = self.parts.aligner(
                torch.cat([torch.cat([distorted, thumb], 1), torch.cat([delta, thumb_b], 1)])
            ).float()
        predicted = F.avg_pool2d(out[n:, 3:5], PICTURE // side)
        return {
            "distorted": (out[:n, :3] - residual).abs().mean(),
            "distorted_flow": (out[:n, 3:5] - distorted_flow).abs().mean(),
            "flow": masked_mean((predicted - flow).abs(), mask),
        }

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: input; at its own view; yaw -.5 and +.5 without and with the photo; renders and portraits."""
        parts, decoder = averaged["parts"], averaged["decoder"]
        assert isinstance(parts, Parts)
        branch = LocalBranch(self.generator, parts, self._sdf)
        head = torch.arange(6, device=self.device)
        photo = self.data.colour[head, head * 0].permute(0, 3, 1, 2).float() / 255
        if self.portraits is not None:
            photo = torch.cat([photo, self.portraits[:6].float() / 255])
        picture = premultiplied(photo)
        styles, decoder_styles, pose = self.encode(picture)
        source = torch.cat([pose[:, :2], torch.full_like(pose[:, :1], HALF_FOV)], 1)
        photo = torch.cat([photo[:, :3] * 2 - 1, photo[:, 3:]], 1)
        on_mid = premultiplied(photo)
        reference = branch.reference(on_mid, styles, styles, source)
        _, depth, solid = surface_map(lambda x: self._sdf(x, styles), source)
        view = visibility.source_view(photo[:, :3], depth, solid, photo[:, 3:], source[:, :2])
        rows = [picture[:, :3]]
        for yaw, with_photo in ((0.0, True), (0.0, False), (-0.5, True), (0.5, True), (0.5, False), (1.1, True)):
            camera = source.clone()
            camera[:, 0] += yaw
            feature, q, _ = branch.query(reference, styles, source, camera)
            points, _, _ = surface_map(lambda x: self._sdf(x, styles), camera)
            guide = visibility.guide(view, points, q.alpha)
            if not with_photo:
                guide = blinded(guide, torch.ones_like(guide[:, :1, :1, :1]))
            out, alpha = visibility.blend(guide, decoder(feature, decoder_styles, guide=guide).float())
            rows.append((on_grey(out, alpha) + 1) / 2)
        return contact_sheet(rows)
