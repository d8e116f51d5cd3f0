"""The one loop of all refinements: a copy of the generator and offsets of the latents, moved stage by stage.

Nothing outside is touched before the end, so a cancelled refinement leaves the head as it was. Between its parts every
step reports to the job, which may serve a live frame of the unrefined head there.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from core.job import Job
from core.models.networks import Networks
from core.refinement.anchoring import head_of, refitted
from core.refinement.course import Log, State, breathe
from core.refinement.methods import Method, Stage
from core.refinement.optimiser import SCHEDULES, Adam
from core.refinement.palette import fit_colours
from core.refinement.passes import Body, Prepared, field_maps, prepare
from core.refinement.steps import SIDES, Held, Target, View, loss_of, pseudo_targets
from core.refinement.variables import Latents, light_directions, parameter_groups
from core.refinement.watch import GAIN, Embed, Point, Watch, past_the_knee
from core.refinement.waypoint import Waypoint, thinned
from core.rendering.edited import EditedHead
from core.rendering.hands import Pause
from core.rendering.shape import HeadShape
from core.tensors import generator as random_generator

logger = logging.getLogger(__name__)

RETRACE = 5
"""Steps after which the rays of a moving surface are traced anew; its samples reach farther than it moves meanwhile."""
LEAST = 5
"""Steps between two measurements at least: each costs as much as one or two."""


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement found."""

    found: Waypoint
    method: str
    steps: int
    passes: int
    seconds: float
    curve: tuple[Point, ...]
    kept: int
    """Step that was kept."""
    visibility_share: float
    """Share of the head in the pseudo-views that shows the photo; 0 without pseudo-views."""
    waypoints: Mapping[int, Waypoint]
    """Points of the curve that one can go to instead, by their step."""
    explained: bool = False
    """Whether latents that explain the photo were found, and kept."""

    @property
    def rolled_back(self) -> bool:
        """Whether an earlier step was better than the last."""
        return self.kept < self.steps


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

    def run(self, method: Method, job: Job) -> Refined:
        """Run a method; when the job is asked to finish, it ends after the step at hand.

        Args:
            method: Which.
            job: Where to report and to show a ``Glimpse`` after every step.

        Raises:
            Cancelled: Somebody asked to stop; nothing has changed anywhere.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            return self._run(method, job)

    def _run(self, method: Method, job: Job) -> Refined:
        started = time.perf_counter()
        source = self._head.source
        # Copies: tensors that were made in inference mode can take no part in a gradient.
        styles, decoder = source.styles.clone(), source.decoder_styles.clone()
        if method.mean_start:
            styles = self._networks.renderer_mean[None].expand_as(styles).clone()
            decoder = self._networks.decoder_mean[None].expand_as(decoder).clone()
        base = self._networks.generator
        latents = Latents(styles, decoder, partial(light_directions, base))
        copied, body = copy.deepcopy(base).requires_grad_(False), Body.of(source)
        state = State(base, copied, latents, source.angles.clone(), body)
        target = Target.of_photo(source, base.config.decoder.image_size)
        job.report(0.0, "looking at the head")

        watch = Watch(
            base, styles, state.angles, target.picture, target.matte, body, self._embed, partial(breathe, job)
        )
        log = Log(method, watch, job)
        log.measure(state, shape_moved=method.mean_start)
        every, share, reshaped, explained = max(LEAST, log.total // method.measures), 0.0, method.mean_start, False
        for stage in method.stages:
            if stage.restart:
                state.generator = copy.deepcopy(base).requires_grad_(False)
                state.tuned.clear()
            views = [View(state.angles, target)]
            if stage.views != "photo" and not job.finishing:
                job.report(log.fraction, SIDES)
                extra, share = self._other_views(method, state, job, reshaped=reshaped, explained=explained)
                views += extra
            begun, undone = log.mark(state), False
            for step in self._steps(stage, state, views, job, log):
                ended = step + 1 == stage.steps or job.finishing
                if stage.proof is not None and (step + 1 == stage.proof[0] or (ended and step + 1 < stage.proof[0])):
                    log.measure(state, shape_moved=stage.moves_shape)
                    # Who stops before the proof gets the head as it was: what a stage has not earned is not kept.
                    undone = step + 1 < stage.proof[0] or not log.curve[-1].ssim >= stage.proof[1]
                if stage.refits and ended and not undone:
                    self._refit(state, watch, job)
                due = stage.draws and log.steps % every == 0
                if not undone and (due or log.steps == log.total or (stage.moves_shape and ended) or job.finishing):
                    log.measure(state, shape_moved=stage.moves_shape)
                # A proven shape may still cost more than it gains.
                undone |= stage.proof is not None and ended and log.costs[-1] > log.costs[0] + GAIN
                if undone:
                    log.undo(stage, step + 1, state, begun)
                    break
                # Only the last stage may be cut short: the ones before it are not meant to be good already.
                last = stage is method.stages[-1]
                if job.finishing or (due and last and method.honest and past_the_knee(log.costs[begun.points - 1 :])):
                    break
            # Another light is another picture for whoever fills what the photo cannot see.
            explained |= stage.proof is not None and not undone
            reshaped |= not undone and (stage.moves_shape or "light" in stage.rates)
            if job.finishing:
                break
        job.report(1.0, "head refined")
        return Refined(
            log.waypoints[log.kept],
            method.name,
            log.steps,
            log.passes,
            time.perf_counter() - started,
            tuple(log.curve),
            log.kept,
            share,
            thinned(log.waypoints, log.kept),
            explained,
        )

    def _refit(self, state: State, watch: Watch, job: Job) -> None:
        """Bring the moved shape back onto the photo's outline."""
        source, (styles, _) = self._head.source, state.latents.rows()
        pause = partial(breathe, job)
        state.body = refitted(self._networks, state.generator, styles, state.angles, source, pause)
        watch.body = state.body

    def _other_views(
        self, method: Method, state: State, job: Job, *, reshaped: bool, explained: bool
    ) -> tuple[list[View], float]:
        """The pseudo-views; what fills them is drawn on the surface as it is now.

        Latents that explain the photo know the other sides better than photo and symmetry do.
        """
        pause, rows = partial(breathe, job), state.latents.rows()
        fill = None if explained or method.fill == "generator" else self._head
        if fill is not None and reshaped:
            fill = head_of(self._networks, state.generator, rows, state.angles, state.body, fill.source, pause)
            networks = replace(self._networks, generator=state.generator)
            return pseudo_targets(networks, fill, state.generator, rows, method, fill, state.body, job)
        # A polish may have moved the camera that the photo is carried from.
        head = replace(self._head, source=replace(self._head.source, angles=state.angles.clone()))
        return pseudo_targets(self._networks, head, state.generator, rows, method, fill, state.body, job)

    def _steps(self, stage: Stage, state: State, views: list[View], job: Job, log: Log) -> Iterator[int]:
        """One stage, step by step."""
        body = state.body
        prepared: dict[int, tuple[int, Prepared]] = {}
        shape = None
        if stage.draws and not stage.moves_shape:
            job.report(log.fraction, stage.name)
            shape = body.shape(state.generator.field, state.latents.rows()[0].detach(), partial(breathe, job))
        if stage.palette:
            self._fit_colours(state, views, body, shape, job, prepared)
        held = None
        if {"outline", "shape"} & set(stage.losses):
            job.report(log.fraction, stage.name)
            styles, _ = state.latents.rows()
            held = Held.of(self._networks, state.generator, styles, state.angles, body, partial(breathe, job))
        moving, camera = self._freed(stage, state)
        adam = Adam(moving)
        for tensor in adam.tensors:
            tensor.requires_grad_(True)
        try:
            for step in range(stage.steps):
                began = time.perf_counter()
                pause = partial(breathe, job)
                said = f"{stage.name}, step {log.steps + 1} of {log.total}, difference {log.curve[-1].mae:.3f}"
                gradients: list[Tensor | None] = [None] * len(adam.tensors)
                for number in self._chosen(stage, step, len(views)):
                    job.report(log.fraction, said)
                    view = views[number]
                    age, ready = prepared.get(number, (-RETRACE, None))
                    if ready is None or (stage.moves_shape and step - age >= RETRACE):
                        rows = state.latents.rows()
                        still = not stage.moves_shape
                        ready = prepare(
                            state.generator, rows[0], view.angles, body, frozen=still, shape=shape, pause=pause
                        )
                        prepared[number] = (step, ready)
                        job.report(log.fraction, said)
                    loss = self._loss(stage, state, view, ready, step, camera, held, pause)
                    job.report(log.fraction, said)
                    found = torch.autograd.grad(loss, adam.tensors, allow_unused=True)
                    gradients = [_added(a, b) for a, b in zip(gradients, found, strict=True)]
                adam.step(gradients, SCHEDULES[stage.schedule](step, stage.steps))
                if camera is not None:
                    with torch.no_grad():
                        state.angles = views[0].angles + camera.clamp_(-0.15, 0.15)
                log.steps += 1
                log.passes += stage.passes // stage.steps
                log.work += stage.work
                log.clock.tick(time.perf_counter() - began, stage.work)
                log.show()
                yield step
        finally:
            for tensor in adam.tensors:
                tensor.requires_grad_(False)

    def _freed(self, stage: Stage, state: State) -> tuple[list[tuple[list[Tensor], float]], Tensor | None]:
        """The tensors of a stage with their rates, and the camera's offset if it moves."""
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
        return moving, camera

    def _fit_colours(
        self,
        state: State,
        views: list[View],
        body: Body,
        shape: HeadShape | None,
        job: Job,
        prepared: dict[int, tuple[int, Prepared]],
    ) -> None:
        """Fit the colour head to all views; what was prepared for it serves the steps after it."""
        styles, _ = state.latents.rows()
        seen = []
        for number, view in enumerate(views):
            job.report(0.0, job.stage)
            still = partial(breathe, job)
            ready = prepare(state.generator, styles, view.angles, body, frozen=True, shape=shape, pause=still)
            prepared[number] = (0, ready)
            still()
            seen.append((field_maps(state.generator, styles, ready), *view.target.thumb))
            still()
        fit_colours(state.generator, seen, partial(breathe, job))
        state.tuned.update(parameter_groups(state.generator)["colour"])

    def _chosen(self, stage: Stage, step: int, count: int) -> list[int]:
        """Numbers of the views of a step; 0 is the photo, pseudo-views are drawn without favour."""
        if count == 1 or stage.views == "photo":
            return [0]
        other = 1 + int(torch.randint(count - 1, (1,), generator=self._random))
        if stage.views == "both":
            return [0, other]
        turns = 4 if stage.views == "favoured" else 2
        return [other] if step % turns == turns - 1 else [0]

    def _loss(
        self,
        stage: Stage,
        state: State,
        view: View,
        ready: Prepared,
        step: int,
        camera: Tensor | None,
        held: Held | None,
        pause: Pause,
    ) -> Tensor:
        spread = stage.jitter * (1.0 - step / stage.steps)
        rows = state.latents.rows(spread, self._random)
        return loss_of(
            stage, self._networks, state.generator, rows, state.latents, view, ready, camera, self._random, held, pause
        )


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
        "explained": refined.explained,
        "shape_drift": next(p.shape_drift for p in refined.curve if p.step == refined.kept),
        "points": sorted(refined.waypoints),
    }
