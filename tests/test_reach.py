"""An edit's shape stays in its place: beyond it the head is the unedited one, and between them nothing breaks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.edit import LatentEdit
from core.models.configuration import FieldConfig
from core.models.field import Field
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
