"""Face parsing: which pixels of a head are hair, skin, brows, eyes, mouth, beard and glasses.

Colours alone cannot say it: fair hair on tanned skin, a fringe in the light, a bald head in the shade. A small U-Net
(Ronneberger et al. 2015) that learns the synthetic world's exact parts can. It sees a head cut out by its matte, a
photo's or the generator's own, from any side.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.reader import ResidualUnit

__all__ = ["BEARD", "CLOTHES", "HAIR", "PARSED", "SIZE", "HeadParser", "parser_like", "widened"]

SIZE = 128
"""Side of what it reads and of what it says."""
PARSED = ("skin", "hair", "brows", "eyes", "mouth", "beard", "glasses", "clothes")
"""What it tells apart; skin is the neck's as well. Weights of before December 2026 know no clothes, the last."""
HAIR, BEARD, CLOTHES = (PARSED.index(name) for name in ("hair", "beard", "clothes"))
WIDTHS = (16, 32, 64, 96, 128)
UNLIKELY = -3.0  # logit of a part that has yet to be learnt
INPUTS = 4  # red, green, blue on mid-grey, matte


def _single(inputs: int, outputs: int) -> nn.Module:
    """One convolution: all that the finest level can afford."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class HeadParser(nn.Module):
    """Cut-out picture of a head → what each pixel is.

    Args:
        widths: Channels of each level, from the finest; each has half the side of the one before.
        parts: How many of ``PARSED`` it knows.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, parts: int = len(PARSED)) -> None:
        super().__init__()
        self.stem = _single(INPUTS, widths[0])
        self.down = nn.ModuleList(ResidualUnit(a, b, 2) for a, b in itertools.pairwise(widths))
        self.deep = ResidualUnit(widths[-1], widths[-1], projecting=True)
        rising = list(itertools.pairwise(reversed(widths)))
        # What comes up is thinned before it is enlarged.
        self.thin = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in rising)
        self.up = nn.ModuleList(ResidualUnit(2 * b, b) for _, b in rising[:-1])
        self.up.append(_single(2 * widths[0], widths[0]))
        self.answer = nn.Conv2d(widths[0], parts, 1)

    @property
    def parts(self) -> int:
        """How many of ``PARSED`` it knows, from the first on."""
        return self.answer.out_channels

    def forward(self, picture: Tensor) -> Tensor:
        """Logits (B, parts, SIZE, SIZE).

        Shape:
            picture (B, 4, SIZE, SIZE): colours in [-1, 1] times matte, and matte.
        """
        seen = [self.stem(picture)]
        for level in self.down:
            seen.append(level(seen[-1]))
        found: Tensor = self.deep(seen.pop())
        for thin, level, beside in zip(self.thin, self.up, reversed(seen), strict=True):
            larger = functional.interpolate(thin(found), scale_factor=2.0, mode="bilinear", align_corners=False)
            found = level(torch.cat((larger, beside), dim=1))
        logits: Tensor = self.answer(found)
        return logits

    def shares(self, picture: Tensor, matte: Tensor, *, mirrored: bool = True) -> Tensor:
        """How surely each pixel of a head is each part, (B, parts, SIZE, SIZE), 0..1; they add up to 1.

        Args:
            picture: Straight colours.
            matte: Where the head is.
            mirrored: Ask for the mirror image as well, which takes twice the time, and believe the mean.

        Shape:
            picture (B, 3, any, any) in [-1, 1]; matte (B, 1, any, any), 0..1, as large or larger.
        """
        matte = functional.interpolate(matte, size=picture.shape[-2:], mode="area")
        whole = torch.cat((picture * matte, matte), dim=1)
        seen = functional.interpolate(whole, size=(SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        if not mirrored:
            alone: Tensor = self(seen).softmax(dim=1)
            return alone
        straight, turned = self(torch.cat((seen, seen.flip(-1)))).chunk(2)
        shares: Tensor = (0.5 * (straight + turned.flip(-1))).softmax(dim=1)
        return shares


def parser_like(state: Mapping[str, Tensor]) -> HeadParser:
    """A parser of as many parts as weights have."""
    return HeadParser(parts=len(state["answer.bias"]))


def widened(parser: HeadParser) -> HeadParser:
    """The same for all of ``PARSED``: what it does not know yet is hardly ever its answer."""
    known = parser.parts
    wider = HeadParser()
    state = parser.state_dict()
    for name, usual in (("answer.weight", 0.0), ("answer.bias", UNLIKELY)):
        fresh = torch.full_like(wider.state_dict()[name], usual)
        fresh[:known] = state[name]
        state[name] = fresh
    wider.load_state_dict(state)
    return wider
