import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.job import Job
from core.world import dataset
from core.world.identity import EDITABLE, IDENTITY_BLOCKS, LABELS
from core.world.rasteriser import Renderer
from core.world.scene import landmark_table
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
