"""Laws of judging a head by its photo, and of trying other haircuts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.camera import HALF_FOV
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Direction, Networks
from core.models.parsing import HAIR, PARSED, HeadParser
from core.refinement.haircut import ALIKE, CUTS, cut
from core.refinement.resemblance import OUTLINE, SIDE, Judge, Resemblance, looks_of
from core.rendering.folded import FoldedField
from core.rendering.hair import face_of
from core.rendering.hands import Pause
from core.rendering.precision import distance
from core.rendering.surfaces import crossings
from core.tensor_camera import rays
from tests.toy_head import toy_networks

ANGLES = torch.tensor([[0.2, 0.05]])
STYLES = torch.zeros(1, 3, 8)


class DarkIsHair(HeadParser):
    """What is dark is hair."""

    def shares(self, picture: Tensor, matte: Tensor, *, mirrored: bool = True) -> Tensor:
        small = torch.nn.functional.interpolate(picture, size=(128, 128), mode="area")
        hair = (small.mean(dim=1, keepdim=True) < -0.5).float()
        return torch.cat([hair if part == HAIR else (1.0 - hair) / (len(PARSED) - 1) for part in range(len(PARSED))], 1)


@pytest.fixture(scope="module")
def networks() -> Networks:
    """A head whose landmarks are four points, and whose hair is what is dark."""
    regressor = LandmarkRegressor(8, 4, 8)
    with torch.no_grad():
        for parameter in regressor.layers.parameters():
            parameter.zero_()
        regressor.mean.copy_(
            torch.tensor([[0.0, -0.01, 0.06], [0.03, -0.02, 0.06], [-0.03, -0.02, 0.06], [0.0, -0.07, 0.0]])
        )
    return dataclasses.replace(toy_networks(), landmarks=regressor.requires_grad_(False), parser=DarkIsHair())


MARKS = torch.tensor([[0.5, 0.55], [0.6, 0.6], [0.4, 0.6], [0.5, 0.95]])


def test_looks_are_those_of_rays_traced_through_the_field(networks: Networks) -> None:
    field = networks.generator.field
    with torch.no_grad():
        seen = looks_of(field, STYLES, ANGLES)
        slow = crossings(distance(field, STYLES), ANGLES)
        assert 0.1 < seen.met.mean() < 0.9
        assert (seen.met.flatten().bool() == slow.hit).float().mean() > 0.98  # .988: the rim of a coarse volume
        both = seen.met.flatten().bool() & slow.hit
        origin, directions = rays(ANGLES, SIDE, HALF_FOV)
        folded = FoldedField(field, STYLES)
        points = origin[0] + directions[0, both] * slow.depth[both, None]
        wanted = folded.appearance(folded.hidden(points))[1].sigmoid() * 2.0 - 1.0
    found = seen.colour[0].flatten(1).T[both]
    assert (found - wanted).abs().mean() < 0.02 * wanted.std()
    assert (seen.colour * (1.0 - seen.met)).abs().max() == 0.0


def enlarged(picture: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(picture, scale_factor=4, mode="nearest-exact")


def test_a_head_resembles_itself_and_not_another(networks: Networks) -> None:
    with torch.no_grad():
        seen = looks_of(networks.generator.field, STYLES, ANGLES)
        grey = torch.zeros_like(seen.colour)
        matte = enlarged(seen.met)
        same = Judge(networks, ANGLES, enlarged(grey), matte, MARKS)(STYLES)
        wider = torch.nn.functional.max_pool2d(matte, 33, 1, 16)
        other = Judge(networks, ANGLES, enlarged(grey), wider, MARKS)(STYLES)
        unknown = Judge(networks, ANGLES, enlarged(grey), matte * 0.0 + 0.5, MARKS)(STYLES)
    assert same.outline == 0.0
    assert other.outline > 0.05
    assert unknown.outline == 0.0, "where nothing is known, nothing is wrong"


def test_hair_that_only_one_of_them_has_is_counted(networks: Networks) -> None:
    with torch.no_grad():
        seen = looks_of(networks.generator.field, STYLES, ANGLES)
        matte, bright = enlarged(seen.met), torch.zeros(1, 3, 256, 256)
        # Strands: a dark patch without any is a bald head's.
        noise = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
        dark = bright.clone()
        dark[..., :110, :] = (-0.95 + 0.3 * noise)[..., :110, :]
        bald, haired = (Judge(networks, ANGLES, picture, matte, MARKS)(STYLES) for picture in (bright, dark))
    assert networks.landmarks is not None
    upper = face_of(networks.landmarks.mean, MARKS * 2.0 - 1.0).upper
    there = (torch.nn.functional.interpolate(matte, size=(128, 128), mode="area") > 0.5) * upper
    assert bald.hair == 0.0
    assert haired.hair == pytest.approx(float(there[..., :55, :].sum() / there.sum()), abs=0.03)
    assert haired.hair > 0.2
    assert haired.missing == haired.hair, "the head itself has no hair"
    assert haired.outline == bald.outline
    assert haired.wrong == OUTLINE * haired.outline + haired.hair


def test_without_a_parser_only_the_outline_is_judged(networks: Networks) -> None:
    bare = dataclasses.replace(networks, parser=None)
    found = Judge(bare, ANGLES, torch.full((1, 3, 256, 256), -1.0), torch.zeros(1, 1, 256, 256), MARKS)(STYLES)
    assert found.hair == 0.0
    assert found.outline > 0.1


def asked(answer: Callable[[float], Resemblance]) -> Callable[[Tensor, Pause], Resemblance]:
    """A judge that looks at the first number of the geometry's latent."""
    return lambda styles, _: answer(round(float(styles[0, 0, 0]), 3))


def with_directions(networks: Networks) -> Networks:
    one = torch.zeros(3, 8)
    one[:, 0] = 1.0
    names = {name: Direction(one * (1.0 if name == "Hair length" else 0.1), torch.zeros(1, 8)) for name, _ in CUTS}
    return dataclasses.replace(networks, directions=names)


def test_the_haircut_that_is_least_wrong_is_taken_and_colours_stay(networks: Networks) -> None:
    wrong = {0.0: 0.3, -0.7: 0.1, -0.07: 0.2, 0.7: 0.4}
    found = cut(with_directions(networks), asked(lambda at: Resemblance(0.0, wrong[at])), STYLES)
    assert found[0, :-1, 0].tolist() == pytest.approx([-0.7] * 2)
    assert found[0, -1].abs().max() == 0.0
    assert STYLES.abs().max() == 0.0


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (Resemblance(0.2, ALIKE * 0.9), Resemblance(0.0, 0.0)),  # its hair is the photo's
        (Resemblance(0.0, 0.30), Resemblance(0.0, 0.29)),  # hardly better
        (Resemblance(0.0, 0.30), Resemblance(0.3, 0.10)),  # another outline
    ],
)
def test_a_head_keeps_its_hair_where_no_other_is_clearly_better(
    networks: Networks, own: Resemblance, other: Resemblance
) -> None:
    judge = asked(lambda at: own if at == 0.0 else other)
    assert cut(with_directions(networks), judge, STYLES) is STYLES


@pytest.mark.parametrize(("missing", "tried"), [(0.3, [0.0, 0.7]), (0.0, [0.0, -0.7, -0.07])])
def test_only_cuts_that_go_the_right_way_are_looked_at(networks: Networks, missing: float, tried: list[float]) -> None:
    looked: list[float] = []

    def judge(at: float) -> Resemblance:
        looked.append(at)
        return Resemblance(0.0, 0.3, missing)

    cut(with_directions(networks), asked(judge), STYLES)
    assert looked == tried


def test_a_model_without_directions_is_not_asked(networks: Networks) -> None:
    def never(*_: object) -> Resemblance:
        raise AssertionError("nothing can be tried")

    bare = dataclasses.replace(networks, directions={})
    assert cut(bare, never, STYLES) is STYLES
