"""A job reports, cancels and yields; all in one call."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Cancelled
from core.job import PUBLISH_INTERVAL, Job


class Listener:
    def __init__(self) -> None:
        self.now = 0.0
        self.heard: list[tuple[float, str]] = []

    def clock(self) -> float:
        return self.now

    def report(self, fraction: float, stage: str) -> None:
        self.heard.append((fraction, stage))

    def job(self, **options: object) -> Job:
        return Job("Working", on_report=self.report, clock=self.clock, **options)


def test_reports_in_quick_succession_are_not_all_published() -> None:
    listener = Listener()
    job = listener.job()
    for step in range(100):
        listener.now += PUBLISH_INTERVAL / 10
        job.report(step / 200, "render")
    assert 5 <= len(listener.heard) <= 12


def test_a_new_stage_and_the_end_are_always_published() -> None:
    listener = Listener()
    job = listener.job()
    job.report(0.1, "align")
    job.report(0.2, "encode")
    job.report(0.3, "encode")
    job.report(1.0, "encode")
    assert listener.heard == [(0.1, "align"), (0.2, "encode"), (1.0, "encode")]


def test_a_cancelled_job_stops_at_its_next_report() -> None:
    job = Job.quiet()
    job.report(0.1, "align")
    threading.Thread(target=job.cancel).start()
    while not job.cancelled:
        pass
    with pytest.raises(Cancelled):
        job.report(0.2, "encode")
    assert job.fraction == 0.1


def test_cancelling_while_it_yields_counts_at_once() -> None:
    job = Job("x", on_yield=lambda: job.cancel())
    with pytest.raises(Cancelled):
        job.report(0.5, "render")


def test_yielding_is_never_re_entered() -> None:
    depth, deepest, calls = 0, 0, 0

    def serve() -> None:
        nonlocal depth, deepest, calls
        depth, calls = depth + 1, calls + 1
        deepest = max(deepest, depth)
        job.part(0.0, 1.0).report(0.5, "a live frame")
        depth -= 1

    job = Job("x", on_yield=serve)
    job.report(0.1, "a")
    job.report(0.2, "b")
    assert (deepest, calls) == (1, 2)


def test_yielding_goes_on_after_an_error_in_it() -> None:
    calls = []

    def serve() -> None:
        calls.append(1)
        raise RuntimeError("a frame failed")

    job = Job("x", on_yield=serve)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            job.report(0.1, "a")
    assert len(calls) == 2


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 2))
def test_parts_nest_as_intervals_do(a: float, b: float, c: float, d: float, fraction: float) -> None:
    (start, end), (inner_start, inner_end) = sorted((a, b)), sorted((c, d))
    job = Job.quiet()
    job.part(start, end).part(inner_start, inner_end).report(fraction, "x")
    clipped = min(max(fraction, 0.0), 1.0)
    inner = inner_start + clipped * (inner_end - inner_start)
    assert job.fraction == pytest.approx(start + inner * (end - start))


def test_a_part_shares_cancellation_stage_and_label() -> None:
    job = Job("Working")
    part = job.part(0.2, 0.4)
    part.report(0.5, "encode")
    assert (job.stage, job.fraction, part.label) == ("encode", pytest.approx(0.3), "Working")
    part.cancel()
    assert job.cancelled


def test_progress_never_goes_backwards() -> None:
    job = Job.quiet()
    job.report(0.8, "a")
    job.report(0.3, "b")
    assert (job.fraction, job.stage) == (0.8, "b")


@pytest.mark.parametrize("bad", [(0.5, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_a_part_outside_its_job_is_a_programming_mistake(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="part"):
        Job.quiet().part(*bad)


def test_a_fraction_that_is_no_number_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Job.quiet().report(float("nan"), "x")


def test_a_paused_job_rests_serves_frames_and_goes_on() -> None:
    served = []

    def serve() -> None:
        served.append(job.paused)
        if served.count(True) == 3:
            job.resume()

    job = Job("x", on_yield=serve)
    job.pause()
    job.part(0.0, 0.5).report(0.5, "tuning")
    assert served == [True, True, True]
    assert not job.paused


def test_a_paused_job_can_be_cancelled_or_finished() -> None:
    job = Job("x", on_yield=lambda: job.cancel())
    job.pause()
    with pytest.raises(Cancelled):
        job.report(0.5, "tuning")
    job.pause()
    assert not job.paused
    other = Job("y", on_yield=lambda: other.finish())
    other.pause()
    other.report(0.5, "tuning")
    assert other.finishing
    assert other.part(0.0, 0.5).finishing
    assert not other.cancelled


def test_what_is_reported_within_a_frame_does_not_rest() -> None:
    def serve() -> None:
        job.report(0.6, "frame")
        job.resume()

    job = Job("x", on_yield=serve)
    job.pause()
    job.report(0.5, "tuning")
    assert job.stage == "frame"


def test_what_is_shown_goes_to_whoever_looks() -> None:
    shown: list[object] = []
    job = Job("x", on_show=shown.append)
    job.part(0.2, 0.4).show("a point")
    Job.quiet().show("nobody looks")
    assert shown == ["a point"]
