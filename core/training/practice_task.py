"""Stage practice: a trained field sees many more heads, and what stands on it need not notice.

The first field saw 8,192 heads more than a hundred times and knew them by heart: on heads that it never saw its surface
was two and a half times as far off, in hair four times. What a code means is the mapping's to say, so the mapping stays
as it is: E0, reader, landmarks and directions speak of the same latents. Features stay what the decoder knows.
"""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from core.models.generator import Generator
from core.training.field_task import FieldTask, FieldTaskConfig
from core.training.glances import Glances
from core.training.lesson_task import near_surface


@dataclasses.dataclass(frozen=True)
class PracticeTaskConfig(FieldTaskConfig):
    """Batch sizes and loss weights of practice."""

    heads: int = 24
    points: int = 256
    normal_points: int = 48
    render_from: float = 2.0
    """Never: what is rendered follows from what is at the points."""
    labels: float = 0.0
    kept_heads: int = 4
    kept_points: int = 256
    kept_feature: float = 1.0


class PracticeTask(FieldTask):
    """The field's losses on many heads; the mapping stays frozen."""

    name = "practice"
    config: PracticeTaskConfig

    def __init__(self, generator: Generator, data: Glances, config: PracticeTaskConfig, *, compiled: bool) -> None:
        super().__init__(generator, data, config, compiled=compiled)
        self.teacher = copy.deepcopy(generator.field).eval().requires_grad_(False)
        generator.style.requires_grad_(False)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The field alone."""
        return [{"params": list(self.generator.field.parameters()), "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The field's losses, and how far its features are from what they were."""
        total, parts = super().losses(progress)
        kept = self._kept()
        return total + self.config.kept_feature * kept, parts | {"kept_feature": kept}

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
