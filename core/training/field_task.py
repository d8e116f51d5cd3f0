"""Stage G0: mapping network and FiLM-SIREN field on the synthetic world.

The world gives what the papers' GAN training must guess: for every pixel a surface point with its normal and colour,
and the free space before it. So the SDF is regressed, not discovered: zero on the surface, delta along the normal,
positive before it; then the volume-rendered thumb and alpha are trained through the quadrature itself.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.generator import Generator
from core.models.guided import surface_samples
from core.training.data import DEPTH_SIZE, EDITED_VIEWS, VIEWS, WorldHeads, shrink
from core.training.glances import Glances
from core.training.losses import masked_mean, total_loss
from core.training.renders import THUMB, render_picture, render_samples, shade
from core.training.sheets import contact_sheet
from core.training.views import pixel_grid, project, rays
from core.world.parts import PARTS


@dataclasses.dataclass(frozen=True)
class FieldTaskConfig:
    """Batch sizes and loss weights of the field stage."""

    heads: int = 128
    """Pictures a step."""
    points: int = 1024
    """Surface points a picture."""
    normal_points: int = 128
    """Of them with a normal loss (double backward)."""
    render_from: float = 0.72
    """Progress at which volume-rendered fine-tuning begins."""
    render_pictures: int = 24
    render_rays: int = 1024
    delta: float = 0.006
    """Standard deviation of the displacement along the normal, world units."""
    surface: float = 40.0
    off_surface: float = 40.0
    free: float = 100.0
    bound: float = 20.0
    colour: float = 2.0
    normal: float = 0.5
    thumb: float = 4.0
    alpha: float = 2.0
    labels: float = 0.3
    """Weight of the linear read-out of the world's labels from w: what a slider moves must be a direction there."""
    glasses: float = 3.0
    """How much more often heads with glasses are drawn than others; one in five has them."""


# Where faces differ and people look: eyes, teeth, brows, lashes, glasses get more points than skin and hair.
PART_WEIGHTS = (0.35, 1.0, 3.0, 2.5, 2.0, 2.0, 0.8, 1.0, 2.0, 6.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
# Rims are thinner than the displacement along the normal: beyond them it would teach the wrong side.
THIN_PARTS, THIN_SHARE = (PARTS.index("lashes"), PARTS.index("glasses")), 0.15
# Ellipsoids inside every head, centre and half axes in world units: well within the cranium, and behind the mouth.
SKULL = (0.0, 0.02, -0.01), (0.032, 0.045, 0.035)
THROAT = (0.0, -0.048, 0.018), (0.024, 0.024, 0.034)


class FieldTask:
    """Losses of the field stage (embedded model; StyleSDF Section 3 for the quadrature)."""

    name = "field"

    def __init__(
        self, generator: Generator, data: WorldHeads | Glances, config: FieldTaskConfig, *, compiled: bool
    ) -> None:
        self.generator = generator
        self.modules: dict[str, nn.Module] = {"generator": generator}
        self.data, self.config = data, config
        self.device = data.z.device
        self.colour = self._small_colour()
        self.probe = nn.Linear(generator.config.field.style_dim, data.labels.shape[1]).to(self.device)
        spread = torch.cat([data.labels, data.labels_edit])
        self.label_mean, self.label_std = spread.mean(0), spread.std(0) + 1e-3
        self.chance = torch.ones(len(data), device=self.device)
        if "Eyeglasses" in data.label_names:
            worn = data.labels[:, data.label_names.index("Eyeglasses")] > 0.5
            self.chance = torch.where(worn, config.glasses, 1.0)
        self._field = torch.compile(self._evaluate) if compiled else self._evaluate
        self._sdf = torch.compile(generator.field.sdf) if compiled else generator.field.sdf
        self._gradient = (
            torch.compile(generator.field.sdf_with_gradient) if compiled else generator.field.sdf_with_gradient
        )

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """The field and its mapping network; the decoder has its own stage."""
        trained = [*self.generator.field.parameters(), *self.generator.style.parameters()]
        return [
            {"params": trained, "lr": learning_rate},
            {"params": list(self.probe.parameters()), "lr": learning_rate},
        ]

    def _small_colour(self) -> Tensor:
        """Colours (H, 5, 128, 128, 4) uint8 at the resolution of the depth maps: straight RGB, alpha."""
        if isinstance(self.data, Glances):
            return self.data.colours()
        out = torch.zeros((len(self.data), VIEWS, DEPTH_SIZE, DEPTH_SIZE, 4), dtype=torch.uint8, device=self.device)
        for start in range(0, len(self.data), 64):
            c = self.data.colour[start : start + 64].flatten(0, 1).permute(0, 3, 1, 2).float()
            a = c[:, 3:] / 255
            small = shrink(torch.cat([c[:, :3] * a, a], 1), DEPTH_SIZE)
            rgb = small[:, :3] / small[:, 3:].clamp(min=1 / 255)
            both = torch.cat([rgb, small[:, 3:] * 255], 1).clamp(0, 255).round().byte()
            out[start : start + 64] = both.permute(0, 2, 3, 1).unflatten(0, (-1, VIEWS))
        return out

    def _evaluate(self, points: Tensor, styles: Tensor, surface: int) -> tuple[Tensor, Tensor]:
        field = self.generator.field
        h = field.hidden(points, styles)
        _, rgb = field.appearance(h[:, :surface], styles)
        return field.sdf_from(h, points), torch.sigmoid(rgb)

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Surface, off-surface, free-space, upper-bound, colour and normal losses; later the rendered thumb."""
        c = self.config
        head = torch.multinomial(self.chance, c.heads, replacement=True)
        view = torch.randint(self.data.depth.shape[1], (c.heads,), device=self.device)
        parts = self._point_losses(head, view)
        weights = {
            "surface": c.surface, "off": c.off_surface, "free": c.free, "bound": c.bound, "colour": c.colour,
            "normal": c.normal, "core": c.free, "thumb": c.thumb, "alpha": c.alpha, "labels": c.labels,
        }  # fmt: skip
        if progress > c.render_from:
            parts |= self._render_losses(head[: c.render_pictures], view[: c.render_pictures] % EDITED_VIEWS[0])
        return total_loss(parts, weights), parts

    def _point_losses(self, head: Tensor, view: Tensor) -> dict[str, Tensor]:
        c, data = self.config, self.data
        depth = data.depth[head, view].flatten(1).float()
        part = data.part[head, view].flatten(1).long()
        camera = data.camera[head, view]
        weight = torch.tensor(PART_WEIGHTS, device=self.device)[part.clamp(max=len(PART_WEIGHTS) - 1)]
        weight = torch.where(depth > 0, weight.clamp(min=0.5), 0.35)
        index = torch.multinomial(weight, c.points, replacement=True)
        t = depth.gather(1, index)
        seen = (t > 0).float()
        uv = pixel_grid(data.depth.shape[-1], self.device)[index]
        origin, direction = rays(camera, uv)
        t_surface = torch.where(seen > 0, t, torch.full_like(t, 1.0))
        surface = origin[:, None] + direction * t_surface[..., None]
        normal = data.normal[head, view].flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 3)).float() / 127
        thin = torch.isin(part.gather(1, index), torch.tensor(THIN_PARTS, device=self.device))
        delta = torch.randn_like(t).clamp(-2, 2) * c.delta * torch.where(thin, THIN_SHARE, 1.0)
        off = surface + normal * delta[..., None]
        end = torch.where(seen > 0, t - 0.003, torch.full_like(t, 1.13))
        t_free = 0.87 + (end - 0.87) * torch.rand_like(t)
        free = origin[:, None] + direction * t_free[..., None]
        core = torch.cat([self._within(len(head), 32, *SKULL), self._within(len(head), 64, *THROAT)], 1)
        points = torch.cat([surface, off, free, core], 1)
        w, styles = self._latents(head, view)
        n = c.points
        sdf, rgb = self._field(points, styles, n)
        sdf = sdf[..., 0]
        colour = self.colour[head, view].flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 4)).float() / 255
        solid = seen * (colour[..., 3] > 0.5)
        # No point before the surface is farther from it than along its own ray; nor nearer than a hair.
        along = (t_surface - t_free) * direction.norm(dim=-1)
        parts = {
            "surface": masked_mean(self.penalty(sdf[:, :n]), seen),
            "off": masked_mean(self.penalty(sdf[:, n : 2 * n] - delta), seen),
            "free": F.relu(torch.minimum(torch.full_like(along, 0.004), along.clamp(min=0.001)) - sdf[:, 2 * n : 3 * n])
            .where(seen > 0, F.relu(0.004 - sdf[:, 2 * n : 3 * n]))
            .mean(),
            "bound": masked_mean(F.relu(sdf[:, 2 * n : 3 * n] - along), seen),
            "core": F.relu(sdf[:, 3 * n : 3 * n + 32] + 0.01).mean()
            + masked_mean(F.relu(sdf[:, 3 * n + 32 :] + 0.003), self._hidden(core[:, 32:], head, view)),
            "colour": masked_mean((rgb - colour[..., :3]).abs(), solid[..., None]),
        }
        k = c.normal_points
        _, gradient = self._gradient(surface[:, :k], styles)
        parts["normal"] = masked_mean((gradient - normal[:, :k]).abs(), seen[:, :k, None])
        edited = (view >= EDITED_VIEWS[0])[:, None]
        labels = torch.where(edited, data.labels_edit[head], data.labels[head])
        parts["labels"] = F.mse_loss(self.probe(w), (labels - self.label_mean) / self.label_std)
        return parts

    def penalty(self, error: Tensor) -> Tensor:
        """What an error of a distance costs (L1 here)."""
        return error.abs()

    def _latents(self, head: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """W (N, style_dim) of each (head, view), and the rows (N, rows, style_dim) that the field is asked with."""
        w = self.generator.mapping(self.data.code(head, view))
        return w, self.generator.styles(w)

    def _within(
        self, pictures: int, points: int, centre: tuple[float, float, float], size: tuple[float, float, float]
    ) -> Tensor:
        """Points (pictures, points, 3) evenly within an ellipsoid, world units."""
        direction = F.normalize(torch.randn(pictures, points, 3, device=self.device), dim=-1)
        radius = torch.rand(pictures, points, 1, device=self.device) ** (1 / 3)
        return torch.tensor(centre, device=self.device) + direction * radius * torch.tensor(size, device=self.device)

    def _hidden(self, points: Tensor, head: Tensor, view: Tensor) -> Tensor:
        """1 where points (N, P, 3) lie behind the surface of this view and of the frontal one of the same state.

        Nothing is taught of the inside of a shut mouth, so the field left a hollow there; what is seen through an open
        one stays free.
        """
        hidden = torch.ones(points.shape[:2], device=self.device)
        for seen_from in (view, torch.where(view >= EDITED_VIEWS[0], EDITED_VIEWS[0], 0)):
            uv, depth = project(self.data.camera[head, seen_from], points)
            surface = F.grid_sample(
                self.data.depth[head, seen_from][:, None].float(), uv[:, None], mode="nearest", align_corners=False
            )[:, 0, 0]
            hidden = hidden * ((surface > 0) & (depth > surface + 0.003)).float()
        return hidden

    def _render_losses(self, head: Tensor, view: Tensor) -> dict[str, Tensor]:
        c, data = self.config, self.data
        assert isinstance(data, WorldHeads)
        camera = data.camera[head, view]
        target = shrink(data.picture(head, view), THUMB).flatten(2)
        index = torch.randint(THUMB * THUMB, (len(head), c.render_rays), device=self.device)
        origin, direction = rays(camera, pixel_grid(THUMB, self.device)[index])
        styles = self.generator.styles(self.generator.mapping(data.code(head, view)))
        # The wide views look from farther around the head: the whole scene radius is in reach of near and far.
        t, deltas = surface_samples(lambda x: self._sdf(x, styles), origin, direction, steps=10, fine=6)
        out = render_samples(self.generator, styles, origin, direction, t, deltas)
        target = target.gather(2, index[:, None].expand(-1, 4, -1)).transpose(1, 2)
        rgb = target[..., :3] * 2 - target[..., 3:]
        return {"thumb": (out.rgb - rgb).abs().mean(), "alpha": (out.alpha - target[..., 3]).abs().mean()}

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: world picture, thumb, novel views, normals; of eight heads."""
        generator = averaged["generator"]
        assert isinstance(generator, Generator)
        head = torch.arange(8, device=self.device)
        view = torch.zeros_like(head)
        if isinstance(self.data, Glances):
            view = self.data.coloured[head]
            small = self.data.colour[head].permute(0, 3, 1, 2).float() / 255
            rows = [F.interpolate(small[:, :3] * small[:, 3:], size=(128, 128), mode="bilinear")]
        else:
            rows = [shrink(self.data.picture(head, view), 128)[:, :3]]
        camera = self.data.camera[head, view]
        styles = generator.styles(generator.mapping(self.data.code(head, view)))
        for yaw in (None, -0.6, 0.9, 1.57):
            seen = camera.clone()
            if yaw is not None:
                seen[:, 0], seen[:, 1] = yaw, 0.0
            picture, depth = render_picture(generator, styles, seen, 128)
            rows.append(picture[:, :3])
            if yaw in (None, -0.6, 1.57):
                rows.append(shade(depth, picture[:, 3:]))
        return contact_sheet(rows)
