"""Keeps eyes and lips to the sliders that are theirs.

Directions are never pure: who smiles in the world also opens the mouth and squints, and a fuller face presses its lips
together. Where landmarks say how a face moves, that much can be taken back exactly: lids keep the opening that the
photo's eyes have (*Eyes open* moves them afterwards), inner lips the gap that *Mouth open* asks for, and the mouth as a
whole the shape that it has, but for *Smile* and *Mouth open*. A smile that is
taken away may still close the lips: a straight mouth that bares its teeth is a grimace.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.edit import LatentEdit
from core.rendering.lids import ABOVE, BELOW
from core.rendering.lids import LOWER as LOWER_LIDS
from core.rendering.lids import UPPER as UPPER_LIDS
from core.rendering.measures import place_of
from core.rendering.mouth import ATTRIBUTE as MOUTH
from core.rendering.mouth import LOWER as LOWER_LIP
from core.rendering.mouth import OVER, UNDER
from core.rendering.mouth import UPPER as UPPER_LIP

__all__ = ["SMILE", "allowed", "of_the_mouth", "with_lids_kept", "with_lips_kept", "with_mouth_kept"]

SMILE = "Smile"
# MediaPipe's numbers of the skin around that of ``lids``, above and below; the head's right eye first.
BROW_SIDE = ((113, 225, 224, 223, 222, 221, 189), (342, 445, 444, 443, 442, 441, 413))
CHEEK_SIDE = ((31, 228, 229, 230, 231, 232, 233), (261, 448, 449, 450, 451, 452, 453))
# How far the skin around a lid goes with it, next to it and one row on: cheeks that rise would push lids up.
NEXT, FARTHER = 1.0, 0.6
# MediaPipe's numbers of the skin over the upper lip and under the lower one, from the right to the left.
OVER_LIP = (186, 92, 165, 167, 164, 393, 391, 322, 410)
UNDER_LIP = (43, 18, 273)
# All that is the mouth's.
MOUTH_LINES = (UPPER_LIP, LOWER_LIP, OVER, UNDER, OVER_LIP, UNDER_LIP)
# Share of what an inner lip is put back by for its outer edge, and for the skin next to that: what lies between
# landmarks follows all of them.
OUTER, BEYOND = 1.0, 0.8


def allowed(edit: LatentEdit) -> LatentEdit:
    """The part of an edit that may move the lips apart or together."""
    mine = LatentEdit.none.with_strength(MOUTH, edit.strength(MOUTH))
    return mine.with_strength(SMILE, min(edit.strength(SMILE), 0.0))


def with_lids_kept(before: Tensor, after: Tensor, numbers: Tensor) -> Tensor:
    """Landmarks of an edited head whose eyes are as open as they were (world units).

    Shape:
        before and after (1, L, 3), numbers (L,) int64; returns (1, L, 3).
    """
    place = place_of(numbers)
    rings = (UPPER_LIDS, LOWER_LIDS, ABOVE, BELOW, BROW_SIDE, CHEEK_SIDE)
    if any(number not in place for ring in rings for line in ring for number in line):
        return after
    moved = after.clone()
    for lines in zip(*rings, strict=True):
        upper, lower, *around = ([place[number] for number in line] for line in lines)
        was = before[0, upper] - before[0, lower]
        now = after[0, upper] - after[0, lower]
        # Along the way the lids open now: the eye itself may have turned or grown with the head.
        back = 0.5 * _unit(now) * (was.norm(dim=-1, keepdim=True) - now.norm(dim=-1, keepdim=True))
        moved[0, upper] += back
        moved[0, lower] -= back
        for number, line in enumerate(around):
            lid, share = (upper, lower)[number % 2], NEXT if number < 2 else FARTHER
            along = before[0, line] + moved[0, lid] - before[0, lid]
            moved[0, line] = torch.lerp(after[0, line], along, share)
    return moved


def with_lips_kept(before: Tensor, after: Tensor, meant: Tensor, numbers: Tensor) -> Tensor:
    """Landmarks of an edited head whose inner lips are as far apart as is meant.

    Args:
        before: Landmarks of the unedited head: they say which way is down.
        after: Of the edited one.
        meant: Of the head under :func:`allowed` alone.
        numbers: MediaPipe's number of each.

    Shape:
        landmarks (1, L, 3), numbers (L,) int64; returns (1, L, 3).
    """
    place = place_of(numbers)
    if any(number not in place for line in MOUTH_LINES for number in line):
        return after
    upper, lower, over, under, above, below = ([place[number] for number in line] for line in MOUTH_LINES)
    down = _down(before, place)

    def gap(state: Tensor) -> Tensor:
        return ((state[0, lower] - state[0, upper]) @ down)[:, None]

    if torch.equal(meant, before):
        # Nobody asked for other lips. Those of the latents may be shut while the photo's are open: what they would
        # still move by is taken back all the same.
        back = (gap(before) - gap(after)) * down
    else:
        # A gap that landmarks see negative is shut, whatever comes off it.
        back = (gap(meant).clamp(min=0.0) - gap(after).clamp(min=0.0)) * down
    moved = after.clone()
    for line, share in ((upper, -0.5), (over, -0.5 * OUTER), (lower, 0.5), (under, 0.5 * OUTER)):
        # Corners belong to both lips; there the gap is none.
        inner = line[1:-1]
        moved[0, inner] += share * back[1:-1]
    moved[0, above] -= 0.5 * BEYOND * back[1:-1]
    moved[0, below] += 0.5 * BEYOND * back[2:-2:3]
    return moved


def of_the_mouth(edit: LatentEdit) -> LatentEdit:
    """The part of an edit that may move the mouth otherwise than the face around it."""
    return LatentEdit.none.with_strength(MOUTH, edit.strength(MOUTH)).with_strength(SMILE, edit.strength(SMILE))


def with_mouth_kept(before: Tensor, after: Tensor, meant: Tensor, numbers: Tensor) -> Tensor:
    """Landmarks of an edited head whose mouth is as it was, but for what is meant: who ages smiles no more.

    What else moves it may shift it and make it larger or smaller as a whole.

    Args:
        before: Landmarks of the unedited head.
        after: Of the edited one.
        meant: Of the head under :func:`of_the_mouth` alone.
        numbers: MediaPipe's number of each.

    Shape:
        landmarks (1, L, 3), numbers (L,) int64; returns (1, L, 3).
    """
    place = place_of(numbers)
    if any(number not in place for line in MOUTH_LINES for number in line):
        return after
    mouth = sorted({place[number] for line in MOUTH_LINES for number in line})
    was, other = before[0, mouth], (after - meant)[0, mouth]
    centred = was - was.mean(dim=0)
    larger = (centred * (other - other.mean(dim=0))).sum() / centred.square().sum().clamp(min=1e-12)
    moved = after.clone()
    moved[0, mouth] = meant[0, mouth] + other.mean(dim=0) + larger * centred
    return moved


def _down(landmarks: Tensor, place: dict[int, int]) -> Tensor:
    """From the upper to the lower lip (3,), unit: from the eyes to the mouth's corners, as lips may be shut."""
    eyes = landmarks[0, [place[number] for line in UPPER_LIDS for number in line]].mean(dim=0)
    corners = landmarks[0, [place[UPPER_LIP[0]], place[UPPER_LIP[-1]]]].mean(dim=0)
    return _unit((corners - eyes)[None])[0]


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)
