"""Stage lesson: a trained field learns one more thing from a few hundred heads and forgets nothing.

Retraining the field moves everything that stands on it: codes, decoder, local branch. A lesson instead takes the
field's stage with few heads, those that show the new thing most often, and holds the field to what it said before
wherever the lesson is not about: distances, colours and features of random heads at random points. Taught so far:
glasses, for the offset that :mod:`core.training.mapping` gave them, and that the inside of a shut mouth is solid.
"""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from core.models.field import Field
from core.models.generator import Generator
from core.training.data import WorldHeads
from core.training.field_task import THROAT, FieldTask, FieldTaskConfig
from core.training.latents import latent_statistics


def near_surface(field: Field, styles: Tensor, count: int) -> Tensor:
    """Points (N, count, 3) of the scene, three quarters of them within some millimetres of the heads' surfaces."""
    points = (torch.rand(len(styles), count, 3, device=styles.device) * 2 - 1) * 0.12
    near = points[:, : count * 3 // 4]
    for _ in range(3):  # towards the surface, along the gradient of the distance
        d, gradient = field.sdf_with_gradient(near, styles)
        near = near - d.clamp(-0.05, 0.05) * torch.nn.functional.normalize(gradient, dim=-1) * 0.9
    near = near + torch.randn_like(near) * 0.004
    return torch.cat([near, points[:, count * 3 // 4 :]], 1).clamp(-0.12, 0.12)


@dataclasses.dataclass(frozen=True)
class LessonTaskConfig(FieldTaskConfig):
    """Batch sizes and loss weights of a lesson."""

    heads: int = 10
    points: int = 512
    normal_points: int = 48
    render_from: float = 2.0
    """Never: what is rendered follows from what is at the points."""
    labels: float = 0.0
    glasses: float = 8.0
    kept_heads: int = 8
    kept_points: int = 768
    kept_distance: float = 60.0
    kept_colour: float = 3.0
    kept_feature: float = 1.0


class LessonTask(FieldTask):
    """Losses of a lesson; the mapping stays frozen."""

    name = "lesson"
    config: LessonTaskConfig

    def __init__(
        self, generator: Generator, data: WorldHeads, config: LessonTaskConfig, *, offset: Tensor, compiled: bool
    ) -> None:
        super().__init__(generator, data, config, compiled=compiled)
        self.teacher = copy.deepcopy(generator.field).eval().requires_grad_(False)
        generator.style.requires_grad_(False)
        self.offset = offset.to(self.device)
        latents = latent_statistics(generator, 4000)
        self.w_mean, self.w_std = latents.w_mean, latents.w_std

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The field alone."""
        return [{"params": list(self.generator.field.parameters()), "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The field's losses on the lesson's heads, and the distance from what the field said before."""
        total, parts = super().losses(progress)
        kept = self._kept()
        c = self.config
        weights = {"kept": c.kept_distance, "kept_colour": c.kept_colour, "kept_feature": c.kept_feature}
        return total + sum((weights[name] * value for name, value in kept.items()), torch.zeros(())), parts | kept

    def _kept(self) -> dict[str, Tensor]:
        """Random heads without the new thing, at points near the surface and anywhere."""
        c, n = self.config, self.config.kept_heads
        with torch.no_grad():
            w = self.generator.mapping(torch.randn(n, self.generator.config.z_dim, device=self.device))
            # What E0 and edits ask for lies beside the codes of random heads: keep the field there as well.
            w = w + torch.randn_like(w) * self.w_std * 0.3 * torch.rand(n, 1, device=self.device)
            along = ((w - self.w_mean) @ self.offset / self.offset.square().sum())[:, None]
            w = w - along.clamp(min=0.0) * self.offset
            styles = self.generator.styles(w)
            points = near_surface(self.teacher, styles, c.kept_points)
            h = self.teacher.hidden(points, styles)
            feature, rgb = self.teacher.appearance(h, styles)
            distance, colour = self.teacher.sdf_from(h, points), torch.sigmoid(rgb)
            centre = torch.tensor(THROAT[0], device=self.device)
            size = torch.tensor(THROAT[1], device=self.device) * 1.15
            elsewhere = (((points - centre) / size).norm(dim=-1, keepdim=True) > 1.0).float()
        h = self.generator.field.hidden(points, styles)
        new_feature, new_rgb = self.generator.field.appearance(h, styles)
        return {
            "kept": ((self.generator.field.sdf_from(h, points) - distance).abs() * elsewhere).mean(),
            "kept_colour": ((torch.sigmoid(new_rgb) - colour).abs() * elsewhere).mean(),
            "kept_feature": ((new_feature - feature).abs() * elsewhere).mean(),
        }
