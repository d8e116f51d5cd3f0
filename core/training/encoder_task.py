"""Stage E0: the photo encoder, by 3D supervision on generated heads (E3DGE Eq. 4-6) and landmarks on real portraits.

The world's renders stand for the generator's samples: the same code z made picture, surface points, normals and
latent w, so every quantity of the papers' loss is known. Real portraits take part through 2D landmarks and
silhouettes only, since free photometric training was measured to collapse the geometry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.camera import SCENE_RADIUS
from core.errors import CameoError
from core.models.encoder import Encoder
from core.models.generator import Generator
from core.models.guided import trace_surface
from core.models.identity import IdentityEmbedding
from core.models.landmarks import LandmarkRegressor
from core.training import augmentation
from core.training.data import DEPTH_SIZE, RealPortraits, WorldHeads, encoder_input, shrink
from core.training.latents import Latents
from core.training.losses import PerceptualDistance, masked_mean, total_loss
from core.training.precision import layout, mixed_precision
from core.training.reconstruction import Reconstruction
from core.training.renders import render_picture, shade
from core.training.sheets import contact_sheet
from core.training.views import HALF_FOV, canonical_points, crop, ffhq_framing, frame_points, pixel_grid, project, rays


class UnknownLoss(CameoError):
    """A loss was named that the stage does not have."""


@dataclasses.dataclass(frozen=True)
class EncoderTaskConfig:
    """Batch sizes and loss weights of the encoder stage."""

    pictures: int = 64
    portraits: int = 16
    """Real portraits a step, once they take part."""
    portraits_from: float = 0.3
    points: int = 384
    normal_points: int = 96
    free_points: int = 256
    """Points anywhere in the scene's cube (P_F of Eq. 5)."""
    rendered: int = 6
    """Pictures a step whose reconstruction is rendered (L_rec at the thumb)."""
    large: int = 2
    """How many of these the decoder draws at full size as well."""
    rendered_from: float = 0.5
    rendered_every: int = 2
    """Steps from one rendered reconstruction to the next: it costs as much as all the rest."""
    farthest_yaw: float = 1.1
    code: float = 1.0
    decoder_code: float = 0.5
    pose: float = 6.0
    framing: float = 6.0
    surface: float = 40.0
    off_surface: float = 20.0
    normal: float = 0.3
    colour: float = 1.5
    landmarks: float = 60.0
    portrait_landmarks: float = 15.0
    portrait_silhouette: float = 0.25
    portrait_colour: float = 1.0
    """Weight of a portrait's colours on the head's surface; they reach the colour row alone, never the geometry."""
    prior: float = 0.02
    thumb: float = 2.0
    large_colour: float = 1.0
    perceptual: float = 0.8
    identity: float = 0.1
    silhouette_beta: float = 0.004
    """World units over which a silhouette fades."""
    WEIGHTS: ClassVar[frozenset[str]] = frozenset(
        {"code", "decoder_code", "pose", "framing", "surface", "off_surface", "normal", "colour", "landmarks"}
        | {"portrait_landmarks", "portrait_silhouette", "portrait_colour", "prior"}
        | {"thumb", "large_colour", "perceptual", "identity"}
    )
    """Weights of losses: what an ablation may set to nothing."""

    def without(self, names: Iterable[str]) -> EncoderTaskConfig:
        """The same with the weights of some losses at nothing: a row of an ablation.

        Raises:
            UnknownLoss: Nothing of that name is a loss of this stage.
        """
        unknown = sorted(set(names) - self.WEIGHTS)
        if unknown:
            raise UnknownLoss(
                f"E0 has no loss {', '.join(unknown)}.", hint=f"It has {', '.join(sorted(self.WEIGHTS))}."
            )
        return dataclasses.replace(self, **dict.fromkeys(names, 0.0))  # type: ignore[arg-type]  # all are floats


class EncoderTask:
    """Losses of E0's stage; the generator stays frozen."""

    name = "encoder"

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        regressor: LandmarkRegressor,
        data: WorldHeads,
        portraits: RealPortraits | None,
        config: EncoderTaskConfig,
        *,
        landmark_indices: list[int],
        latents: Latents,
        perceptual: PerceptualDistance | None,
        identity: IdentityEmbedding | None,
        finished: bool,
        compiled: bool,
    ) -> None:
        self.generator = generator.requires_grad_(False).eval()
        self.encoder, self.regressor = encoder, regressor
        self.modules: dict[str, nn.Module] = {"encoder": encoder}
        self.data, self.portraits, self.config = data, portraits, config
        self.device = data.z.device
        self.latents = latents
        self._step = 0
        self.landmark_indices = torch.tensor(landmark_indices, device=self.device)
        where = {index: i for i, index in enumerate(landmark_indices)}
        self.eye_corners = [[where[33], where[133]], [where[362], where[263]]]
        self.mouth_corners = [where[61], where[291]]
        self._sdf = torch.compile(generator.field.sdf) if compiled else generator.field.sdf
        self._gradient = (
            torch.compile(generator.field.sdf_with_gradient) if compiled else generator.field.sdf_with_gradient
        )
        self.reconstruction = Reconstruction(generator, self._sdf, data, perceptual, identity, finished)
        self.rows = generator.styles(self.latents.w_mean[None]).shape[1]

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """All of E0."""
        return [{"params": list(self.encoder.parameters()), "lr": learning_rate}]

    def framing_of(self, landmarks: Tensor) -> Tensor:
        """FFHQ framing (N, 4) of canonical unit landmarks (N, L, 2)."""
        eyes = torch.stack([landmarks[:, pair].mean(1) for pair in self.eye_corners], 1)
        return ffhq_framing(eyes, landmarks[:, self.mouth_corners])

    def encode(self, picture: Tensor, encoder: nn.Module | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Latents w (N, rows, 256), decoder styles and pose (N, 6) of premultiplied pictures."""
        with mixed_precision(self.device):
            out = (encoder or self.encoder)(encoder_input(picture).contiguous(memory_format=layout(self.device)))
        return *self.latents.of(out), out.pose.float()

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch of renders, joined by real portraits after ``portraits_from``."""
        c, data = self.config, self.data
        n = c.pictures
        head = torch.randint(len(data), (n,), device=self.device)
        side = torch.rand(n, device=self.device) < 0.4
        edited = torch.rand(n, device=self.device) < 0.4
        side &= data.camera[head, 1, 0].abs() < c.farthest_yaw
        view = side.long() + 3 * edited.long()
        camera = data.camera[head, view]
        points3d = data.points3d(head, view)
        uv, _ = project(camera, points3d)
        unit = (uv + 1) / 2
        framing = self.framing_of(unit + torch.randn_like(unit) * 0.003)
        framing = framing + augmentation.jittered_framing(n, self.device, 0.3)
        near = torch.rand(n, 1, device=self.device) < 0.5
        framing = torch.where(near, augmentation.jittered_framing(n, self.device), framing)
        picture = crop(data.picture(head, view), framing)
        picture = augmentation.torn_matte(augmentation.photographic(picture))
        portraits = None
        if self.portraits is not None and progress > c.portraits_from:
            portraits = self._portrait_batch(self.portraits)
            picture = torch.cat([picture, portraits[0]])
        styles, decoder_styles, pose = self.encode(picture)
        w = self.generator.mapping(data.code(head, view))
        truth, s_truth = self.generator.styles(w), self.generator.decoder_styles(w)
        lat = self.latents
        parts = {
            "code": F.smooth_l1_loss((styles[:n] - lat.w_mean) / lat.w_std, (truth - lat.w_mean) / lat.w_std),
            "s_code": F.smooth_l1_loss(
                (decoder_styles[:n] - lat.s_mean) / lat.s_std, (s_truth - lat.s_mean) / lat.s_std
            ),
            "pose": (pose[:n, :2] - camera[:, :2]).abs().mean(),
            "framing": (pose[:n, 2:] - framing).abs().mean(),
        }
        parts |= self._geometry(head, view, styles[:n], truth)
        own = self.regressor(styles[:n, :-1].mean(1))
        parts["landmarks"] = (own - points3d).abs().mean()
        self._step += 1
        if progress > c.rendered_from and c.rendered and self._step % c.rendered_every == 0:
            k = min(c.rendered, n)
            parts |= self.reconstruction.losses(head[:k], view[:k], styles[:k], decoder_styles[:k], c.large)
        if portraits is not None:
            parts |= self._portrait_losses(*portraits, styles[n:], pose[n:])
        weights = {
            "code": c.code, "s_code": c.decoder_code, "pose": c.pose, "framing": c.framing, "surface": c.surface,
            "off": c.off_surface, "normal": c.normal, "colour": c.colour, "landmarks": c.landmarks,
            "thumb": c.thumb, "perceptual": c.perceptual, "large": c.large_colour, "large_perceptual": c.perceptual,
            "identity": c.identity, "real_landmarks": c.portrait_landmarks,
            "real_silhouette": c.portrait_silhouette, "prior": c.prior,
            "real_colour": c.portrait_colour,
        }  # fmt: skip
        return total_loss(parts, weights), parts

    def _geometry(self, head: Tensor, view: Tensor, styles: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Eq. 4-6 at surface points seen from any view of the same state, and colour there."""
        c, data = self.config, self.data
        n = len(head)
        # The same state from another side: the half of the head that the picture hides is supervised as well.
        edited = view >= 3
        edited_view = 3 + torch.randint(2, (n,), device=self.device)
        other = torch.where(edited, edited_view, torch.randint(3, (n,), device=self.device))
        depth = data.depth[head, other].flatten(1).float()
        index = torch.multinomial(torch.where(depth > 0, 1.0, 1e-6), c.points, replacement=True)
        t = depth.gather(1, index)
        seen = (t > 0).float()
        origin, direction = rays(data.camera[head, other], pixel_grid(DEPTH_SIZE, self.device)[index])
        surface = origin[:, None] + direction * torch.where(seen > 0, t, torch.ones_like(t))[..., None]
        normal = data.normal[head, other].flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 3)).float() / 127
        # P_F: near the surface, and anywhere in the scene. Without the latter a sheet of matter may stand before the
        # face unpunished: the silhouettes of portraits made E0 put one there.
        anywhere = (torch.rand(n, c.free_points, 3, device=self.device) * 2 - 1) * SCENE_RADIUS
        off = torch.cat([surface + normal * torch.randn_like(t)[..., None] * 0.01, anywhere], 1)
        sdf = self._sdf(torch.cat([surface, off], 1), styles)[..., 0]
        with torch.no_grad():
            d_off = self._sdf(off, truth)[..., 0]
        k = c.normal_points
        _, gradient = self._gradient(surface[:, :k], styles)
        uv = pixel_grid(DEPTH_SIZE, self.device)[index]
        rgba = F.grid_sample(data.picture(head, other), uv[:, None], align_corners=False)[:, :, 0].transpose(1, 2)
        h = self.generator.field.hidden(surface, truth)
        _, rgb = self.generator.field.appearance(h, styles)
        solid = seen * (rgba[..., 3] > 0.8)
        colour = rgba[..., :3] / rgba[..., 3:].clamp(min=0.5)
        return {
            "surface": masked_mean(sdf[:, : c.points].abs(), seen),
            "off": masked_mean((sdf[:, c.points :] - d_off).abs(), F.pad(seen, (0, c.free_points), value=1.0)),
            "normal": masked_mean((gradient - normal[:, :k]).abs(), seen[:, :k, None]),
            "colour": masked_mean((torch.sigmoid(rgb) - colour).abs(), solid[..., None]),
        }

    def _portrait_batch(self, portraits: RealPortraits) -> tuple[Tensor, Tensor]:
        """Real portraits under a small new framing or mirrored, and their landmarks in unit crop coordinates."""
        index = torch.randint(len(portraits), (self.config.portraits,), device=self.device)
        framing = augmentation.jittered_framing(len(index), self.device, 0.7)
        picture = crop(portraits.picture(index), framing)
        points = frame_points(framing, portraits.landmarks[index][:, self.landmark_indices])
        gain = (torch.randn(len(index), 3, 1, 1, device=self.device) * 0.08).exp()
        picture = torch.cat([(picture[:, :3] * gain).clamp(max=1).minimum(picture[:, 3:]), picture[:, 3:]], 1)
        return picture, points

    def _portrait_losses(self, picture: Tensor, points: Tensor, styles: Tensor, pose: Tensor) -> dict[str, Tensor]:
        n = len(picture)
        camera = torch.cat([pose[:, :2], torch.full_like(pose[:, :1], HALF_FOV)], 1)
        own, _ = project(camera, self.regressor(styles[:, :-1].mean(1)))
        framed = frame_points(pose[:, 2:], (own + 1) / 2)
        distance = (framed - points).norm(dim=-1)
        # Silhouette: along rays of the crop, the nearest approach of the surface against the matte, above the chin.
        q = torch.rand(n, 320, 2, device=self.device)
        matte = F.grid_sample(picture[:, 3:], (q * 2 - 1)[:, None], align_corners=False)[:, 0, 0]
        chin = points[..., 1].amax(1, keepdim=True) - 0.03
        with torch.no_grad():
            origin, direction = rays(camera, canonical_points(pose[:, 2:], q) * 2 - 1)
            t, _ = trace_surface(lambda x: self._sdf(x, styles), origin, direction, steps=12)
            nearest = origin[:, None] + direction * t[..., None]
        d = self._sdf(nearest, styles)[..., 0]
        logit = -d / self.config.silhouette_beta
        use = (q[..., 1] < chin).float()
        silhouette = masked_mean(
            F.binary_cross_entropy_with_logits(logit.clamp(-8, 8), matte.clamp(0, 1), reduction="none"), use
        )
        # Adaptation: colours of photographs, with geometry and camera frozen.
        with torch.no_grad():
            h = self.generator.field.hidden(nearest, styles)
        own_colour = torch.sigmoid(self.generator.field.appearance(h, styles)[1])
        photo = F.grid_sample(picture[:, :3], (q * 2 - 1)[:, None], align_corners=False)[:, :, 0].transpose(1, 2)
        met = ((d.detach().abs() < 0.003) & (matte > 0.95)).float()
        colour = masked_mean((own_colour - photo).abs(), met[..., None])
        normal = (styles - self.latents.w_mean) / self.latents.w_std
        far = F.relu(normal.square().mean((1, 2)) - 1.0).mean()
        apart = (normal - normal.mean(1, keepdim=True)).square().mean()
        return {
            "real_landmarks": distance.mean(),
            "real_silhouette": silhouette,
            "prior": far + apart,
            "real_colour": colour,
        }

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: input, thumb at its own pose, relief, yaw -.5 and .5; eight renders and eight portraits."""
        encoder = averaged["encoder"]
        index = torch.arange(8, device=self.device)
        pictures = [self.data.picture(index, index * 0)]
        if self.portraits is not None:
            pictures.append(self.portraits.picture(index))
        picture = torch.cat(pictures)
        styles, _, pose = self.encode(picture, encoder)
        rows = [shrink(picture, 128)[:, :3]]
        camera = torch.cat([pose[:, :2], torch.full_like(pose[:, :1], HALF_FOV)], 1)
        for yaw in (None, -0.5, 0.5):
            seen = camera.clone()
            if yaw is not None:
                seen[:, 0], seen[:, 1] = seen[:, 0] + yaw, 0.0
            out, depth = render_picture(self.generator, styles, seen, 128)
            rows += [out[:, :3], shade(depth, out[:, 3:])] if yaw is None or yaw < 0 else [out[:, :3]]
        return contact_sheet(rows)
