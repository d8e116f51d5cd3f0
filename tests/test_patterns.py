"""What is drawn on what no photo saw reaches the pixels beside outlines, and leaves the rest alone."""

from __future__ import annotations

import torch

from core.rendering.patterns import Unseen, rimmed, spared

SIDE = 16


def places(*pixels: int) -> Unseen:
    return Unseen(torch.tensor(pixels), torch.zeros(len(pixels), 3), torch.ones(len(pixels)))


def test_what_was_drawn_goes_on_to_the_outline_and_no_further() -> None:
    before = torch.zeros(1, 3, SIDE, SIDE)
    drawn = [row * SIDE + column for row in range(SIDE) for column in range(8)]
    own = before.clone()
    own[..., :8] = -0.5
    share = torch.ones(1, 1, SIDE, SIDE)
    share[..., 9:] = 0.0
    found = rimmed(before, own, places(*drawn), share)
    assert torch.equal(found[..., :8], own[..., :8])
    torch.testing.assert_close(found[..., 8], torch.full_like(found[..., 8], -0.5), atol=0.05, rtol=0.0)
    assert torch.equal(found[..., 9:], before[..., 9:])


def test_where_nothing_was_drawn_nothing_goes_on() -> None:
    own = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rimmed(own, own, places(*range(40)), torch.ones(1, 1, SIDE, SIDE)), own)


def test_what_has_its_own_shade_gets_no_other() -> None:
    share = torch.full((1, 1, SIDE, SIDE), 0.8)
    found = spared(share, places(3, 5), torch.tensor((1.0, 0.25))).flatten()
    torch.testing.assert_close(found[[3, 5, 6]], torch.tensor((0.0, 0.6, 0.8)))
