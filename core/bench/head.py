"""A head in the field of the released size: random weights have no surface, and without one nothing can be measured.

The field is fitted to one head of cameo-256, its mean or another, by distances, their gradients, and colours at points
in space; all other weights follow the golden rule (``core.bench.made_up``). What is fitted is the layers' weights and
the two output layers for one latent; the γ and β layers keep the rule, so other latents and edits deform this head.
Kept under ``runs/bench`` and taken up again where it stopped. Refuses to know what is measured with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from core.bench.made_up import draw, filled
from core.job import Job
from core.models.bundle import read_networks
from core.models.configuration import ModelConfig
from core.models.field import Field, FilmSine
from core.models.generator import Generator
from core.models.networks import Networks
from core.rendering.folded import FoldedField
from core.rendering.solids import EXTENT
from core.rendering.strays import strays, without_strays
from core.weights import Registry

__all__ = ["BETA", "Plan", "edit_direction", "fitted_generator", "latent"]

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[2] / "runs" / "bench"
SALT = "bench"
# Width of the density's sigmoid. The release's own is not known to this repository; half the spacing of its samples
# (0.24 / 24) is the sharpest surface that those can still integrate, and eikonal and minimal-surface losses drive it
# there. docs/performance.md shows twice and half of it.
BETA = 0.005
# Where rays of any camera may sample: the far corners of a frustum of 12 degrees (world units).
REACH = 0.21
# Share of a batch near the surface, in the cube around the head, and in the ball that rays may enter.
NEAR, CUBE = 0.6, 0.3
# How far from the surface the near ones are spread (standard deviation, world units).
SPREAD = 0.006
# Weights of the losses: distance in units of 0.01, gradient, colour.
DISTANCE_UNIT, GRADIENT_WEIGHT, COLOUR_WEIGHT = 0.01, 0.1, 1.0
# What the rule's initial weights are multiplied by, in the first layer and in the others.
SMOOTHER_FIRST, SMOOTHER = 0.5, 0.7
# Of the picture where there is no head, 0 to 1.
BACKDROP = 0.6
POOL, RATE, SAVED_EVERY = 200_000, 3e-4, 45.0


@dataclass(frozen=True)
class Plan:
    """How a head is fitted.

    Args:
        config: The family's sizes.
        steps: Until it is done.
        batch: Points a step; an eighth of them have gradients.
        pool: Points that are drawn from.
        person: Which head of cameo-256: 0 its mean, on which tolerances were chosen; others by chance, to check them.
    """

    config: ModelConfig
    steps: int = 1000
    batch: int = 3072
    pool: int = POOL
    person: int = 0

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return FOLDER / f"head-{self.config.name}{f'-{self.person}' if self.person else ''}.safetensors"


class Points(NamedTuple):
    """What the head of cameo-256 says at points.

    Shape:
        xyz (N, 3), sdf (N, 1), gradient (N, 3), rgb (N, 3) in [0, 1], near (N,) bool: gradients count here.
    """

    xyz: Tensor
    sdf: Tensor
    gradient: Tensor
    rgb: Tensor
    near: Tensor


def latent(config: ModelConfig) -> Tensor:
    """The latent that the head is fitted for, (1, rows, style_dim)."""
    size = config.generator.field.style_dim
    w = torch.from_numpy(0.3 * draw(SALT, "w", "head", (size,))).float()
    return w.expand(1, config.renderer_rows, size).contiguous()


def edit_direction(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """A direction of latents that moves the head visibly and leaves it one: of the field's rows and the decoder's."""
    field, decoder = config.generator.field, config.generator.decoder
    rows = torch.from_numpy(0.2 * draw(SALT, "edit", "r", (1, config.renderer_rows, field.style_dim))).float()
    return rows, torch.from_numpy(0.2 * draw(SALT, "edit", "d", (1, config.decoder_rows, decoder.style_dim))).float()


def mean_head() -> Networks:
    """The embedded model."""
    paths = [path for path in Registry().locate("cameo-256").values() if path.suffix == ".safetensors"]
    return read_networks(paths).ready(torch.device("cpu"))


def latent_of(networks: Networks, person: int) -> Tensor:
    """Latent rows (1, rows, style_dim) of a head of cameo-256: the mean's (0), or those of somebody drawn by chance."""
    if person == 0:
        return networks.renderer_mean[None]
    generator = networks.generator
    z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(person))
    with torch.no_grad():
        return generator.mapping(z)[:, None].expand(1, len(networks.renderer_mean), -1).contiguous()


def sampled_points(count: int, seed: int = 0, person: int = 0) -> Points:
    """Points near a head of cameo-256 and far from it, with what its field says there."""
    networks = mean_head()
    styles = latent_of(networks, person)
    folded = FoldedField(networks.generator.field, styles)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        sdf = without_strays(folded.sdf, strays(lambda points: folded.sdf(points[None])[0, :, 0], networks.device))
        near, cube = round(NEAR * count), round(CUBE * count)
        found, have = [], 0
        while have < near:  # points of the cube, walked to the surface along the gradient, then spread
            xyz = EXTENT * (2.0 * torch.rand(20_000, 3, generator=random) - 1.0)
            distance, gradient = networks.generator.field.sdf_with_gradient(xyz[None], styles)
            close = distance[0, :, 0].abs() < 0.04
            xyz, distance, gradient = xyz[close], distance[0, close], gradient[0, close]
            xyz = xyz - distance * functional.normalize(gradient, dim=-1)
            xyz = xyz[(sdf(xyz[None])[0, :, 0].abs() < 0.003) & (xyz.abs().amax(dim=-1) < EXTENT)]
            found.append(xyz + SPREAD * torch.randn(xyz.shape, generator=random))
            have += len(xyz)
        inner = EXTENT * (2.0 * torch.rand(cube, 3, generator=random) - 1.0)
        direction = functional.normalize(torch.randn(count - near - cube, 3, generator=random), dim=-1)
        ball = REACH * torch.rand(len(direction), 1, generator=random) ** (1 / 3) * direction
        xyz = torch.cat((torch.cat(found)[:near], inner, ball))
        order = torch.randperm(count, generator=random)
        xyz, is_near = xyz[order], (torch.arange(count) < near)[order]
        parts = []
        for part in xyz.split(8192):
            _, gradient = networks.generator.field.sdf_with_gradient(part[None], styles)
            _, raw = folded.appearance(folded.hidden(part))
            parts.append((sdf(part[None])[0], gradient[0], raw.sigmoid()))
    distance, gradient, rgb = (torch.cat(column) for column in zip(*parts, strict=True))
    # Far from the head there is the backdrop.
    return Points(xyz, distance, gradient, torch.where(is_near[:, None], rgb, BACKDROP), is_near)


def fitted_generator(plan: Plan, job: Job, seconds: float | None = None) -> Generator:
    """The generator with a head in its field; fits it, or goes on fitting it, if it is not there yet.

    Args:
        plan: What and how long.
        job: Where to report; every step is a yield point.
        seconds: Stop after so long, finished or not; what there is is kept.
    """
    network = filled(lambda: Generator(plan.config.generator), SALT, "g_ema")
    assert isinstance(network, Generator)
    network.renderer.sigmoid_beta.fill_(BETA)
    # The rule's weights ripple everywhere; from a smoother start a thousand steps are enough.
    for number, layer in enumerate(network.field.pts_linears):
        assert isinstance(layer, FilmSine)
        layer.weight.mul_(SMOOTHER_FIRST if number == 0 else SMOOTHER)
    fitted = Fit(plan, network.field)
    if fitted.step < plan.steps:
        fitted.run(job, seconds)
    return network.eval().requires_grad_(False)


class Fit:
    """The loop: Adam over the field's layers, kept with its moments."""

    def __init__(self, plan: Plan, field: Field) -> None:
        self.plan = plan
        self.field = field
        self.trained = {
            name: value
            for name, value in field.named_parameters()
            if not any(part in name for part in (".gamma.", ".beta."))
        }
        self.optimiser = torch.optim.Adam(self.trained.values(), lr=RATE)
        self.step = 0
        if plan.path.exists():
            self._restore()

    def run(self, job: Job, seconds: float | None) -> None:
        """Fit until done."""
        points = sampled_points(self.plan.pool, person=self.plan.person)
        styles = latent(self.plan.config)
        for value in self.trained.values():
            value.requires_grad_(True)
        started = saved = time.monotonic()
        batches = self._batches(points)
        while self.step < self.plan.steps:
            job.report(self.step / self.plan.steps, "fitting a head to the released size")
            share = self.step / self.plan.steps
            for group in self.optimiser.param_groups:
                group["lr"] = RATE * min(1.0, 20.0 * share + 0.05) * (1.0 - share) + 0.02 * RATE
            loss = self._loss(next(batches), styles)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.step += 1
            now = time.monotonic()
            over = seconds is not None and now - started > seconds
            if now - saved > SAVED_EVERY or self.step == self.plan.steps or over:
                self._save()
                saved = now
                logger.info("step %d of %d: loss %.5f", self.step, self.plan.steps, float(loss.detach()))
            if over:
                break
        for value in self.trained.values():
            value.requires_grad_(False)

    def _batches(self, points: Points) -> Iterator[Points]:
        random = torch.Generator().manual_seed(1 + self.step)
        while True:
            index = torch.randint(len(points.xyz), (self.plan.batch,), generator=random)
            yield Points(*(column[index] for column in points))

    def _loss(self, batch: Points, styles: Tensor) -> Tensor:
        eighth = len(batch.xyz) // 8
        xyz = batch.xyz[None]
        distance, gradient = self.field.sdf_with_gradient(xyz[:, :eighth], styles)
        hidden = self.field.hidden(xyz[:, eighth:], styles)
        rest = self.field.sdf_from(hidden, xyz[:, eighth:])
        off = (torch.cat((distance[0], rest[0])) - batch.sdf) / DISTANCE_UNIT
        # Far away a centimetre more or less does not matter: what counts is the relative error.
        weight = 1.0 / (1.0 + batch.sdf.abs() / (3.0 * DISTANCE_UNIT))
        close = batch.near[:eighth]
        turned = (gradient[0] - batch.gradient[:eighth]).square().sum(dim=-1)
        steep = (torch.linalg.vector_norm(gradient[0], dim=-1) - 1.0).square()
        slopes = torch.where(close, turned, steep).mean()
        view = torch.zeros(1, 1, 3)
        view[..., 2] = -1.0
        _, raw = self.field.appearance(hidden, styles, view.expand(1, hidden.shape[1], 3))
        colour = (raw[0].sigmoid() - batch.rgb[eighth:]).square().mean()
        return (off.square() * weight).mean() + GRADIENT_WEIGHT * slopes + COLOUR_WEIGHT * colour

    # ------------------------------------------------------------------------------------------------- on the disk

    def _save(self) -> None:
        state = {f"value.{name}": value.detach() for name, value in self.trained.items()}
        for name, value in self.trained.items():
            for key, moment in self.optimiser.state[value].items():
                state[f"{key}.{name}"] = torch.as_tensor(moment)
        self.plan.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.plan.path.with_suffix(".part")
        save_file({key: value.contiguous() for key, value in state.items()}, temporary, {"step": str(self.step)})
        temporary.replace(self.plan.path)

    def _restore(self) -> None:
        with safe_open(self.plan.path, "pt") as file:
            self.step = int(file.metadata()["step"])
            for name, value in self.trained.items():
                with torch.no_grad():
                    value.copy_(file.get_tensor(f"value.{name}"))
                self.optimiser.state[value] = {
                    key: file.get_tensor(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")
                }
