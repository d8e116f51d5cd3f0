"""How near identity can come at all: true views of one and the same head of the world, as far apart as ours are.

An embedding of faces is not blind to pose. A reconstruction whose turned views lie as far from the photo as a real
head's true turned views do cannot be told from the truth by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.camera import Camera
from core.engine import Engine
from core.evaluation.likeness import FAR_YAW, SIDE_YAW, SIZE, over
from core.evaluation.tables import Kept, Spread, share, spreads
from core.inversion import SAME_PERSON
from core.job import Job

if TYPE_CHECKING:
    from core.evaluation.people import People, Person

# Standard deviation of the yaw and pitch [rad] of the first view: portraits are nearly frontal.
PORTRAIT_YAW, PORTRAIT_PITCH = 0.15, 0.08
GREY = 128.0


def identity_floor(engine: Engine, people: People, heads: int, kept: Kept, job: Job) -> dict[str, Spread]:
    """Identity distances between true views.

    Args:
        engine: Whose embedding measures.
        people: Who draws.
        heads: How many heads.
        kept: Where rows are kept.
        job: Where to report.

    Returns:
        ``identity_yaw35`` and ``identity_yaw60`` with the shares below the threshold of one person, ``same_yaw35`` and
        ``same_yaw60``; every view counts.
    """
    rows = []
    for index in range(heads):
        job.report(index / heads, f"true views of head {index + 1} of {heads}")
        key = f"floor_{index:04d}"
        row = kept.get(key)
        if row is None:
            row = _one(engine, people, people.person(index))
            kept.put(key, row)
        rows.append(row)
    found = spreads(rows, ("identity_yaw35", "identity_yaw60"))
    for name in ("yaw35", "yaw60"):
        same = share(value < SAME_PERSON for row in rows for value in row[f"identity_{name}"])
        if same is not None:
            found[f"same_{name}"] = same
    return found


def _one(engine: Engine, people: People, person: Person) -> dict[str, list[float]]:
    (first,) = people.cameras(person.index, 1, PORTRAIT_YAW, PORTRAIT_PITCH)

    def embedded(turn: float) -> NDArray[np.float64]:
        colour = people.view(person, Camera(first.yaw + turn, first.pitch), SIZE).colour
        return engine.judge.embed(over(colour, GREY), colour[..., 3] > 127)

    same = embedded(0.0)
    return {
        f"identity_{name}": [float(np.linalg.norm(same - embedded(turn))) for turn in (-yaw, yaw)]
        for name, yaw in (("yaw35", SIDE_YAW), ("yaw60", FAR_YAW))
    }
