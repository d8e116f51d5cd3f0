"""The one loop of all refinements: a copy of the generator and offsets of the latents, moved stage by stage.

Nothing outside is touched before the end, so a cancelled refinement leaves the head as it was. Between its parts every
step reports to the job, which may serve a live frame of the unrefined head there.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.camera import Camera
from core.job import Job
from core.models.generator import Generator
from core.models.networks import Networks
from core.refinement.delta import Delta, difference
from core.refinement.methods import Method, Stage
from core.refinement.optimiser import SCHEDULES, Adam
from core.refinement.passes import Prepared, prepare
from core.refinement.steps import SIDES, Target, View, loss_of, pseudo_targets
from core.refinement.variables import Latents, parameter_groups
from core.refinement.watch import Embed, Point, Watch, cost, past_the_knee
from core.rendering.edited import EditedHead
from core.tensors import generator as random_generator

logger = logging.getLogger(__name__)

RETRACE = 5
"""Steps after which the rays of a moving surface are traced anew; its samples reach farther than it moves meanwhile."""
LEAST = 5
"""Steps between two measurements at least: each costs as much as one or two."""


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement found.

    Shape:
        styles (rows, style_dim), decoder_styles (rows_d, D).
    """

    styles: Tensor
    decoder_styles: Tensor
    camera: Camera
    delta: Delta
    method: str
    steps: int
    passes: int
    seconds: float
    curve: tuple[Point, ...]
    kept: int
    """Step that was kept."""
    visibility_share: float
    """Share of the head in the pseudo-views that shows the photo; 0 without pseudo-views."""

    @property
    def rolled_back(self) -> bool:
        """Whether an earlier step was better than the last."""
        return self.kept < self.steps


@dataclass(eq=False)
class _State:
    """What moves."""

    generator: Generator
    latents: Latents
    angles: Tensor
    tuned: set[str] = field(default_factory=set)

    def snapshot(self) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        state = self.generator.state_dict()
        styles, decoder = self.latents.rows()
        weights = {name: state[name].detach().clone() for name in sorted(self.tuned)}
        return weights, styles.detach().clone(), decoder.detach().clone(), self.angles.detach().clone()


class Refiner:
    """Refines the head of one photo.

    Args:
        networks: The model; only read.
        head: The unedited head.
        embed: Identity network of pixels within a mask, or None.
        seed: Of jitter, pseudo-views and shape points.
    """

    def __init__(self, networks: Networks, head: EditedHead, embed: Embed | None = None, seed: int = 0) -> None:
        self._networks, self._head, self._embed = networks, head, embed
        self._random = random_generator(seed)

    def run(self, method: Method, job: Job, *, mean_start: bool = False) -> Refined:
        """Run a method.

        Args:
            method: Which.
            job: Where to report.
            mean_start: Begin with the mean latents instead of the encoder's.

        Raises:
            Cancelled: Somebody asked to stop; nothing has changed anywhere.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            return self._run(method, job, mean_start)

    def _run(self, method: Method, job: Job, mean_start: bool) -> Refined:
        started = time.perf_counter()
        source = self._head.source
        # Copies: tensors that were made in inference mode can take no part in a gradient.
        styles, decoder = source.styles.clone(), source.decoder_styles.clone()
        if mean_start:
            styles = self._networks.renderer_mean[None].expand_as(styles).clone()
            decoder = self._networks.decoder_mean[None].expand_as(decoder).clone()
        base = self._networks.generator
        state = _State(copy.deepcopy(base).requires_grad_(False), Latents(styles, decoder), source.angles.clone())
        strays = None if source.strays is None else source.strays.clone()
        target = Target.of_photo(source, base.config.decoder.image_size)
        job.report(0.0, "looking at the head")

        def breathe() -> None:
            job.report(0.0, job.stage)

        watch = Watch(base, styles, state.angles, target.picture, target.matte, strays, self._embed, breathe)
        curve = [watch.measure(base, styles, decoder, 0, shape_moved=False)]
        best = (cost(curve[0], curve[0]), 0, state.snapshot())
        costs, done, share = [best[0]], 0, 0.0
        total = sum(stage.steps for stage in method.stages)
        every = max(LEAST, total // method.measures)
        shape_moved, passes, stopped = mean_start, 0, False
        for stage in method.stages:
            if stage.restart:
                state.generator = copy.deepcopy(base).requires_grad_(False)
                state.tuned.clear()
            shape_moved |= stage.moves_shape
            views = [View(state.angles, target)]
            if stage.views != "photo":
                fill = None if method.fill == "generator" else self._head
                job.report(done / total, SIDES)
                extra, share = pseudo_targets(
                    self._networks, self._head, state.generator, state.latents.rows(), method, fill, strays, job
                )
                views += extra
            for _ in self._steps(stage, state, views, strays, job, (done, total, curve)):
                done += 1
                passes += stage.passes // stage.steps
                last = done == total
                if done % every == 0 or last:
                    rows = state.latents.rows()
                    point = watch.measure(state.generator, *rows, done, shape_moved=shape_moved)
                    curve.append(point)
                    costs.append(cost(point, curve[0]))
                    logger.debug("%s", point)
                    if costs[-1] < best[0]:
                        best = (costs[-1], done, state.snapshot())
                    # Only the last stage may be cut short: the ones before it are not meant to be good already.
                    if method.honest and stage is method.stages[-1] and past_the_knee(costs):
                        stopped = True
                        break
            if stopped:
                break
        if not method.honest:
            best = (costs[-1], done, state.snapshot())
        weights, styles, decoder, angles = best[2]
        job.report(1.0, "head refined")
        yaw, pitch = (float(angle) for angle in angles[0])
        return Refined(
            styles[0],
            decoder[0],
            Camera(yaw, pitch),
            difference(base, weights),
            method.name,
            done,
            passes,
            time.perf_counter() - started,
            tuple(curve),
            best[1],
            share,
        )

    def _steps(
        self,
        stage: Stage,
        state: _State,
        views: list[View],
        strays: Tensor | None,
        job: Job,
        progress: tuple[int, int, list[Point]],
    ) -> Iterator[int]:
        """One stage, step by step."""
        groups = parameter_groups(state.generator)
        moving: list[tuple[list[Tensor], float]] = []
        camera = torch.zeros_like(state.angles) if "camera" in stage.rates else None
        for name, rate in stage.rates.items():
            if name in groups:
                state.tuned.update(groups[name])
                moving.append((list(groups[name].values()), rate))
            elif name == "camera" and camera is not None:
                moving.append(([camera], rate))
            else:
                moving.append((state.latents.free(name), rate))
        adam = Adam(moving)
        for tensor in adam.tensors:
            tensor.requires_grad_(True)
        prepared: dict[int, tuple[int, Prepared]] = {}
        done, total, curve = progress
        try:
            for step in range(stage.steps):
                said = f"{stage.name}, step {done + step + 1} of {total}, difference {curve[-1].mae:.3f}"
                gradients: list[Tensor | None] = [None] * len(adam.tensors)
                for number in self._chosen(stage, step, len(views)):
                    job.report((done + step) / total, said)
                    view = views[number]
                    age, ready = prepared.get(number, (-RETRACE, None))
                    if ready is None or (stage.moves_shape and step - age >= RETRACE):
                        rows = state.latents.rows()
                        ready = prepare(state.generator, rows[0], view.angles, strays, frozen=not stage.moves_shape)
                        prepared[number] = (step, ready)
                        job.report((done + step) / total, said)
                    loss = self._loss(stage, state, view, ready, step, camera)
                    job.report((done + step) / total, said)
                    found = torch.autograd.grad(loss, adam.tensors, allow_unused=True)
                    gradients = [_added(a, b) for a, b in zip(gradients, found, strict=True)]
                adam.step(gradients, SCHEDULES[stage.schedule](step, stage.steps))
                if camera is not None:
                    with torch.no_grad():
                        state.angles = views[0].angles + camera.clamp_(-0.15, 0.15)
                yield step
        finally:
            for tensor in adam.tensors:
                tensor.requires_grad_(False)

    def _chosen(self, stage: Stage, step: int, count: int) -> list[int]:
        """Numbers of the views of a step; 0 is the photo, pseudo-views are drawn without favour."""
        if count == 1 or stage.views == "photo":
            return [0]
        other = 1 + int(torch.randint(count - 1, (1,), generator=self._random))
        if stage.views == "both":
            return [0, other]
        return [0] if step % 2 == 0 else [other]

    def _loss(
        self, stage: Stage, state: _State, view: View, ready: Prepared, step: int, camera: Tensor | None
    ) -> Tensor:
        spread = stage.jitter * (1.0 - step / stage.steps)
        rows = state.latents.rows(spread, self._random)
        return loss_of(stage, self._networks, state.generator, rows, state.latents, view, ready, camera, self._random)


def _added(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other


def report_of(refined: Refined, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, object]:
    """The report's ``refinement``: what was done, and the figures before and after."""
    return {
        "method": refined.method,
        "steps": refined.steps,
        "passes": refined.passes,
        "seconds": round(refined.seconds, 2),
        "before": dict(before),
        "after": dict(after),
        "curve": [point.row() for point in refined.curve],
        "kept_step": refined.kept,
        "rolled_back": refined.rolled_back,
        "visibility_share": refined.visibility_share,
        "shape_drift": next(p.shape_drift for p in refined.curve[::-1] if p.step <= refined.kept),
    }
