"""Rows of the benchmark: they have the keys that were agreed, and a bound that is not met is said."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.bench import head, official, rows
from core.bench.run import SMALL
from core.bench.surface_twins import compared
from core.job import Job
from tests.toy_head import toy_networks

KEYS = {"name", "fast_ms", "must", "peak_rss_mb"}
TWIN = {"slow_ms", "ratio"}
NAMES = [
    *("official_surface_128", "official_g0", "official_hybrid_256", "official_hybrid_1024"),
    *("cameo_moving", "cameo_still_256", "cameo_surface_256"),
]


def checked(one: rows.Row) -> None:
    assert one.keys() >= KEYS | TWIN
    surface = "surface" in one["name"]
    assert one.keys() >= ({"topology_equal", "max_vertex_error"} if surface else {"psnr_db"})
    assert not surface or (one["topology_equal"] and one["max_vertex_error"] < 1e-4)


def test_a_bound_that_is_not_met_or_not_measured_is_said() -> None:
    one = rows.row("x", 70.0, {"fast_ms": ("<=", 66.0), "psnr_db": (">=", 30.0), "ratio": (">=", 2.0)}, ratio=3.0)
    assert [sentence.split()[0] for sentence in rows.broken(one)] == ["fast_ms", "psnr_db"]
    assert "BROKEN" in rows.table([one])
    assert "ok" in rows.table([rows.row("x", 60.0, {"fast_ms": ("<=", 66.0)})])


def test_the_file_holds_rows_machine_and_threads(tmp_path: Path) -> None:
    rows.written([rows.row("x", 1.0)], 2, tmp_path / "bench.json")
    document = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert document.keys() == {"rows", "machine", "threads"}


@pytest.mark.slow
def test_rows_of_the_released_family_at_a_small_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "FOLDER", tmp_path)
    monkeypatch.setattr(head, "sampled_points", ball)
    plan = head.Plan(SMALL, 6, 256, 2000)
    generator = head.fitted_generator(plan, Job.quiet())
    assert head.Fit(plan, generator.field).step == 6  # kept, and not done again
    with torch.inference_mode():
        found = [official.surface_row(generator, SMALL, 24, True), *official.official_rows(generator, SMALL, 1, True)]
    assert [one["name"] for one in found] == NAMES[:4]
    for one in found:
        checked(one)
    # Somebody else's head lies in a file of its own, and is seen from elsewhere.
    other = dataclasses.replace(plan, person=3)
    assert not other.path.exists()
    views = [official.Official(SMALL, generator, person=number) for number in (0, 3, 4)]
    assert len({(*one.seen[0].tolist(), *one.turned[0].tolist()) for one in views}) == 3


def ball(count: int, seed: int = 0, person: int = 0) -> head.Points:
    """A ball in place of cameo-256's head."""
    xyz = 0.12 * (2.0 * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) - 1.0)
    sdf = xyz.norm(dim=-1, keepdim=True) - 0.08
    return head.Points(
        xyz, sdf, torch.nn.functional.normalize(xyz, dim=-1), torch.full_like(xyz, 0.5), sdf[:, 0] < 0.01
    )


def test_surfaces_that_differ_are_told_apart() -> None:
    vertices = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)).numpy()
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]]).numpy()
    assert compared((vertices[::-1], 5 - faces), (vertices, faces)).topology_equal
    assert not compared((vertices, faces[:, ::-1]), (vertices, faces)).topology_equal
    assert not compared((vertices, faces[:1]), (vertices, faces)).topology_equal
    # Rounding moves vertices where the distance is flat: by no more than 1e-4 they are the same, farther they are not.
    for moved, same in ((5e-5, True), (2e-4, False)):
        shifted = vertices.copy()
        shifted[[1, 4]] += [[moved, 0, 0], [0, -moved, 0]]
        assert compared((shifted, faces), (vertices, faces)).topology_equal is same
        assert not compared((shifted, faces[:, ::-1]), (vertices, faces)).topology_equal
    crossed = vertices.copy()
    crossed[[0, 3]] += 5e-5
    assert not compared((crossed, np.array([[3, 1, 2], [0, 4, 5]])), (vertices, faces)).topology_equal
    # A sliver in one that is a point in the other has no area that counts, unless it is longer.
    fan = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], np.float32)
    around = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    for apart, same in ((5e-5, True), (2e-4, False)):
        split = np.concatenate((fan, [[0, -apart, 0]])).astype(np.float32)
        parted = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 5], [5, 3, 4], [5, 4, 1], [0, 5, 1]])
        assert compared((split, parted), (fan, around)).topology_equal is same
        assert compared((fan, around), (split, parted)).topology_equal is same
        assert not compared((split, parted[1:]), (fan, around)).topology_equal
    # A face that ends at another vertex is another face, however near that one is to a third.
    more = np.concatenate((vertices, vertices[:1] + 5e-5))
    assert not compared((more, np.array([[0, 1, 2], [3, 4, 6]])), (vertices, faces)).topology_equal


def test_two_places_as_far_apart_as_welding_reaches_are_welded_alike() -> None:
    def sliver(apart: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Two triangles and a face without area between them, on an edge of which two vertices all but meet."""
        vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, apart, 0], [-1, 0, 0]], np.float32)
        return vertices, np.array([[0, 1, 3], [3, 1, 2], [0, 3, 4], [3, 2, 4]], np.int32)

    assert compared(sliver(1.9e-6), sliver(2.1e-6)).topology_equal
    assert compared(sliver(2.1e-6), sliver(1.9e-6)).topology_equal
    assert not compared(sliver(1.9e-6), sliver(0.1)).topology_equal
    vertices, faces = sliver(1.9e-6)
    assert not compared((vertices, faces[[0, 2, 3]]), (vertices, faces)).topology_equal


@pytest.mark.long
def test_bench_quick_measures_every_row() -> None:
    command = [sys.executable, "-m", "core", "bench", "--quick", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    document = json.loads(result.stdout)
    assert document.keys() == {"rows", "machine", "threads"}
    assert [one["name"] for one in document["rows"]] == NAMES
    for one in document["rows"]:
        checked(one)


def test_heads_of_other_people_are_theirs_and_always_the_same() -> None:
    networks = toy_networks()
    mean, one, same, other = (head.latent_of(networks, person) for person in (0, 1, 1, 2))
    assert mean.shape == one.shape == (1, *networks.renderer_mean.shape)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(mean[0], networks.renderer_mean)
