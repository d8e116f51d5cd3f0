"""Laws of choosing between the two heads that a photo is read as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.alignment import Framing
from core.alignment.values import apply_affine
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.inversion import Inversion, invert
from core.job import Job
from core.photo import Photo
from core.reading import READER_MAY_MISS, SWOLLEN, WHOLE, Fit, Reading, better_fit, is_cut_off, read_face
from core.refinement.resemblance import OUTLINE, Resemblance

NOTHING = Reading(torch.zeros(1), torch.zeros(1), Framing(), Camera())


def fit(outline: float = 0.02, swelling: float = 0.0) -> Fit:
    return Fit(NOTHING, None, Resemblance(outline), swelling)


def nobody_asks(_: Fit) -> float:
    return 1.0


def test_the_readers_head_is_shown_while_its_outline_is_about_as_good() -> None:
    own = fit(0.02)
    good, bad = (fit(0.02 + READER_MAY_MISS / OUTLINE * share) for share in (0.99, 1.01))
    assert better_fit(own, good, nobody_asks) is good
    assert better_fit(own, bad, nobody_asks) is own


def test_a_swollen_head_is_not_shown() -> None:
    own, swollen = fit(0.02), fit(0.001, SWOLLEN * 1.01)
    assert better_fit(own, swollen, nobody_asks) is own


@pytest.mark.parametrize(
    ("reader", "own", "taken"),
    [
        (WHOLE - 0.01, WHOLE + 0.01, "own"),  # in pieces, and the other one is whole
        (WHOLE - 0.01, WHOLE - 0.02, "reader"),  # both are in pieces: the outline decides
        (WHOLE + 0.01, 1.0, "reader"),  # whole enough
    ],
)
def test_a_head_in_pieces_gives_way_to_a_whole_one(reader: float, own: float, taken: str) -> None:
    by = {"reader": fit(0.01), "own": fit(0.02)}
    shares = {id(by["reader"]): reader, id(by["own"]): own}
    assert better_fit(by["own"], by["reader"], lambda one: shares[id(one)]) is by[taken]


def test_the_spare_head_must_be_sound_itself() -> None:
    own, reader = fit(0.02, SWOLLEN * 1.01), fit(0.01)
    assert better_fit(own, reader, lambda one: 0.5 if one is reader else 1.0) is reader


@pytest.fixture(scope="module")
def astronaut() -> tuple[Engine, Photo, Inversion]:
    """The embedded weights, and what they make of the picture in this repository."""
    engine = Engine.open(device="cpu")
    photo = Photo.load(Path(__file__).parent / "data" / "astronaut.jpg")
    return engine, photo, engine.invert(photo, Job.quiet())


def missing(engine: Engine, inversion: Inversion, wanted: NDArray[np.bool_] | None = None) -> float:
    """Share of the matte above the chin that the head does not cover, seen from the photo's camera."""
    assert inversion.aligned.landmarks is not None
    chin = int(inversion.aligned.landmarks[:, 1].max() * 256)
    frame = engine.render(RenderRequest(inversion, LatentEdit.none, inversion.camera, 256, "picture"))
    wanted = (inversion.aligned.matte256 > 0.5 if wanted is None else wanted)[:chin]
    return float((wanted & (frame.alpha[:chin] < 128)).sum() / wanted.sum())


def test_a_crop_that_ends_within_the_head_does_not_end_the_head(astronaut: tuple[Engine, Photo, Inversion]) -> None:
    """FFHQ's crops of turned heads do; the repeated edge of the matte had grown lumps from the backs of heads."""
    engine, photo, whole = astronaut
    networks = engine.tiers.networks
    cut = whole.aligned.reframed(photo, (0.0, 0.0, 0.12, 0.0))
    assert is_cut_off(networks, cut, read_face(networks, cut))
    assert not is_cut_off(networks, whole.aligned, read_face(networks, whole.aligned))
    found = invert(networks, photo, cut, engine.limits, engine.weights_name, Job.quiet())
    assert missing(engine, found) < 0.015  # .040 where the first cut is looked at, .005 of the whole head


def test_a_photo_that_ends_within_the_head_does_not_end_the_head(astronaut: tuple[Engine, Photo, Inversion]) -> None:
    """Tight portraits are cut above the forehead: their heads had ended there, flat."""
    engine, photo, whole = astronaut
    edge = int(apply_affine(whole.aligned.to_photo, np.array([[0.5, 0.12]]))[0, 1])
    found = engine.invert(replace(photo, pixels=photo.pixels[edge:].copy()), Job.quiet())
    # The hair that was cut off, as the whole photo has it.
    places = apply_affine(found.aligned.to_photo, _grid(256))
    there = apply_affine(whole.aligned.to_crop, places + np.array([0.0, edge]))
    at = np.clip((there * 256).astype(int), 0, 255)
    lost = (whole.aligned.matte256 > 0.5)[at[:, 1], at[:, 0]] & (places[:, 1] < 0.0)
    assert lost.sum() > 1500
    assert missing(engine, found, lost.reshape(256, 256)) < 0.1  # .99 where the photo's edge is an outline


def _grid(size: int) -> NDArray[np.float64]:
    steps = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
