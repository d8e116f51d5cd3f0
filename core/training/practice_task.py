"""Stage practice: a trained field sees many more heads, with the latents that pictures of them give.

The first field saw 8,192 heads more than a hundred times and knew them by heart: on heads that it never saw its surface
was two and a half times as far off, in hair four times. And it had met codes only, while the program asks it with what
a reader makes of a picture, which is shorter than codes and blurs what a picture does not show. Here a head's true
surface is asked for at latents anywhere between its code and what the reader says of its picture.

What a code means is the mapping's to say, so the mapping stays as it is: E0, reader, landmarks and directions speak of
the same latents. Features stay what the decoder knows.
"""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from core.models.generator import Generator
from core.models.landmarks import LandmarkRegressor
from core.models.reader import SIZE, Reader
from core.models.spread import latent_spread
from core.training import augmentation
from core.training.data import shrink
from core.training.field_task import FieldTask, FieldTaskConfig
from core.training.glances import Glances
from core.training.latents import latent_statistics
from core.training.lesson_task import near_surface
from core.training.polished import as_detected, polished, seen_by
from core.training.reader_task import on_grey
from core.training.views import crop, frame_points

WORN = "Eyeglasses"
POSE_NOISE, FRAMING_NOISE = 0.03, 0.6
"""How wrong pose [rad] and framing are when a picture is read, as in the reader's own stage."""


@dataclasses.dataclass(frozen=True)
class PracticeTaskConfig(FieldTaskConfig):
    """Batch sizes and loss weights of practice."""

    heads: int = 24
    points: int = 256
    normal_points: int = 48
    render_from: float = 2.0
    """Never: what is rendered follows from what is at the points."""
    labels: float = 0.0
    glasses: float = 1.0
    """Not more often than they are: a reader does not say who wears any."""
    readings: int = 2
    """How often each head's picture is read, each time disturbed anew."""
    noise: float = 0.2
    """Of all latents, at most, in deviations of w: an outline asks for what lies beside them."""
    knee: float = 0.01
    """World units up to which errors of distances are squared; beyond it their loss grows evenly."""
    steepness: float = 4.0
    """What is far off pulls so many times as it does in L1; an error of two and a half thousandths as much."""
    kept_heads: int = 4
    kept_points: int = 256
    kept_feature: float = 1.0


class PracticeTask(FieldTask):
    """The field's losses on many heads; the mapping stays frozen."""

    name = "practice"
    config: PracticeTaskConfig

    def __init__(
        self,
        generator: Generator,
        reader: Reader | None,
        data: Glances,
        config: PracticeTaskConfig,
        *,
        regressor: LandmarkRegressor | None = None,
        compiled: bool,
    ) -> None:
        super().__init__(generator, data, config, compiled=compiled)
        self.teacher = copy.deepcopy(generator.field).eval().requires_grad_(False)
        generator.style.requires_grad_(False)
        self.w_std = latent_statistics(generator, 4000).w_std
        self.latent_spread = latent_spread(generator)
        # Codes stand in for readings where there is no picture from in front.
        with torch.no_grad():
            codes = torch.cat([generator.mapping(z) for z in data.z.split(4096)])
        self.read = codes[:, None, None].repeat(1, config.readings, 2, 1)
        if reader is not None:
            known = None if regressor is None else regressor.to(self.device).requires_grad_(False)
            self._read_all(reader.to(self.device).eval(), known, data)

    def penalty(self, error: Tensor) -> Tensor:
        """Squared near nothing, L1 far from it (Charbonnier)."""
        knee = self.config.knee
        return ((error.square() + knee**2).sqrt() - knee) * self.config.steepness

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The field alone."""
        return [{"params": list(self.generator.field.parameters()), "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The field's losses, and how far its features are from what they were."""
        total, parts = super().losses(progress)
        kept = self._kept()
        return total + self.config.kept_feature * kept, parts | {"kept_feature": kept}

    def _read_all(self, reader: Reader, regressor: LandmarkRegressor | None, data: Glances) -> None:
        """What is made of each head's picture from in front: its latents of geometry and of colour.

        Heads with glasses stay with their codes. What the program reads has none in it, and a field that was to draw
        them on such latents drew them on everybody.
        """
        bare = torch.ones(len(data), dtype=torch.bool, device=self.device)
        if WORN in data.label_names:
            bare = data.labels[:, data.label_names.index(WORN)] <= 0.5
        front = ((data.coloured == 0) & bare).nonzero()[:, 0]
        for index in front.split(128):
            straight = data.colour[index].permute(0, 3, 1, 2).float() / 255
            picture = torch.cat([straight[:, :3] * straight[:, 3:], straight[:, 3:]], 1)
            places = seen_by(data.camera[index, 0], data.landmarks[index])
            for number in range(self.read.shape[1]):
                framing = augmentation.jittered_framing(len(index), self.device, FRAMING_NOISE)
                seen = shrink(augmentation.photographic(crop(picture, framing)), SIZE)
                angles = data.camera[index, 0, :2] + torch.randn(len(index), 2, device=self.device) * POSE_NOISE
                with torch.no_grad():
                    geometry, colour = reader.latents(reader(on_grey(seen), angles))
                if regressor is not None:
                    found = as_detected(regressor, frame_points(framing, places))
                    geometry = polished(regressor, self.latent_spread, geometry, angles, found)
                self.read[index, number] = torch.stack((geometry, colour), 1)

    def _latents(self, head: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """Between a head's code and a reading of it, nearer to this, and a little beside."""
        w, rows = super()._latents(head, view)
        number = torch.randint(self.read.shape[1], head.shape, device=self.device)
        share = torch.rand(len(head), 1, 1, device=self.device).sqrt()
        near = w[:, None] + share * (self.read[head, number] - w[:, None])
        noise = self.config.noise * torch.rand(len(head), 1, 1, device=self.device)
        near = near + torch.randn_like(near) * self.w_std * noise
        geometry, colour = near[:, :1], near[:, 1:]
        return w, torch.cat([geometry.expand(-1, rows.shape[1] - 1, -1), colour], 1)

    def _kept(self) -> Tensor:
        """Features of random heads, where the old field has its surface and around."""
        c, field = self.config, self.generator.field
        with torch.no_grad():
            z = torch.randn(c.kept_heads, self.generator.config.z_dim, device=self.device)
            styles = self.generator.styles(self.generator.mapping(z))
            points = near_surface(self.teacher, styles, c.kept_points)
            feature, _ = self.teacher.appearance(self.teacher.hidden(points, styles), styles)
        new, _ = field.appearance(field.hidden(points, styles), styles)
        return (new - feature).abs().mean()
