"""One head of the world before and after a change of one coordinate, everything else held: the truth about a change.

A slider of an ideal editor would do this. Judges of changes learn from such pairs, and what they say of pairs that they
did not learn from is how much an ideal slider would seem to bring along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.world import identity
from core.world.fullness import FULL, fullness
from core.world.identity import SceneParameters, labels

__all__ = ["COORDINATES", "changed", "labels_of"]

_SHAPE = identity.IDENTITY_BLOCKS["shape"].start
COORDINATES: dict[str, tuple[int, ...]] = {
    "Smile": (identity.SMILE,),
    "Mouth open": (identity.MOUTH_OPEN,),
    "Eyes open": (identity.EYES_OPEN,),
    "Brows": (identity.BROWS,),
    "Age": (identity.AGE,),
    "Gender": (identity.GENDER,),
    "Weight": tuple(_SHAPE + number for number in FULL),
    "Skin tone": (identity.SKIN_TONE,),
    "Hair length": (identity.HAIR_LENGTH,),
    "Hair colour": (identity.HAIR_COLOUR,),
    "Bangs": (identity.BANGS,),
    "Beard": (identity.BEARD,),
    "Eyeglasses": (identity.EYEGLASSES,),
}
"""Attribute -> what of z rules it."""
STARTS: dict[str, tuple[float, float | None]] = {
    "Mouth open": (1.0, None),
    "Beard": (1.0, 1.0),
    "Eyeglasses": (identity.GLASSES_FROM, None),
}
"""Where there is nothing to see on most heads: the coordinate's middle, and that of the gender, for a change."""
FALLING = ("Hair colour",)
"""Whose label, as a slider's plus, falls with the coordinate: it is how light hair is, and the coordinate how dark."""

Code = NDArray[np.float32]


def changed(code: Code, name: str, step: float) -> tuple[Code, Code]:
    """A head's code with less and more of an attribute than it has, or than where it begins to show.

    Args:
        code: z (256,); left as it is.
        name: One of ``COORDINATES``.
        step: To both sides, in standard deviations of the coordinate.
    """
    middle = code.copy()
    where = list(COORDINATES[name])
    if name in STARTS:
        start, gender = STARTS[name]
        middle[where] = start
        if gender is not None:
            middle[identity.GENDER] = gender
    before, after = middle.copy(), middle.copy()
    before[where] -= step
    after[where] += step
    return (after, before) if name in FALLING else (before, after)


def labels_of(parameters: SceneParameters) -> dict[str, float]:
    """Exact labels of a head as sliders mean them: the world's, but *Weight* is how full the face is."""
    return {**labels(parameters), "Weight": fullness(parameters)}
