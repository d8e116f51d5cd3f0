"""Laws of what refinement does to shape and tones: the outline is met, the rest is held, colours begin right."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch.nn import functional

from core.camera import Camera
from core.edit import LatentEdit
from core.job import Job
from core.models.networks import Networks
from core.refinement import steps
from core.refinement.delta import Delta, scaled, tuned_networks, weights_hash
from core.refinement.methods import METHODS, Method, Stage
from core.refinement.palette import fit_colours
from core.refinement.passes import Body, draw, field_maps, prepare
from core.refinement.refiner import Refiner
from core.refinement.rim import band, lowest_of, outline_loss
from core.refinement.steps import Held, Target, pseudo_targets
from core.rendering.edited import EditedHead, edited_head
from core.rendering.frames import render_layer
from core.rendering.precision import distance
from core.rendering.source import source_head
from core.rendering.tresses import tresses_on
from tests.toy_head import toy_networks

ANGLES = torch.tensor([[0.1, -0.05]])
OUTLINE = Stage("outline", 60, {"geometry": 4e-4}, {"outline": 1.0, "shape": 1.0}, "fading")


@pytest.fixture(scope="module")
def networks() -> Networks:
    return toy_networks()


@pytest.fixture(scope="module")
def head(networks: Networks) -> EditedHead:
    """A head whose matte is a little wider than its surface."""
    with torch.no_grad():
        z = torch.randn(1, networks.config.generator.z_dim, generator=torch.Generator().manual_seed(1))
        w = networks.generator.mapping(z)
        styles, decoder = networks.generator.styles(w).clone(), networks.generator.decoder_styles(w).clone()
        ready = prepare(networks.generator, styles, ANGLES, frozen=False)
        hit = functional.interpolate(ready.surface.hit, size=256, mode="nearest")
        matte = functional.max_pool2d(hit, 9, 1, 4)
        picture = draw(networks.generator, styles, decoder, ready).picture.clamp(-1, 1)
        photo = functional.interpolate(picture, size=256, mode="nearest")
        return edited_head(
            networks, source_head(networks, photo, photo, matte, styles, decoder, ANGLES), LatentEdit.none
        )


def missing(networks: Networks, styles: torch.Tensor, matte: torch.Tensor) -> float:
    hit = prepare(networks.generator, styles, ANGLES, frozen=False).surface.hit
    wanted = functional.interpolate(matte, size=hit.shape[-2:], mode="area") > 0.5
    return float((wanted & (hit < 0.5)).float().sum() / wanted.float().sum())


def test_the_outline_grows_to_the_matte_and_the_head_stays(networks: Networks, head: EditedHead) -> None:
    found = Refiner(networks, head).run(Method("test", "Test", (OUTLINE,)), Job.quiet())
    before = missing(networks, head.styles, head.source.matte)
    assert before > 0.03
    after = missing(tuned_networks(networks, found.found.delta), head.styles, head.source.matte)
    # Rays that pass within a millimetre or so count as met: of four pixels one stays.
    assert after < 0.7 * before
    assert 0.0 < found.curve[-1].shape_drift < 0.05
    assert found.passes == 0
    assert not any("decoder" in name or "rgb" in name for name in found.found.delta.tensors)


def test_an_outline_that_fits_asks_for_next_to_nothing(networks: Networks, head: EditedHead) -> None:
    field, styles = networks.generator.field, head.styles
    hit = prepare(networks.generator, styles, ANGLES, frozen=False).surface.hit
    fits = functional.interpolate(hit, size=256, mode="nearest")

    def loss(matte: torch.Tensor) -> float:
        random = torch.Generator().manual_seed(0)
        return float(outline_loss(field, distance(field, styles), styles, ANGLES, hit, matte, 1.0, random).detach())

    assert loss(fits) < 0.3 * loss(head.source.matte)
    # Below the lowest place a clear matte says nothing.
    clear = torch.zeros_like(fits)
    random = torch.Generator().manual_seed(0)
    assert float(outline_loss(field, distance(field, styles), styles, ANGLES, hit, clear, 0.0, random)) == 0.0


def test_the_band_lies_on_both_sides_of_an_edge_and_not_at_the_border() -> None:
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 20:] = 1.0
    assert band(mask)[0, 0, 5].nonzero()[:, 0].tolist() == list(range(15, 25))
    assert not band(torch.ones(1, 1, 40, 40)).any()


def test_without_landmarks_the_whole_matte_counts(networks: Networks, head: EditedHead) -> None:
    assert lowest_of(dataclasses.replace(networks, landmarks=None), head.styles, ANGLES) == 1.0


def test_the_shape_is_held_as_it_was_when_the_stage_began(networks: Networks, head: EditedHead) -> None:
    held = Held.of(networks, networks.generator, head.styles, ANGLES, Body())
    assert held.field is not networks.generator.field
    front = prepare(networks.generator, head.styles, ANGLES, frozen=False).surface
    assert len(held.surface) > 3 * int(front.hit.sum())
    assert float(networks.generator.field.sdf(held.surface[None], head.styles).abs().median()) < 2e-3


def test_the_palette_meets_colours_that_the_field_can_say(networks: Networks, head: EditedHead) -> None:
    generator = toy_networks().generator
    with torch.no_grad():
        ready = prepare(generator, head.styles, ANGLES, frozen=True)
        before = field_maps(generator, head.styles, ready)
        solid = (before.alpha > 0.5).float()
        wanted = (before.rgb / before.alpha.clamp(min=0.5) * 0.5 - 0.3).clamp(-1, 1)

        def off() -> float:
            maps = field_maps(generator, head.styles, ready)
            return float(((maps.rgb / maps.alpha.clamp(min=0.5) - wanted).abs() * solid).sum() / solid.sum() / 3)

        first = off()
        fit_colours(generator, [(before, wanted, solid)])
        assert off() < 0.5 * first
        weights = generator.field.rgb_linear.weight.clone()
        fit_colours(generator, [(before, wanted, torch.zeros_like(solid))])
        assert torch.equal(weights, generator.field.rgb_linear.weight)


def test_straight_colours_come_back_out_of_a_target() -> None:
    picture, matte = torch.full((1, 3, 256, 256), 0.4), torch.zeros(1, 1, 256, 256)
    matte[..., 64:192, 64:192] = 1.0
    colours, weight = Target.of(picture, matte).thumb
    assert colours[..., 20:40, 20:40].sub(0.4).abs().max() < 1e-5
    assert weight[..., 20:40, 20:40].min() == 1.0
    assert weight[..., :10, :].max() == 0.0


def test_a_tuned_head_says_its_tones_itself(networks: Networks, head: EditedHead) -> None:
    assert head.tuned == 0.0
    assert head.tones.abs().max() > 0
    for share in (1.0, 0.5):
        own = dataclasses.replace(networks, tuned=share)
        tuned = edited_head(own, head.source, LatentEdit.none)
        assert torch.allclose(tuned.tones, (1.0 - share) * head.tones)
    nothing = Delta(weights_hash(networks.generator), {}, 0.0)
    assert tuned_networks(networks, nothing) is networks
    assert scaled(Delta("x", {}, 0.6), 0.5).share == pytest.approx(0.3)


def test_a_tuned_decoder_is_not_asked_whether_it_trusts_the_photo(networks: Networks, head: EditedHead) -> None:
    doubting = copy.deepcopy(networks.generator)
    # Whatever tuning did to the activations: no photo would be shown.
    doubting.decoder.to_rgb1.bias.data[0, 4] -= 6.0
    camera = Camera(float(ANGLES[0, 0]), float(ANGLES[0, 1]))
    shown = {}
    for tuned in (0.0, 1.0):
        own = dataclasses.replace(networks, generator=doubting, tuned=tuned)
        with torch.inference_mode():
            colours, _ = render_layer(own, edited_head(own, head.source, LatentEdit.none), camera, 256, "picture")
        middle = slice(112, 144)
        shown[tuned] = float((colours[:, middle, middle] - head.source.photo[0, :, middle, middle]).abs().mean())
    assert shown[1.0] < 0.02
    assert shown[0.0] > 5.0 * shown[1.0]


@pytest.mark.parametrize("name", ["fast", "best"])
def test_ours_tune_colours_on_a_shape_that_stands_still(name: str) -> None:
    *before, last = METHODS[name].stages
    assert last.draws
    assert last.palette
    assert not last.moves_shape
    # Whatever moves the shape first brings it back onto the photo.
    assert all(stage.refits for stage in before if stage.moves_shape)
    assert name == "best" or not before


def test_best_looks_from_far_to_the_sides_as_well(networks: Networks, head: EditedHead) -> None:
    """Its far views are nearly all the unrefined head's picture: the photo fills less of them than of the near ones."""
    method = METHODS["best"]
    rows = (head.source.styles.clone(), head.source.decoder_styles.clone())
    shares = {}
    for views, wide in ((method.views, 0), (1, method.wide)):
        some = dataclasses.replace(method, views=views, wide=wide)
        found, share = pseudo_targets(
            networks, head, networks.generator, rows, some, head, Body.of(head.source), Job.quiet()
        )
        assert len(found) == views + wide
        shares[wide] = share
    assert shares[method.wide] < 0.8 * shares[0]


def test_strands_are_not_learnt(monkeypatch: pytest.MonkeyPatch, networks: Networks, head: EditedHead) -> None:
    """They are drawn on a refined head as on any other: a generator that had learnt them would show them twice."""
    points = 0.08 * functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    haired = dataclasses.replace(head.source, tresses=tresses_on(points[:100], points[100:], 0.2))
    filled, drawn = dataclasses.replace(head, source=haired), []
    size = networks.generator.config.decoder.image_size

    def watched(
        networks: Networks, fill: EditedHead, *rest: object, **options: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        drawn.append(fill)
        return torch.zeros(3, size, size), torch.ones(1, size, size)

    monkeypatch.setattr(steps, "render_layer", watched)
    rows = (head.source.styles.clone(), head.source.decoder_styles.clone())
    method = dataclasses.replace(METHODS["best"], views=1, wide=1)
    pseudo_targets(networks, head, networks.generator, rows, method, filled, Body.of(head.source), Job.quiet())
    assert [one.source.tresses for one in drawn] == [None, None]
    assert filled.source.tresses is not None
