"""Recorded operations say what the function says, for the inputs of now, and give up where they cannot.

No machine of the tests has CUDA: recorders here do what a graph does, by running the function into the same place.
"""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core import recorded
from core.capability import Capability, _halves_well, capability_of, tried
from core.job import Job
from core.models.configuration import TOY
from core.models.decoder import Decoder
from core.recorded import KEPT, Recorded, weakly
from core.released import frozen_decoder
from core.rendering import painter
from tests.toy_head import toy_networks


class Rerun:
    """Plays a function back by running it on the very inputs that it was recorded with."""

    def __init__(self, off: float = 0.0) -> None:
        self.off = off
        self.forms: list[tuple[torch.Size, ...]] = []
        self.plays = 0

    def record(self, ask: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, Callable[[], None]]:
        self.forms.append(tuple(one.shape for one in inputs))
        answer = ask(*inputs)

        def play() -> None:
            self.plays += 1
            answer.copy_(ask(*inputs) + self.off)

        return answer, play


def blended(first: Tensor, second: Tensor) -> Tensor:
    return 2.0 * first + second.sin()


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_inputs_of_a_form_are_recorded_when_they_come_again_and_played_back_from_then_on() -> None:
    recorder = Rerun()
    ask = Recorded(blended, recorder)
    answers = []
    for seed in range(5):
        inputs = numbers(3, 4, seed=seed), numbers(3, 4, seed=seed + 9)
        answers.append(ask(*inputs))
        torch.testing.assert_close(answers[-1], blended(*inputs))
        assert len(recorder.forms) == min(seed, 1)
    assert recorder.plays == 5  # once to be checked
    assert not torch.equal(answers[-1], answers[-2])  # answers are copies: the next one does not write over them
    ask(numbers(5, 4), numbers(5, 4))
    assert len(recorder.forms) == 1
    ask(numbers(5, 4), numbers(5, 4))
    assert recorder.forms[-1] == ((5, 4), (5, 4))


@torch.no_grad()
def test_a_form_is_more_than_a_shape() -> None:
    recorder = Rerun()
    ask = Recorded(lambda values: values * 2, recorder)
    still = numbers(1, 8, 6, 6)
    for values in (still, still.contiguous(memory_format=torch.channels_last), still.double()):
        for _ in range(2):
            found = ask(values)
            assert torch.equal(found, values * 2)
            assert found.dtype == values.dtype
    assert len(recorder.forms) == 3


@torch.no_grad()
def test_only_a_few_forms_are_kept() -> None:
    recorder = Rerun()
    ask = Recorded(lambda values: values + 1, recorder)
    for count in range(1, KEPT + 2):
        ask(numbers(count))
        ask(numbers(count))
    assert len(ask._kept) == KEPT
    ask(numbers(1))  # forgotten: the first of its kind again
    assert len(recorder.forms) == KEPT + 1


@torch.no_grad()
def test_what_answers_otherwise_or_cannot_be_recorded_is_left_to_the_function(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def record(self, ask: object, inputs: object) -> tuple[Tensor, Callable[[], None]]:
            raise RuntimeError("operation not permitted when stream is capturing")

    for recorder, word in ((Rerun(off=1.0), "otherwise"), (Broken(), "capturing")):
        caplog.clear()
        ask = Recorded(blended, recorder)
        with caplog.at_level(logging.WARNING):
            for seed in range(4):
                inputs = numbers(3, seed=seed), numbers(3, seed=seed + 1)
                assert torch.equal(ask(*inputs), blended(*inputs))
        assert [word in record.getMessage() for record in caplog.records] == [True]  # said once, tried once
        assert not ask._kept


@pytest.mark.parametrize("first", [True, False])
def test_what_was_recorded_in_inference_mode_plays_outside_of_it_and_the_other_way_round(first: bool) -> None:
    recorder = Rerun()
    ask = Recorded(blended, recorder)
    for mode in (first, first, not first, first):
        with torch.inference_mode(mode), torch.no_grad():
            inputs = numbers(3, seed=1), numbers(3, seed=2)
            torch.testing.assert_close(ask(*inputs), blended(*inputs))
    assert len(recorder.forms) == 1
    assert recorder.plays == 4


@torch.no_grad()
def test_a_recording_that_cannot_be_played_any_more_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    class Once(Rerun):
        def record(self, ask: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, Callable[[], None]]:
            answer, play = super().record(ask, inputs)

            def failing() -> None:
                if self.plays:
                    raise RuntimeError("device lost")
                play()

            return answer, failing

    ask = Recorded(blended, Once())
    with caplog.at_level(logging.WARNING):
        for seed in range(4):
            inputs = numbers(3, seed=seed), numbers(3, seed=seed + 1)
            assert torch.equal(ask(*inputs), blended(*inputs))
    assert ["device lost" in record.getMessage() for record in caplog.records] == [True]


def test_gradients_are_not_recorded() -> None:
    recorder = Rerun()
    ask = Recorded(blended, recorder)
    wanting = numbers(3).requires_grad_()
    for _ in range(3):
        assert torch.autograd.grad(ask(wanting, numbers(3)).sum(), wanting)[0].eq(2.0).all()
    assert not recorder.forms


def test_recordings_do_not_keep_their_owner() -> None:
    class Owner:
        def __init__(self) -> None:
            self.ask = Recorded(weakly(self.double), Rerun())

        def double(self, values: Tensor) -> Tensor:
            return values * 2

    gc.disable()
    try:
        owner = Owner()
        with torch.no_grad():
            for _ in range(2):
                assert owner.ask(torch.ones(2)).eq(2).all()
        held = weakref.ref(owner)
        del owner
        assert held() is None
    finally:
        gc.enable()


@torch.inference_mode()
def test_painters_that_record_paint_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = toy_networks()
    decoder = networks.generator.decoder
    styles = numbers(1, 4, 8)
    width = networks.config.generator.field.width
    sides = [side for side, _ in decoder.config.channels]
    plain = painter.Painter(decoder, styles)
    recorder = Rerun()
    monkeypatch.setattr(painter, "capability_of", lambda device: Capability(False, False, True))
    monkeypatch.setattr(recorded, "CudaRecorder", lambda: recorder)
    quick = painter.Painter(decoder, styles)
    for resolution in (sides[-1], sides[0], sides[-1]):
        for seed in range(3):
            features = numbers(1, width, sides[0], sides[0], seed=seed)
            guide = numbers(1, decoder.config.guide_channels, sides[-1], sides[-1], seed=seed + 5)
            found = quick.paint(features, guide, resolution)
            assert torch.equal(found, plain.paint(features, guide, resolution))
    assert len(recorder.forms) == 2


@torch.inference_mode()
def test_a_frozen_decoder_that_records_paints_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TOY.generator.decoder.__class__(**{**vars(TOY.generator.decoder), "guide_channels": 0})
    torch.manual_seed(0)
    decoder = Decoder(config)
    styles = numbers(1, 4, config.style_dim)
    plain = frozen_decoder.FrozenDecoder(decoder, styles)
    recorder = Rerun()
    monkeypatch.setattr(frozen_decoder, "capability_of", lambda device: Capability(False, False, True))
    monkeypatch.setattr(recorded, "CudaRecorder", lambda: recorder)
    quick = frozen_decoder.FrozenDecoder(decoder, styles)
    for seed in range(3):
        features = numbers(1, config.in_channels, config.channels[0][0], config.channels[0][0], seed=seed)
        assert torch.equal(quick(features, Job.quiet()), plain(features, Job.quiet()))
    assert len(recorder.forms) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_good_at_nothing() -> None:
    for name in ("cuda", "mps"):
        assert capability_of(torch.device(name)) == Capability(False, False, False)


def test_a_device_is_asked_for_half_precision_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for low, full, wanted in ((1.0, 2.0, True), (1.0, 1.0, False)):
        times = {torch.bfloat16: low, torch.float32: full}
        monkeypatch.setattr("core.capability._seconds", lambda rows, weight, times=times: times[rows.dtype])
        assert _halves_well(torch.device("cpu")) is wanted
    monkeypatch.setattr("core.capability.ROUNDING", 1e-9)
    assert not _halves_well(torch.device("cpu"))


def test_whatever_a_driver_raises_means_no() -> None:
    def fails() -> bool:
        raise KeyError("driver")

    assert not tried(fails, "x")
    assert tried(lambda: True, "x")
