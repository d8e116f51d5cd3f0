"""Eyes that open or close: lids follow the landmarks of somebody's own eyes.

The field's lids do not move (``core.training.directions.IDLE``): a slider that asked it would do nothing. Where lids
are is known, and the photo's pixels follow landmarks (``core.rendering.flow``): so the landmarks of the lids are moved
apart or together, by a share of how far that eye is open. Corners stay, the skin above the lid comes along, the iris
stays where it is because both lids leave it.
"""

from __future__ import annotations

from torch import Tensor

from core.rendering.measures import place_of

__all__ = ["ATTRIBUTE", "with_lids"]

ATTRIBUTE = "Eyes open"

# MediaPipe's numbers: lids, and the ring of skin around the lids, above and below; the head's right eye first.
UPPER = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER = ((7, 163, 144, 145, 153, 154, 155), (249, 390, 373, 374, 380, 381, 382))
ABOVE = ((247, 30, 29, 27, 28, 56, 190), (467, 260, 259, 257, 258, 286, 414))
BELOW = ((25, 110, 24, 23, 22, 26, 112), (255, 339, 254, 253, 252, 256, 341))
# By how much of its opening +1 moves the lids apart, and -1 together; neighbours that stay take half of that back.
WIDER, NARROWER = 0.55, 0.55
# Shares of that by which upper and lower lid move, and the skin around them of its lid.
OF_UPPER, OF_LOWER, SKIN = 0.72, 0.28, 0.55


def with_lids(landmarks: Tensor, numbers: Tensor, strength: float) -> Tensor:
    """Landmarks of a head whose eyes are opened.

    Args:
        landmarks: Of the head.
        numbers: MediaPipe's number of each.
        strength: Of the edit; +1 opens them wide, -1 lets the lids sink.

    Shape:
        landmarks (1, L, 3) world units, numbers (L,) int64; returns (1, L, 3).
    """
    place = place_of(numbers)
    named = [number for group in (*UPPER, *LOWER, *ABOVE, *BELOW) for number in group]
    if strength == 0.0 or any(number not in place for number in named):
        return landmarks
    moved = landmarks.clone()
    amount = strength * (WIDER if strength > 0.0 else NARROWER)
    for upper, lower, above, below in zip(UPPER, LOWER, ABOVE, BELOW, strict=True):
        lids = [landmarks[0, [place[number] for number in line]] for line in (upper, lower)]
        # Between each point of the upper lid and the one under it: how far the eye is open there, and which way is up.
        gap = lids[0] - lids[1]
        step = amount * gap
        for line, share in ((upper, OF_UPPER), (above, SKIN * OF_UPPER), (lower, -OF_LOWER), (below, -SKIN * OF_LOWER)):
            moved[0, [place[number] for number in line]] += share * step
    return moved
