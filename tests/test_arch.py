"""The wall of teeth between parted lips, on a ball with a mouth drawn on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.configuration import FieldConfig
from core.models.field import Field
from core.rendering import shape
from core.rendering.additions import Distances, with_additions
from core.rendering.arch import BEHIND, Arch, arch_of, lips_part
from core.rendering.folded import FoldedField
from core.rendering.mouth import LOWER, UPPER
from core.rendering.strays import CLEAR
from core.tensor_camera import project, rays_through

RADIUS, INSIDE = 0.1, 0.012
"""Of the ball, and how much deeper a mouth's hollow ends in it (world units)."""
WIDE, HIGH = 0.025, 0.005
"""Half widths of the opening."""
AHEAD = torch.zeros(1, 2)
NUMBERS = np.array(sorted({*UPPER, *LOWER}))


def ball(points: Tensor) -> Tensor:
    """A head."""
    return points.norm(dim=-1, keepdim=True) - RADIUS


def hollow(points: Tensor) -> Tensor:
    """A head whose mouth is open, lower than where its lips are, down to its own teeth."""
    x, y, z = points.unbind(dim=-1)
    mouth = torch.maximum(torch.maximum(x.abs() - WIDE, (y + 0.003).abs() - HIGH), RADIUS - INSIDE - z)
    return torch.maximum(ball(points), -mouth[..., None])


def lips(high: float = HIGH) -> Tensor:
    """Landmarks of inner lips on the ball (20, 3), in the order of NUMBERS."""
    place = {}
    for line, side in ((UPPER, 1.0), (LOWER, -1.0)):
        for number, share in zip(line, np.linspace(-1.0, 1.0, len(line)), strict=True):
            x, y = WIDE * share, side * high * np.sqrt(1.0 - share**2)
            place[number] = (x, y, np.sqrt(RADIUS**2 - x * x - y * y))
    return torch.tensor([place[number] for number in NUMBERS], dtype=torch.float32)


def made(sdf: Distances = ball, high: float = HIGH) -> Arch:
    """The arch of some head."""
    found = arch_of(sdf, AHEAD, lips(high), NUMBERS)
    assert found is not None
    return found


def met(sdf: Distances, uv: tuple[float, float]) -> float:
    """How far in front of the ball's middle a ray of the photo's camera first meets something."""
    depth = torch.linspace(0.85, 1.0, 3001)
    ahead = rays_through(AHEAD, torch.tensor([[uv]]))[0, 0]
    points = torch.tensor([0.0, 0.0, 1.0]) + ahead * depth[:, None]
    inside = sdf(points[None])[0, :, 0] < 0.0
    return float(points[inside.nonzero()[0, 0], 2])


def place(x: float, y: float) -> tuple[float, float]:
    """Where the photo's camera sees a place of the ball's front."""
    uv, _ = project(torch.tensor([[[x, y, float(np.sqrt(RADIUS**2 - x * x - y * y))]]]), AHEAD)
    return float(uv[0, 0, 0]), float(uv[0, 0, 1])


@pytest.mark.parametrize("head", [ball, hollow])
def test_teeth_stand_a_little_behind_the_lips_whatever_the_field_has_there(head: Distances) -> None:
    whole = with_additions(head, (made(head),))
    for x in (-0.015, 0.0, 0.015):
        edge = np.sqrt(RADIUS**2 - x * x - HIGH**2)
        assert met(whole, place(x, 0.0)) == pytest.approx(edge - BEHIND, abs=0.0012)


def test_lips_stay_where_they_are() -> None:
    whole = with_additions(ball, (made(),))
    for x, y in ((0.0, HIGH + 0.001), (0.0, -HIGH - 0.001), (WIDE + 0.002, 0.0), (0.01, 0.03)):
        assert met(whole, place(x, y)) == pytest.approx(met(ball, place(x, y)), abs=1e-4)


def test_an_opening_that_reaches_beyond_the_photos_is_closed_behind_the_lip() -> None:
    below = place(0.0, -HIGH - 0.0015)
    assert met(hollow, below) < RADIUS - 0.01, "the hollow is open there"
    assert met(with_additions(hollow, (made(hollow),)), below) > RADIUS - 0.006


def test_the_air_before_a_mouth_stays_clear() -> None:
    # Along the edge of the opening, before the lips: distances that shrink there draw slivers beside profiles.
    random = torch.Generator().manual_seed(1)
    points = (torch.rand(4000, 3, generator=random) - 0.5) * torch.tensor([0.07, 0.03, 0.02])
    points[:, 2] += RADIUS + 0.011
    assert (with_additions(ball, (made(),))(points[None]) >= ball(points[None]) - 1e-6).all()


def test_the_field_is_asked_where_it_has_its_own_teeth() -> None:
    arch = made(hollow)
    assert arch.deeper == pytest.approx(INSIDE - BEHIND, abs=0.002)
    edge = float(np.sqrt(RADIUS**2 - HIGH**2)) - BEHIND
    wall = torch.tensor([[0.0, 0.0, edge], [0.0, HIGH + 0.002, edge], [0.0, 0.0, edge + 0.004]])
    moved = (arch.source(wall) - wall)[:, 2]
    assert float(moved[0]) == pytest.approx(-arch.deeper, abs=1e-3)
    assert float(moved[1]) == 0.0, "beside the opening"
    assert float(moved[2]) == 0.0, "before the teeth, where lips lie behind"


def test_a_field_without_anything_between_the_lips_is_asked_where_it_is() -> None:
    assert made(lambda points: torch.ones_like(points[..., :1])).deeper == 0.0


def test_shut_lips_are_left_as_they_are_and_closed_where_the_field_has_them_open() -> None:
    whole, closed = with_additions(ball, (made(high=0.0),)), with_additions(hollow, (made(hollow, 0.0),))
    random = torch.Generator().manual_seed(1)
    points = (torch.rand(1, 4000, 3, generator=random) - 0.5) * 0.06 + torch.tensor([0.0, 0.0, RADIUS])
    outside = ball(points) > -BEHIND
    assert (whole(points) - ball(points))[outside].abs().max() < BEHIND
    assert (whole(points) <= ball(points)).all(), "nothing is cut away"
    for y in (-0.002, 0.001):
        assert met(hollow, place(0.0, y)) < RADIUS - 0.01
        assert met(closed, place(0.0, y)) > RADIUS - 0.004


def test_lips_are_apart_from_a_hundredth_of_the_picture_on() -> None:
    marks: NDArray[np.float64] = np.zeros((len(NUMBERS), 2))
    for high, apart in ((0.0, False), (0.004, False), (0.01, True)):
        points = lips()
        marks[:, 0], marks[:, 1] = 0.5 + points[:, 0], 0.7 - points[:, 1] / HIGH * high
        assert lips_part(marks, NUMBERS) is apart
    assert not lips_part(marks[:5], NUMBERS[:5]), "landmarks that do not name lips"
    assert arch_of(ball, AHEAD, lips()[:5], NUMBERS[:5]) is None


def test_a_folded_field_has_the_arch_in_all_it_says() -> None:
    torch.manual_seed(0)
    field, styles = Field(FieldConfig(width=8, depth=3)), torch.randn(1, 4, 256)
    arch = made(hollow)
    bare, whole = FoldedField(field, styles), FoldedField(field, styles, additions=(arch,))
    points = (torch.rand(500, 3) - 0.5) * 0.05 + torch.tensor([0.0, 0.0, RADIUS])
    wanted = with_additions(bare.sdf, (arch,))(points[None])
    assert torch.allclose(whole.sdf(points[None]), wanted, atol=1e-6)
    assert not torch.allclose(bare.sdf(points[None]), wanted, atol=1e-4)
    assert torch.allclose(whole.hidden(points), bare.hidden(arch.source(points)))
    assert torch.allclose(whole.sdf_from(whole.hidden(points), points)[None], wanted, atol=1e-6)


def test_rays_do_not_trust_the_volume_at_lips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape, "_errors", lambda _, volume: torch.zeros_like(volume))
    torch.manual_seed(0)
    field, styles = Field(FieldConfig(width=8, depth=3)), torch.randn(1, 4, 256)
    arch = made()
    with torch.inference_mode():
        whole = shape.head_shape(field, styles, None, additions=(arch,))
        assert float(whole.estimate(arch.centre)[1]) >= CLEAR
        assert float(whole.estimate(-arch.centre)[1]) == 0.0, "the back of the head"
