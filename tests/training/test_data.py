"""The world in memory: whose code, which landmarks, which colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core.training.data import DataMissing, RealPortraits, WorldHeads
from core.training.latents import latent_statistics
from core.training.views import project
from core.training.workshop import StageOptions, Workshop

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def heads(world: Path) -> WorldHeads:
    return WorldHeads.load(world, CPU)


def test_edited_views_have_the_edited_code_and_landmarks(heads: WorldHeads) -> None:
    head, view = torch.tensor([2, 2, 2]), torch.tensor([0, 3, 4])
    code, points = heads.code(head, view), heads.points3d(head, view)
    torch.testing.assert_close(code[0], heads.z[2])
    torch.testing.assert_close(code[1:], heads.z_edit[[2, 2]])
    torch.testing.assert_close(points[0], heads.landmarks[2])
    torch.testing.assert_close(points[1:], heads.landmarks_edit[[2, 2]])


def test_pictures_are_premultiplied(heads: WorldHeads) -> None:
    picture = heads.picture(torch.arange(4), torch.zeros(4, dtype=torch.long))
    assert picture.shape == (4, 4, 256, 256)
    assert (picture[:, :3] <= picture[:, 3:] + 1e-6).all()


def test_depth_and_flow_of_the_toy_agree(heads: WorldHeads) -> None:
    """`other` of an edited view lies on the unedited surface: the same camera sees it within the picture."""
    camera = heads.camera[:, 0]
    uv, _ = project(camera, heads.other[:, 0].flatten(1, 2).float())
    seen = heads.depth[:, 3].flatten(1) > 0
    assert uv[seen].abs().max() < 1


def test_a_limit_takes_the_first_heads(world: Path, heads: WorldHeads) -> None:
    few = WorldHeads.load(world, CPU, limit=3)
    assert len(few) == 3
    torch.testing.assert_close(few.z, heads.z[:3])


def test_missing_data_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as world_missing:
        WorldHeads.load(tmp_path, CPU)
    assert "core.world generate" in world_missing.value.hint
    with pytest.raises(DataMissing) as portraits_missing:
        RealPortraits.load(tmp_path / "none.npz", CPU)
    assert "core.alignment.prepare" in portraits_missing.value.hint


def test_latent_statistics_are_seeded() -> None:
    from core.models.configuration import TOY_256
    from core.models.generator import Generator

    generator = Generator(TOY_256.generator).requires_grad_(False)
    first, second = latent_statistics(generator, 500), latent_statistics(generator, 500)
    torch.testing.assert_close(first.w_mean, second.w_mean)
    assert first.s_mean.shape == (6, 8)
    assert (first.w_std > 0).all()


def test_a_shard_that_lacks_an_array_or_has_it_in_another_shape_is_named(world: Path, tmp_path: Path) -> None:
    shard = tmp_path / "shard_00000"
    shutil.copytree(next(world.glob("shard_*")), shard)
    shutil.copytree(shard, tmp_path / "shard_00001")
    np.save(tmp_path / "shard_00001" / "z.npy", np.zeros((4, 7), np.float32))
    with pytest.raises(DataMissing, match=r"shard_00001/z\.npy"):
        WorldHeads.load(tmp_path, CPU)
    shutil.rmtree(tmp_path / "shard_00001")
    (shard / "normal.npy").unlink()
    with pytest.raises(DataMissing, match=r"shard_00000/normal\.npy") as caught:
        WorldHeads.load(tmp_path, CPU)
    assert "docs/training.md" in caught.value.hint


def test_a_folder_of_photos_is_training_data_as_it_is(world: Path, tmp_path: Path) -> None:
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    run.mkdir()
    shutil.copy("tests/data/astronaut.jpg", photos / "somebody.jpg")
    (photos / "letter.jpg").write_text("no picture")
    shop = Workshop(StageOptions(world, run, device="cpu", portraits=photos), CPU)
    portraits = shop.portraits()
    assert portraits is not None
    assert portraits.names == ("somebody.jpg",)
    written = (run / "portraits.npz").stat().st_mtime_ns
    assert len(shop.portraits() or ()) == 1
    assert (run / "portraits.npz").stat().st_mtime_ns == written, "aligned once"


def test_a_folder_without_a_face_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="No face"):
        Workshop(StageOptions(world, tmp_path, device="cpu", portraits=tmp_path), CPU).portraits()
