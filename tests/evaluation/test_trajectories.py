"""Trajectories on a toy head and real people of the world; skipped where the world cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.camera import HALF_FOV, Camera
from core.errors import CameoError
from core.evaluation import people as room
from core.evaluation import trajectories as suite
from core.evaluation.likeness import PHOTO_HALF_FOV, PHOTO_SIZE
from core.evaluation.people import People
from core.evaluation.trajectories import FIGURES, Settings, _framed, _scale, summarise, table
from core.job import Job
from tests.toy_head import NAME, toy_registry


def test_every_view_of_everybody_counts() -> None:
    rows = {
        "a": {name: [1.0, 2.0] for name in FIGURES},
        "b": {name: [3.0] for name in FIGURES} | {"reprojection": []},
        "c": {"error": {"kind": "NoFaceFound", "message": "No face.", "hint": ""}},
    }
    summary = summarise(rows, "toy@1", Settings(3, 3))
    assert summary["figures"]["mae"] == {"mean": 2.0, "std": 1.0, "n": 3}
    assert summary["figures"]["reprojection"]["n"] == 2
    assert "2 of 3 people" in table(summary)
    assert "* c: No face." in table(summary)


def test_a_world_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "trajectories", "--pack", str(tmp_path / "pack.npz")])
    assert result.exit_code == 3
    assert "is not there" in result.stderr


def test_the_table_says_by_what_heads_were_refined() -> None:
    rows = {"a": {name: [1.0] for name in FIGURES}}
    assert table(summarise(rows, "toy@1", Settings(1, 2, refine="best"))).startswith("toy@1, refined by best: 1 of 1")
    assert "refined" not in table(summarise(rows, "toy@1", Settings(1, 2)))


@pytest.mark.parametrize(("layer", "said"), [("picture", False), ("generator", True)])
def test_the_layer_that_is_asked_for_is_judged_kept_apart_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, layer: str, said: bool
) -> None:
    asked = []

    def judged(*arguments: object) -> tuple[dict[str, list[float]], list[np.ndarray]]:
        asked.append(arguments[-1])
        return {name: [1.0] for name in FIGURES}, [np.zeros((8, 8, 3), np.uint8)] * 12

    monkeypatch.setattr(suite, "novel_views", judged)
    people = SimpleNamespace(mark="world", person=lambda index: index)
    settings = Settings(1, 2, layer=layer)
    for _ in range(2):  # the second finds the row of the first
        summary = suite.evaluate(lambda: None, people, tmp_path, "toy@1", settings, Job.quiet())
    assert asked == [layer]
    assert ("own colours" in table(summary)) == said
    other = Settings(1, 2, layer="normals")
    suite.evaluate(lambda: None, people, tmp_path, "toy@1", other, Job.quiet())
    assert asked == [layer, "normals"]


def test_an_unknown_method_is_refused() -> None:
    result = CliRunner().invoke(app, ["evaluate", "trajectories", "--refine", "magic"])
    assert result.exit_code == 2
    assert "magic" in result.stderr
    assert "best" in result.stderr


def test_a_photo_cut_rightly_is_the_canonical_picture() -> None:
    if not room.PACK.exists():
        pytest.skip("no pack; build it with `python -m core world pack MAKEHUMAN_FOLDER`")
    people = People()
    person, camera = people.person(2), Camera(0.3, 0.1)
    try:
        truth = people.view(person, camera).colour
    except CameoError as error:
        pytest.skip(f"no off-screen OpenGL: {error}")
    scale = np.tan(PHOTO_HALF_FOV) / np.tan(HALF_FOV)
    to_crop = np.array([[scale / PHOTO_SIZE, 0, 0.5 - scale / 2], [0, scale / PHOTO_SIZE, 0.5 - scale / 2]])
    assert _scale(to_crop) == pytest.approx(0)
    cut = _framed(people, person, camera, to_crop)
    people.close()
    inside = (cut[..., 3] > 250) & (truth[..., 3] > 250)
    assert inside.mean() > 0.2
    assert abs(cut[inside][:, :3].astype(float) - truth[inside][:, :3]).mean() < 4
    assert ((cut[..., 3] > 127) != (truth[..., 3] > 127)).mean() < 0.01


@pytest.mark.slow
def test_the_suite_runs_on_a_toy_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    if not room.PACK.exists():
        pytest.skip("no pack; build it with `python -m core world pack MAKEHUMAN_FOLDER`")
    registry = toy_registry(tmp_path / "weights")
    out = tmp_path / "out"
    command = ["evaluate", "trajectories", "--out", str(out), "--weights", NAME, "--quick", "--json"]
    command += ["--threads", "1", "--weights-folder", str(registry.folder)]
    result = CliRunner().invoke(app, command)
    if "no off-screen OpenGL" in result.stderr:
        pytest.skip(result.stderr)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)["figures"]
    assert figures["mae"]["n"] == Settings.quick().frames - 1
    assert 0 < figures["reprojection_truth"]["mean"] < 0.1
    assert (out / "sheet.png").is_file()
    stamp = (out / "people" / "person_0000.json").stat().st_mtime_ns
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (out / "people" / "person_0000.json").stat().st_mtime_ns == stamp
