"""Laws of the engine: pictures depend on values only, caches never show, a frame may be rendered inside any report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.alignment import Framing
from core.camera import Camera, turntable_path
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError, Cancelled, FaceNotUsable, NoFaceFound, WeightsMissing
from core.evaluation.likeness import measure
from core.frame import Frame, RenderRequest
from core.inversion import Inversion, stranger_warnings
from core.job import Job
from core.photo import Photo
from core.reading import compose
from core.tiers import CACHED
from tests.toy_head import LIMITS, NAME, toy_registry

ASTRONAUT = Path(__file__).parent / "data" / "astronaut.jpg"
SMILE = LatentEdit.none.with_strength("Smile", 1.0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.open(NAME, "cpu", registry=toy_registry(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def photo() -> Photo:
    return Photo.load(ASTRONAUT)


@pytest.fixture(scope="module")
def inversion(engine: Engine, photo: Photo) -> Inversion:
    return engine.invert(photo, Job.quiet())


def frame(engine: Engine, inversion: Inversion, edit: LatentEdit = LatentEdit.none, yaw: float = 0.2) -> Frame:
    return engine.render(RenderRequest(inversion, edit, Camera(yaw), 96))


def test_an_engine_says_what_it_is(engine: Engine) -> None:
    assert engine.weights_name == NAME
    assert engine.device_name == "cpu"
    assert engine.limits == LIMITS
    assert [attribute.name for attribute in engine.attributes] == ["Smile", "Beard"]


def test_an_inversion_holds_the_face_the_camera_and_finite_figures(inversion: Inversion) -> None:
    assert inversion.aligned.crop256.shape == (256, 256, 3)
    assert inversion.reconstruction.shape == (256, 256, 3)
    assert set(inversion.metrics) == {"mae", "identity_distance"}
    assert all(np.isfinite(value) for value in inversion.metrics.values())
    assert LIMITS.contains(inversion.camera)
    assert {"align", "encode"} <= set(inversion.seconds)
    with pytest.raises(ValueError, match="read-only"):
        inversion.styles[0] = 1.0


def test_a_stranger_is_announced_with_the_figure(inversion: Inversion) -> None:
    assert inversion.warnings == stranger_warnings(inversion.metrics)
    loud = stranger_warnings({"mae": 0.31, "identity_distance": 0.75})
    assert len(loud) == 2
    assert "0.75" in loud[0]
    assert "0.31" in loud[1]
    assert stranger_warnings({"mae": 0.1, "identity_distance": 0.3}) == ()


def test_the_same_request_gives_the_same_bytes_also_in_a_fresh_engine(
    engine: Engine, inversion: Inversion, tmp_path: Path
) -> None:
    first = frame(engine, inversion, SMILE)
    again = frame(engine, inversion, SMILE)
    fresh = frame(Engine.open(NAME, "cpu", registry=toy_registry(tmp_path)), inversion, SMILE)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.pixels, fresh.pixels)


def test_after_any_walk_through_edits_every_picture_is_what_it_was(engine: Engine, inversion: Inversion) -> None:
    edits = [LatentEdit.none, SMILE, SMILE.with_strength("Beard", 1.0), LatentEdit.none.with_strength("Beard", 0.5)]
    before = [frame(engine, inversion, edit).pixels for edit in edits]
    for index in (2, 0, 3, 1, 0):
        assert np.array_equal(frame(engine, inversion, edits[index]).pixels, before[index])
    assert len(engine.tiers.heads) <= CACHED
    assert len(engine.tiers.sources) <= CACHED


def test_a_camera_outside_the_limits_is_moved_back_and_the_frame_says_so(engine: Engine, inversion: Inversion) -> None:
    outside = engine.render(RenderRequest(inversion, LatentEdit.none, Camera(2.5, 1.0), 64))
    border = engine.render(RenderRequest(inversion, LatentEdit.none, Camera(LIMITS.yaw, LIMITS.pitch_high), 64))
    assert outside.clamped
    assert not border.clamped
    assert np.array_equal(outside.pixels, border.pixels)


def test_frames_rendered_inside_reports_disturb_nothing(engine: Engine, photo: Photo, inversion: Inversion) -> None:
    quiet_mesh = engine.mesh(inversion, SMILE, 32, Job.quiet())
    expected = frame(engine, inversion).pixels
    served = []

    def serve() -> None:
        served.append(np.array_equal(frame(engine, inversion).pixels, expected))

    mesh = engine.mesh(inversion, SMILE, 32, Job("mesh", on_yield=serve))
    assert np.array_equal(mesh.vertices, quiet_mesh.vertices)
    assert np.array_equal(mesh.colours, quiet_mesh.colours)
    again = engine.invert(photo, Job("invert", on_yield=serve))
    assert np.array_equal(again.reconstruction, inversion.reconstruction)
    assert len(served) > 8
    assert all(served)


def test_a_mesh_is_closed_coloured_and_inside_the_scene(engine: Engine, inversion: Inversion) -> None:
    mesh = engine.mesh(inversion, LatentEdit.none, 48, Job.quiet())
    assert mesh.watertight
    assert mesh.raw_components == 1
    assert np.abs(mesh.vertices).max() < 0.125
    assert np.abs(np.linalg.norm(mesh.normals, axis=1) - 1).max() < 1e-4
    assert mesh.colours.std() > 1


def test_a_turntable_yields_every_frame_and_can_be_cancelled(engine: Engine, inversion: Inversion) -> None:
    path = turntable_path(5, engine.limits)
    frames = list(engine.turntable(inversion, LatentEdit.none, path, 64, Job.quiet()))
    assert [f.request.camera for f in frames] == list(path)
    job = Job("turntable")
    running = engine.turntable(inversion, LatentEdit.none, path, 64, job)
    next(running)
    job.cancel()
    with pytest.raises(Cancelled):
        next(running)


def test_a_cancelled_inversion_stops(engine: Engine, photo: Photo) -> None:
    job = Job("invert", on_report=lambda fraction, stage: job.cancel() if fraction > 0.3 else None)
    with pytest.raises(Cancelled):
        engine.invert(photo, job)


def test_faces_that_are_not_there_are_explained(engine: Engine, photo: Photo) -> None:
    with pytest.raises(FaceNotUsable, match="only one face") as caught:
        engine.invert(photo, Job.quiet(), face=3)
    assert caught.value.hint
    with pytest.raises(NoFaceFound):
        engine.invert(Photo.from_pixels(np.full((300, 300, 3), 128, np.uint8)), Job.quiet())


def test_weights_and_devices_that_are_not_there_are_explained(tmp_path: Path) -> None:
    registry = toy_registry(tmp_path)
    with pytest.raises(WeightsMissing, match="no weights called"):
        Engine.open("nothing", registry=registry)
    with pytest.raises(CameoError, match="device"):
        Engine.open(NAME, "warp9", registry=registry)


def test_the_report_measures_what_the_inversion_says(engine: Engine, inversion: Inversion) -> None:
    figures = measure(engine, inversion)
    assert figures["mae"] == pytest.approx(inversion.metrics["mae"], abs=1e-4)
    assert figures["identity_distance"] == pytest.approx(inversion.metrics["identity_distance"], abs=1e-5)
    assert all(np.isfinite(value) for value in figures.values())


def test_framings_compose_like_their_maps() -> None:
    outer, inner = Framing(0.2, 0.1, 0.03, -0.02), Framing(-0.1, -0.3, 0.01, 0.05)
    point = np.array([0.3, 0.8])
    step = inner.matrix() @ np.append(point, 1.0)
    assert compose(outer, inner).matrix() @ np.append(point, 1.0) == pytest.approx(
        outer.matrix() @ np.append(step, 1.0)
    )


def test_a_turntable_draws_each_camera_once(
    engine: Engine, inversion: Inversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    render = engine.render

    def counted(request: RenderRequest, pause: Callable[[], None]) -> Frame:
        asked.append(request.camera.yaw)
        return render(request, pause)

    monkeypatch.setattr(engine, "render", counted)
    path = turntable_path(8, engine.limits)
    frames = list(engine.turntable(inversion, LatentEdit.none, path, 32, Job.quiet()))
    # There and back: 0, 45, 90, 135 degrees … of a sine; five different cameras in eight frames.
    assert len(frames) == 8
    assert len(asked) == 5
    for frame, camera in zip(frames, path, strict=True):
        assert frame.request.camera.yaw == pytest.approx(camera.yaw, abs=1e-8)
