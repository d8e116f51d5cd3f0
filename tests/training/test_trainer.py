"""The training loop: budget, averages, states, and failing loudly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import Cancelled
from core.job import Job
from core.training.trainer import TrainerConfig, TrainingFailed, ema_update, load_averaged, train


class Regression:
    """The smallest task: weights that should become 3."""

    def __init__(self, name: str = "regression", spoil: Callable[[int, Tensor], Tensor] | None = None) -> None:
        self.name = name
        self.network = nn.Linear(2, 2, bias=False)
        self.modules: dict[str, nn.Module] = {"network": self.network}
        self.spoil = spoil
        self.calls = 0

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        return [{"params": list(self.network.parameters()), "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        assert 0 <= progress < 1
        self.calls += 1
        loss = (self.network.weight - 3).square().mean()
        if self.spoil is not None:
            loss = self.spoil(self.calls, loss)
        return loss, {"distance": loss}

    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8] | None:
        assert set(averaged) == {"network"}
        return np.zeros((4, 4, 3), np.uint8)


def config(folder: Path, steps: int, **more: object) -> TrainerConfig:
    return TrainerConfig(folder, minutes=10, learning_rate=0.05, warm_up=1, log_every=1, max_steps=steps, **more)  # type: ignore[arg-type]  # names of its own fields


def run(task: Regression, folder: Path, steps: int) -> dict[str, nn.Module]:
    return train(task, config(folder, steps), Job.quiet())


def test_a_run_leaves_a_state_a_log_and_a_sheet(tmp_path: Path) -> None:
    run(Regression(), tmp_path, 3)
    assert {path.name for path in tmp_path.iterdir()} == {
        "regression.pt",
        "regression.jsonl",
        "regression.png",
        "regression.curves.png",
    }
    rows = [json.loads(line) for line in (tmp_path / "regression.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[-1]["distance"] < rows[0]["distance"]


def test_two_halves_are_as_good_as_a_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = Regression()
    halves = Regression()
    halves.network.load_state_dict(whole.network.state_dict())
    run(whole, tmp_path / "whole", 8)
    run(halves, tmp_path / "halves", 4)
    resumed = Regression()
    averaged = run(resumed, tmp_path / "halves", 8)
    assert resumed.calls == 4
    torch.testing.assert_close(resumed.network.weight, whole.network.weight, atol=1e-5, rtol=0)
    again = nn.Linear(2, 2, bias=False)
    load_averaged(tmp_path / "halves" / "regression.pt", {"network": again})
    torch.testing.assert_close(again.weight, dict(averaged["network"].named_parameters())["weight"])


class Two(Regression):
    """Batches that pull in different directions: weights towards 1 and 5 in turns."""

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls += 1
        loss = (self.network.weight - (1.0, 5.0)[self.calls % 2]).square().mean()
        return loss, {"distance": loss}


def test_accumulated_batches_are_one_batch(tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole, parts = Regression(), Two()
    parts.network.load_state_dict(whole.network.state_dict())
    train(whole, config(tmp_path / "whole", 4), Job.quiet())
    train(parts, config(tmp_path / "parts", 4, accumulate=2), Job.quiet())
    assert parts.calls == 8
    # The mean of both pulls is the pull towards 3.
    torch.testing.assert_close(parts.network.weight, whole.network.weight)


def test_a_run_that_is_past_its_steps_takes_none(tmp_path: Path) -> None:
    run(Regression(), tmp_path, 4)
    task = Regression()
    run(task, tmp_path, 2)
    assert task.calls == 0


def test_a_spent_budget_is_spent(tmp_path: Path) -> None:
    task = Regression()
    train(task, TrainerConfig(tmp_path, minutes=0.0, resume=False), Job.quiet())
    assert task.calls == 0
    assert (tmp_path / "regression.pt").exists()


class Watched(Regression):
    """Remembers how far it was told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append(progress)
        return super().losses(progress)


def test_a_budget_in_steps_knows_no_clock(tmp_path: Path) -> None:
    task = Watched()
    train(task, TrainerConfig(tmp_path, minutes=0.0, steps=4, log_every=1, max_steps=3), Job.quiet())
    resumed = Watched()
    train(resumed, TrainerConfig(tmp_path, minutes=0.0, steps=4, log_every=1), Job.quiet())
    assert task.seen + resumed.seen == [0, 0.25, 0.5, 0.75]


def test_a_loss_that_is_not_a_number_stops_the_run_by_name(tmp_path: Path) -> None:
    task = Regression(spoil=lambda call, loss: loss * torch.nan if call > 2 else loss)
    with pytest.raises(TrainingFailed, match=r"step 3 .*distance nan") as caught:
        run(task, tmp_path, 10)
    assert caught.value.hint
    # What is saved on the way out can be resumed: the parameters never saw the bad gradient.
    assert all(torch.isfinite(p).all() for p in task.network.parameters())
    good = Regression()
    run(good, tmp_path, 6)
    assert good.calls == 3


def test_one_bad_gradient_does_not_poison_the_run(tmp_path: Path) -> None:
    def kink(call: int, loss: Tensor) -> Tensor:
        return loss + (loss.detach() * 0 * (loss - loss.detach()).sqrt() if call == 2 else 0)

    task = Regression(spoil=kink)
    run(task, tmp_path, 4)
    assert task.calls == 4
    assert torch.isfinite(task.network.weight).all()


def test_the_state_of_another_stage_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path, 1)
    (tmp_path / "regression.pt").rename(tmp_path / "other.pt")
    with pytest.raises(TrainingFailed, match="belongs to the stage regression"):
        run(Regression("other"), tmp_path, 1)


def test_a_cancelled_run_can_go_on(tmp_path: Path) -> None:
    job = Job("training")
    task = Regression(spoil=lambda call, loss: (job.cancel() if call == 3 else None, loss)[1])
    with pytest.raises(Cancelled):
        train(task, config(tmp_path, 10), job)
    resumed = Regression()
    run(resumed, tmp_path, 5)
    assert resumed.calls == 2


def test_averages_move_by_the_share_that_the_decay_leaves() -> None:
    live, averaged = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    with torch.no_grad():
        live.weight.fill_(2.0)
        averaged.weight.fill_(1.0)
        assert live.running_mean is not None
        live.running_mean.fill_(7.0)
    ema_update(averaged, live, 0.9)
    torch.testing.assert_close(averaged.weight.detach(), torch.full((3,), 1.1))
    torch.testing.assert_close(averaged.running_mean, torch.full((3,), 7.0))
