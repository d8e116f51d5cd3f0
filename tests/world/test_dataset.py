import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.job import Job
from core.world import constellations, dataset, glances
from core.world.assets import Pack
from core.world.identity import EDITABLE, IDENTITY_BLOCKS, LABELS, scene_parameters
from core.world.rasteriser import Renderer
from core.world.scene import build, landmark_table
from tests.world.conftest import PACK


def test_importing_the_world_loads_no_torch():
    code = (
        "import sys, core.world.dataset, core.world.page, core.world.__main__;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'anny', 'scipy', 'trimesh')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_a_head_depends_on_its_index_only():
    first, second = dataset.sample_head(17), dataset.sample_head(17)
    assert np.array_equal(first.z, second.z)
    assert np.array_equal(first.cameras, second.cameras)
    assert not np.array_equal(first.z, dataset.sample_head(18).z)


def test_an_edit_redraws_attributes_and_keeps_the_light_and_the_person():
    editable = np.zeros(256, bool)
    for parts in EDITABLE.values():
        for part in parts:
            editable[IDENTITY_BLOCKS[part] if isinstance(part, str) else part] = True
    for index in range(60):
        head = dataset.sample_head(index)
        changed = head.z != head.z_edit
        assert changed.any()
        assert not changed[~editable].any()
        assert np.array_equal(head.cameras[0], head.cameras[3])
        assert np.array_equal(head.cameras[1], head.cameras[4])


def test_cameras_stay_in_their_documented_ranges():
    cameras = np.stack([dataset.sample_head(index).cameras for index in range(300)])
    assert np.abs(cameras[:, 0, 0]).max() <= 1.0
    assert np.abs(cameras[:, 0, 1]).max() <= 0.4 + 1e-6
    assert np.abs(cameras[:, 1, 0]).max() <= 1.6
    assert np.abs(cameras[:, 2, 0]).max() > 2.5


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    del renderer  # only to be skipped without OpenGL
    monkeypatch.setattr(dataset, "SHARD_HEADS", 2)
    first = dataset.generate(tmp_path / "a", 0, 3, 1, PACK, Job.quiet())
    assert [path.name for path in first] == ["shard_0000000", "shard_0000002"]
    stamp = (first[0] / "z.npy").stat().st_mtime_ns
    for file in first[1].iterdir():
        file.unlink()
    first[1].rmdir()
    again = dataset.generate(tmp_path / "a", 0, 3, 1, PACK, Job.quiet())
    assert (again[0] / "z.npy").stat().st_mtime_ns == stamp
    other = dataset.generate(tmp_path / "b", 2, 1, 1, PACK, Job.quiet())
    for file in sorted(other[0].iterdir()):
        assert file.read_bytes() == (again[1] / file.name).read_bytes()
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in again[0].glob("*.npy")}
    assert arrays["colour"].shape == (2, 5, 256, 256, 4)
    assert arrays["depth"].shape == (2, 5, 128, 128)
    assert arrays["other"].shape == (2, 2, 128, 128, 3)
    assert arrays["labels"].shape == (2, len(LABELS))
    assert arrays["landmarks"].shape == (2, len(landmark_table()), 3)


def test_a_glance_depends_on_its_index_only_and_is_another_head_than_a_shards():
    z, cameras = glances.sample(5)
    again, _ = glances.sample(5)
    assert np.array_equal(z, again)
    assert not np.array_equal(z, glances.sample(6)[0])
    assert not np.array_equal(z, dataset.sample_head(5).z)
    assert not np.array_equal(z, constellations.sample(5))
    assert np.abs(cameras[0, 0]) <= 1.0
    far = np.stack([glances.sample(index)[1] for index in range(200)])
    assert np.abs(far[:, 1, 0]).max() > 2.5, "some look from behind"
    assert np.abs(far[:, 0, 0]).max() <= 1.0, "the first sees a face"


@pytest.mark.slow
def test_glances_show_what_full_renders_show(renderer: Renderer, pack: Pack, tmp_path: Path):
    del renderer  # only to be skipped without OpenGL
    shape, paint = Renderer(pack, 2 * glances.SIZE), Renderer(pack, glances.SIZE)
    glances.write(shape, paint, tmp_path / "glances_0000002.npz", 2, 2)
    with np.load(tmp_path / "glances_0000002.npz") as file:
        found = {name: file[name] for name in file.files}
    assert found["coloured"].tolist() == [0, 1]
    for number in range(2):
        z, cameras = glances.sample(2 + number)
        scene = build(pack, scene_parameters(z))
        assert np.array_equal(found["z"][number], z)
        for view, (yaw, pitch, half_fov) in enumerate(cameras.astype(float).tolist()):
            whole = shape.render(scene, yaw, pitch, half_fov)
            assert np.array_equal(found["depth"][number, view], whole.depth)
            assert np.array_equal(found["normal"][number, view], whole.normal)
            assert np.array_equal(found["part"][number, view], whole.part)
            assert (whole.depth > 0).any()
            if view == found["coloured"][number]:
                assert np.array_equal(found["colour"][number], paint.colour(scene, yaw, pitch, half_fov))
    shape.close()
    paint.close()


def test_landmarks_without_pictures_are_those_of_the_scene(pack: Pack, tmp_path: Path):
    constellations.write(pack, tmp_path / "landmarks_0000000.npz", 7, 2)
    with np.load(tmp_path / "landmarks_0000000.npz") as file:
        assert np.array_equal(file["z"][1], constellations.sample(8))
        scene = build(pack, scene_parameters(constellations.sample(8)))
        assert np.array_equal(file["landmarks"][1], np.asarray(scene.landmarks, np.float32))
        assert file["landmarks"].shape == (2, len(landmark_table()), 3)
