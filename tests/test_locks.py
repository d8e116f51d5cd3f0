"""New hair: a fringe hangs from the hair above it, longer hair grows beside the face, a bald head grows none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.edit import LatentEdit
from core.rendering.locks import BANGS, LENGTH, NewHair, fringe, grows, new_hair, within

SIDE, HAIRLINE, BROWS = 128, 24, 58


def box(top: int, bottom: int, left: int, right: int) -> Tensor:
    found = torch.zeros(1, 1, SIDE, SIDE)
    found[..., top:bottom, left:right] = 1.0
    return found


HEAD, BARE = box(8, 120, 24, 104), box(BROWS, 110, 34, 94)
ABOVE, HAIR = box(0, BROWS, 0, SIDE), box(8, HAIRLINE, 24, 104)
COLUMNS = BARE.amax(dim=2, keepdim=True)


def grown(
    edit: LatentEdit, meant: Tensor, hair: Tensor = HAIR, fresh: Tensor | None = None, free: Tensor | None = None
) -> NewHair:
    fresh = torch.zeros_like(meant) if fresh is None else fresh
    return new_hair(edit, meant, meant, fresh, hair, ABOVE, BARE, BARE if free is None else free, HEAD)


def test_only_more_hair_grows() -> None:
    assert grows(LatentEdit.none.with_strength(BANGS, 0.5))
    assert grows(LatentEdit.none.with_strength(LENGTH, 1.0))
    for edit in (
        LatentEdit.none,
        LatentEdit.none.with_strength(LENGTH, -1.0),
        LatentEdit.none.with_strength("Age", 1.0),
    ):
        assert not grows(edit)


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_a_fringe_hangs_from_the_hairline_the_lower_the_more_is_asked(strength: float) -> None:
    middle = fringe(HAIR, ABOVE * COLUMNS, COLUMNS, strength)[0, 0, :, 64]
    low = int((middle > 0.5).nonzero().max())
    assert HAIRLINE < low < BROWS
    assert low - HAIRLINE == pytest.approx((BROWS - HAIRLINE) * (0.8 - 0.225) * strength, abs=2.5)
    assert (middle[BROWS:] == 0.0).all()
    assert (middle[HAIRLINE - 2 : low] > 0.5).all(), "no gap under the hair"


def test_where_no_hair_is_above_nothing_hangs() -> None:
    half = HAIR * box(0, SIDE, 24, 60)
    found = fringe(half, ABOVE * COLUMNS, COLUMNS, 1.0)
    assert found[..., 70:].max() < 0.05
    assert found[0, 0, 30, 50] > 0.5


def test_a_fringe_replaces_the_generators_paint_on_the_forehead() -> None:
    blotch = box(36, 44, 58, 70)
    found = grown(LatentEdit.none.with_strength(BANGS, 1.0), blotch)
    assert (found.rest * blotch).max() == 0.0
    assert found.locks[0, 0, 34, 64] > 0.5


def test_longer_hair_grows_beside_the_face_and_over_ears_not_on_it() -> None:
    meant = box(30, 100, 0, SIDE)
    fresh = box(30, 100, 0, 24)
    found = grown(LatentEdit.none.with_strength(LENGTH, 1.0), meant, fresh=fresh)
    assert found.locks[0, 0, 80, 10] == 1.0, "beside the head"
    assert found.locks[0, 0, 80, 28] == 1.0, "over an ear"
    assert found.locks[0, 0, 80, 64] == 0.0, "the face"
    assert found.locks[0, 0, 40, 64] == 0.0, "the forehead"


def test_hair_hangs_on_the_rims_of_a_face_and_not_before_its_jaw() -> None:
    """A generator's head that has a beard where the photo has none would hang tufts on a chin."""
    beard, fresh = box(84, 118, 28, 100), box(30, 100, 0, 24)
    free = torch.maximum(BARE, within(HEAD) * (1.0 - ABOVE))
    loose = grown(LatentEdit.none.with_strength(LENGTH, 1.0), beard, fresh=fresh)
    found = grown(LatentEdit.none.with_strength(LENGTH, 1.0), beard, fresh=fresh, free=free)
    assert loose.locks[0, 0, 114, 60] == 1.0
    assert found.locks[0, 0, 100, 60] == 0.0
    assert found.locks[0, 0, 80, 10] == 1.0
    assert found.locks[0, 0, 90, 28] == 1.0, "a rim"


def test_the_inner_part_of_a_head_leaves_its_rims() -> None:
    inner = within(HEAD)[0, 0]
    assert inner[64, 64] == 1.0
    assert inner[64, 26] == 0.0
    assert inner[64, 101] == 0.0
    assert inner[64, 36] == 1.0
    assert inner[64, 10] == 0.0


def test_the_photos_background_is_no_hair() -> None:
    meant = box(30, 100, 0, SIDE)
    dark_wall = torch.maximum(HAIR, 1.0 - HEAD)
    found = grown(LatentEdit.none.with_strength(LENGTH, 1.0), meant, hair=dark_wall, fresh=box(30, 100, 0, 24))
    assert found.locks[0, 0, 80, 10] == 1.0


def test_a_bald_head_keeps_the_generators_paint() -> None:
    meant = box(10, 100, 20, 110)
    found = grown(LatentEdit.none.with_strength(BANGS, 1.0).with_strength(LENGTH, 1.0), meant, hair=HAIR * 0.0)
    assert found.locks.max() == 0.0
    assert torch.equal(found.rest, meant)
