"""Compiled layers say what plain ones say, on threads of their own; and where there are none, nobody notices."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core import kernels
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.job import Job
from core.kernels import FAILED, FEW, Chain, build, folder, kernel_of, layers_of, look_again, plainly, worth_building
from core.photo import Photo
from core.rendering.folded import FoldedField, chains_of
from core.rendering.precision import has_fast_bfloat16
from tests.toy_head import NAME, toy_networks, toy_registry

ASTRONAUT = Path(__file__).parent / "data" / "astronaut.jpg"
COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
TOY = toy_networks().generator.field.config
SMALL = Chain(TOY.width, TOY.depth, low=False)


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CAMEO_KERNELS")
    look_again()
    yield
    look_again()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Chain, Path]:
    """Libraries for the toy's field in both precisions, compiled once."""
    place = tmp_path_factory.mktemp("kernels")
    chains = [Chain(TOY.width, TOY.depth, low) for low in (False, True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "folder", lambda: place)
        return {chain: build(chain) for chain in chains}


def copied(made: dict[Chain, Path]) -> None:
    folder().mkdir(parents=True, exist_ok=True)
    for path in made.values():
        shutil.copy(path, folder())


def install(made: dict[Chain, Path]) -> None:
    copied(made)
    look_again()


@COMPILER
@pytest.mark.slow
@pytest.mark.parametrize("low", [False, True])
def test_compiled_layers_say_what_plain_ones_say_for_any_number_of_points(made: dict[Chain, Path], low: bool) -> None:
    install(made)
    chain = Chain(SMALL.width, SMALL.depth, low)
    kernel = kernel_of(chain)
    assert kernel is not None
    for count in (FEW, FEW + 1, 777, 5000):
        points, layers = chain.made_up(count)
        found, wanted = kernel.hidden(points, layers), plainly(points, layers)
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        assert float((found.float() - wanted.float()).abs().mean()) < (1e-3 if low else 1e-6)


@COMPILER
@pytest.mark.slow
def test_a_head_takes_them_where_they_are_and_does_without_where_not(made: dict[Chain, Path]) -> None:
    field = toy_networks().generator.field
    styles = torch.randn(1, field.config.depth + 1, field.config.style_dim, generator=torch.Generator().manual_seed(1))
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(2)) * 0.2 - 0.1
    before = FoldedField(field, styles)
    assert before._kernel is None
    install(made)
    after = FoldedField(field, styles)
    assert after._kernel is not None
    assert after.light is after or after.light._kernel is not None
    with torch.inference_mode():
        torch.testing.assert_close(after.sdf(points[None]), before.sdf(points[None]), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(after.light.sdf(points[None]), before.light.sdf(points[None]), atol=2e-3, rtol=0)
        # Too few to be worth it, and none at all.
        for count in (0, 1, FEW - 1):
            torch.testing.assert_close(after.hidden(points[:count]), before.hidden(points[:count]))
    wanting = points[:100].clone().requires_grad_()
    assert torch.autograd.grad(after.sdf(wanting[None]).sum(), wanting)[0].abs().sum() > 0


@COMPILER
@pytest.mark.slow
def test_threads_call_them_at_the_same_time(made: dict[Chain, Path]) -> None:
    install(made)
    kernel = kernel_of(SMALL)
    assert kernel is not None
    points, layers = SMALL.made_up(4000)
    wanted, found = plainly(points, layers), []
    threads = [
        threading.Thread(target=lambda: found.extend(kernel.hidden(points, layers) for _ in range(20)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120
    assert all(torch.allclose(one, wanted, atol=1e-5) for one in found)


@COMPILER
@pytest.mark.slow
def test_a_library_that_answers_otherwise_is_left_alone_with_a_word_in_the_log(
    made: dict[Chain, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(made)
    wrong = kernels.plainly
    monkeypatch.setattr(kernels, "plainly", lambda points, layers: wrong(points, layers) + 0.01)
    with caplog.at_level("WARNING"):
        assert kernel_of(SMALL) is None
    assert "left alone" in caplog.text


def test_a_broken_library_is_left_alone_with_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    folder().mkdir(parents=True)
    (folder() / f"{SMALL.name}.so").write_bytes(b"no library")
    with caplog.at_level("WARNING"):
        assert kernel_of(SMALL) is None
    assert "cannot be used" in caplog.text


def test_without_a_compiler_the_reason_is_kept_and_nobody_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(chain: Chain, path: Path) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(kernels, "_compile", fails)
    assert worth_building(SMALL)
    with pytest.raises(RuntimeError, match="no compiler"):
        build(SMALL)
    assert not worth_building(SMALL)
    assert (folder() / f"{SMALL.name}{FAILED}").read_text() == "no compiler here"
    assert [path.suffix for path in folder().iterdir()] == [FAILED]
    assert kernel_of(SMALL) is None


def test_the_switch_leaves_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_KERNELS", "off")
    assert not worth_building(SMALL)
    assert kernel_of(SMALL) is None


def test_another_processor_or_pytorch_is_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    here = SMALL.name
    assert len({here, Chain(TOY.width, TOY.depth, low=True).name, Chain(TOY.width, 9, low=False).name}) == 3
    monkeypatch.setattr(kernels, "_processor", lambda: "another")
    assert SMALL.name != here


def test_layers_of_other_forms_are_not_for_libraries() -> None:
    _, layers = SMALL.made_up(1)
    assert layers_of(layers) == SMALL
    assert layers_of([(weight.double(), offset.double()) for weight, offset in layers]) is None
    assert layers_of([layers[0], (torch.zeros(TOY.width + 1, TOY.width), torch.zeros(TOY.width + 1))]) is None
    assert kernel_of(None) is None


def test_a_model_says_what_is_worth_compiling() -> None:
    field = toy_networks().generator.field
    lows = (False, True) if has_fast_bfloat16(torch.device("cpu")) else (False,)
    assert chains_of(field) == tuple(Chain(TOY.width, TOY.depth, low) for low in lows)


@COMPILER
@pytest.mark.slow
def test_an_engine_takes_layers_that_came_later_for_everything_at_once(made: dict[Chain, Path], tmp_path: Path) -> None:
    engine = Engine.open(NAME, "cpu", registry=toy_registry(tmp_path))
    inversion = engine.invert(Photo.load(ASTRONAUT), Job.quiet())
    assert engine.wants_kernels
    assert not engine.take_kernels()
    before = engine.tiers.head(inversion, LatentEdit.none)
    copied(made)
    assert not engine.wants_kernels
    assert engine.take_kernels()
    assert not engine.take_kernels()
    after = engine.tiers.head(inversion, LatentEdit.none)
    assert before.shape.field._kernel is None
    assert after.shape.field._kernel is not None
    request = RenderRequest(inversion, LatentEdit.none, Camera(0.2), 96)
    assert np.array_equal(engine.render(request).pixels, engine.render(request).pixels)
