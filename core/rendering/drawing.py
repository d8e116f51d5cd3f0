"""What an edit draws on the photo where landmarks say: an opened mouth, brows, lips, skin, where a beard may grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.edit import LatentEdit
from core.rendering.beard import ATTRIBUTE as BEARD
from core.rendering.brows import ATTRIBUTE as BROWS
from core.rendering.brows import brows_at
from core.rendering.complexion import ATTRIBUTE as SKIN_TONE
from core.rendering.creases import carried, creases_at
from core.rendering.gender import ATTRIBUTE as GENDER
from core.rendering.gender import beard_at, cues_at
from core.rendering.mouth import ATTRIBUTE as MOUTH
from core.rendering.mouth import lips, opening
from core.rendering.repaint import Drawn
from core.rendering.restraint import SMILE
from core.rendering.source import SourceHead
from core.rendering.wrinkles import ATTRIBUTE as AGE
from core.rendering.wrinkles import skin_at
from core.tensor_camera import project

__all__ = ["drawn_by"]


def drawn_by(
    edit: LatentEdit, source: SourceHead, numbers: NDArray[np.int64], states: tuple[Tensor, Tensor], size: int
) -> Drawn:
    """What an edit draws, in the photo's view.

    Args:
        edit: The edit.
        source: The photo tier.
        numbers: MediaPipe's numbers of the landmarks (L,).
        states: Landmarks of the head before and after the edit, (1, L, 3) each.
        size: Side of the maps.
    """
    opens, grows, brows = edit.strength(MOUTH) > 0.0, edit.strength(BEARD) > 0.0, edit.strength(BROWS) != 0.0
    kept, ages, marks = not opens and edit.strength(SMILE) > 0.0, edit.strength(AGE), source.marks
    gender, tone = edit.strength(GENDER) != 0.0, edit.strength(SKIN_TONE) != 0.0
    if not (opens or grows or brows or kept or ages or gender or tone):
        return Drawn()
    old, new = ((project(one, source.angles)[0][0].double().cpu().numpy() + 1.0) / 2.0 for one in states)
    return Drawn(
        opening(old, new, numbers, size) if opens else None,
        lips(new, numbers, size) if grows or tone else None,
        brows_at(new, numbers, size) if brows else None,
        lips(new, numbers, size) if kept else None,
        skin_at(new, numbers, size) if ages else None,
        cues_at(new, numbers, size) if gender else None,
        beard_at(new, numbers, size) if grows else None,
        creases_at(carried(marks, old, new, numbers), size) if marks is not None and ages > 0.0 else None,
    )
