"""Where an edit makes hair grow that the photo has not: beside the head, over ears, as a fringe.

What the generator paints there lies over skin of the photo, or beside its head altogether, and its hairline is another
one than the photo's: repainting by ratios makes blotches on foreheads, and skin stretched over new hair. So new hair is
drawn like a beard (:mod:`core.rendering.beard`), in the tone of the photo's own: beside the head where the generator
grows it, on the forehead as a fringe that hangs from the hair above it. Where a head is bald there is nothing that
could hang, and its tone would be a guess: there the generator's paint stays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.edit import LatentEdit

__all__ = ["BANGS", "LENGTH", "NewHair", "grows", "new_hair", "within"]

LENGTH, BANGS = "Hair length", "Bangs"
# Share of a head's pixels that must be hair for it to grow; share of hair above a column from which on a fringe hangs.
SOME_HAIR, HANGS = 0.1, 0.6
# A fringe of +1 ends so far above the brows, in foreheads (hairline to brows), at its sides by so much lower, and its
# edge fades over so much.
ENDS, SIDES, EDGE = 0.2, 0.12, 0.45
# How far columns are smoothed, and how far a fringe begins within the hair above it (pictures' widths).
TOGETHER, ROOTS = 0.05, 0.035
# Side at which the rim of a head is found, and how wide it is there.
INNER_SIDE, RIM = 64, 4
# Share of half the face's width from which on a fringe gives way to the hair at the temples.
TEMPLES = 0.8


class NewHair(NamedTuple):
    """In the photo's view, each (1, 1, S, S) in [0, 1]."""

    locks: Tensor
    """Hair that an edit adds."""
    rest: Tensor
    """What is left to repaint."""


def grows(edit: LatentEdit) -> bool:
    """Whether an edit makes hair grow."""
    return edit.strength(LENGTH) > 0.0 or edit.strength(BANGS) > 0.0


def new_hair(
    edit: LatentEdit,
    meant: Tensor,
    kept: Tensor,
    fresh: Tensor,
    hair: Tensor,
    above: Tensor,
    bare: Tensor,
    free: Tensor,
    head: Tensor,
) -> NewHair:
    """Locks that an edit adds.

    Args:
        edit: The edit; see :func:`grows`.
        meant: How far the generator's change is meant, wherever it paints.
        kept: The same where it agrees with the photo on what is hair: what would be repainted.
        fresh: Where the edited head is and the unedited one was not.
        hair: The photo's hair.
        above: All that is higher than the brows.
        bare: The face below them, within its landmarks.
        free: All of the photo that no hair may hang before: the face, but for its rims, and the jaw.
        head: The photo's head.

    Shape:
        all (1, 1, S, S) in [0, 1].
    """
    hair = hair * head
    if (hair * above).sum() < SOME_HAIR * head.sum():
        return NewHair(torch.zeros_like(meant), kept)
    columns = (bare.amax(dim=2, keepdim=True) > 0.5).to(meant)
    forehead, skin = above * columns, 1.0 - hair
    locks = torch.zeros_like(meant)
    if edit.strength(LENGTH) > 0.0:
        beside = torch.maximum(meant * (1.0 - forehead) * (1.0 - free), fresh)
        locks = torch.maximum(locks, beside * skin)
    if edit.strength(BANGS) > 0.0:
        reach = 2 * max(1, round(ROOTS * hair.shape[-1])) + 1
        rooted = functional.avg_pool2d(functional.max_pool2d(skin, reach, 1, reach // 2), 5, 1, 2)
        locks = torch.maximum(locks, fringe(hair, forehead, columns, edit.strength(BANGS)) * rooted)
    return NewHair(locks, kept * (1.0 - forehead * skin) * (1.0 - locks))


def within(head: Tensor) -> Tensor:
    """The inner part of a head (1, 1, S, S), 0..1: hair that hangs beside it lies on its rims."""
    small = functional.interpolate(head, size=INNER_SIDE, mode="area")
    inner = -functional.max_pool2d(-small, 2 * RIM + 1, 1, RIM)
    return functional.interpolate(inner, size=head.shape[-2:], mode="bilinear", align_corners=False)


def fringe(hair: Tensor, forehead: Tensor, columns: Tensor, strength: float) -> Tensor:
    """Hair that hangs into a forehead from the hairline above it.

    Args:
        hair: The photo's.
        forehead: Higher than the brows, as wide as the face.
        columns: The face's.
        strength: 1 reaches nearly down to the brows.

    Shape:
        hair and forehead (1, 1, S, S), columns (1, 1, 1, S); returns (1, 1, S, S).
    """
    size = hair.shape[-1]
    rows = (torch.arange(size, device=hair.device, dtype=hair.dtype) + 0.5)[None, None, :, None] / size
    brow = (forehead.amax(dim=3, keepdim=True) * rows).amax()
    hairy = (hair * forehead > 0.5).to(hair)
    under = torch.cummax(hair * forehead, dim=2).values
    # Where the hair above each column ends, smoothed over columns that have any.
    line = (hairy * rows).amax(dim=2, keepdim=True)
    has = (line > 0.0).to(hair)
    reach = 2 * max(1, round(TOGETHER * size)) + 1
    pad = (0, reach // 2)
    line = functional.avg_pool2d(line, (1, reach), 1, pad) / functional.avg_pool2d(has, (1, reach), 1, pad).clamp(
        min=1e-6
    )
    across = torch.linspace(-1.0, 1.0, int(columns.sum()), device=hair.device, dtype=hair.dtype).square()
    sides = torch.zeros_like(columns)
    sides[columns > 0.5] = across
    middle = ((1.0 - sides.sqrt()) / (1.0 - TEMPLES)).clamp(0.0, 1.0)
    high = (brow - line).clamp(min=0.0)
    hangs = high * min(strength, 1.0)
    end = line + hangs * (1.0 - ENDS + SIDES * sides)
    inside = ((end - rows) / (EDGE * hangs).clamp(min=1e-3)).clamp(0.0, 1.0)
    hung = ((under - HANGS) / (1.0 - HANGS)).clamp(0.0, 1.0)
    return inside * forehead * middle * functional.avg_pool2d(hung, (1, reach), 1, pad, count_include_pad=False)
