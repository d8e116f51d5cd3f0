"""The worker's laws, tested with gates instead of sleeps."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.camera import Camera
from core.edit import LatentEdit
from core.errors import CameoError, Cancelled, NoFaceFound, WeightsMissing
from core.frame import Frame, RenderRequest
from core.job import Job
from gui.engine_worker import EngineWorker
from tests.gui.fake_engine import FakeEngine, Gate

WAIT = 5_000


class Outcome:
    """Collects what a job came to, and in which thread it was told."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[CameoError] = []
        self.threads: list[threading.Thread] = []

    def done(self, result: Any) -> None:
        self.results.append(result)
        self.threads.append(threading.current_thread())

    def failed(self, error: CameoError) -> None:
        self.errors.append(error)
        self.threads.append(threading.current_thread())

    @property
    def over(self) -> bool:
        return bool(self.results or self.errors)


def submit(worker: EngineWorker, work: Callable[[Any, Job], Any], **options: Any) -> tuple[Job, Outcome]:
    outcome = Outcome()
    return worker.submit("Testing", work, outcome.done, outcome.failed, **options), outcome


def wish(yaw: float) -> RenderRequest:
    return RenderRequest(None, LatentEdit.none, Camera(yaw), 16)


def test_a_job_runs_in_another_thread_and_is_answered_in_this_one(worker: EngineWorker, qtbot: QtBot) -> None:
    threads: list[threading.Thread] = []

    def work(engine: FakeEngine, job: Job) -> int:
        threads.append(threading.current_thread())
        return 42

    _, outcome = submit(worker, work)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert outcome.results == [42]
    assert threads[0] is not threading.main_thread()
    assert outcome.threads == [threading.main_thread()]


def test_the_engine_is_opened_once_and_in_the_workers_thread(qtbot: QtBot) -> None:
    opened: list[threading.Thread] = []

    def open_engine() -> FakeEngine:
        opened.append(threading.current_thread())
        return FakeEngine()

    worker = EngineWorker(open_engine)
    assert not worker.is_running
    for _ in range(3):
        _, outcome = submit(worker, lambda engine, job: engine.weights_name)
        qtbot.waitUntil(lambda outcome=outcome: outcome.over, timeout=WAIT)
    assert len(opened) == 1
    assert opened[0] is not threading.main_thread()
    assert worker.stop()


def test_an_engine_that_cannot_be_opened_is_an_error_with_a_hint_and_tried_again(qtbot: QtBot) -> None:
    tries: list[int] = []

    def open_engine() -> FakeEngine:
        tries.append(1)
        if len(tries) == 1:
            raise WeightsMissing("The weights are missing.", hint="Install them.")
        return FakeEngine()

    worker = EngineWorker(open_engine)
    _, first = submit(worker, lambda engine, job: 1)
    qtbot.waitUntil(lambda: first.over, timeout=WAIT)
    assert first.errors[0].hint == "Install them."
    _, second = submit(worker, lambda engine, job: 2)
    qtbot.waitUntil(lambda: second.over, timeout=WAIT)
    assert second.results == [2]
    assert worker.stop()


def test_a_job_without_need_of_the_engine_does_not_open_it(qtbot: QtBot) -> None:
    def open_engine() -> FakeEngine:
        raise AssertionError("nobody asked for it")

    worker = EngineWorker(open_engine)
    _, outcome = submit(worker, lambda engine, job: engine, needs_engine=False)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert outcome.results == [None]
    assert worker.stop()


def test_jobs_run_in_order_and_background_jobs_after_them(worker: EngineWorker, qtbot: QtBot) -> None:
    gate, order = Gate(), []

    def hold(engine: FakeEngine, job: Job) -> None:
        gate.wait_for(job, 0.1, "Holding")

    submit(worker, hold)
    assert gate.reached.wait(5)
    outcomes = [
        submit(worker, lambda engine, job, name=name: order.append(name), background=background)[1]
        for name, background in (("mesh", True), ("first", False), ("second", False))
    ]
    gate.open()
    qtbot.waitUntil(lambda: all(outcome.over for outcome in outcomes), timeout=WAIT)
    assert order == ["first", "second", "mesh"]


def test_cancelling_a_running_job_ends_it_as_cancelled(worker: EngineWorker, qtbot: QtBot) -> None:
    gate = Gate()
    job, outcome = submit(worker, lambda engine, job: gate.wait_for(job, 0.5, "Working"))
    assert gate.reached.wait(5)
    job.cancel()
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert isinstance(outcome.errors[0], Cancelled)


def test_a_waiting_job_that_is_cancelled_never_begins(worker: EngineWorker, qtbot: QtBot) -> None:
    gate, begun = Gate(), []
    submit(worker, lambda engine, job: gate.wait_for(job, 0.5, "Working"))
    assert gate.reached.wait(5)
    job, outcome = submit(worker, lambda engine, job: begun.append(1))
    job.cancel()
    gate.open()
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert isinstance(outcome.errors[0], Cancelled)
    assert begun == []


def test_a_result_that_comes_after_cancelling_is_not_taken(worker: EngineWorker, qtbot: QtBot) -> None:
    gate = threading.Event()

    def deaf(engine: FakeEngine, job: Job) -> int:
        gate.wait(5)
        return 1

    job, outcome = submit(worker, deaf)
    job.cancel()
    gate.set()
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert outcome.results == []
    assert isinstance(outcome.errors[0], Cancelled)


def test_an_error_for_people_arrives_as_it_is(worker: EngineWorker, qtbot: QtBot) -> None:
    def work(engine: FakeEngine, job: Job) -> None:
        raise NoFaceFound("No face.", hint="Another photo.")

    _, outcome = submit(worker, work)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert isinstance(outcome.errors[0], NoFaceFound)


def test_an_unforeseen_error_is_logged_worded_and_does_not_end_the_thread(
    worker: EngineWorker, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("ERROR"):
        _, outcome = submit(worker, lambda engine, job: 1 / 0)
        qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert "ZeroDivisionError" in caplog.text
    assert outcome.errors[0].hint
    _, second = submit(worker, lambda engine, job: "alive")
    qtbot.waitUntil(lambda: second.over, timeout=WAIT)
    assert second.results == ["alive"]


def test_progress_is_told_with_stage_and_fraction(worker: EngineWorker, qtbot: QtBot) -> None:
    told: list[tuple[float, str]] = []
    worker.job_reported.connect(lambda job, fraction, stage: told.append((fraction, stage)))

    def work(engine: FakeEngine, job: Job) -> None:
        job.report(0.25, "First")
        job.report(0.75, "Second")

    _, outcome = submit(worker, work)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert (0.25, "First") in told
    assert (0.75, "Second") in told


def test_a_paused_job_serves_frames_and_what_it_shows_arrives(
    worker: EngineWorker, engine: FakeEngine, qtbot: QtBot
) -> None:
    gate, frames, shown = Gate(), [], []
    worker.frame_rendered.connect(frames.append)
    worker.job_showed.connect(lambda job, value: shown.append((job, value)))

    def work(engine: FakeEngine, job: Job) -> None:
        job.show("a point")
        gate.wait_for(job, 0.5, "Tuning")

    job, outcome = submit(worker, work)
    assert gate.reached.wait(5)
    job.pause()
    gate.open()
    worker.request(wish(0.1))
    qtbot.waitUntil(lambda: bool(frames) and bool(shown), timeout=WAIT)
    assert shown == [(job, "a point")]
    job.resume()
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert not outcome.errors


def test_live_frames_are_served_while_a_job_runs(worker: EngineWorker, engine: FakeEngine, qtbot: QtBot) -> None:
    gate, frames = Gate(), []
    worker.frame_rendered.connect(frames.append)
    _, outcome = submit(worker, lambda engine, job: gate.wait_for(job, 0.5, "Exporting"))
    assert gate.reached.wait(5)
    worker.request(wish(0.1))
    qtbot.waitUntil(lambda: bool(frames), timeout=WAIT)
    assert not outcome.over
    assert frames[0].request == wish(0.1)
    gate.open()
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)


def test_only_the_newest_wish_is_rendered(worker: EngineWorker, engine: FakeEngine, qtbot: QtBot) -> None:
    gate, frames = threading.Event(), []
    worker.frame_rendered.connect(frames.append)
    _, outcome = submit(worker, lambda engine, job: gate.wait(5))
    for step in range(50):
        worker.request(wish(step / 100))
    gate.set()
    qtbot.waitUntil(lambda: outcome.over and bool(frames), timeout=WAIT)
    assert [request.camera.yaw for request in engine.rendered] == [0.49]


def test_a_stream_of_wishes_does_not_starve_a_job(worker: EngineWorker, qtbot: QtBot) -> None:
    _, opened = submit(worker, lambda engine, job: None)
    qtbot.waitUntil(lambda: opened.over, timeout=WAIT)
    frames: list[object] = []

    def again(frame: object) -> None:
        frames.append(frame)
        if not outcome.over:
            worker.request(wish(len(frames) / 1000))

    worker.frame_rendered.connect(again)
    outcome = Outcome()
    worker.request(wish(0.0))
    worker.submit("Exporting", lambda engine, job: "done", outcome.done, outcome.failed)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert outcome.results == ["done"]


@pytest.mark.parametrize(("background", "frames_a_report"), [(True, 20), (False, 1)])
def test_a_background_job_rests_while_a_hand_keeps_wishing_and_an_export_does_not(
    background: bool, frames_a_report: int, worker: EngineWorker, engine: FakeEngine, qtbot: QtBot
) -> None:
    render = engine.render

    def render_and_wish(request: RenderRequest, pause: Callable[[], None]) -> Frame:
        if len(engine.rendered) < 19:
            worker.request(wish(len(engine.rendered) / 1000))
        return render(request)

    engine.render = render_and_wish

    def work(engine: FakeEngine, job: Job) -> int:
        worker.request(wish(0.0))
        job.report(0.5, "A yield point")
        return len(engine.rendered)

    _, outcome = submit(worker, work, background=background)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    assert outcome.results == [frames_a_report]


@pytest.mark.parametrize("restarts", [True, False])
def test_a_job_that_may_restart_is_set_aside_for_one_that_somebody_waits_for(
    restarts: bool, worker: EngineWorker, qtbot: QtBot
) -> None:
    gate, begun = Gate(), []

    def mesh(engine: FakeEngine, job: Job) -> str:
        begun.append("mesh")
        gate.wait_for(job, 0.5, "Measuring")
        job.report(0.9, "Joining")
        return "a mesh"

    _, of_mesh = submit(worker, mesh, background=True, restarts=restarts)
    assert gate.reached.wait(5)
    _, of_photo = submit(worker, lambda engine, job: begun.append("photo"))
    # What also waits in the background is no reason: it would never be begun anew but to be set aside.
    submit(worker, lambda engine, job: None, background=True)
    gate.open()
    qtbot.waitUntil(lambda: of_mesh.over and of_photo.over, timeout=WAIT)
    assert begun == (["mesh", "photo", "mesh"] if restarts else ["mesh", "photo"])
    assert (of_mesh.results, of_mesh.errors) == (["a mesh"], [])


def test_a_job_that_was_set_aside_can_be_cancelled(worker: EngineWorker, qtbot: QtBot) -> None:
    gate, begun = Gate(), []

    def mesh(engine: FakeEngine, job: Job) -> None:
        begun.append("mesh")
        gate.wait_for(job, 0.5, "Measuring")
        job.report(0.9, "Joining")
        begun.append("joined")

    def photo(engine: FakeEngine, job: Job) -> None:
        begun.append("photo")
        of_mesh.cancel()

    of_mesh, outcome = submit(worker, mesh, background=True, restarts=True)
    assert gate.reached.wait(5)
    _, of_photo = submit(worker, photo)
    gate.open()
    qtbot.waitUntil(lambda: outcome.over and of_photo.over, timeout=WAIT)
    assert begun == ["mesh", "photo"]
    assert isinstance(outcome.errors[0], Cancelled)


def test_a_job_is_not_set_aside_for_one_that_was_given_up_nor_when_it_is_done(
    worker: EngineWorker, qtbot: QtBot
) -> None:
    begun: list[str] = []

    def mesh(engine: FakeEngine, job: Job) -> None:
        begun.append("mesh")
        # All of it between two reports: what comes while the engine is at one is another story.
        submit(worker, lambda engine, job: begun.append("given up"))[0].cancel()
        job.report(0.9, "Joining")
        submit(worker, lambda engine, job: begun.append("photo"))
        job.report(1.0, "Ready")

    _, outcome = submit(worker, mesh, background=True, restarts=True)
    qtbot.waitUntil(lambda: outcome.over and "photo" in begun, timeout=WAIT)
    assert begun == ["mesh", "photo"]
    with pytest.raises(ValueError, match="background"):
        submit(worker, mesh, restarts=True)


def test_a_frame_that_fails_is_told_and_the_next_one_comes(
    worker: EngineWorker, engine: FakeEngine, qtbot: QtBot
) -> None:
    _, opened = submit(worker, lambda engine, job: None)
    qtbot.waitUntil(lambda: opened.over, timeout=WAIT)
    engine.render_error = CameoError("Too large.", hint="Smaller.")
    with qtbot.waitSignal(worker.frame_failed, timeout=WAIT) as failed:
        worker.request(wish(0.1))
    assert failed.args[1].hint == "Smaller."
    engine.render_error = None
    with qtbot.waitSignal(worker.frame_rendered, timeout=WAIT):
        worker.request(wish(0.2))


def test_stopping_midway_cancels_joins_and_says_nothing_more(engine: FakeEngine, qtbot: QtBot) -> None:
    worker = EngineWorker(lambda: engine)
    gate, told = Gate(), []
    worker.job_ended.connect(told.append)
    _, outcome = submit(worker, lambda engine, job: gate.wait_for(job, 0.5, "Working"))
    submit(worker, lambda engine, job: told.append("never"))
    assert gate.reached.wait(5)
    assert worker.stop()
    assert not worker.is_running
    qtbot.wait(20)
    assert not outcome.over
    assert told == []


def test_a_stopped_worker_takes_no_more_work(worker: EngineWorker) -> None:
    worker.stop()
    worker.request(wish(0.0))
    with pytest.raises(RuntimeError):
        submit(worker, lambda engine, job: None)
    assert not worker.is_running


@pytest.mark.parametrize(("newer_size", "given_up"), [(64, True), (256, False)])
def test_a_large_frame_gives_way_to_a_smaller_wish_and_a_moving_hands_does_not(
    newer_size: int, given_up: bool, worker: EngineWorker, engine: FakeEngine, qtbot: QtBot
) -> None:
    frames: list[Frame] = []
    worker.frame_rendered.connect(frames.append)
    _, outcome = submit(worker, lambda engine, job: None)
    qtbot.waitUntil(lambda: outcome.over, timeout=WAIT)
    large = replace(wish(0.1), size=256)
    newer = replace(wish(0.2), size=newer_size, inversion=large.inversion)
    engine.frame_gate = Gate()
    worker.request(large)
    assert engine.frame_gate.reached.wait(5)
    worker.request(newer)
    engine.frame_gate.open()
    qtbot.waitUntil(lambda: bool(frames) and frames[-1].request == newer, timeout=WAIT)
    assert [frame.request for frame in frames] == ([newer] if given_up else [large, newer])
