"""True changes of the world under the judges of edits: means over people, and nobody is asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core.camera import Camera
from core.evaluation import truth_of_edits
from core.evaluation.edits import Judges
from core.evaluation.people import People
from core.evaluation.truth_of_edits import true_changes
from core.job import Job
from core.world.identity import SceneParameters


class Drawn:
    """People whose pictures tell how much they smile, by one colour."""

    mark = "toy"

    def __init__(self) -> None:
        self.pictures = 0

    def code(self, index: int) -> np.ndarray:
        return np.random.default_rng(index).normal(size=256).astype(np.float32)

    def cameras(self, *_: object) -> list[Camera]:
        return [Camera()]

    def drawn(self, parameters: SceneParameters, _: Camera) -> np.ndarray:
        self.pictures += 1
        return np.full((8, 8, 4), 255, np.uint8) * np.uint8([1, 1, 1, 1]) - np.uint8(
            [round(100 * parameters.smile), round(100 * parameters.jaw), 0, 0]
        )


class Reading:
    """Judges that read the colours."""

    @property
    def marks(self) -> dict[str, Any]:
        return {"networks": True}

    def __call__(self, pixels: np.ndarray, _: object) -> tuple[dict[str, float], bool]:
        return {
            "happy": (255.0 - float(pixels[0, 0, 0])) / 100,
            "lip_gap": (255.0 - float(pixels[0, 0, 1])) / 100,
        }, True


def test_a_true_change_is_judged_before_and_after_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(truth_of_edits, "landmarks_of", lambda _: np.random.default_rng(0).uniform(1, 7, (468, 2)))
    people, names = Drawn(), ("Smile", "Mouth open")
    asked = (cast(People, people), cast(Judges, Reading()), 3, tmp_path, Job.quiet(), names)
    found = true_changes(*asked)
    assert people.pictures == 3 * 2 * len(names)
    assert found["Smile"]["happy"] > 0.1
    assert abs(found["Smile"]["lip_gap"]) < found["Smile"]["happy"]
    assert found["Mouth open"]["lip_gap"] > 0.1
    assert true_changes(*asked) == found
    assert people.pictures == 3 * 2 * len(names)


def test_people_without_a_face_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(truth_of_edits, "landmarks_of", lambda _: None)
    people, judges = cast(People, Drawn()), cast(Judges, Reading())
    assert true_changes(people, judges, 2, tmp_path, Job.quiet(), ("Smile",)) == {"Smile": {}}
