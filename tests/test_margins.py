"""The generator's colours begin where the photo ends in the photo's tone, fade, and keep to hair and contours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.rendering.margins import FADE, continued

SIDE = 256
RED = (0.5, -0.2, -0.2)


def scene() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Generator's grey, belief in the left half, depth, alpha."""
    own = torch.zeros(1, 3, SIDE, SIDE)
    belief = torch.zeros(1, 1, SIDE, SIDE)
    belief[..., : SIDE // 2] = 1.0
    return own, belief, torch.ones(1, 1, 128, 128), torch.ones(1, 1, SIDE, SIDE)


def found(own: Tensor, belief: Tensor, depth: Tensor, alpha: Tensor) -> Tensor:
    photo = torch.tensor(RED)[:, None, None].expand(3, SIDE, SIDE)
    blended = belief * photo + (1.0 - belief) * own
    return continued(blended, own, belief, depth, alpha)[0]


def test_the_unseen_begins_in_the_photos_tone_and_fades() -> None:
    row = found(*scene())[0, 128]
    assert row[SIDE // 2 + 2] > 0.65 * RED[0]
    faded = float(row[SIDE // 2 + round(FADE * SIDE)] / RED[0])
    assert 0.2 < faded < 0.5
    assert row[-8:].abs().max() < 0.05
    assert (row.diff()[SIDE // 2 :] < 1e-3).all()


@pytest.mark.parametrize("what", ["hair", "contour", "backdrop"])
def test_a_difference_stays_on_its_side(what: str) -> None:
    own, belief, depth, alpha = scene()
    edge = SIDE // 2 + 12
    if what == "hair":
        own[..., edge:] = -0.7
    elif what == "contour":
        depth[..., edge // 2 :] += 0.03
    else:
        alpha[..., edge : edge + 8] = 0.0
    change = found(own, belief, depth, alpha)[0, 128] - own[0, 0, 128]
    assert change[edge - 6] > 0.2
    assert change[edge + 12 :].abs().max() < 0.06


def test_a_photo_that_is_believed_in_halves_is_not_blown_up() -> None:
    own, belief, depth, alpha = scene()
    belief = 0.02 * belief + 0.3 * belief * (torch.rand(belief.shape, generator=torch.Generator().manual_seed(0)) > 0.5)
    assert found(own, belief, depth, alpha).abs().max() < 1.05 * RED[0]


def test_with_nothing_seen_or_nothing_unseen_nothing_changes() -> None:
    own, belief, depth, alpha = scene()
    for share in (torch.zeros_like(belief), torch.ones_like(belief)):
        torch.testing.assert_close(found(own, share, depth, alpha), own[0])


def test_a_scrap_of_the_photo_has_no_say() -> None:
    """Six dark columns on a cheek are a lock that hung before it, not the cheek's tone."""
    own, belief, depth, alpha = scene()
    plain = found(own, belief, depth, alpha)[0, 128]
    scrap = torch.zeros_like(belief)
    scrap[..., SIDE // 2 + 30 : SIDE // 2 + 36] = 1.0
    photo = torch.tensor(RED)[:, None, None] - 1.2 * scrap
    either = (belief + scrap).clamp(max=1.0)
    row = continued(either * photo + (1.0 - either) * own, own, either, depth, alpha)[0, 0, 128]
    beside = slice(SIDE // 2 + 8, SIDE // 2 + 28)
    assert (row[beside] - plain[beside]).abs().max() < 0.02


def test_a_large_picture_has_no_scraps_of_its_own() -> None:
    """What is narrow is so as a share of the picture."""
    own, belief, depth, alpha = scene()
    belief[..., SIDE // 2 : SIDE // 2 + 3] = torch.tensor((0.75, 0.5, 0.25))
    small = found(own, belief, depth, alpha)
    own, belief, alpha = (torch.nn.functional.interpolate(one, scale_factor=4) for one in (own, belief, alpha))
    photo = torch.tensor(RED)[:, None, None]
    large = continued(belief * photo + (1.0 - belief) * own, own, belief, depth, alpha)[0]
    assert (large[:, ::4, ::4] - small).abs().max() < 0.05
