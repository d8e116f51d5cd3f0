"""The parser's shape: any size in, shares of parts out, a head and its mirror image alike."""

from __future__ import annotations

import pytest
import torch

from core.models.parsing import PARSED, SIZE, HeadParser


@pytest.fixture(scope="module")
def parser() -> HeadParser:
    torch.manual_seed(0)
    return HeadParser((4, 8, 8)).eval().requires_grad_(False)


def test_it_says_what_every_pixel_is(parser: HeadParser) -> None:
    assert parser(torch.zeros(2, 4, SIZE, SIZE)).shape == (2, len(PARSED), SIZE, SIZE)


@pytest.mark.parametrize("size", [64, 128, 200])
def test_pictures_of_any_size_are_parted_and_shares_add_up(parser: HeadParser, size: int) -> None:
    picture = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(size)) * 2 - 1
    shares = parser.shares(picture, torch.ones(1, 1, size, size))
    assert shares.shape == (1, len(PARSED), SIZE, SIZE)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(1, SIZE, SIZE))


def test_a_mirrored_head_is_parted_as_its_mirror_image(parser: HeadParser) -> None:
    picture = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    matte = (torch.rand(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) > 0.3).float()
    torch.testing.assert_close(
        parser.shares(picture.flip(-1), matte.flip(-1)), parser.shares(picture, matte).flip(-1), atol=1e-5, rtol=1e-4
    )


def test_what_the_matte_leaves_out_says_nothing(parser: HeadParser) -> None:
    matte = torch.zeros(1, 1, SIZE, SIZE)
    matte[..., 32:96, 32:96] = 1.0
    one = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    other = torch.where(matte > 0, one, -one)
    torch.testing.assert_close(parser.shares(one, matte), parser.shares(other, matte))
