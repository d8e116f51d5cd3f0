"""Hair of the latents that stands before a forehead of the photo is cut to the scalp, and nothing else is."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.photo import Photo
from core.rendering.additions import Distances, with_additions
from core.rendering.edited import edited_head
from core.rendering.hair import parts_of
from core.rendering.scalp import BARE, LONGER, SKIN, Scalp, photo_scalp, scalp_of
from core.rendering.surfaces import crossings

# A head without hair, how far its hair stands off, and where its fringe ends and the photo's begins (world units).
SKULL, HAIR = 0.09, 0.1
FRINGE, HAIRLINE = 0.02, 0.05
FRONTAL = torch.zeros(1, 2)


def bald(points: Tensor) -> Tensor:
    """A ball."""
    return points.norm(dim=-1, keepdim=True) - SKULL


def haired(points: Tensor) -> Tensor:
    """The ball under a cap whose fringe hangs far down the forehead."""
    cap = torch.maximum(points.norm(dim=-1, keepdim=True) - HAIR, FRINGE - points[..., 1:2])
    return torch.minimum(bald(points), cap)


def places(size: int = 128) -> tuple[Tensor, Tensor]:
    """World x and y of a picture's pixels at the depth of the ball's front."""
    half = math.tan(HALF_FOV) * (1.0 - SKULL)
    steps = ((torch.arange(size) + 0.5) * (2.0 / size) - 1.0) * half
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    return x[None, None], y[None, None]


def pictures(hairline: float = HAIRLINE) -> tuple[Tensor, Tensor, Tensor]:
    """Skin up to a height, what is above the brows, and the matte of the haired head."""
    x, y = places()
    outline = torch.where(y > FRINGE, HAIR, SKULL)
    matte = (x.square() + y.square() < outline.square()).float()
    return matte * (y < hairline), (y > 0.0).float(), matte


@pytest.fixture
def scalp() -> Scalp:
    found = scalp_of(haired, [bald], *pictures(), FRONTAL)
    assert found is not None
    return found


def at(sdf: Distances, height: float, radius: float, aside: float = 0.0) -> float:
    """Distance at a place of the head's front, of that height and so far from its middle."""
    ahead = math.sqrt(radius * radius - height * height - aside * aside)
    return float(sdf(torch.tensor([[[aside, height, ahead]]])))


@pytest.mark.parametrize("aside", [-0.03, 0.0, 0.03])
def test_a_forehead_that_shows_is_no_fringe(scalp: Scalp, aside: float) -> None:
    cut = with_additions(haired, (scalp,))
    assert at(haired, 0.035, SKULL + 0.007, aside) < 0.0, "the fringe stands there"
    assert at(cut, 0.035, SKULL + 0.007, aside) > 0.0
    assert at(cut, 0.035, SKULL - 0.001, aside) < 0.0, "the forehead stays"
    traced = crossings(cut, FRONTAL)
    x, y = places(64)
    depth, hit = traced.depth.reshape(64, 64), traced.hit.reshape(64, 64)
    forehead = (y[0, 0] > FRINGE + 0.008) & (y[0, 0] < HAIRLINE - 0.008) & (x[0, 0].abs() < 0.04)
    assert hit[forehead].all()
    stands_off = (places_of(depth).norm(dim=0) - SKULL)[forehead]
    assert float(stands_off.max()) < 1.3 * BARE


def test_hair_rises_from_the_hairline_to_what_it_was(scalp: Scalp) -> None:
    cut = with_additions(haired, (scalp,))
    line = torch.linspace(HAIRLINE - 0.01, 0.085, 30)
    heights = [crossing(cut, float(y)) for y in line]
    assert heights[0] < 1.3 * BARE
    assert heights[-1] == pytest.approx(HAIR - SKULL, abs=1e-3)
    steps = [b - a for a, b in itertools.pairwise(heights)]
    assert min(steps) > -1e-3, "no second fringe"
    assert max(steps) < 0.005, "no step"


def test_the_outline_and_all_that_is_not_before_the_camera_stay(scalp: Scalp) -> None:
    before, after = crossings(haired, FRONTAL).hit, crossings(with_additions(haired, (scalp,)), FRONTAL).hit
    assert int((before != after).sum()) <= 4
    torch.manual_seed(0)
    behind = torch.randn(1, 500, 3) * 0.08
    behind[..., 2] = -behind[..., 2].abs()
    assert torch.equal(with_additions(haired, (scalp,))(behind), haired(behind))
    chin = torch.randn(1, 500, 3) * 0.08
    chin[..., 1] = -chin[..., 1].abs() - 0.02
    assert torch.equal(with_additions(haired, (scalp,))(chin), haired(chin))


def test_a_fringe_that_lies_where_the_photo_has_it_stays() -> None:
    assert scalp_of(haired, [bald], *pictures(FRINGE), FRONTAL) is None


def test_a_bald_head_and_a_photo_without_a_forehead_have_none() -> None:
    skin, above, matte = pictures()
    assert scalp_of(bald, [bald], skin, above, matte, FRONTAL) is None
    assert scalp_of(haired, [bald], skin * (1.0 - above), above, matte, FRONTAL) is None


def test_an_island_of_skin_in_hair_is_a_parting_and_no_forehead(scalp: Scalp) -> None:
    _, y = places()
    skin, above, matte = pictures()
    found = scalp_of(haired, [bald], skin + matte * ((y > 0.065) & (y < 0.08)), above, matte, FRONTAL)
    assert found is not None
    torch.testing.assert_close(found.maps, scalp.maps)


def test_a_slider_that_brings_hair_brings_it_before_the_forehead(scalp: Scalp) -> None:
    assert scalp.longer(0.0) is scalp
    assert scalp.longer(-1.0) is scalp
    some = scalp.longer(0.1)
    assert some is not None
    place = SKULL + 0.5 * BARE + 0.1 * LONGER
    assert at(with_additions(haired, (scalp,)), 0.035, place) > at(with_additions(haired, (some,)), 0.035, place)
    assert scalp.longer(1.0) is None


def test_the_astronaut_keeps_her_fringe_and_would_lose_it_if_her_photo_had_none() -> None:
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    networks, source = engine.tiers.networks, engine.tiers.source(inversion)
    assert source.scalp is None
    assert networks.parser is not None
    with torch.inference_mode():
        parsed = parts_of(networks.parser, source.photo, source.matte, mirrored=True).clone()
        # Skin up to some way above her fringe's end.
        parsed[:, SKIN, 26:64, 40:88] = 1.0
        scalp = photo_scalp(networks, parsed, source.matte, source.styles, source.deformation, source.angles)
        assert scalp is not None
        bare = dataclasses.replace(source, scalp=scalp)
        head = edited_head(networks, bare, LatentEdit.none.with_strength("Age", 1.0))
        assert scalp in head.shape.field.additions
        points = source.surface.points[0].flatten(1).T[source.surface.hit.flatten() > 0.5]
        near = points[scalp.near(points)]
        lost = head.shape.field.sdf(near[None])[0, :, 0] > 0.004
    assert int(lost.sum()) > 100, "what stood there is air"


def places_of(depth: Tensor) -> Tensor:
    """World places (3, s, s) of a frontal picture's depths."""
    size = depth.shape[-1]
    steps = ((torch.arange(size) + 0.5) * (2.0 / size) - 1.0) * math.tan(HALF_FOV)
    v, u = torch.meshgrid(-steps, steps, indexing="ij")
    return torch.stack((u * depth, v * depth, 1.0 - depth))


def crossing(sdf: Distances, height: float) -> float:
    """How far from the skull the head's surface is at that height, before its middle."""
    radii = torch.linspace(SKULL - 0.01, HAIR + 0.002, 500)
    ahead = (radii.square() - height * height).clamp(min=0.0).sqrt()
    points = torch.stack((torch.zeros(500), torch.full((500,), height), ahead), dim=-1)
    inside = (sdf(points[None])[0, :, 0] < 0.0).nonzero()[:, 0]
    return float(radii[inside.max()]) - SKULL
