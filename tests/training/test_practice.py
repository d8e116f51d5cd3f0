"""A field practises on many heads, a landmark network is fitted to them: what moves, and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.job import Job
from core.models.configuration import TOY_256
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.models.reader import Reader
from core.refinement.landmarks import polish
from core.training.bundle import renewed, restore, train_landmarks
from core.training.data import DataMissing, load_landmarks
from core.training.glances import Glances
from core.training.polished import OWN, SHARED, as_detected, polished, seen_by
from core.training.practice_task import PracticeTask, PracticeTaskConfig
from core.training.trainer import TrainerConfig, train
from core.training.views import HALF_FOV
from core.training.workshop import LANDMARKS, StageOptions, Workshop
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


def test_what_is_read_is_polished_by_landmarks_and_colours_are_not(tmp_path: Path) -> None:
    generator = Networks.random(TOY_256, seed=3).generator
    data = Glances.load(write_glances(tmp_path), CPU)
    reader, dim = Reader(TOY_256.generator.field.style_dim), TOY_256.generator.field.style_dim
    tasks = []
    for regressor in (None, LandmarkRegressor(dim, data.landmarks.shape[1])):
        torch.manual_seed(5)
        tasks.append(PracticeTask(generator, reader, data, CONFIG, regressor=regressor, compiled=False))
    plain, moved = (task.read[data.coloured == 0] for task in tasks)
    assert ((moved - plain).abs().amax(dim=(1, 3))[:, 0] > 1e-3).all(), "geometry"
    assert torch.equal(tasks[0].read[data.coloured == 1], tasks[1].read[data.coloured == 1]), "nothing was read"


def test_the_batch_is_polished_as_the_program_polishes_one() -> None:
    torch.manual_seed(2)
    regressor = LandmarkRegressor(32, 40, 24).requires_grad_(False)
    regressor.mean.copy_(torch.randn(40, 3) * 0.03 + torch.tensor([0.0, 0.0, 0.06]))
    latent, angles = torch.randn(3, 32), torch.randn(3, 2) * 0.2
    mixed = torch.randn(32, 32) * 0.1
    spread = mixed @ mixed.T
    camera = torch.cat((angles + 0.05, torch.full((3, 1), HALF_FOV)), 1)
    seen = seen_by(camera, regressor(torch.randn(3, 32)))
    found = polished(regressor, spread, latent, angles, seen)
    for number in range(3):
        styles = latent[number].expand(1, 5, -1)
        one = polish(regressor, spread, styles, torch.cat((angles[number], torch.zeros(4))), seen[number])
        assert one.after < one.before
        assert torch.allclose(found[number] - latent[number], one.step, atol=2e-3)
        assert one.step.abs().max() > 0.05
    camera[:, :2] = angles
    exact = seen_by(camera, regressor(latent))
    assert torch.allclose(polished(regressor, spread, latent, angles, exact), latent, atol=1e-3), (
        "nothing was to be moved"
    )


def test_a_detector_errs_alike_in_neighbouring_places() -> None:
    torch.manual_seed(0)
    regressor = LandmarkRegressor(8, 60)
    regressor.mean.copy_(torch.randn(60, 3) * 0.04)
    regressor.mean[1] = regressor.mean[0] + 0.001
    off = as_detected(regressor, torch.zeros(4000, 60, 2))
    assert float(off.std()) == pytest.approx((SHARED**2 + OWN**2) ** 0.5, rel=0.05)
    far = int((regressor.mean - regressor.mean[0]).norm(dim=1).argmax())
    near, apart = (torch.corrcoef(off[:, (0, other), 0].T)[0, 1] for other in (1, far))
    assert near > 0.7
    assert apart.abs() < 0.1


def test_an_error_of_a_distance_is_squared_near_nothing_and_grows_evenly_far_off(tmp_path: Path) -> None:
    task = _task(tmp_path)
    small, twice = task.penalty(torch.tensor(0.001)), task.penalty(torch.tensor(0.002))
    assert float(twice / small) == pytest.approx(4.0, rel=0.02)
    large, double = task.penalty(torch.tensor(0.2)), task.penalty(torch.tensor(0.4))
    assert float(double / large) == pytest.approx(2.0, rel=0.06)


def test_glances_without_landmarks_are_made_again(tmp_path: Path) -> None:
    path = write_glances(tmp_path) / "glances_0000000.npz"
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "landmarks"}
    np.savez(path, **kept)
    with pytest.raises(DataMissing, match="older version"):
        Glances.load(tmp_path, CPU)


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
