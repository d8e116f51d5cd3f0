"""Laws of the frame scheduler, with a clock of the test's own."""

from dataclasses import replace

import numpy as np
import pytest

from core.camera import Camera
from core.edit import LatentEdit
from core.frame import Frame, RenderRequest
from gui.frame_scheduler import BUDGET_MS, LINGER_S, SETTLE_S, SMALLEST, FrameScheduler

HEAD, OTHER_HEAD = object(), object()


def wish(yaw: float = 0.0, head: object = HEAD) -> RenderRequest:
    return RenderRequest(head, LatentEdit.none, Camera(yaw), 256)


def frame_of(request: RenderRequest, milliseconds: float = 10.0) -> Frame:
    size = request.size
    return Frame(
        np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.uint8), request, milliseconds, clamped=False
    )


def test_without_a_wish_there_is_nothing_to_render() -> None:
    scheduler = FrameScheduler()
    assert scheduler.next(0.0) is None
    assert scheduler.due_in(0.0) is None


def test_a_wish_at_rest_is_rendered_at_full_size_once() -> None:
    scheduler = FrameScheduler(still_size=256)
    scheduler.want(wish(), 0.0, moving=False)
    assert scheduler.next(0.0) == wish()
    assert scheduler.next(0.0) is None
    assert scheduler.due_in(0.0) is None


def test_the_newest_wish_wins() -> None:
    scheduler = FrameScheduler()
    scheduler.want(wish(0.1), 0.0, moving=False)
    scheduler.want(wish(0.2), 0.0, moving=False)
    request = scheduler.next(0.0)
    assert request is not None
    assert request.camera.yaw == 0.2
    assert scheduler.next(0.0) is None


def test_a_moving_hand_gets_small_frames_and_a_full_one_when_it_rests() -> None:
    scheduler = FrameScheduler(still_size=256)
    scheduler.want(wish(), 1.0, moving=True)
    moving = scheduler.next(1.0)
    assert moving is not None
    assert moving.size == SMALLEST
    wait = scheduler.due_in(1.0)
    assert wait == pytest.approx(SETTLE_S)
    assert scheduler.next(1.0 + SETTLE_S - 0.01) is None
    still = scheduler.next(1.0 + SETTLE_S + 0.001)
    assert still == replace(moving, size=256)
    assert scheduler.due_in(1.0 + SETTLE_S + 0.001) is None


def test_after_a_longer_rest_a_fine_frame_follows() -> None:
    scheduler = FrameScheduler(still_size=256, fine_size=512)
    scheduler.want(wish(), 1.0, moving=True)
    sizes, now = [], 1.0
    while True:
        request = scheduler.next(now)
        if request is not None:
            sizes.append(request.size)
        wait = scheduler.due_in(now)
        if wait is None:
            break
        now += wait + 1e-6
    assert sizes == [SMALLEST, 256, 512]
    assert now == pytest.approx(1.0 + LINGER_S, abs=1e-4)


def test_at_rest_the_full_frame_comes_before_the_fine_one() -> None:
    scheduler = FrameScheduler(still_size=256, fine_size=512)
    scheduler.want(wish(), 1.0, moving=False)
    request = scheduler.next(1.0)
    assert request is not None
    assert request.size == 256
    wait = scheduler.due_in(1.0)
    assert wait == pytest.approx(LINGER_S - SETTLE_S)


def test_moving_on_puts_the_full_frame_off() -> None:
    scheduler = FrameScheduler()
    for step in range(10):
        scheduler.want(wish(step / 100), step * 0.1, moving=True)
        request = scheduler.next(step * 0.1)
        assert request is not None
        assert request.size == SMALLEST


@pytest.mark.parametrize(("milliseconds_at_128", "size"), [(500.0, 128), (60.0, 128), (10.0, 256), (23.0, 192)])
def test_the_size_of_moving_frames_follows_the_measured_milliseconds(milliseconds_at_128: float, size: int) -> None:
    scheduler = FrameScheduler(still_size=256)
    scheduler.want(wish(), 0.0, moving=True)
    for _ in range(30):
        now = scheduler.moving_size
        scheduler.done(frame_of(replace(wish(), size=now), milliseconds_at_128 * (now / 128) ** 2))
    assert scheduler.moving_size == size
    assert size == 128 or milliseconds_at_128 * (size / 128) ** 2 <= BUDGET_MS


def test_one_slow_frame_does_not_change_the_size_of_a_fast_engine_for_long() -> None:
    scheduler = FrameScheduler(still_size=256)
    scheduler.want(wish(), 0.0, moving=True)
    for milliseconds in (20.0, 20.0, 400.0, *([20.0] * 8)):
        scheduler.done(frame_of(replace(wish(), size=scheduler.moving_size), milliseconds))
    assert scheduler.moving_size > SMALLEST


def test_a_frame_of_an_older_camera_is_shown_and_one_of_another_head_is_not() -> None:
    scheduler = FrameScheduler()
    scheduler.want(wish(0.5), 0.0, moving=True)
    assert scheduler.done(frame_of(wish(0.4)))
    assert not scheduler.done(frame_of(wish(0.5, OTHER_HEAD)))


def test_after_clearing_nothing_is_shown_or_rendered() -> None:
    scheduler = FrameScheduler()
    scheduler.want(wish(), 0.0, moving=True)
    scheduler.clear()
    assert scheduler.next(0.0) is None
    assert scheduler.due_in(0.0) is None
    assert not scheduler.done(frame_of(wish()))


def test_what_failed_is_not_asked_again_until_something_else_is_wanted() -> None:
    scheduler = FrameScheduler()
    scheduler.want(wish(0.1), 0.0, moving=False)
    request = scheduler.next(0.0)
    assert request is not None
    scheduler.failed(request)
    assert scheduler.next(0.0) is None
    scheduler.want(wish(0.2), 0.0, moving=False)
    assert scheduler.next(0.0) is not None


def test_a_small_model_is_never_asked_for_more_than_it_has() -> None:
    scheduler = FrameScheduler(still_size=64)
    scheduler.want(wish(), 0.0, moving=True)
    request = scheduler.next(0.0)
    assert request is not None
    assert request.size == 64
