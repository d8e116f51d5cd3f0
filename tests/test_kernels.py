"""Compiled layers say what plain ones say, on threads of their own; and where there are none, nobody notices."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core import kernels
from core.__main__ import app
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.job import Job
from core.kernels import (
    FAILED,
    FEW,
    HALF_MADE,
    OLD_S,
    Chain,
    build,
    kernel_of,
    layers_of,
    look_again,
    plainly,
    worth_building,
)
from core.photo import Photo
from core.rendering.folded import FoldedField, chains_of
from core.rendering.precision import has_fast_bfloat16
from tests.toy_head import NAME, toy_networks, toy_registry

ASTRONAUT = Path(__file__).parent / "data" / "astronaut.jpg"
COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
TOY = toy_networks().generator.field.config
SMALL = Chain(TOY.width, TOY.depth, low=False)


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("CAMEO_KERNELS")
    # Where a cache is, Windows does not ask the environment.
    monkeypatch.setattr(kernels, "folder", lambda: tmp_path / "cache" / "kernels")
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
    kernels.folder().mkdir(parents=True, exist_ok=True)
    for path in made.values():
        shutil.copy(path, kernels.folder())


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
    kernels.folder().mkdir(parents=True)
    (kernels.folder() / f"{SMALL.name}.so").write_bytes(b"no library")
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
    assert (kernels.folder() / f"{SMALL.name}{FAILED}").read_text() == "no compiler here"
    assert [path.suffix for path in kernels.folder().iterdir()] == [FAILED]
    assert kernel_of(SMALL) is None


@pytest.mark.parametrize(
    "trouble", [OSError("not signed"), AttributeError("no such symbol"), RuntimeError("no container")]
)
def test_a_library_that_cannot_be_loaded_is_not_made_again(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    def refuses(path: Path, chain: Chain) -> None:
        raise trouble

    monkeypatch.setattr(kernels, "_compile", lambda chain, path: path.write_bytes(b""))
    monkeypatch.setattr(kernels, "ChainKernel", refuses)
    with pytest.raises(RuntimeError, match=str(trouble)):
        build(SMALL)
    assert not worth_building(SMALL)


def test_the_command_keeps_every_chains_reason_and_says_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = []

    def fails(chain: Chain, path: Path) -> None:
        tried.append(chain)
        raise RuntimeError(f"no compiler, {len(tried)}\nand more")

    monkeypatch.setattr(kernels, "_compile", fails)
    toy_registry(tmp_path / "weights")
    command = ["kernels", "--weights", NAME, "--weights-folder", str(tmp_path / "weights")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3
    assert "no compiler, 1" in result.stderr
    assert "and more" not in result.stderr
    chains = chains_of(toy_networks().generator.field)
    assert tried == list(chains)
    assert not any(worth_building(chain) for chain in chains)
    assert CliRunner().invoke(app, ["kernels", "--weights", "nobody"]).exit_code == 2


def test_what_killed_builds_left_is_tidied_up_and_what_runs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (kernels.folder() / f"{HALF_MADE}{name}" for name in ("old", "new"))
    for place in (old, new):
        place.mkdir(parents=True)
    os.utime(old, (time.time() - OLD_S - 60,) * 2)
    monkeypatch.setattr(kernels, "_compile", lambda chain, path: path.write_bytes(b""))
    with pytest.raises(RuntimeError):
        build(SMALL)
    assert not old.exists()
    assert new.exists()


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
