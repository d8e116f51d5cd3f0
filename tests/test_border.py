"""Where hair ends beside a face: a line, ragged by strands, in the tones of both; nothing else is touched."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.rendering.behind import Look
from core.rendering.border import AROUND, Border, border_of
from core.rendering.contours import Beside
from core.rendering.hair import SIDE, Parting
from core.rendering.patterns import bordered, unseen
from core.rendering.skin_light import SkinLight
from core.rendering.surfaces import SurfaceMap
from core.rendering.tones import EXTENT, tone_volume
from core.rendering.tresses import Tresses, tresses_on
from core.tensor_camera import rays
from core.visibility import source_view

SKIN, HAIR = torch.tensor([0.5, 0.1, -0.1]), torch.tensor([-0.6, -0.7, -0.8])
FINE = torch.tensor([0.0002])
LINE = 0.02
"""The height above which the ball has hair (world units)."""
RADIUS = 0.085


def ball(count: int = 40_000, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return RADIUS * torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=1)


def smeared(points: Tensor) -> Tensor:
    """What a coarse field paints: hair goes over into skin within three centimetres."""
    return SKIN.lerp(HAIR, ((points[:, 1:2] - LINE) / 0.03 + 0.5).clamp(0.0, 1.0))


def border(strands: Tresses | None = None, told: float = 1.0) -> Border:
    points = ball()
    trust = torch.ones(len(points), 1)
    tones = torch.cat((SKIN, HAIR, torch.tensor([told]))).expand(len(points), 7)
    hair = (points[:, 1:2] > LINE).float()
    return Border(tone_volume(points, hair, trust, 40), tone_volume(points, tones, trust), strands)


def between(colours: Tensor) -> Tensor:
    """How far colours are from both tones: 0 is one of them, .5 is the middle."""
    way = HAIR - SKIN
    share = ((colours - SKIN) @ way / way.square().sum()).clamp(0.0, 1.0)
    return torch.minimum(share, 1.0 - share)


def test_a_smear_becomes_a_line() -> None:
    points = ball(seed=1)
    near = (points[:, 1] - LINE).abs() < 0.015
    before, after = smeared(points), border().drawn(smeared(points), points, FINE)
    assert (between(before[near]) > 0.2).float().mean() > 0.55
    assert (between(after[near]) > 0.2).float().mean() < 0.1
    # And it lies where the share says: a cell is six millimetres wide.
    high, low = points[:, 1] > LINE + 0.004, points[:, 1] < LINE - 0.004
    for side, tone in ((high, HAIR), (low, SKIN)):
        assert ((after[side] - tone).abs().amax(dim=1) < 0.2).float().mean() > 0.95


def test_what_has_its_own_tone_is_let_alone() -> None:
    points = ball(seed=1)
    far = (points[:, 1] - LINE).abs() > 0.02
    points = points[far]
    own = torch.where(points[:, 1:2] > LINE, HAIR, SKIN) + 0.05 * torch.randn(len(points), 3)
    assert (border().drawn(own, points, FINE) - own).abs().mean() < 0.012


def test_shine_on_hair_takes_no_colour_that_neither_has() -> None:
    """Grey hair that shines lies beside the way from skin to hair: moved along it, it would be blue."""
    points = ball(seed=1)
    points = points[points[:, 1] > LINE + 0.015]
    shine = torch.full_like(points, 0.55)
    after = border().drawn(shine, points, FINE)
    low, high = torch.minimum(HAIR, torch.minimum(SKIN, shine[0])), torch.maximum(HAIR, torch.maximum(SKIN, shine[0]))
    assert ((after >= low - 1e-4) & (after <= high + 1e-4)).all()
    # A mixture of shine and the hair's own tone: its blue is not its brightest.
    assert (after[:, 2] <= after[:, 0] + 1e-3).all()


def test_beards_and_glasses_are_none_of_its_business() -> None:
    points = ball(seed=1)
    own = smeared(points)
    assert torch.equal(border(told=0.0).drawn(own, points, FINE), own)


def test_alike_tones_say_nothing() -> None:
    points = ball(seed=1)
    one = border()
    alike = Border(one.hair, torch.cat((one.tones[:, :3], one.tones[:, :3] + 0.01, one.tones[:, 6:]), 1), None)
    own = smeared(points)
    assert (alike.drawn(own, points, FINE) - own).abs().max() < 0.05


def test_strands_end_one_by_one_where_pixels_can_show_them() -> None:
    points = ball()
    behind = points[:, 1] > LINE
    ragged = border(tresses_on(points[behind], points[~behind], 0.1))
    turn = torch.linspace(-0.6, 0.6, 600)
    heights = LINE + torch.linspace(-0.012, 0.012, 121)
    grid = torch.stack(
        [torch.stack((RADIUS * turn.sin(), torch.full_like(turn, float(y)), -RADIUS * turn.cos()), 1) for y in heights]
    ).reshape(-1, 3)

    def line(spacing: float) -> Tensor:
        """Where hair ends in every column, in cells of the grid."""
        drawn = ragged.drawn(smeared(grid), grid, torch.tensor([spacing]))
        way = HAIR - SKIN
        share = ((drawn - SKIN) @ way / way.square().sum()).reshape(121, 600)
        return (share < 0.5).float().sum(dim=0)

    fine, coarse = line(0.0002), line(0.02)
    # From one column to the next, a third of a millimetre: cells make waves, strands make teeth.
    assert fine.diff().abs().max() >= 6.0
    assert coarse.diff().abs().max() <= 3.0
    assert fine.diff().abs().mean() > 2.0 * coarse.diff().abs().mean()


def test_an_edit_shifts_both_tones() -> None:
    points = ball(seed=1)
    lighter, darker = torch.full((3,), 0.2), torch.full((3,), -0.1)
    edited = border().under(lighter, darker, 0.0)
    own = smeared(points)
    after = edited.drawn(own + lighter, points, FINE)
    low = points[:, 1] < LINE - 0.006
    assert (after[low] - SKIN - lighter).abs().median() < 0.02
    high = points[:, 1] > LINE + 0.03
    assert (edited.drawn(own + darker, points, FINE)[high] - HAIR - darker).abs().median() < 0.02


@pytest.mark.parametrize(("grown", "tone"), [(0.0, SKIN), (1.0, HAIR), (-1.0, SKIN)])
def test_hair_that_an_edit_brings_is_hair(grown: float, tone: Tensor) -> None:
    points = ball(seed=1)
    points = points[(points[:, 1] < LINE - 0.02) & (points[:, 1] > LINE - 0.04)]
    own = HAIR.lerp(SKIN, 0.2).expand(len(points), 3)
    nothing = torch.zeros(3)
    after = border().under(nothing, nothing, grown).drawn(own, points, FINE)
    assert (after - tone).abs().mean() < 0.12


def test_hair_that_an_edit_takes_away_is_skin_and_no_more_grows_elsewhere() -> None:
    points = ball(seed=1)
    points = points[(points[:, 1] > LINE + 0.02) & (points[:, 1] < LINE + 0.04)]
    own, nothing = SKIN.lerp(HAIR, 0.2).expand(len(points), 3), torch.zeros(3)
    assert (border().under(nothing, nothing, -1.0).drawn(own, points, FINE) - SKIN).abs().mean() < 0.12
    assert (border().drawn(own, points, FINE) - HAIR).abs().mean() < 0.12


def test_hair_that_an_edit_brings_has_strands_as_the_rest_has() -> None:
    points, nothing = ball(), torch.zeros(3)
    behind = points[:, 1] > LINE
    haired = border(tresses_on(points[behind], points[~behind], 0.2)).under(nothing, nothing, 1.0)
    new = points[(points[:, 1] < LINE - 0.02) & (points[:, 1] > LINE - 0.04) & (points[:, 2] < 0.0)]
    after = haired.drawn(HAIR.expand(len(new), 3), new, FINE)
    assert float((after[:, 0] + 1.0).std() / (after[:, 0] + 1.0).mean()) == pytest.approx(0.2, rel=0.3)
    # What was hair before has them from elsewhere.
    old = points[points[:, 1] > LINE + 0.02]
    assert (haired.drawn(HAIR.expand(len(old), 3), old, FINE) - HAIR).abs().mean() < 0.01


def seen_ball() -> tuple[SurfaceMap, Tensor]:
    """The ball from in front."""
    angles = torch.zeros(1, 2)
    origin, directions = rays(angles, SIDE)
    along, square = (origin[:, None] * directions).sum(-1), directions.square().sum(-1)
    inside = along.square() - square * (origin.square().sum(-1)[:, None] - RADIUS**2)
    depth = (-along - inside.clamp(min=0.0).sqrt()) / square
    points = (origin[:, None] + directions * depth[..., None]).transpose(1, 2).reshape(1, 3, SIDE, SIDE)
    hit = (inside > 0.0).float().reshape(1, 1, SIDE, SIDE)
    return SurfaceMap(depth.reshape(1, 1, SIDE, SIDE), points, hit), angles


def told(haired: bool = True) -> Border | None:
    """A border of the ball: the photo says what is in front, three looks say the rest, and have it 1 cm lower."""
    surface, angles = seen_ball()
    points = surface.points.flatten(2)[0].T
    hair = ((points[:, 1] > LINE) & haired).float().reshape(1, 1, SIDE, SIDE) * surface.hit
    photo = torch.where(hair > 0.5, HAIR[:, None, None], SKIN[:, None, None])
    view = source_view(
        torch.nn.functional.interpolate(photo, size=256), surface.depth, surface.hit, surface.hit, angles
    )
    none, all_of_it = torch.zeros_like(hair), torch.ones_like(hair)
    parting = Parting(hair, hair, all_of_it, all_of_it, none, none, none, skin=surface.hit - hair)
    looks = []
    for part in ball(12_000, seed=3).split(4000):
        share = ((part[:, 1] > LINE - 0.01) & haired).float()
        own = torch.where(share[:, None] > 0.5, HAIR + 0.3, (SKIN + 1.0) / 1.2 - 1.0)
        looks.append(Look(own, part, share, 1.0 - share, torch.ones(len(part), dtype=torch.bool)))
    return border_of(tuple(looks), HAIR, SkinLight(torch.full((3,), 1.2), torch.zeros(3)), surface, view, parting, None)


def test_the_photo_says_where_hair_ends_in_front_and_looks_say_it_behind() -> None:
    found = told()
    assert found is not None
    turn = torch.linspace(0.0, 2.0 * math.pi, 37)[:-1]

    def share(height: float) -> Tensor:
        reach = math.sqrt(RADIUS**2 - height**2)
        places = torch.stack((reach * turn.sin(), torch.full_like(turn, height), reach * turn.cos()), dim=1)
        grid = (places / EXTENT)[None, :, None, None]
        return torch.nn.functional.grid_sample(found.hair, grid, align_corners=False)[0, 0, :, 0, 0]

    front, back = turn.cos() > 0.7, turn.cos() < -0.3
    assert (share(LINE - 0.005)[front] < 0.4).all()
    assert (share(LINE + 0.008)[front] > 0.6).all()
    assert (share(LINE - 0.003)[back] > 0.6).all()
    assert (share(LINE - 0.018)[back] < 0.4).all()
    assert AROUND < 1.0
    # What no photo shows is in the photo's tones.
    grid = torch.tensor([[0.0, 0.06, -0.06], [0.0, -0.06, -0.06]])[None, :, None, None] / EXTENT
    tones = torch.nn.functional.grid_sample(found.tones, grid, align_corners=False)[0, :, :, 0, 0].T
    torch.testing.assert_close(tones[0, 3:6], HAIR, atol=0.05, rtol=0.0)
    torch.testing.assert_close(tones[1, :3], SKIN, atol=0.05, rtol=0.0)
    assert tones[:, 6].min() > 0.95


def test_a_head_without_hair_has_no_border() -> None:
    assert told(haired=False) is None


class Halves:
    """Left of the middle all is black, right of it white."""

    def drawn(self, own: Tensor, points: Tensor, spacing: Tensor) -> Tensor:
        return torch.where(points[:, :1] < 0.0, -1.0, 1.0).expand_as(own)


def test_a_pixel_that_shows_two_parts_is_a_mixture_of_both_and_believed_pixels_stay() -> None:
    surface, _ = seen_ball()
    own = torch.zeros(1, 3, SIDE, SIDE)
    share = surface.hit.clone()
    share[..., :40, :] = 0.0
    middle = 64 * SIDE + 60
    black, white = torch.tensor([[-0.01, 0.0, 0.08]]), torch.tensor([[0.01, 0.0, 0.06]])
    beside = Beside(torch.tensor([middle, 5]), torch.tensor([0.75, 0.5]), black.expand(2, 3), white.expand(2, 3))
    found = bordered(own, Halves(), unseen(surface, share), beside).flatten(2)[0]
    assert found[:, middle].numpy() == pytest.approx(np.full(3, -0.5))
    assert found[:, 5].abs().max() == 0.0, "nobody asked for that pixel"
    assert found.reshape(3, SIDE, SIDE)[:, :40].abs().max() == 0.0
    assert set(found.reshape(3, SIDE, SIDE)[0, 70, 50:55].tolist()) == {-1.0}
