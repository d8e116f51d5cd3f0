"""Layers that PyTorch's compiler makes in the program's own process are checked, taken aside, and done without.

No machine of the tests has a graphics card: the processor stands in for one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core import fused, kernels
from core.engine import _beside
from core.fused import compiled_for, fused_of, prepare, worth_preparing
from core.job import Cancelled, Job
from core.kernels import Chain, plainly

CPU = torch.device("cpu")
CHAINS = (Chain(8, 3, low=False), Chain(8, 3, low=True))


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(fused, "_made", {})
    monkeypatch.setattr(fused, "_checked", set())
    monkeypatch.setattr(fused, "folder", lambda: tmp_path)
    monkeypatch.setattr(fused, "BACKEND", "eager")
    yield
    torch.compiler.reset()


def test_prepared_layers_say_what_plain_ones_say() -> None:
    assert fused_of(CPU, CHAINS[0]) is None
    assert prepare(CPU, CHAINS)
    made = fused_of(CPU, CHAINS[0])
    assert fused_of(CPU, Chain(16, 3, low=False)) is None  # would be compiled unchecked, while somebody waits
    assert made is not None
    for chain in CHAINS:
        for count in (0, 1, 333):
            points, layers = chain.made_up(count)
            with torch.inference_mode():
                torch.testing.assert_close(made.hidden(points, layers), plainly(points, layers))
    points, layers = CHAINS[0].made_up(20)
    assert torch.autograd.grad(made.hidden(points.requires_grad_(), layers).sum(), points)[0].abs().sum() > 0


def test_layers_that_answer_otherwise_or_cannot_be_made_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("core.fused.capability_of", lambda device: type("", (), {"compiles": True}))
    assert worth_preparing(CPU)
    monkeypatch.setattr(fused, "_chained", lambda points, weights, offsets: points @ weights[0].T)
    with caplog.at_level("WARNING", "core.fused"):
        assert not prepare(CPU, CHAINS)
    assert fused_of(CPU, CHAINS[0]) is None
    assert not worth_preparing(CPU)  # nobody tries again
    fused._made.clear()
    assert not worth_preparing(CPU)  # nor does the next start

    def fails(*arguments: object, **options: object) -> None:
        raise ImportError("no Triton")

    monkeypatch.setattr(torch, "compile", fails)
    with caplog.at_level("WARNING", "core.fused"):
        assert not prepare(CPU, CHAINS)
    assert fused_of(CPU, CHAINS[0]) is None


def test_processors_take_their_own_kind() -> None:
    assert prepare(CPU, CHAINS)
    _, layers = CHAINS[0].made_up(1)
    assert compiled_for(layers) is kernels.kernel_of(kernels.layers_of(layers))


def test_the_engine_goes_on_giving_way_while_they_are_taken() -> None:
    turns: list[float] = []
    job = Job("x", on_yield=lambda: turns.append(time.monotonic()))
    assert _beside(lambda: bool(time.sleep(0.2)) or True, job)
    assert len(turns) > 4
    assert not _beside(lambda: False, job)
    release = threading.Event()
    stopped = Job("x")
    stopped.cancel()
    with pytest.raises(Cancelled):
        _beside(lambda: release.wait(5.0), stopped)
    release.set()
