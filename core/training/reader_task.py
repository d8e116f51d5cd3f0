"""Stage reader: latents from small canonical pictures, by snapshots of the world and by portraits' colours.

E3DGE's code and geometry losses (Eq. 4-6) in a form that costs next to nothing: what a change of the latent does to
distances and colours near the surface is measured once, as a quadratic form, and errors are weighed by it. Portraits
join for the colour latent alone. Their landmarks and outlines were tried as well: they pulled the geometry out of what
the field knows, to melted faces; the polish after the reader fits both, held by the latents' distribution.
"""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.generator import Generator
from core.models.guided import trace_surface
from core.models.landmarks import LandmarkRegressor
from core.models.reader import SIZE, Reader, Reading
from core.training import augmentation
from core.training.data import shrink
from core.training.latents import latent_statistics
from core.training.losses import masked_mean, total_loss
from core.training.precision import mixed_precision
from core.training.renders import render_picture
from core.training.sheets import contact_sheet
from core.training.snapshots import SettledPortraits, Snapshots
from core.training.views import HALF_FOV, crop, rays

logger = logging.getLogger(__name__)


USUAL = 0.45
"""Mean square of a normalised latent up to which nothing is held against it. What cannot be seen stays at the mean, so
answers are shorter than codes."""


@dataclasses.dataclass(frozen=True)
class ReaderTaskConfig:
    """Batch sizes and loss weights of the reader's stage."""

    pictures: int = 64
    portraits: int = 8
    portraits_every: int = 2
    """Steps from one batch of portraits to the next."""
    portraits_from: float = 0.25
    rays: int = 128
    code: float = 1.0
    field: float = 1.0
    """Weight of the error in distances, and in colours, near the surface."""
    landmarks: float = 20.0
    colour: float = 1.0
    prior: float = 1.0
    pose_noise: float = 0.03
    framing_noise: float = 0.6
    probed_heads: int = 96
    """Heads from which the weights of the field's losses are measured."""


class ReaderTask:
    """Losses of the reader's stage; the generator stays frozen."""

    name = "reader"

    def __init__(
        self,
        generator: Generator,
        reader: Reader,
        regressor: LandmarkRegressor,
        data: Snapshots,
        portraits: SettledPortraits | None,
        config: ReaderTaskConfig,
    ) -> None:
        self.generator = generator.requires_grad_(False).eval()
        self.reader, self.regressor = reader, regressor
        self.modules: dict[str, nn.Module] = {"reader": reader}
        self.data, self.portraits, self.config = data, portraits, config
        self.latents = latent_statistics(generator, 8000)
        reader.w_mean.copy_(self.latents.w_mean)
        reader.w_std.copy_(self.latents.w_std)
        with torch.no_grad():
            self.w = torch.cat([generator.mapping(z) for z in data.z.split(4096)])
        self.distance_form, self.colour_form = sensitivity(generator, self.latents.w_std, heads=config.probed_heads)
        self._step = 0

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """All of the reader."""
        return [{"params": list(self.reader.parameters()), "lr": learning_rate}]

    def styles(self, geometry: Tensor, colour: Tensor) -> Tensor:
        """Latent rows (N, rows, style_dim) of normalised latents."""
        w, colour_w = self.reader.latents(Reading(geometry, colour))
        rows = self.generator.config.field.rows
        return torch.cat([w[:, None].expand(-1, rows - 1, -1), colour_w[:, None]], 1)

    def read(self, picture: Tensor, angles: Tensor) -> Reading:
        """The reader, in half precision where that is faster."""
        with mixed_precision(picture.device):
            found = self.reader(on_grey(picture), angles)
        return Reading(found.geometry.float(), found.colour.float())

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch of snapshots; every other time one of portraits, too."""
        c, lat = self.config, self.latents
        index = torch.randint(len(self.data), (c.pictures,))
        picture, angles = disturbed(self.data, index, c)
        found = self.read(picture, angles)
        truth = (self.w[index] - lat.w_mean) / lat.w_std
        off_geometry, off_colour = found.geometry - truth, found.colour - truth
        points = self.regressor(found.geometry * lat.w_std + lat.w_mean)
        parts = {
            "code": F.smooth_l1_loss(found.geometry, truth) + F.smooth_l1_loss(found.colour, truth),
            "distance": weighed(off_geometry, self.distance_form),
            "colours": weighed(off_colour, self.colour_form),
            "landmarks": (points - self.data.landmarks[index]).abs().mean() * 100,
        }
        self._step += 1
        if self.portraits is not None and progress > c.portraits_from and self._step % c.portraits_every == 0:
            parts |= self._portrait_losses(self.portraits)
        weights = {
            "code": c.code, "distance": c.field, "colours": c.field, "landmarks": c.landmarks / 100,
            "real_colour": c.colour, "prior": c.prior,
        }  # fmt: skip
        return total_loss(parts, weights), parts

    def _portrait_losses(self, portraits: SettledPortraits) -> dict[str, Tensor]:
        """Colours of portraits where the head's surface shows them, for the colour latent alone."""
        c = self.config
        index = torch.randint(len(portraits), (c.portraits,))
        n = len(index)
        sharp = portraits.picture[index].float() / 255
        angles = portraits.angles[index]
        camera = torch.cat([angles, torch.full((n, 1), HALF_FOV)], 1)
        framing = augmentation.jittered_framing(n, sharp.device, c.framing_noise)
        gain = (torch.randn(n, 3, 1, 1) * 0.06).exp()
        seen = crop(sharp, framing)
        seen = torch.cat([(seen[:, :3] * gain).minimum(seen[:, 3:]), seen[:, 3:]], 1)
        found = self.read(shrink(seen, SIZE), angles)
        styles = self.styles(found.geometry.detach(), found.colour)
        q = torch.rand(n, c.rays, 2)
        pixel = F.grid_sample(sharp, (q * 2 - 1)[:, None], align_corners=False)[:, :, 0].transpose(1, 2)
        with torch.no_grad():
            origin, direction = rays(camera, q * 2 - 1)
            t, d = trace_surface(lambda x: self.generator.field.sdf(x, styles), origin, direction, steps=10)
            h = self.generator.field.hidden(origin[:, None] + direction * t[..., None], styles)
        _, rgb = self.generator.field.appearance(h, styles)
        met = ((d.abs() < 0.003) & (pixel[..., 3] > 0.95)).float()
        return {
            "real_colour": masked_mean((torch.sigmoid(rgb) - pixel[..., :3]).abs(), met[..., None]),
            "prior": F.relu(found.colour.square().mean(1) - USUAL).mean(),
        }

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: picture; thumb of what was read; the same from yaw +.6; eight snapshots and eight portraits."""
        reader = averaged["reader"]
        pictures, angles = [self.data.picture(torch.arange(min(8, len(self.data))))], [self.data.camera[:8, :2]]
        if self.portraits is not None:
            pictures.append(self.portraits.picture[:8].float() / 255)
            angles.append(self.portraits.angles[:8])
        picture, angle = torch.cat(pictures), torch.cat(angles)
        found = reader(on_grey(shrink(picture, SIZE)), angle)
        styles = self.styles(found.geometry, found.colour)
        rows = [shrink(picture, 96)[:, :3]]
        for turn in (0.0, 0.6):
            camera = torch.cat([angle, torch.full((len(angle), 1), HALF_FOV)], 1)
            camera[:, 0] += turn
            rows.append(render_picture(self.generator, styles, camera, 96)[0][:, :3])
        return contact_sheet(rows)


def disturbed(data: Snapshots, index: Tensor, config: ReaderTaskConfig) -> tuple[Tensor, Tensor]:
    """Pictures of heads as photos would have them, and what is believed of their cameras.

    Shape:
        index (N,); returns (N, 4, 64, 64) premultiplied in [0, 1] and (N, 2).
    """
    framing = augmentation.jittered_framing(len(index), data.z.device, config.framing_noise)
    picture = shrink(_torn(augmentation.photographic(crop(data.picture(index), framing))), SIZE)
    return picture, data.camera[index, :2] + torch.randn(len(index), 2) * config.pose_noise


def on_grey(picture: Tensor) -> Tensor:
    """What the reader takes: premultiplied pictures in [0, 1] as colours in [-1, 1] times matte, and matte."""
    return torch.cat([picture[:, :3] * 2 - picture[:, 3:], picture[:, 3:]], 1)


def weighed(error: Tensor, form: Tensor) -> Tensor:
    """Mean over the batch of the root of errorᵀ·form·error: the error in what the field says, to first order."""
    return ((error @ form) * error).sum(1).clamp(min=1e-8).sqrt().mean()


def sensitivity(generator: Generator, scale: Tensor, heads: int = 96, points: int = 256) -> tuple[Tensor, Tensor]:
    """How distances, and colours, near the surface answer to the latent: quadratic forms (style_dim, style_dim).

    Estimated with random signs: for g the gradient of a randomly signed sum over points, the mean of g·gᵀ is the mean
    of JᵀJ. Both are scaled so that a random error of one deviation weighs 1.

    Args:
        generator: The frozen generator.
        scale: Standard deviations of w (style_dim,).
        heads: Random heads that are looked at.
        points: Points a head.
    """
    random = torch.Generator().manual_seed(3)
    dim = len(scale)
    forms = [torch.zeros(dim, dim), torch.zeros(dim, dim)]
    for _ in range(heads):
        with torch.no_grad():
            w = generator.mapping(torch.randn(1, generator.config.z_dim, generator=random))
            direction = F.normalize(torch.randn(1, points, 3, generator=random), dim=-1)
            # From outside towards the middle: places that can be seen.
            radius = torch.full((1, points), 0.12)
            for _ in range(6):
                inward = generator.field.sdf(direction * radius[..., None], generator.styles(w))[..., 0]
                radius = (radius - 0.9 * inward).clamp(0.03, 0.125)
            places = direction * radius[..., None]
        step = torch.zeros(1, dim, requires_grad=True)
        styles = generator.styles(w + step * scale)
        h = generator.field.hidden(places, styles)
        sdf = generator.field.sdf_from(h, places)[..., 0]
        rgb = torch.sigmoid(generator.field.appearance(h, styles)[1])
        for form, value in zip(forms, (sdf, rgb), strict=True):
            for _ in range(8):
                signs = torch.randint(0, 2, value.shape, generator=random) * 2.0 - 1.0
                (g,) = torch.autograd.grad((value * signs).sum(), step, retain_graph=True)
                form += g.T @ g
    return forms[0] / forms[0].trace(), forms[1] / forms[1].trace()


def _torn(picture: Tensor) -> Tensor:
    """Mattes end at collars, and somewhere too early or too late."""
    size, n = picture.shape[-1], len(picture)
    line = (torch.arange(size) + 0.5) / size
    y, x = line.view(1, 1, size, 1), line.view(1, 1, 1, size)
    cut, bend = 0.84 + 0.22 * torch.rand(n, 1, 1, 1), torch.randn(n, 1, 1, 1) * 0.25
    return picture * torch.sigmoid((cut + bend * (x - 0.5).square() - y) * 60)
