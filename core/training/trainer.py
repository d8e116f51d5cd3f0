"""The one training loop: a task gives losses, the loop does everything else.

Wall-clock budget, warm-up and cosine decay, gradient clipping, EMA, JSON lines, curves, sample sheets, atomic
checkpoints and resuming, in one process or several (:mod:`core.training.processes`). It knows no network and no loss by
name (a task maps a progress in [0, 1] to named losses).
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from core.errors import CameoError
from core.job import Job
from core.training.curves import draw_curves
from core.training.processes import processes

logger = logging.getLogger(__name__)


class TrainingFailed(CameoError):
    """Training cannot go on: not a number, no space, or a state of another run."""


class Task(Protocol):
    """What a stage must provide."""

    name: str
    modules: dict[str, nn.Module]
    """Trained modules by part name; averaged by the EMA and saved."""

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """Optimiser groups; each may scale the learning rate by ``scale``."""

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss and its named parts for one fresh batch. ``progress`` is the share of the budget spent."""

    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8] | None:
        """A picture (H, W, 3) uint8 of what the averaged modules make, or None."""


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """How long and how fast; what varies with the task stands in the task's own configuration."""

    folder: Path
    """Run folder: state, log and sheets lie below it."""
    minutes: float = 20.0
    """Wall-clock budget over all resumed parts of the run."""
    learning_rate: float = 5e-4
    steps: int | None = None
    """Budget in steps over all resumed parts, in place of the minutes: the schedule then is the same on machines of any
    speed, as rows of an ablation need it."""
    warm_up: int = 200
    """Steps of linear warm-up; a tenth of a budget in steps that is shorter than ten times as many."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.999
    """Decay of the averaged weights a step (warmed up)."""
    log_every: int = 100
    """Steps between log lines (each costs one synchronisation)."""
    checkpoint_minutes: float = 3.0
    sheet_minutes: float = 4.0
    seed: int = 0
    resume: bool = True
    max_steps: int | None = None
    """Steps over all resumed parts of the run, at most."""
    accumulate: int = 1
    """Batches whose gradients are averaged before each step: large batches on small machines."""


def ema_update(averaged: nn.Module, live: nn.Module, decay: float) -> None:
    """Moves parameters of ``averaged`` towards ``live``; buffers are copied."""
    with torch.no_grad():
        mine: list[Tensor] = [p for p in averaged.parameters() if p.is_floating_point()]
        other = [p.detach() for p in live.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(mine, other, 1 - decay)
        for a, b in zip(averaged.buffers(), live.buffers(), strict=True):
            a.copy_(b)


def train(task: Task, config: TrainerConfig, job: Job) -> dict[str, nn.Module]:
    """Runs one stage and returns its averaged modules.

    Raises:
        TrainingFailed: on a loss that is not finite, a full disk, or the state of another task.
        Cancelled: when the job is cancelled; the state is saved first.
    """
    team = processes()
    torch.manual_seed(config.seed + team.rank)  # each draws heads of its own
    config.folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.Adam(task.parameter_groups(config.learning_rate), betas=(0.9, 0.99))
    averaged = {name: copy.deepcopy(module).requires_grad_(False).eval() for name, module in task.modules.items()}
    step, spent = 0, 0.0
    state_path = config.folder / f"{task.name}.pt"
    if config.resume and state_path.exists():
        step, spent = _resume(state_path, task, averaged, optimiser)
    team.share([*task.modules.values(), *averaged.values()])
    log_path = config.folder / f"{task.name}.jsonl"
    log = (log_path if team.first else Path(os.devnull)).open("a", encoding="utf-8")
    begun = time.monotonic() - spent
    saved = drawn = time.monotonic()
    try:
        last = math.inf if config.max_steps is None else config.max_steps
        warm_up = config.warm_up if config.steps is None else min(config.warm_up, max(1, config.steps // 10))
        while (
            progress := _progress(config, step, elapsed := team.agree(time.monotonic() - begun))
        ) < 1 and step < last:
            rate = min(1.0, (step + 1) / warm_up) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * rate * float(group.get("scale", 1.0))
            optimiser.zero_grad(set_to_none=True)
            for _ in range(config.accumulate):
                loss, parts = task.losses(progress)
                (loss / config.accumulate).backward()
            trained = [p for group in optimiser.param_groups for p in group["params"]]
            team.average_gradients(trained)
            nn.utils.clip_grad_norm_(trained, config.clip)
            for parameter in trained:
                # A rare gradient that is not finite (double backward at a kink) must not poison Adam's moments.
                if parameter.grad is not None:
                    parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
            optimiser.step()
            step += 1
            for name, module in task.modules.items():
                ema_update(averaged[name], module, min(config.ema, (1 + step) / (10 + step)))
            if step % config.log_every == 0 or step == 1:
                _check(task, loss, parts, step)
                row = {"step": step, "seconds": round(elapsed, 1), "loss": round(float(loss.detach()), 5)}
                row |= {name: round(float(value.detach()), 5) for name, value in parts.items()}
                log.write(json.dumps(row) + "\n")
                log.flush()
                logger.info("%s %s", task.name, row)
                job.report(min(progress, 1.0), f"{task.name} step {step}")
            now = time.monotonic()
            if team.first and now - saved > config.checkpoint_minutes * 60:
                _save(state_path, task, averaged, optimiser, step, elapsed)
                saved = now
            if team.first and now - drawn > config.sheet_minutes * 60:
                _draw(config.folder, task, averaged)
                drawn = time.monotonic()
    finally:
        if team.first:
            _save(state_path, task, averaged, optimiser, step, time.monotonic() - begun)
        log.close()
    if team.first:
        _draw(config.folder, task, averaged)
    team.wait()
    return averaged


def _progress(config: TrainerConfig, step: int, elapsed: float) -> float:
    """Share of the budget that is spent."""
    spent, budget = (elapsed, config.minutes * 60) if config.steps is None else (step, config.steps)
    return spent / budget if spent < budget else 1.0


def _check(task: Task, loss: Tensor, parts: dict[str, Tensor], step: int) -> None:
    if not torch.isfinite(loss):
        bad = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in parts.items())
        raise TrainingFailed(
            f"{task.name}: the loss is not a number at step {step} ({bad}).",
            hint="Resume from the last state with half the learning rate.",
        )


def _save(
    path: Path, task: Task, averaged: dict[str, nn.Module], optimiser: torch.optim.Optimizer, step: int, spent: float
) -> None:
    state = {
        "task": task.name,
        "step": step,
        "spent": spent,
        "live": {name: module.state_dict() for name, module in task.modules.items()},
        "averaged": {name: module.state_dict() for name, module in averaged.items()},
        "optimiser": optimiser.state_dict(),
    }
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise TrainingFailed(
            f"Cannot write {path}: {error}.", hint="Free some disk space; the last state is intact."
        ) from error
    partial.replace(path)


def _resume(
    path: Path, task: Task, averaged: dict[str, nn.Module], optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    # weights_only keeps this safe: the state holds tensors and numbers only.
    state = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    if state["task"] != task.name or set(state["live"]) != set(task.modules):
        raise TrainingFailed(
            f"{path} belongs to the stage {state['task']}, not to {task.name}.", hint="Choose another run folder."
        )
    for name, module in task.modules.items():
        module.load_state_dict(state["live"][name])
        averaged[name].load_state_dict(state["averaged"][name])
    if "optimiser" in state:  # a state that travelled light starts its moments anew
        optimiser.load_state_dict(state["optimiser"])
    logger.info("resumed %s at step %d after %.0f s", task.name, state["step"], state["spent"])
    return int(state["step"]), float(state["spent"])


def load_averaged(path: Path, modules: Mapping[str, nn.Module]) -> None:
    """Loads the averaged weights of a saved stage into ``modules`` (a subset of its parts is fine).

    Raises:
        TrainingFailed: if the stage has left no state.
    """
    state = averaged_state(path)
    for name, module in modules.items():
        module.load_state_dict(state[name])


def averaged_state(path: Path) -> Mapping[str, Mapping[str, Tensor]]:
    """The averaged weights of a saved stage, part by part.

    Raises:
        TrainingFailed: if the stage has left no state.
    """
    if not path.exists():
        raise TrainingFailed(f"There is no {path}.", hint=f"Train the stage {path.stem} first, in the same run folder.")
    state = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    averaged: Mapping[str, Mapping[str, Tensor]] = state["averaged"]
    return averaged


def _draw(folder: Path, task: Task, averaged: dict[str, nn.Module]) -> None:
    """The sheet of what the averaged networks make, and the curves of the log."""
    picture = task.sheet(averaged)
    if picture is not None:
        Image.fromarray(picture).save(folder / f"{task.name}.png")
    draw_curves(folder / f"{task.name}.jsonl", folder / f"{task.name}.curves.png")
