"""Laws of the live engine: pieces of work, nodes on rays, painter, drafts, what goes first, memory that is short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import MemoryShort
from core.frame import Frame, RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.models.networks import Networks
from core.photo import Photo
from core.rendering import edited, frames, hands, integrals, search
from core.rendering.painter import Painter
from core.rendering.source import SourceHead, source_head
from tests.toy_head import NAME, toy_networks, toy_registry

SMILE = LatentEdit.none.with_strength("Smile", 1.0)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return toy_networks()


@pytest.fixture(scope="module")
def source(networks: Networks) -> SourceHead:
    random = torch.Generator().manual_seed(5)
    photo = torch.rand(1, 3, 8, 8, generator=random) * 2 - 1
    sizes = [torch.nn.functional.interpolate(photo, size=size, mode="bicubic").clamp(-1, 1) for size in (256, 512)]
    latents = 0.3 * torch.randn(1, 3, 8, generator=random), 0.3 * torch.randn(1, 4, 8, generator=random)
    with torch.inference_mode():
        return source_head(networks, *sizes, torch.ones(1, 1, 512, 512), *latents, torch.tensor([[0.2, 0.0]]))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_pieces_run_at_the_same_time_and_come_back_in_order(two_threads: None) -> None:
    meeting = threading.Barrier(2, timeout=5)

    def piece(number: int) -> tuple[int, int]:
        meeting.wait()
        return number, torch.get_num_threads()

    assert hands.together(lambda: piece(0), lambda: piece(1)) == [(0, 1), (1, 1)]
    assert torch.get_num_threads() == 2


def test_a_piece_that_fails_fails_the_whole_after_the_others_have_ended(two_threads: None) -> None:
    ended = threading.Event()

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        hands.together(fails, ended.set)
    assert ended.is_set()
    assert torch.get_num_threads() == 2


def test_a_network_pauses_after_every_block_and_is_left_as_it_was() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 2)))
    pauses = []
    with hands.stepping(network, lambda: pauses.append(1)):
        network(torch.zeros(1, 2))
    assert len(pauses) == 4
    network(torch.zeros(1, 2))
    assert len(pauses) == 4


def test_two_nodes_a_ray_integrate_what_six_samples_do(networks: Networks, source: SourceHead) -> None:
    field, generator = source.shape.field, networks.generator
    for yaw in (-0.6, 0.0, 0.4):
        angles = torch.tensor([[yaw, 0.1]])
        with torch.inference_mode():
            found = search.located(source.shape, angles)
            nodes = integrals.integrate_geometry(generator, field, angles, found)
            maps = nodes.appearance(generator, field)
            plain = integrals.integrate_geometry(generator, source.styles, angles, found)
            whole = plain.appearance(generator, source.styles)
        assert nodes.fallen_back < 0.5
        assert (maps.alpha - whole.alpha).abs().mean() < 2e-3
        assert (maps.rgb - whole.rgb).abs().mean() < 2e-3
        assert (maps.feature - whole.feature).abs().mean() < 0.1 * whole.feature.abs().mean()


def test_the_painter_paints_what_the_decoder_does(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    decoder, styles = networks.generator.decoder, 0.5 * torch.randn(1, 4, 8, generator=random)
    features, hints = torch.randn(1, 8, 64, 64, generator=random), torch.rand(1, 6, 128, 128, generator=random)
    with torch.inference_mode():
        for resolution in (64, 128):
            plain = decoder(features, styles, guide=hints, resolution=resolution)
            for fast, bound in ((False, 1e-4), (True, 0.1)):
                monkeypatch.setattr("core.rendering.painter.has_fast_bfloat16", lambda device, fast=fast: fast)
                painted = Painter(decoder, styles).paint(features, hints, resolution)
                assert (painted - plain).abs().mean() < bound * plain.abs().mean() + 1e-6


def test_a_draft_looks_like_the_whole(networks: Networks, source: SourceHead) -> None:
    with torch.inference_mode():
        pictures = [
            frames.render_layer(
                networks, edited.edited_head(networks, source, SMILE, draft=draft), Camera(0.3), 128, "picture"
            )
            for draft in (True, False)
        ]
    error = (pictures[0][0] * pictures[0][1] - pictures[1][0] * pictures[1][1]).square().mean()
    assert 10 * torch.log10(4 / error) > 30


def test_every_stage_of_edit_and_frame_is_followed_by_a_pause(networks: Networks, source: SourceHead) -> None:
    pauses = []
    with torch.inference_mode():
        head = edited.edited_head(networks, source, SMILE, pause=lambda: pauses.append(1))
        assert len(pauses) >= 4
        pauses.clear()
        frames.render_layer(networks, head, Camera(), 256, "picture", pause=lambda: pauses.append(1))
    assert len(pauses) >= 4


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.open(NAME, "cpu", registry=toy_registry(tmp_path_factory.mktemp("live")))


@pytest.fixture(scope="module")
def inversion(engine: Engine) -> Inversion:
    return engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())


def test_a_frame_does_not_depend_on_what_was_drawn_before(engine: Engine, inversion: Inversion) -> None:
    requests = [
        RenderRequest(inversion, edit, Camera(yaw), size)
        for edit in (SMILE, LatentEdit.none, LatentEdit.none.with_strength("Smile", -0.5))
        for yaw, size in ((0.2, 64), (0.2, 192), (-0.3, 64))
    ]
    kept = [engine.render(request).pixels for request in requests]
    for request, pixels in zip(reversed(requests), reversed(kept), strict=True):
        fresh = Engine(engine.tiers.networks, engine.weights_name, engine.limits, engine.attributes)
        assert (fresh.render(request).pixels == pixels).all()


@pytest.mark.parametrize("short", [1, 2])
def test_short_memory_is_tried_once_more_at_half_the_size_and_said(
    engine: Engine, inversion: Inversion, monkeypatch: pytest.MonkeyPatch, short: int, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []
    rendered = engine._rendered

    def failing(request: RenderRequest, pause: Callable[[], None]) -> Frame:
        tries.append(request.size)
        if len(tries) <= short:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
        return rendered(request, pause)

    monkeypatch.setattr(engine, "_rendered", failing)
    request = RenderRequest(inversion, LatentEdit.none, Camera(), 256)
    with caplog.at_level("WARNING"):
        if short == 1:
            frame = engine.render(request)
            assert frame.pixels.shape[0] == 128
            assert frame.request == request
            assert "128" in frame.note
        else:
            with pytest.raises(MemoryShort):
                engine.render(request)
    assert tries == [256, 128]
