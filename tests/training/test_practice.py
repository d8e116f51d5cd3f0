"""A field practises on many heads, a landmark network is fitted to them: what moves, and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.job import Job
from core.models.configuration import TOY_256
from core.models.networks import Networks
from core.models.reader import Reader
from core.training.bundle import renewed, restore, train_landmarks
from core.training.data import DataMissing, load_landmarks
from core.training.glances import Glances
from core.training.practice_task import PracticeTask, PracticeTaskConfig
from core.training.stages import LANDMARKS, StageOptions, Workshop
from core.training.trainer import TrainerConfig, train
from tests.training.toy_world import write_glances, write_landmarks

CPU = torch.device("cpu")
CONFIG = PracticeTaskConfig(heads=3, points=32, normal_points=8, kept_heads=2, kept_points=32)


def _task(folder: Path) -> PracticeTask:
    generator = Networks.random(TOY_256, seed=3).generator
    generator.field.requires_grad_(True)
    reader = Reader(TOY_256.generator.field.style_dim)
    return PracticeTask(generator, reader, Glances.load(write_glances(folder), CPU), CONFIG, compiled=False)


def test_practice_begins_with_the_features_that_are_there_and_leaves_the_mapping(tmp_path: Path) -> None:
    task = _task(tmp_path)
    loss, parts = task.losses(0.9)
    loss.backward()
    assert float(parts["kept_feature"].detach()) == 0.0
    assert float(parts["surface"].detach()) > 0.0
    assert "thumb" not in parts
    assert all(p.grad is None for p in task.generator.style.parameters())
    assert all(p.grad is not None for p in task.generator.field.parameters())


def test_a_view_without_colour_teaches_none(tmp_path: Path) -> None:
    data = Glances.load(write_glances(tmp_path), CPU)
    both = data.colours()
    for head in range(len(data)):
        seen = int(data.coloured[head])
        assert torch.equal(both[head, seen], data.colour[head])
        assert not both[head, 1 - seen].any()
    assert len(Glances.load(tmp_path, CPU, limit=4)) == 4


def test_the_field_is_asked_between_codes_and_what_pictures_say_of_them(tmp_path: Path) -> None:
    task = _task(tmp_path)
    head = torch.arange(9).repeat(200)
    w, rows = task._latents(head, torch.zeros_like(head))
    front = task.data.coloured[head] == 0
    task.w_std = task.w_std * 0.1  # so that noise is not taken for readings
    _, rows = task._latents(head, torch.zeros_like(head))
    off = (rows[:, 0] - w).norm(dim=1) / (task.read[head, 0, 0] - w).norm(dim=1).clamp(min=1e-9)
    assert off[front].min() < 0.15, "codes"
    assert 0.8 < off[front].max() < 1.5, "and readings"
    away = ((rows - w[:, None])[~front] / task.w_std).std()
    assert float(away) == pytest.approx(CONFIG.noise / 3**0.5, rel=0.1), "where nothing was read: codes and noise"
    assert torch.equal(rows[:, 0], rows[:, 1]), "one latent for all geometry"
    assert not torch.equal(rows[:, 0], rows[:, -1])


def test_who_wears_glasses_is_not_read(tmp_path: Path) -> None:
    generator = Networks.random(TOY_256, seed=3).generator
    data = Glances.load(write_glances(tmp_path), CPU)
    worn = torch.arange(len(data)) % 4 == 0
    data = replace(data, labels=torch.stack((worn.float(), data.labels[:, 1]), 1), label_names=("Eyeglasses", "Age"))
    task = PracticeTask(generator, Reader(TOY_256.generator.field.style_dim), data, CONFIG, compiled=False)
    codes = generator.mapping(data.z)[:, None, None]
    read = ((task.read - codes).abs() > 1e-6).flatten(1).any(1)
    assert torch.equal(read, (data.coloured == 0) & ~worn)
    assert (task.chance == 1.0).all()


def test_a_practised_field_comes_alone_into_weights(tmp_path: Path) -> None:
    task = _task(tmp_path / "glances")
    networks = Networks.random(TOY_256, seed=3)
    restore(networks, tmp_path)
    train(task, TrainerConfig(tmp_path, minutes=1.0, max_steps=2), Job.quiet())
    back = renewed(networks, tmp_path, "practice")
    moved = {
        name
        for (name, a), (_, b) in zip(
            networks.generator.state_dict().items(), back.generator.state_dict().items(), strict=True
        )
        if not torch.equal(a, b)
    }
    half = renewed(networks, tmp_path, "practice", 0.5).generator.state_dict()
    assert moved
    for name, value in half.items():
        ends = networks.generator.state_dict()[name], back.generator.state_dict()[name]
        assert torch.allclose(value, (ends[0] + ends[1]) / 2, atol=1e-6)
    assert all(name.startswith("renderer.network") for name in moved), moved


@pytest.mark.parametrize("stage", ["lesson", "practice"])
def test_a_resumed_stage_is_held_to_the_field_before_it_and_not_to_its_own(stage: str, tmp_path: Path) -> None:
    before, after = (Networks.random(TOY_256, seed=seed) for seed in (3, 4))
    restore(after, tmp_path)
    (tmp_path / "field.pt").rename(tmp_path / f"{stage}.pt")
    restore(before, tmp_path)
    shop = Workshop(StageOptions(tmp_path, tmp_path, device="cpu", compiled=False, model=TOY_256), CPU)
    wanted, own = before.generator.field.state_dict(), after.generator.field.state_dict()
    held = shop.generator("field", before=stage).field.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in held.items())
    later = shop.generator("field").field.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in later.items()), "later stages stand on it"


def test_landmarks_are_learned_from_heads_and_told_of_others(tmp_path: Path) -> None:
    networks = Networks.random(TOY_256, seed=3)
    restore(networks, tmp_path)
    heads = write_landmarks(tmp_path / "landmarks", 400)
    z, points = load_landmarks(heads)
    w = networks.generator.mapping(z)
    spread = ((w - w.mean(0)) / w.std(0))[:, :3].detach()  # what a toy's latents say of its heads
    np.savez(heads / "landmarks_0000000.npz", z=z, landmarks=points.mean(0) + 0.005 * spread[:, None])
    first, mean = train_landmarks(tmp_path, heads, model=TOY_256, steps=1)
    then, _ = train_landmarks(tmp_path, heads, model=TOY_256, steps=100)
    assert then < 0.5 * min(first, mean), "better than the mean head, on heads that took no part"
    assert (tmp_path / LANDMARKS).exists()
    with pytest.raises(DataMissing, match="No landmarks"):
        load_landmarks(tmp_path / "nowhere")
