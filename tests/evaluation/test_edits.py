"""Edits: what is tried, what counts as success, leakage and limit, and the suite on a toy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.edit import Attribute
from core.evaluation import changes, edits, probes
from core.evaluation.edit_tables import summarise, table
from core.world.identity import scene_parameters
from tests.toy_head import NAME, toy_registry

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"
SMILE, AGE = Attribute("Smile", "Smile", -2, 2, ""), Attribute("Age", "Age", -2, 2, "")
BEARD = Attribute("Beard", "Beard", 0, 2, "")


def row(**edited: tuple[float, float, float]) -> dict[str, Any]:
    """happy, age and identity of edits named like Smile_p1."""
    found: dict[str, Any] = {"unedited": {"scores": {"happy": 0.0, "age": 40.0}, "face": True, "whole": 1.0}}
    for name, (happy, age, identity) in edited.items():
        key = name.replace("_p", " +").replace("_m", " -")
        found[key] = {"scores": {"happy": happy, "age": age}, "face": True, "whole": 1.0, "identity": identity}
    return found


def test_everything_within_a_slider_is_tried_to_both_sides() -> None:
    assert edits.trials((SMILE, BEARD), (1.0, 2.0)) == [
        *(("Smile", -1.0), ("Smile", 1.0), ("Smile", -2.0), ("Smile", 2.0)),
        *(("Beard", 1.0), ("Beard", 2.0)),
    ]


def test_success_is_the_right_way_and_leakage_is_in_spreads_of_people() -> None:
    rows = {
        "a": row(Smile_p1=(5.0, 40.9, 0.3), Smile_m1=(-5.0, 40.0, 0.2), Age_p1=(0.0, 49.0, 0.1)),
        "b": row(Smile_p1=(-1.0, 40.9, 0.5), Smile_m1=(-1.0, 40.0, 0.2), Age_p1=(0.0, 49.0, 0.1)),
        "c": {"error": {"kind": "NoFaceFound", "message": "No face.", "hint": ""}},
    }
    summary = summarise(rows, "toy@1", (SMILE, AGE), (1.0,), None)
    assert summary["success"]["Smile +1"]["judges"]["happy"]["share"]["mean"] == 0.5
    assert summary["success"]["Smile -1"]["judges"]["happy"]["share"]["mean"] == 1.0
    assert summary["success"]["Smile +1"]["identity"]["mean"] == pytest.approx(0.4)
    # Two photos are too few for a spread of their own: a usual spread of happy is 10, of age 9.
    assert summary["leakage"]["Smile"] == pytest.approx({"Smile": 0.2, "Age": 0.1})
    assert summary["leakage"]["Age"] == pytest.approx({"Smile": 0.0, "Age": 1.0})
    text = table({**summary, "notes": ["a remark"]})
    assert "| Smile | **+0.20** | +0.10 (50%) |" in text
    assert "* a remark" in text
    assert "* c: No face." in text


def test_a_limit_is_where_people_are_no_longer_themselves_or_heads_fall_apart() -> None:
    rows = {"a": row(Smile_p1=(1, 40, 0.3), Smile_p2=(2, 40, 0.7), Smile_m1=(0, 40, 0.1), Smile_m2=(0, 40, 0.1))}
    rows["a"]["Smile -1"]["whole"] = 0.5
    limits = summarise(rows, "toy@1", (SMILE,), (1.0, 2.0), None)["limits"]["Smile"]
    assert limits["high"] == {"limit": 1.0, "slider": 2, "ends": "identity at +2"}
    assert limits["low"] == {"limit": 0.0, "slider": -2, "ends": "picture at -1"}


def test_a_limit_that_was_not_reached_says_so() -> None:
    rows = {"a": row(Smile_p1=(1, 40, 0.3), Smile_m1=(1, 40, 0.3))}
    limits = summarise(rows, "toy@1", (SMILE,), (1.0,), None)["limits"]["Smile"]
    assert limits["high"] == {"limit": 1.0, "slider": 2, "ends": "nothing stronger was tried"}


def test_a_head_in_pieces_is_not_whole() -> None:
    alpha = np.zeros((10, 10), np.uint8)
    assert edits.whole(alpha) == 0.0
    alpha[:4] = 255
    assert edits.whole(alpha) == 1.0
    alpha[9] = 255
    assert edits.whole(alpha) == 0.8


def test_leakage_of_true_changes_stands_beside() -> None:
    rows = {"a": row(Smile_p1=(5.0, 44.5, 0.3))}
    summary = summarise(rows, "toy@1", (SMILE, AGE), (1.0,), None, {"Smile": {"happy": 10.0, "age": 4.5}, "Beard": {}})
    assert summary["truth"] == {"Smile": pytest.approx({"Smile": 1.0, "Age": 0.5})}
    assert "| Smile | **+1.00** | +0.50 (50%) |" in table({**summary, "notes": []})


def test_a_probe_learns_the_change_and_not_what_comes_with_it_among_people() -> None:
    random = np.random.default_rng(0)
    # Feature 3 is the thing; 4 goes with the other label. Among people both labels would rise together.
    y = np.zeros((200, 2))
    y[::2, 0], y[1::2, 1] = random.uniform(1, 2, 100), random.normal(size=100)
    x = 0.05 * random.normal(size=(200, 30))
    x[:, 3] += y[:, 0]
    x[:, 4] += y[:, 0] * (np.arange(200) % 2 == 0) * 0.5 + 2.0 * (np.arange(200) % 2)
    found = probes.fitted(x, y, ("told", "untold"), np.arange(200) // 2, np.array([0.5, 1.0]))
    assert found.explained["told"] > 0.9
    assert found.explained["untold"] < 0.3
    assert found.spread == {"told": 0.5, "untold": 1.0}
    step = np.zeros(30)
    step[3], step[4] = 1.0, 0.5
    assert (step / found.scale @ found.weights)[0] == pytest.approx(1.0, abs=0.15)


def test_a_change_touches_one_coordinate_to_both_sides() -> None:
    code = np.random.default_rng(1).normal(size=256).astype(np.float32)
    for name, places in changes.COORDINATES.items():
        before, after = changes.changed(code, name, 0.5)
        assert set(np.flatnonzero(before != after)) == set(places)
        np.testing.assert_allclose(np.abs(after - before)[list(places)], 1.0, atol=1e-6)
        told = [changes.labels_of(scene_parameters(one)) for one in (before, after)]
        assert told[1][name] >= told[0][name]
    np.testing.assert_array_equal(code, np.random.default_rng(1).normal(size=256).astype(np.float32))


def test_probes_survive_being_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 5)), random.normal(size=(40, 2))
    found = probes.fitted(x, y, ("a", "b"), np.arange(40), np.ones(2))
    probes._write(found, tmp_path / "probes.npz")
    again = probes._read(tmp_path / "probes.npz")
    np.testing.assert_array_equal(again.weights, found.weights)
    assert (again.names, again.explained, again.spread) == (found.names, found.explained, found.spread)


@pytest.mark.slow
def test_the_suite_runs_on_a_toy_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    registry = toy_registry(tmp_path / "weights")
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    command = ["evaluate", "edits", str(photos), "--out", str(out), "--weights", NAME, "--quick", "--json"]
    command += ["--threads", "1", "--weights-folder", str(registry.folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert set(summary["leakage"]) == {"Smile", "Beard"}
    assert summary["success"]["Smile +1"]["identity"]["n"] == 1
    assert {"table.md", "table.json", "sheet.png", "photos"} == {path.name for path in out.iterdir()}
    stamp = (out / "photos" / "a.jpg.json").stat().st_mtime_ns
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (out / "photos" / "a.jpg.json").stat().st_mtime_ns == stamp


def test_strengths_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    for text in ("a", "-1", "0"):
        result = CliRunner().invoke(app, ["evaluate", "edits", str(tmp_path), "--strengths", text])
        assert result.exit_code == 2, result.output
