"""An edit's shape stays in its place: beyond it the head is the unedited one, and between them nothing breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.models.configuration import FieldConfig
from core.models.field import Field
from core.photo import Photo
from core.rendering.edited import edited_head
from core.rendering.folded import Beyond, FoldedField
from core.rendering.reach import EAR, REACHES, SHAPELESS, Reach, reach_of

REACH = Reach(0.0, -0.02, 0.05)


@pytest.fixture(scope="module")
def fields() -> tuple[FoldedField, FoldedField, FoldedField]:
    """Of two latents, and of the second within reach of an edit from the first."""
    torch.manual_seed(2)
    config = FieldConfig(width=32, depth=3, style_dim=8, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.1)
    field, before, after = Field(config), torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    with torch.inference_mode():
        plain, edited = FoldedField(field, before), FoldedField(field, after)
        return plain, edited, FoldedField(field, after, beyond=Beyond(plain, (REACH,)))


def points(count: int = 20_000) -> Tensor:
    return 0.24 * torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 0.12


def test_within_reach_it_is_the_edited_head_and_beyond_the_unedited_one(
    fields: tuple[FoldedField, FoldedField, FoldedField],
) -> None:
    before, after, held = fields
    places = points()
    share = REACH.share(places)
    with torch.inference_mode():
        was, now, found = (one.sdf(places[None])[0, :, 0] for one in (before, after, held))
        assert (was - now).abs().mean() > 1e-3
        torch.testing.assert_close(found[share == 0.0], was[share == 0.0], atol=1e-6, rtol=0.0)
        torch.testing.assert_close(found[share == 1.0], now[share == 1.0], atol=1e-6, rtol=0.0)
        # In between it is between them, as the share says: distances are a linear function of what is blended.
        torch.testing.assert_close(found, torch.lerp(was, now, share), atol=1e-5, rtol=0.0)
        assert ((share > 0.0) & (share < 1.0)).sum() > 100


def test_a_grid_beyond_the_reach_takes_what_was_measured_and_asks_nobody(
    fields: tuple[FoldedField, FoldedField, FoldedField], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, held = fields
    places, asked = points(), []

    def measured(where: Tensor) -> Tensor:
        return before.sdf(where[None])[0, :, 0]

    with torch.inference_mode():
        known = FoldedField.__new__(FoldedField)
        known.__dict__.update(after.__dict__)
        known.beyond = Beyond(before, (REACH,), measured)
        torch.testing.assert_close(known.on_grid(places), held.sdf(places[None])[0, :, 0], atol=1e-5, rtol=0.0)
        torch.testing.assert_close(held.on_grid(places), held.sdf(places[None])[0, :, 0])
        alone = known._alone
        monkeypatch.setattr(known, "_alone", lambda part: asked.append(len(part)) or alone(part))
        known.on_grid(places)
    assert 0 < sum(asked) == int((REACH.share(places) > 0.0).sum()) < len(places)


@pytest.mark.parametrize("draft", [False, True])
def test_an_edited_head_is_the_same_whether_its_grid_was_measured_anew_or_not(
    draft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The astronaut, smiling: what is taken over from the unedited volume is off by no more than grids are."""
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    source = engine.tiers.head(inversion, LatentEdit.none).source
    edit = LatentEdit.none.with_strength("Smile", 1.0)
    networks = engine.tiers.networks
    taken = edited_head(networks, source, edit, draft=draft).shape
    monkeypatch.setattr(FoldedField, "on_grid", lambda self, where: self.sdf(where[None])[0, :, 0])
    anew = edited_head(networks, source, edit, draft=draft).shape
    near = anew.volume[:, :1].abs() < 0.004
    off, believed = (taken.volume - anew.volume)[:, :1][near].abs(), anew.volume[:, 1:][near]
    # A coarser grid's points lie between the finer one's: there no more than what is believed of interpolation anyway.
    assert float((off > (believed if draft else 0.0005)).float().mean()) < (0.01 if draft else 1e-9)
    turned = (taken.volume[:, :1] < 0.0) != (anew.volume[:, :1] < 0.0)
    assert not (turned & (anew.volume[:, :1].abs() > anew.volume[:, 1:])).any(), "inside and outside are not mistaken"
    assert not torch.equal(taken.volume, source.shape.volume)


def test_few_points_all_on_one_side_are_asked_of_one_head(
    fields: tuple[FoldedField, FoldedField, FoldedField],
) -> None:
    before, after, held = fields
    inside, outside = torch.tensor([[0.0, -0.05, 0.05]]), torch.tensor([[0.0, 0.05, 0.05]])
    with torch.inference_mode():
        assert torch.equal(held.hidden(inside), after.hidden(inside))
        assert torch.equal(held.hidden(outside), before.hidden(outside))
        assert held.hidden(inside[:0]).shape == (0, 32)


def test_the_share_rises_without_a_step() -> None:
    line = torch.linspace(-0.05, 0.05, 2001)
    for axis, other in ((1, 0.0), (2, -0.05), (0, -0.05)):
        places = torch.zeros(len(line), 3)
        places[:, 1] = other
        places[:, axis] = line
        share = REACH.share(places)
        assert share.min() == 0.0 or axis == 0
        assert share.max() == 1.0 or axis == 1
        assert float(share.diff().abs().max()) < 0.01


def test_edits_that_may_change_everything_are_not_held_and_several_reach_as_far_as_each() -> None:
    none = LatentEdit.none
    assert reach_of(none.with_strength("Hair length", 1.0)) is None
    assert reach_of(none.with_strength("Smile", 1.0).with_strength("Bangs", 1.0)) is None
    assert reach_of(none.with_strength("Smile", 1.0).with_strength("Age", -1.0)) == (REACHES["Smile"], REACHES["Age"])
    assert reach_of(none.with_strength("Smile", 1.0).with_strength(SHAPELESS[0], 1.0)) == (REACHES["Smile"],)


@pytest.mark.parametrize("name", sorted(REACHES))
def test_reaches_hold_the_crown_and_all_but_one_the_ears(name: str) -> None:
    crown, back, mouth = torch.tensor([[0.0, 0.09, 0.02], [0.0, 0.05, -0.09], [0.0, -0.045, 0.08]]).unbind()
    reach = REACHES[name]
    assert float(reach.share(crown[None])) == float(reach.share(back[None])) == 0.0
    assert float(reach.share(mouth[None])) == 1.0
    assert (float(reach.share(torch.tensor([EAR]))) > 0.5) == (name == "Weight")
