"""Laws of ``Engine.refine``: a refined head is a head like any other, and the one it came from is left as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.__main__ import RefineMethod, app
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError, Cancelled
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo
from core.refinement.delta import Delta, read_delta
from core.refinement.glimpse import SURE_AFTER, Clock, Glimpse
from core.refinement.methods import METHODS
from core.refinement.waypoint import Waypoint, thinned
from core.refining import NOTHING_GAINED, WORSE_IDENTITY, WORSE_MAE, _between
from tests.toy_head import NAME, toy_registry

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"
SMILE = LatentEdit.none.with_strength("Smile", 1.0)
KILLED = """
import os, signal
from core.job import Job

def report(self, fraction, stage, plainly=Job.report):
    if "step 3" in stage:
        os.kill(os.getpid(), signal.SIGKILL)
    plainly(self, fraction, stage)

Job.report = report
from core.__main__ import app

app()
"""
KEYS = {"mae", "ssim", "identity_distance", "novel_identity"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.open(NAME, "cpu", registry=toy_registry(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def inversion(engine: Engine) -> Inversion:
    return engine.invert(Photo.load(ASTRONAUT), Job.quiet())


@pytest.fixture(scope="module")
def refined(engine: Engine, inversion: Inversion) -> Inversion:
    return engine.refine(inversion, "sg2plus", Job.quiet(), passes=6)


def drawn(
    engine: Engine, inversion: Inversion, edit: LatentEdit = LatentEdit.none, layer: str = "generator"
) -> np.ndarray:
    return engine.render(RenderRequest(inversion, edit, Camera(0.2), 96, layer)).pixels


def test_the_report_says_what_was_done(inversion: Inversion, refined: Inversion) -> None:
    assert inversion.refinement is None
    assert refined.refinement is not None
    report = refined.refinement.report
    assert set(report["before"]) == set(report["after"]) == KEYS
    assert report["method"] == "sg2plus"
    assert report["steps"] == report["curve"][-1]["step"] == 6
    assert report["seconds"] > 0
    assert {"visibility_share", "rolled_back", "kept_step", "share", "delta_bytes", "shape_drift"} <= set(report)
    json.dumps(dict(report), allow_nan=False)


def test_the_photos_own_colours_are_never_worse(inversion: Inversion, refined: Inversion) -> None:
    assert refined.metrics["mae"] <= inversion.metrics["mae"] + WORSE_MAE
    assert refined.metrics["identity_distance"] <= inversion.metrics["identity_distance"] + WORSE_IDENTITY


def test_what_gains_nothing_is_taken_back_and_says_so(
    engine: Engine, inversion: Inversion, refined: Inversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refined.refinement is not None
    assert (NOTHING_GAINED in refined.warnings) == (refined.refinement.report["share"] == 0.0)
    # Everything counts as worse than it was, whatever is found.
    monkeypatch.setattr("core.refining.WORSE_MAE", -9.0)
    back = engine.refine(inversion, "sg2plus", Job.quiet(), passes=2)
    assert back.refinement is not None
    assert back.refinement.report["share"] == 0.0
    assert back.refinement.report["rolled_back"]
    assert back.warnings == (*inversion.warnings, NOTHING_GAINED)
    np.testing.assert_array_equal(back.styles, inversion.styles)
    np.testing.assert_array_equal(drawn(engine, back), drawn(engine, inversion))


def test_edits_views_and_meshes_work_on_it_and_the_head_before_is_as_it_was(
    engine: Engine, inversion: Inversion, refined: Inversion
) -> None:
    before = drawn(engine, inversion)
    if refined.refinement is not None and refined.refinement.report["share"] > 0:
        assert not np.array_equal(drawn(engine, refined), before)
    assert not np.array_equal(drawn(engine, refined, SMILE), drawn(engine, refined))
    assert len(engine.mesh(refined, SMILE, 24, Job.quiet()).faces) > 100
    assert np.array_equal(drawn(engine, inversion), before)
    assert refined.refinement is not None
    assert refined.refinement.origin is inversion


def test_refining_again_starts_from_where_the_first_began(
    engine: Engine, inversion: Inversion, refined: Inversion
) -> None:
    again = engine.refine(refined, "sg2plus", Job.quiet(), passes=6)
    assert again.refinement is not None
    assert again.refinement.origin is inversion
    assert np.array_equal(again.styles, refined.styles)


def test_a_cancelled_refinement_leaves_everything(engine: Engine, inversion: Inversion) -> None:
    before = drawn(engine, inversion)
    job = Job("refining", on_yield=lambda: job.cancel() if "step 3" in job.stage else None)
    with pytest.raises(Cancelled):
        engine.refine(inversion, "fast", job)
    assert inversion.refinement is None
    assert np.array_equal(drawn(engine, inversion), before)


def test_live_frames_of_the_head_before_are_served_meanwhile(engine: Engine, inversion: Inversion) -> None:
    before = drawn(engine, inversion)
    frames: list[np.ndarray] = []
    job = Job("refining", on_yield=lambda: frames.append(drawn(engine, inversion)) if len(frames) < 4 else None)
    engine.refine(inversion, "fast", job, passes=2)
    assert len(frames) == 4
    assert all(np.array_equal(frame, before) for frame in frames)


def test_an_unknown_method_is_explained(engine: Engine, inversion: Inversion) -> None:
    with pytest.raises(CameoError, match="no refinement"):
        engine.refine(inversion, "magic", Job.quiet())


def test_the_command_line_refines_and_reports(tmp_path: Path) -> None:
    weights = toy_registry(tmp_path / "weights").folder
    quick = (
        "--views",
        "0",
        "--mesh",
        "none",
        "--turntable",
        "none",
        "--threads",
        "1",
        "--refine",
        "best",
        "--refine-passes",
        "8",
    )
    result = CliRunner().invoke(
        app,
        ["reconstruct", str(ASTRONAUT), "--out", str(tmp_path / "out"), "--weights", NAME, *quick],
        env={"CAMEO_WEIGHTS": str(weights)},
    )
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out" / "astronaut"
    report = json.loads((folder / "report.json").read_text())
    assert report["refinement"]["method"] == "best"
    assert 0.0 < report["refinement"]["visibility_share"] <= 1.0
    assert report["files"]["refinement"] == "refinement.safetensors"
    delta = read_delta(folder / "refinement.safetensors")
    assert delta.bytes == report["refinement"]["delta_bytes"]
    wrong = CliRunner().invoke(app, ["reconstruct", str(ASTRONAUT), "--out", str(tmp_path), "--refine", "magic"])
    assert wrong.exit_code == 2
    assert {method.value for method in RefineMethod} == set(METHODS)


def test_another_point_of_the_curve_is_another_head(engine: Engine, inversion: Inversion, refined: Inversion) -> None:
    assert refined.refinement is not None
    report = refined.refinement.report
    assert report["points"] == sorted(refined.refinement.waypoints) == [0, 5, 6]
    back = engine.pick(refined, 0, Job.quiet())
    assert back.refinement is not None
    assert back.refinement.report["kept_step"] == 0
    assert back.refinement.report["rolled_back"]
    assert set(back.refinement.report["after"]) == KEYS
    assert back.refinement.origin is inversion
    assert np.array_equal(back.styles, inversion.styles)
    there = engine.pick(back, 6, Job.quiet())
    # The guard may have kept a share only; who picks a point gets it whole.
    waypoint = refined.refinement.waypoints[6]
    assert np.allclose(there.styles, waypoint.styles.numpy(), atol=1e-6)
    assert there.refinement is not None
    assert there.refinement.report["share"] == 1.0
    with pytest.raises(CameoError, match="Step 3"):
        engine.pick(refined, 3, Job.quiet())
    with pytest.raises(CameoError, match="not kept"):
        engine.pick(inversion, 0, Job.quiet())


def test_who_asks_to_finish_gets_what_is_there(engine: Engine, inversion: Inversion) -> None:
    job = Job("refining", on_yield=lambda: job.finish() if "step 3" in job.stage else None)
    found = engine.refine(inversion, "pti-appearance", job)
    assert found.refinement is not None
    assert found.refinement.report["steps"] == 3
    assert found.refinement.report["curve"][-1]["step"] == 3


def test_what_it_shows_grows_and_tells_the_time_left(engine: Engine, inversion: Inversion) -> None:
    looks: list[Glimpse] = []
    engine.refine(inversion, "pti-appearance", Job("refining", on_show=looks.append), passes=24)
    assert [look.step for look in looks if look.step] == sorted(look.step for look in looks if look.step)
    assert looks[0].seconds_left is None
    assert looks[0].steps == 24
    timed = [look for look in looks if look.seconds_left is not None]
    assert timed[0].step == SURE_AFTER
    assert len(looks[-1].curve) > len(looks[0].curve)
    assert [picture.shape for picture in looks[-1].pictures] == [looks[0].pictures[0].shape] * 3


def test_the_clock_tells_the_pace_and_not_the_pause() -> None:
    clock = Clock()
    for step in range(SURE_AFTER):
        assert clock.seconds_left(10.0) is None
        clock.tick(100.0 if step == 5 else 0.5, 0.5)
    assert clock.seconds_left(10.0) == pytest.approx(10.0)


def test_waypoints_are_thinned_to_what_fits() -> None:
    delta = Delta("x", {"w": np.zeros(1000, np.float16)})
    one = Waypoint(torch.zeros(1, 1), torch.zeros(1, 1), Camera(0.0), delta)
    many = dict.fromkeys(range(0, 100, 10), one)
    assert thinned(many, 30) == many
    few = thinned(many, 30, most=9000)
    assert {30, 90} <= set(few)
    assert len(few) <= 5
    assert set(thinned(many, 30, most=0)) == {30, 90}


def test_killing_it_midway_leaves_photo_and_results_as_they_were(tmp_path: Path) -> None:
    registry = toy_registry(tmp_path / "weights")
    photo, out = tmp_path / "astronaut.jpg", tmp_path / "out"
    photo.write_bytes(ASTRONAUT.read_bytes())
    arguments = ["reconstruct", str(photo), "--out", str(out), "--weights", NAME, "--threads", "1"]
    arguments += ["--views", "0", "--mesh", "none", "--turntable", "none"]
    surroundings = os.environ | {"CAMEO_WEIGHTS": str(registry.folder)}
    whole = [sys.executable, "-m", "core", *arguments]
    subprocess.run(whole, env=surroundings, check=True, capture_output=True, timeout=300)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments, "--refine", "sg2"],
        env=surroundings,
        capture_output=True,
        timeout=300,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert photo.read_bytes() == ASTRONAUT.read_bytes()
    assert {path: path.read_bytes() for path in before} == before
    # And the next one finds everything in order.
    again = [*whole, "--refine", "sg2", "--refine-passes", "2"]
    subprocess.run(again, env=surroundings, check=True, capture_output=True, timeout=300)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_polished_camera_is_taken_back_with_everything_else(
    engine: Engine, inversion: Inversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    polished = engine.refine(inversion, "camera+sg2plus", Job.quiet(), passes=20)
    assert polished.refinement is not None
    report = polished.refinement.report
    assert report["method"] == "camera+sg2plus"
    assert (polished.camera == inversion.camera) == (report["share"] == 0.0)
    monkeypatch.setattr("core.refining.WORSE_MAE", -9.0)
    back = engine.refine(inversion, "camera+sg2plus", Job.quiet(), passes=20)
    assert back.refinement is not None
    assert back.refinement.report["share"] == 0.0
    assert back.camera == inversion.camera


def test_a_share_of_a_camera_lies_on_the_way_to_it() -> None:
    old, new = Camera(0.1, 0.0), Camera(0.2, -0.1)
    assert _between(old, new, 0.0) is old
    for share, wanted in ((0.5, (0.15, -0.05)), (1.0, (0.2, -0.1))):
        found = _between(old, new, share)
        assert (found.yaw, found.pitch) == pytest.approx(wanted)
