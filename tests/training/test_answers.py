"""Laws of the reader's last layer in closed form."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from core.job import Job
from core.models.bundle import read_networks, write_networks
from core.models.configuration import TOY_256
from core.models.networks import Networks
from core.models.reader import GATHERED, SIZE, Reader, reader_like
from core.training.answers import RIDGE, answered, ridge, widened
from core.training.bundle import answer_anew
from core.training.data import shrink
from core.training.glances import Glances
from core.training.portrait_heads import PortraitHeads
from core.training.reader_task import ReaderTaskConfig, on_grey
from core.training.snapshots import Snapshots
from core.training.workshop import read_reader
from tests.training.test_reader import snapshots, toy_generator
from tests.training.toy_world import write_glances

DIM = 8


def small(seed: int = 0) -> Reader:
    torch.manual_seed(seed)
    return Reader(DIM, (4, 8)).eval()


def test_a_widened_reader_says_the_same_and_hands_its_maps_through() -> None:
    reader = small()
    wide = widened(reader)
    picture, angles = torch.randn(3, 4, SIZE, SIZE), torch.randn(3, 2) * 0.2
    with torch.no_grad():
        for before, after in zip(reader(picture, angles), wide(picture, angles), strict=True):
            torch.testing.assert_close(after, before)
        maps = reader.trunk(torch.cat((picture, angles[:, :, None, None].expand(-1, -1, SIZE, SIZE)), 1)).flatten(1)
        assert torch.equal(wide.gathered(picture, angles)[:, GATHERED:], maps)
    again = reader_like(wide.state_dict(), DIM)
    assert again.answer.in_features == wide.answer.in_features == GATHERED + maps.shape[1]


def test_ridge_is_least_squares_with_a_price_and_weights_are_repetitions() -> None:
    torch.manual_seed(0)
    features, target = torch.randn(200, 5) * torch.tensor([1.0, 4.0, 0.2, 1.0, 1.0]) + 2.0, torch.randn(200, 3)
    target[:, 0] = features @ torch.tensor([1.0, 0.5, 3.0, 0.0, 0.0]) + 7.0
    weight, bias = ridge(features, target, torch.ones(200))
    said = features @ weight.T + bias
    # One price for all features in units of their deviation: what a feature says shrinks by 1 / (1 + RIDGE).
    assert torch.allclose(said.mean(0), target.mean(0), atol=1e-4)
    slope = float(
        ((said - said.mean(0))[:, 0] * target[:, 0]).sum() / (target[:, 0] - target[:, 0].mean()).square().sum()
    )
    assert slope == pytest.approx(1 / (1 + RIDGE), abs=0.08)
    twice = torch.ones(200)
    twice[:20] = 2.0
    found = ridge(features, target, twice)
    other = ridge(torch.cat((features, features[:20])), torch.cat((target, target[:20])), torch.ones(220))
    for one, two in zip(found, other, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_the_answer_is_nearer_to_the_latents_of_what_it_sees() -> None:
    reader, data = widened(small()), snapshots(40)
    torch.manual_seed(3)
    w = torch.randn(40, DIM)
    config = ReaderTaskConfig(pose_noise=0.0, framing_noise=0.0)

    def off(reader: Reader) -> float:
        with torch.no_grad():
            found = reader(on_grey(shrink(data.picture(torch.arange(40)), SIZE)), data.camera[:, :2])
        return float((found.geometry - w).square().mean() + (found.colour - w).square().mean())

    before = off(reader)
    answered(reader, data, w, config, Job.quiet())
    assert off(reader) < 0.8 * min(before, float(2.0 * w.var(0).mean()))
    assert not reader.training


def test_portraits_teach_geometry_and_keep_their_colours() -> None:
    reader, data = widened(small()), snapshots(40)
    torch.manual_seed(3)
    w = torch.randn(40, DIM) * 0.01
    straight = torch.randint(0, 256, (12, 4, 96, 96), dtype=torch.uint8)
    straight[:, 3] = 255
    heads = PortraitHeads(straight, torch.zeros(12, 2), torch.full((12, DIM), 3.0), torch.zeros(12))
    seen = on_grey(shrink(straight.float() / 255, SIZE))
    with torch.no_grad():
        before = reader(seen, heads.angles)
        answered(reader, data, w, ReaderTaskConfig(framing_noise=0.0), Job.quiet(), heads)
        after = reader(seen, heads.angles)
    assert after.geometry.mean() > 0.5, "towards 3, where the world says 0"
    assert (after.colour - before.colour).abs().mean() < (w.mean() - before.colour).abs().mean()


def test_a_run_folder_gets_a_wider_reader_once_and_weights_carry_it(tmp_path: Path) -> None:
    generator, reader = toy_generator(), Reader(TOY_256.generator.field.style_dim)
    for name, part in (("generator", generator), ("reader", reader)):
        state = {name: part.state_dict()}
        stage = "field" if name == "generator" else name
        torch.save({"task": stage, "step": 9, "live": state, "averaged": state}, tmp_path / f"{stage}.pt")
    data = snapshots(8)
    (tmp_path / "snapshots").mkdir()
    torch_arrays = {name: getattr(data, name).numpy() for name in ("colour", "z", "camera", "landmarks")}
    torch_arrays["z"] = torch_arrays["z"][:, : TOY_256.generator.z_dim]
    np.savez(tmp_path / "snapshots" / "snapshots_0.npz", **torch_arrays)
    for _ in range(2):
        answer_anew(tmp_path, tmp_path / "snapshots", Job.quiet(), model=TOY_256)
    wide = read_reader(tmp_path, TOY_256)
    maps = next(reader.gather.parameters()).shape[1]
    assert wide.answer.in_features == GATHERED + maps
    networks = Networks.random(TOY_256, seed=0)
    path = tmp_path / "model.safetensors"
    write_networks(dataclasses.replace(networks, reader=wide), path)
    found = read_networks([path]).reader
    assert found is not None
    assert found.answer.in_features == wide.answer.in_features


def test_portrait_heads_are_kept_in_a_file(tmp_path: Path) -> None:
    heads = PortraitHeads(
        torch.randint(0, 256, (3, 4, 96, 96), dtype=torch.uint8), torch.randn(3, 2), torch.randn(3, DIM), torch.rand(3)
    )
    heads.write(tmp_path / "heads.npz")
    again = PortraitHeads.load(tmp_path / "heads.npz")
    assert all(torch.equal(getattr(heads, name), getattr(again, name)) for name in ("picture", "geometry", "wrong"))
    assert len(again) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["heads.npz"]


def test_glances_are_snapshots_where_they_are_seen_from_in_front(tmp_path: Path) -> None:
    folder = write_glances(tmp_path)
    glances, found = Glances.load(folder, torch.device("cpu")), Snapshots.load(folder)
    front = glances.coloured == 0
    assert 0 < front.sum() < len(glances)
    assert torch.equal(found.z, glances.z[front])
    assert torch.equal(found.camera, glances.camera[front][:, 0])
    assert torch.equal(found.colour, glances.colour[front])
