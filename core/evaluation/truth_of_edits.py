"""What an ideal slider would seem to bring along: true changes of one attribute, under the judges of edits.

A judge is not deaf to what it is not asked about: a smile opens lips and narrows eyes, a beard makes a face look older.
So leakage of a slider has this beside it. People of the world, one attribute a time changed by about what a slider's
step changes, everything else of them held; judged before and after exactly as an edited photo is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.evaluation.changes import COORDINATES, changed
from core.evaluation.likeness import over
from core.evaluation.probes import PITCH, YAW
from core.evaluation.scorers import FaceBox, landmarks_of
from core.evaluation.tables import Kept
from core.frame import BACKDROP
from core.job import Job
from core.world.identity import scene_parameters

if TYPE_CHECKING:
    from core.evaluation.edits import Judges
    from core.evaluation.people import People

__all__ = ["STEP", "true_changes"]

FIRST = 5000
"""People from this number on: probes learn from those before."""
STEP = 0.6
"""To both sides, in standard deviations of the coordinate."""


def true_changes(
    people: People, judges: Judges, heads: int, cache: Path, job: Job, names: Sequence[str] = tuple(COORDINATES)
) -> dict[str, dict[str, float]]:
    """Mean change of every score by a true change of each attribute.

    Args:
        people: The world, on the stream of the probes.
        judges: Who scores.
        heads: How many people.
        cache: Folder for what was found; the same judges are not asked again.
        job: Where to report.
        names: Which attributes.

    Returns:
        Attribute -> score -> mean change; people in whom no face is found before the change are left out.

    Raises:
        Cancelled: Somebody asked to stop.
    """
    asked = {"people": people.mark, "heads": heads, "step": STEP, "names": [*names], **judges.marks}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    kept = Kept(cache, asked)
    if (known := kept.get(f"truth_{digest}")) is not None:
        return known
    backdrop = np.array(BACKDROP, np.float64)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for number in range(heads):
        index = FIRST + number
        (camera,) = people.cameras(index, 1, YAW, PITCH)
        for place, name in enumerate(names):
            job.report((number + place / len(names)) / heads, f"true changes of head {number + 1} of {heads}")
            states = [people.drawn(scene_parameters(z), camera) for z in changed(people.code(index), name, STEP)]
            before, after = (over(state, backdrop) for state in states)
            landmarks = landmarks_of(before)
            if landmarks is None:
                continue
            box = FaceBox.around(landmarks, before.shape[0])
            (old, _), (new, _) = judges(before, box), judges(after, box)
            for score in old.keys() & new.keys():
                found[name].setdefault(score, []).append(new[score] - old[score])
    means = {
        name: {score: float(np.mean(values)) for score, values in scores.items()} for name, scores in found.items()
    }
    kept.put(f"truth_{digest}", means)
    return means
