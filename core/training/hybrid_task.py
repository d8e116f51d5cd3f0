"""Stage E1, E_ADA and hybrid fusion: what the latents missed, carried to new views and edits (E3DGE Sections 4.2, 4.3).

Novel-view training on pairs of one head (reference view encoded, another view wanted), edited states included: the world has
both states of a head with their exact flow. The path is the specification's Section 3.8; the decoder learns along, since the
projected colour it is guided by now comes from the encoder's own geometry. Real portraits join at their own view.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import visibility
from core.models.aligner import ResidualAligner
from core.models.configuration import ModelConfig
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.guided import surface_samples
from core.models.local import LocalEncoder, TextureModulation, lookup
from core.models.volume import composite, ray_weights
from core.training.data import RealPortraits, WorldHeads, encoder_input
from core.training.decoder_task import SURFACE, DecoderTask, DecoderTaskConfig, on_grey, picture_losses, surface_map
from core.training.encoder_task import HALF_FOV
from core.training.field_task import THUMB
from core.training.losses import PerceptualDistance, generator_loss, masked_mean
from core.training.views import frame_points, pixel_grid, project, rays

PICTURE = 256


@dataclasses.dataclass(frozen=True)
class HybridTaskConfig(DecoderTaskConfig):
    """Batch sizes and loss weights of the hybrid stage."""

    pictures: int = 12
    portraits: int = 4
    flows: int = 6
    """Pairs of two states at one camera a step, for the flow."""
    edited: float = 0.35
    """Share of pairs whose target is the edited state."""
    latent_noise: float = 0.12
    adversarial: float = 0.01
    residual: float = 0.1
    """Weight of E_ADA's residual (paper, Section 4.3)."""
    distorted: float = 0.1
    flow: float = 20.0
    decoder_rate: float = 0.4


class Parts(nn.Module):
    """The networks of the local branch. Attribute names are those of the weight files."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.local = LocalEncoder(config.local)
        self.aligner = ResidualAligner(config.aligner)
        self.fusion = HybridFusion(config.local.channels, quiet=config.quiet_fusion)
        self.modulation = TextureModulation(config.local, config.generator.field.width)

    @classmethod
    def build(cls, config: ModelConfig) -> Parts:
        """Fresh networks."""
        return cls(config)


@dataclasses.dataclass(frozen=True, eq=False)
class Pass:
    """A geometry pass of the field at ray samples.

    Shape:
        hidden (N, R, S, W); weights (N, R, S); samples (N, R, S, 3); thumb (N, 3, 64, 64); depth, alpha (N, 1, 64, 64).
    """

    hidden: Tensor
    weights: Tensor
    samples: Tensor
    thumb: Tensor
    depth: Tensor
    alpha: Tensor


def up(values: Tensor, size: int = PICTURE) -> Tensor:
    """Nearest-neighbour enlargement of thumbs and depths (specification, Section 3.8)."""
    return F.interpolate(values, size=(size, size), mode="nearest")


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
        perceptual: PerceptualDistance | None,
        compiled: bool,
    ) -> None:
        super().__init__(generator, discriminator, data, config, perceptual=perceptual, compiled=compiled)
        self.encoder = encoder.requires_grad_(False).eval()
        self.parts = parts
        self.modules = {"parts": parts, "decoder": generator.decoder}
        self.portraits = None if portraits is None else self._reframed(portraits)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The local branch at full rate, the decoder slower."""
        decoder = [p for p in self.generator.decoder.parameters() if p.requires_grad]
        return [
            {"params": list(self.parts.parameters()), "lr": learning_rate},
            {"params": decoder, "lr": learning_rate, "scale": self.config.decoder_rate},
        ]

    # ------------------------------------------------------------------------------------------------ encoding

    @torch.no_grad()
    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Styles, decoder styles and pose (N, 6) of premultiplied canonical pictures (N, 4, 256, 256)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            out = self.encoder(encoder_input(picture))
        lat = self.latents
        return (
            out.styles.float() * lat.w_std + lat.w_mean,
            out.decoder_styles.float() * lat.s_std + lat.s_mean,
            out.pose.float(),
        )

    @torch.no_grad()
    def _reframed(self, portraits: RealPortraits) -> Tensor:
        """Portraits (N, 4, 256, 256) uint8 in the canonical frame: straight RGB x 255, matte; then framed twice by E0."""
        out = []
        for start in range(0, len(portraits), 64):
            index = torch.arange(start, min(start + 64, len(portraits)), device=self.device)
            picture = torch.cat(
                [portraits.colour[index].float() / 255, portraits.matte[index][:, None].float() / 255], 1
            )
            for _ in range(2):
                _, _, pose = self.encode(torch.cat([picture[:, :3] * picture[:, 3:], picture[:, 3:]], 1))
                picture = reframed(picture, pose[:, 2:])
            out.append((picture * 255).clamp(0, 255).byte())
        return torch.cat(out)

    # ------------------------------------------------------------------------------------------------ rendering

    def geometry(self, styles: Tensor, camera: Tensor, fine: int = 6) -> Pass:
        """Geometry pass at guided samples of a 64 px view."""
        n = len(camera)
        field = self.generator.field
        with torch.no_grad():
            origin, direction = rays(camera, pixel_grid(THUMB, self.device).expand(n, -1, -1))
            t, deltas = surface_samples(lambda x: self._sdf(x, styles), origin, direction, steps=12, fine=fine)
            samples = origin[:, None, None] + direction[:, :, None] * t[..., None]
            flat = samples.flatten(1, 2)
            h = field.hidden(flat, styles)
            sdf = field.sdf_from(h, flat).unflatten(1, t.shape[1:])
            weights, alpha = ray_weights(sdf, deltas, self.generator.renderer.sigmoid_beta, force_background=False)
            _, rgb = field.appearance(h, styles)
            thumb = composite(weights, 2 * torch.sigmoid(rgb.unflatten(1, t.shape[1:])) - 1)
            depth = (weights * t).sum(-1) + (1 - alpha) * 1.12
        shape = (n, 1, THUMB, THUMB)
        return Pass(
            h.unflatten(1, t.shape[1:]),
            weights,
            samples,
            thumb.transpose(1, 2).contiguous().reshape(n, 3, THUMB, THUMB),
            depth.reshape(shape),
            alpha.reshape(shape),
        )

    def query(
        self, local_map: Tensor, residual: Tensor, styles: Tensor, source: Tensor, camera: Tensor
    ) -> tuple[Tensor, Pass, Tensor]:
        """Hybrid features of a query view (specification, Section 3.8, steps 1-6).

        Args:
            local_map: F_L of the reference view (N, C, 64, 64).
            residual: Original residual of the photo (N, 3, 256, 256).
            styles: Latents to render (N, rows, 256).
            source: Reference cameras (N, 3).
            camera: Query cameras (N, 3).

        Returns:
            Feature map (N, W, 64, 64), the geometry pass, and E_ADA's residual for the query view.
        """
        q = self.geometry(styles, camera)
        n, r, s = q.weights.shape
        points = q.samples.flatten(1, 2)
        uv, _ = project(source, points)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            aligned = self.parts.aligner(torch.cat([residual, up(q.thumb)], 1))[:, :3].float()
        # E1 reads raw depths, whose differences drown in bfloat16.
        map2d = self.parts.local(aligned, up(q.depth))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            f3d = lookup(local_map, uv)
            f2d = map2d.flatten(2).transpose(1, 2)[:, :, None].expand(-1, -1, s, -1).flatten(1, 2)
            seen = ((q.samples * q.weights[..., None]).sum(2) / q.weights.sum(2, keepdim=True).clamp(min=1e-3))
            inside = (project(source, seen)[0].abs() <= 1).all(-1)[:, :, None].expand(-1, -1, s)
            fused = self.parts.fusion(f2d, inside.flatten(1)[..., None].float(), f3d)
            alpha, delta = self.parts.modulation(fused, points)
            feature, _ = self.generator.field.appearance(
                q.hidden.flatten(1, 2), styles, modulation=(alpha.float(), delta.float())
            )
        feature = composite(q.weights, feature.unflatten(1, (r, s)).float())
        return feature.transpose(1, 2).reshape(n, -1, THUMB, THUMB), q, aligned.float()

    def reference(
        self, photo: Tensor, styles: Tensor, edited: Tensor, source: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Encode the reference view (Section 3.8): F_L, residual, and the photo carried along to the edited state.

        Args:
            photo: Straight colours (N, 4, 256, 256): RGB in [-1, 1] on grey, matte.
            styles: Latents of the photo.
            edited: Latents to show; equal to ``styles`` where nothing is edited.
            source: Cameras (N, 3).
        """
        r, e = self.geometry(styles, source), self.geometry(edited, source)
        change = (edited - styles).abs().amax((1, 2)) > 1e-6
        mask = change.float().view(-1, 1, 1, 1)
        residual = photo[:, :3] - up(r.thumb)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            moved = self.parts.aligner(torch.cat([residual, up(e.thumb)], 1)).float()
        flow = moved[:, 3:5] * mask
        aligned = residual * (1 - mask) + moved[:, :3] * mask
        local_map = self.parts.local(aligned, up(e.depth))
        carried = warped(torch.cat([photo, up(r.thumb)], 1), flow)
        difference = F.interpolate(e.thumb, size=PICTURE, mode="bilinear") - carried[:, 4:7]
        share = ((difference.abs().amax(1, keepdim=True) - 0.08) / 0.16).clamp(0, 1) * mask
        colours = (carried[:, :3] + difference * share).clamp(-1, 1)
        matte = torch.maximum(carried[:, 3:4], F.interpolate(e.alpha, size=PICTURE, mode="bilinear") * share)
        return local_map, residual, torch.cat([colours, matte], 1), flow, e.alpha

    # ------------------------------------------------------------------------------------------------ losses

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
            step = self.generator.mapping(z_to) - self.generator.mapping(z_from)
            s_step = self.generator.decoder_latent(self.generator.mapping(z_to)) - self.generator.decoder_latent(
                self.generator.mapping(z_from)
            )
        if self.portraits is not None and c.portraits:
            index = torch.randint(len(self.portraits), (c.portraits,), device=self.device)
            real = self.portraits[index].float() / 255
            flip = torch.rand(len(real), 1, 1, 1, device=self.device) < 0.5
            real = torch.where(flip, real.flip(3), real)
            real_picture = torch.cat([real[:, :3] * real[:, 3:], real[:, 3:]], 1)
            picture, straight = torch.cat([picture, real_picture]), torch.cat([straight, real])
            wanted = torch.cat([wanted, real_picture])
            step, s_step = (F.pad(x, (0, 0, 0, len(real))) for x in (step, s_step))
        styles, decoder_styles, pose = self.encode(picture)
        world = (torch.arange(len(picture), device=self.device) < n).float()
        noise = torch.randn_like(styles[:, :1]) * self.latents.w_std * c.latent_noise * world[:, None, None]
        styles = styles + noise
        fov = torch.full_like(pose[:, :1], HALF_FOV)
        camera_source = torch.cat([pose[:, :2], fov], 1)
        camera = torch.cat([camera, camera_source[n:]])
        shown, decoder_shown = styles + step[:, None], decoder_styles + s_step[:, None]
        photo = torch.cat([straight[:, :3] * 2 - 1, straight[:, 3:]], 1)
        on_mid = torch.cat([photo[:, :3] * photo[:, 3:], photo[:, 3:]], 1)
        local_map, residual, carried, _, _ = self.reference(on_mid, styles, shown, camera_source)
        feature, q, aligned = self.query(local_map, residual, shown, camera_source, camera)
        with torch.no_grad():
            unedited = ~torch.cat([edited, torch.zeros(len(picture) - n, dtype=torch.bool, device=self.device)])
            colours = torch.where(unedited.view(-1, 1, 1, 1), photo, carried)
            _, depth, solid = surface_map(lambda x: self._sdf(x, shown), camera_source)
            view = visibility.source_view(colours[:, :3], depth, solid, colours[:, 3:], camera_source[:, :2])
            points, _, _ = surface_map(lambda x: self._sdf(x, shown), camera, SURFACE)
            guide = visibility.guide(view, points, q.alpha)
            share = torch.where(world > 0, torch.tensor(c.without_guide, device=self.device), 0.5)
            blind = (torch.rand(len(picture), device=self.device) < share).float().view(-1, 1, 1, 1)
            only_alpha = torch.tensor([0, 0, 0, 0, 1, 0], device=self.device).view(1, 6, 1, 1)
            guide = guide * (1 - blind) + guide * only_alpha * blind
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            decoded = self.generator.decoder(feature, decoder_shown, guide=guide)
        out, alpha = visibility.blend(guide, decoded.float())
        fake, truth = on_grey(out, alpha), wanted[:, :3] * 2 - wanted[:, 3:]
        parts = picture_losses(fake, alpha, truth, wanted[:, 3:], self.perceptual)
        parts["painted"] = ((decoded[:, :3].float() - truth) * wanted[:, 3:]).abs().mean()
        parts["residual"] = (aligned - (truth - up(q.thumb))).abs().mean()
        parts |= self._flow_losses(residual[:n], styles[:n], camera_source[:n])
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
        return sum(weights[name] * value for name, value in parts.items()), parts

    def _flow_losses(self, residual: Tensor, styles: Tensor, source: Tensor) -> dict[str, Tensor]:
        """E_ADA on randomly distorted residuals, and the world's exact flow between two states at one camera."""
        c, data, device = self.config, self.data, self.device
        n = len(residual)
        with torch.no_grad():
            thumb = up(self.geometry(styles, source).thumb)
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
            thumb_a, thumb_b = up(self.geometry(before, camera).thumb), up(self.geometry(after, camera).thumb)
            delta = picture[:, :3] * 2 - picture[:, 3:] - thumb_a
            other = data.other[head, 0].flatten(1, 2).float()
            known = (other.abs().sum(-1) > 0).float()
            uv, _ = project(camera, other)
            side = data.other.shape[2]
            # Only material whose place in the photo is plausible: farther moves are hair and glasses that appeared.
            flow = ((uv - pixel_grid(side, device)) / 2).transpose(1, 2).reshape(-1, 2, side, side)
            mask = known.reshape(-1, 1, side, side) * (flow.norm(dim=1, keepdim=True) < 0.12).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
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
    def sheet(self, averaged: dict[str, nn.Module]) -> np.ndarray:
        """Rows: input; at its own view; yaw -.5 and +.5 without and with the photo; renders and portraits."""
        live = self.parts, self.generator.decoder
        self.parts, decoder = averaged["parts"], averaged["decoder"]
        head = torch.arange(6, device=self.device)
        photo = self.data.colour[head, head * 0].permute(0, 3, 1, 2).float() / 255
        if self.portraits is not None:
            photo = torch.cat([photo, self.portraits[:6].float() / 255])
        picture = torch.cat([photo[:, :3] * photo[:, 3:], photo[:, 3:]], 1)
        styles, decoder_styles, pose = self.encode(picture)
        source = torch.cat([pose[:, :2], torch.full_like(pose[:, :1], HALF_FOV)], 1)
        photo = torch.cat([photo[:, :3] * 2 - 1, photo[:, 3:]], 1)
        on_mid = torch.cat([photo[:, :3] * photo[:, 3:], photo[:, 3:]], 1)
        local_map, residual, *_ = self.reference(on_mid, styles, styles, source)
        _, depth, solid = surface_map(lambda x: self._sdf(x, styles), source)
        view = visibility.source_view(photo[:, :3], depth, solid, photo[:, 3:], source[:, :2])
        rows = [picture[:, :3]]
        for yaw, with_photo in ((0.0, True), (0.0, False), (-0.5, True), (0.5, True), (0.5, False), (1.1, True)):
            camera = source.clone()
            camera[:, 0] += yaw
            feature, q, _ = self.query(local_map, residual, styles, source, camera)
            points, _, _ = surface_map(lambda x: self._sdf(x, styles), camera)
            guide = visibility.guide(view, points, q.alpha)
            if not with_photo:
                guide = guide * torch.tensor([0, 0, 0, 0, 1, 0], device=self.device).view(1, 6, 1, 1)
            out, alpha = visibility.blend(guide, decoder(feature, decoder_styles, guide=guide).float())
            rows.append((on_grey(out, alpha) + 1) / 2)
        self.parts = live[0]
        strip = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        return (strip.clamp(0, 1).permute(1, 2, 0) * 255).byte().cpu().numpy()


def sample(picture: Tensor, grid: Tensor) -> Tensor:
    """Picture (N, C, S, S) at places grid (N, S*S, 2) in [-1, 1]; edges repeat."""
    side = picture.shape[-1]
    return F.grid_sample(
        picture, grid.reshape(-1, side, side, 2), padding_mode="border", align_corners=False
    )


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    """Picture (N, C, S, S) read at each pixel plus flow (N, 2, S, S) in unit crop coordinates."""
    side = picture.shape[-1]
    grid = pixel_grid(side, picture.device) + 2 * flow.flatten(2).transpose(1, 2)
    return sample(picture, grid)


def transformed(matrix: Tensor, grid: Tensor) -> Tensor:
    """Places (N, P, 2) that projective matrices (N, 3, 3) send a grid (P, 2) to."""
    homogeneous = F.pad(grid, (0, 1), value=1.0) @ matrix.transpose(1, 2)
    return homogeneous[..., :2] / homogeneous[..., 2:].clamp(min=0.2)


def reframed(picture: Tensor, framing: Tensor) -> Tensor:
    """The canonical camera's picture (N, C, S, S) of crops under a framing (N, 4); edges repeat."""
    side = picture.shape[-1]
    unit = (pixel_grid(side, picture.device).expand(len(picture), -1, -1) + 1) / 2
    return sample(picture, frame_points(framing, unit) * 2 - 1)
