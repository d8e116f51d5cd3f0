"""The course of one refinement: what moves, and what was measured on the way."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

from torch import Tensor

from core.camera import Camera
from core.job import Job
from core.models.generator import Generator
from core.refinement.delta import difference
from core.refinement.glimpse import Clock, Glimpse
from core.refinement.methods import Method, Stage
from core.refinement.passes import Body
from core.refinement.variables import Latents
from core.refinement.watch import Point, Watch, cost
from core.refinement.waypoint import Waypoint

__all__ = ["Log", "Mark", "State", "breathe"]

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class State:
    """What moves."""

    base: Generator
    generator: Generator
    latents: Latents
    angles: Tensor
    body: Body
    tuned: set[str] = field(default_factory=set)

    def waypoint(self) -> Waypoint:
        """What it takes to come back here."""
        state = self.generator.state_dict()
        styles, decoder = (row.detach().clone()[0] for row in self.latents.rows())
        yaw, pitch = (float(angle) for angle in self.angles[0])
        own = self.body.deformation
        delta = difference(self.base, {name: state[name] for name in sorted(self.tuned)})
        grid = None if own is None else own.displacement.cpu().numpy().copy()
        return Waypoint(styles, decoder, Camera(yaw, pitch), delta, grid)


@dataclass(frozen=True, eq=False)
class Mark:
    """Where a stage began."""

    points: int
    """Points of the curve until then."""
    body: Body


@dataclass(eq=False)
class Log:
    """What was measured, and how far it is."""

    method: Method
    watch: Watch
    job: Job
    curve: list[Point] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    waypoints: dict[int, Waypoint] = field(default_factory=dict)
    steps: int = 0
    passes: int = 0
    work: float = 0.0
    spared: int = 0
    """Steps of stages that were left early."""
    spared_work: float = 0.0
    clock: Clock = field(default_factory=Clock)

    @property
    def total_work(self) -> float:
        """Of all steps, in passes."""
        return max(sum(stage.work * stage.steps for stage in self.method.stages) - self.spared_work, 1e-9)

    @property
    def total(self) -> int:
        """Steps, but for those that were spared."""
        return sum(stage.steps for stage in self.method.stages) - self.spared

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        return self.work / self.total_work

    @property
    def kept(self) -> int:
        """The best step, or the last one of a method that runs to its end."""
        number = self.costs.index(min(self.costs)) if self.method.honest else len(self.costs) - 1
        return self.curve[number].step

    def measure(self, state: State, *, shape_moved: bool) -> None:
        """One more point of the curve."""
        rows = state.latents.rows()
        point = self.watch.measure(state.generator, *rows, self.steps, shape_moved=shape_moved, angles=state.angles)
        logger.debug("%s", point)
        if self.curve and self.curve[-1].step == point.step:  # looked at again
            self.curve.pop()
            self.costs.pop()
        worth = cost(point, self.curve[0] if self.curve else point)
        self.curve.append(point)
        self.costs.append(worth if math.isfinite(worth) else math.inf)
        breathe(self.job)
        self.waypoints[point.step] = state.waypoint()
        self.show()

    def mark(self, state: State) -> Mark:
        """Where a stage begins, for ``undo``."""
        return Mark(len(self.curve), state.body)

    def undo(self, stage: Stage, steps: int, state: State, begun: Mark) -> None:
        """Leave a stage after so many steps as if it had not been: its points go, the head as it was is measured."""
        state.latents.forget()
        state.body = self.watch.body = begun.body
        self.spared += stage.steps - steps
        self.spared_work += (stage.steps - steps) * stage.work
        for point in self.curve[begun.points :]:
            self.waypoints.pop(point.step)
        del self.curve[begun.points :], self.costs[begun.points :]
        self.measure(state, shape_moved=stage.moves_shape)

    def show(self) -> None:
        """Show how far it is to whoever looks."""
        left = self.clock.seconds_left(self.total_work - self.work)
        rows = tuple(point.row() for point in self.curve)
        self.job.show(Glimpse(self.steps, self.total, left, rows, self.kept, self.watch.pictures))


def breathe(job: Job) -> None:
    """A yield point within a stage; progress stays."""
    job.report(0.0, job.stage)
