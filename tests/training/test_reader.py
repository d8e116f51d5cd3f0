"""The reader, the mapping's steps and the field's lessons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.models.configuration import CAMEO_256, TOY_256
from core.models.generator import Generator
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.models.reader import SIZE, Reader
from core.tensor_camera import project
from core.training.data import WorldHeads
from core.training.latents import latent_statistics
from core.training.lesson_task import LessonTask, LessonTaskConfig
from core.training.mapping import RAMP, step_of, teach_step, without_offset
from core.training.reader_task import ReaderTask, ReaderTaskConfig, weighed
from core.training.snapshots import SettledPortraits, Snapshots, settle
from core.world.identity import EYEGLASSES, GLASSES_FROM


def snapshots(count: int = 6) -> Snapshots:
    random = torch.Generator().manual_seed(0)
    camera = torch.cat([torch.randn(count, 2, generator=random) * 0.2, torch.full((count, 1), 0.1047)], 1)
    return Snapshots(
        torch.randint(0, 256, (count, 96, 96, 4), generator=random, dtype=torch.uint8),
        torch.randn(count, 256, generator=random),
        camera,
        torch.randn(count, 5, 3, generator=random) * 0.03,
    )


def toy_generator() -> Generator:
    torch.manual_seed(0)
    return Generator(TOY_256.generator).requires_grad_(False)


def test_a_step_of_the_mapping_is_one_vector_and_moves_little_else() -> None:
    torch.manual_seed(1)
    generator = Generator(CAMEO_256.generator).requires_grad_(False)
    third = generator.style[-1]
    assert isinstance(third, torch.nn.Linear)
    third.bias[:6] += 30.0  # outputs of steady sign, as training makes some
    third.bias[6:9] -= 30.0
    z = torch.randn(2000, 256)
    before = generator.mapping(z)
    offset = teach_step(generator, EYEGLASSES, GLASSES_FROM, codes=6000)
    after = generator.mapping(z)
    torch.testing.assert_close(step_of(generator, EYEGLASSES, GLASSES_FROM), offset, rtol=0.05, atol=0.02)
    has, has_not = z[:, EYEGLASSES] > GLASSES_FROM + RAMP, z[:, EYEGLASSES] < GLASSES_FROM - RAMP
    along = (after - before) @ offset / offset.square().sum()
    assert float(along[has].mean() - along[has_not].mean()) == pytest.approx(1.0, abs=0.1)
    rest = (after - before) - along[:, None] * offset
    spread = (before - before.mean(0)).norm(dim=1).mean()
    assert float(rest.norm(dim=1).mean() / spread) < 0.35


def test_a_reader_speaks_of_the_latents_it_was_trained_on() -> None:
    reader = Reader(8, (4, 8)).eval()
    reader.w_mean.fill_(2.0)
    reader.w_std.fill_(0.5)
    found = reader(torch.zeros(2, 4, SIZE, SIZE), torch.zeros(2, 2))
    assert found.geometry.shape == found.colour.shape == (2, 8)
    geometry, _ = reader.latents(found)
    torch.testing.assert_close(geometry, found.geometry * 0.5 + 2.0)


def test_a_reader_made_blind_to_an_offset_reads_the_rest_as_before() -> None:
    torch.manual_seed(0)
    reader, offset = Reader(8, (4, 8)).eval(), torch.randn(8)
    reader.w_std.copy_(torch.rand(8) + 0.5)
    torch.nn.init.normal_(reader.answer.bias)
    picture, angles = torch.rand(3, 4, SIZE, SIZE), torch.zeros(3, 2)
    before = reader.latents(reader(picture, angles))[0]
    without_offset(reader, offset, 0.2)
    after = reader.latents(reader(picture, angles))[0]
    unit = offset / offset.norm()
    torch.testing.assert_close((after + 0.2 * offset) @ unit, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(after - (after @ unit)[:, None] * unit, before - (before @ unit)[:, None] * unit)


def test_networks_with_a_reader_give_whole_latents_and_others_none() -> None:
    networks = Networks.random(TOY_256, 0)
    assert networks.read(torch.zeros(1, 4, 256, 256), torch.zeros(1, 2)) is None
    networks = replace(networks, reader=Reader(8)).ready(torch.device("cpu"))
    read = networks.read(torch.zeros(1, 4, 256, 256), torch.zeros(1, 2))
    assert read is not None
    assert read[0].shape == (1, TOY_256.renderer_rows, 8)
    assert read[1].shape == (1, TOY_256.decoder_rows, 8)
    assert torch.equal(read[0][:, 0], read[0][:, -2])


def test_errors_are_weighed_by_what_they_do() -> None:
    form = torch.diag(torch.tensor([1.0, 0.0]))
    assert float(weighed(torch.tensor([[2.0, 0.0]]), form)) == pytest.approx(2.0)
    assert float(weighed(torch.tensor([[0.0, 2.0]]), form)) == pytest.approx(0.0, abs=1e-3)


def test_the_readers_losses_reach_all_of_it_and_leave_the_generator_alone() -> None:
    generator, reader = toy_generator(), Reader(8, (4, 8))
    regressor = LandmarkRegressor(8, 5, 8).requires_grad_(False)
    picture = torch.randint(0, 256, (3, 4, 96, 96), dtype=torch.uint8)
    portraits = SettledPortraits(picture, torch.zeros(3, 2), torch.rand(3, 5, 2))
    config = ReaderTaskConfig(pictures=4, portraits=2, portraits_every=1, rays=16, probed_heads=4)
    task = ReaderTask(generator, reader, regressor, snapshots(), portraits, config)
    loss, parts = task.losses(0.9)
    loss.backward()
    assert {"code", "distance", "colours", "landmarks", "real_colour"} <= set(parts)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in reader.parameters())
    assert all(p.grad is None for p in generator.parameters())
    assert task.sheet({"reader": reader.eval()}).ndim == 3


def test_settling_finds_the_camera_of_projected_landmarks() -> None:
    regressor = LandmarkRegressor(8, 5, 8).requires_grad_(False)
    regressor.mean.copy_(torch.tensor([[-0.03, 0.03, 0.07], [0.03, 0.03, 0.07], [0.0, 0.0, 0.1],
                                       [-0.02, -0.04, 0.07], [0.02, -0.04, 0.07]]))  # fmt: skip
    w_mean = torch.zeros(8)
    uv, _ = project(regressor(w_mean[None]), torch.tensor([[0.1, 0.05]]))
    grey = torch.full((1, 3, 256, 256), 99, dtype=torch.uint8)
    full = torch.full((1, 256, 256), 255, dtype=torch.uint8)
    settled = settle(regressor, (w_mean, torch.eye(len(w_mean)) * 0.5), grey, full, (uv + 1) / 2, torch.zeros(1, 2))
    assert settled.picture.shape == (1, 4, 96, 96)
    assert settled.angles[0].tolist() == pytest.approx([0.1, 0.05], abs=0.06)


def test_a_lesson_starts_where_the_field_is(world: Path) -> None:
    generator = toy_generator()
    generator.field.requires_grad_(True)
    data = WorldHeads.load(world, torch.device("cpu"))
    config = LessonTaskConfig(heads=2, points=32, normal_points=8, kept_heads=2, kept_points=32)
    offset = latent_statistics(generator, 100).w_std
    task = LessonTask(generator, data, config, offset=offset, compiled=False)
    loss, parts = task.losses(0.5)
    loss.backward()
    assert float(parts["kept"].detach()) == float(parts["kept_feature"].detach()) == 0.0
    assert float(parts["surface"].detach()) > 0.0
    assert all(p.grad is None for p in generator.style.parameters())
