"""Our networks against the reference's numbers: every array of every file, at the stated tolerances.

The folder comes from CAMEO_GOLDEN; what varies between folders is read from it, so that another salt passes as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden import flows
from tests.golden.compare import complaints
from tests.golden.inputs import FILES, Arrays, Folder, seeded
from tests.golden.manifest import our_manifest

DEFAULT = Path(__file__).parents[2].parent / "shared" / "golden" / "reference"

# Stored arrays that are inputs and follow no rule; those that follow one are checked against it.
GIVEN = {
    "generator": {"locations"},
    "e3dge": {"image_phase", "b_location", "c_scales"},
    "mesh32": set(),
    "misc": {
        "ops_x",
        "ops_kernel",
        "ops_asym_kernel",
        "ops_flrelu_bias",
        "modconv_x",
        "modconv_style",
        "modconv_weight_k3",
        "modconv_weight_k1",
        "modconv_mod_weight",
        "modconv_mod_bias",
    },
}
RUNS = {
    "generator": flows.generator_arrays,
    "e3dge": flows.e3dge_arrays,
    "mesh32": flows.mesh_arrays,
    "misc": flows.misc_arrays,
}


@pytest.fixture(scope="module")
def folder() -> Folder:
    path = Path(os.environ.get("CAMEO_GOLDEN", DEFAULT))
    if not (path / "parameters.json").is_file():
        pytest.skip(f"no goldens at {path} (set CAMEO_GOLDEN)")
    return Folder.open(path)


@pytest.fixture(autouse=True)
def all_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


def check(folder: Folder, name: str) -> None:
    stored = folder.arrays(name)
    ruled = seeded(folder.salt)
    for key in ruled.keys() & stored.keys():
        assert np.array_equal(ruled[key], stored[key]), f"{key} was not drawn by the rule"
    inputs: Arrays = {**ruled, **stored}
    problems = complaints(RUNS[name](folder, inputs), stored, GIVEN[name] | ruled.keys())
    assert not problems, "\n".join(problems)


def test_state_dicts_have_the_released_keys_shapes_and_types(folder: Folder) -> None:
    ours = our_manifest()
    theirs = folder.manifest()
    assert ours.keys() == theirs.keys()
    for section, keys in theirs.items():
        stored = {key: (list(shape), dtype) for key, (shape, dtype) in keys.items()}
        assert ours[section] == stored, section


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_array_agrees_with_the_reference(folder: Folder, name: str) -> None:
    check(folder, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mesh32", "misc", *(pytest.param(name, marks=pytest.mark.long) for name in ("generator", "e3dge"))]
)
def test_a_folder_with_another_salt_passes_too(tmp_path: Path, name: str) -> None:
    from tests.golden.make_second_folder import write_folder

    write_folder(tmp_path, "second", files=(name,))
    check(Folder.open(tmp_path), name)
