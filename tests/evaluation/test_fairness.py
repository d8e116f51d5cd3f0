"""Fairness: groups are what their labels say, and the table names how many people each figure rests on."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation import attributes, fairness
from core.evaluation.tables import Row
from core.world.fullness import FULL, fullness
from core.world.identity import Z_SIZE, scene_parameters


def person(gender: float, age: float, tone: float, mae: float = 0.05) -> Row:
    figures = dict.fromkeys(fairness.FIGURES, mae)
    return {"labels": {"Gender": gender, "Age": age, "Skin tone": tone}, **figures}


def test_everybody_belongs_to_exactly_one_band_of_every_kind() -> None:
    for value in (0.0, 0.2, 1 / 3, 0.5, 2 / 3, 0.9, 1.0):
        rows = {"somebody": person(value, value, value)}
        for bands in fairness.GROUPS.values():
            assert sum(len(fairness.members(rows, *band[1:])) for band in bands) == 1


def test_figures_are_those_of_the_group_and_failures_are_counted() -> None:
    failed = {**person(0.9, 0.9, 0.9), "error": {"kind": "NoFaceFound", "message": "", "hint": ""}}
    rows = {"a": person(0.1, 0.1, 0.1, 0.04), "b": person(0.1, 0.5, 0.9, 0.06), "c": failed}
    summary = fairness.summarise(rows, "weights@0", fairness.Settings())
    feminine = summary["groups"]["perceived gender: feminine"]
    assert feminine["people"] == 2
    assert feminine["figures"]["mae"]["mean"] == pytest.approx(0.05)
    masculine = summary["groups"]["perceived gender: masculine"]
    assert (masculine["people"], masculine["failed"], masculine["figures"]) == (1, 1, {})
    text = fairness.table(summary)
    assert "| skin tone: dark | 2 | 1 | 0.060 ± 0.000 |" in text
    assert "3 people" in text


def test_fullness_rises_with_each_of_its_local_changes_and_with_nothing_else() -> None:
    z = np.zeros(Z_SIZE, np.float32)
    assert fullness(scene_parameters(z)) == pytest.approx(0.5)
    for number in FULL:
        moved = z.copy()
        moved[20 + number] = 1.0
        assert fullness(scene_parameters(moved)) > 0.6
    other = np.ones(Z_SIZE, np.float32)
    other[[20 + number for number in FULL]] = 0.0
    assert fullness(scene_parameters(other)) == pytest.approx(0.5)


def test_what_is_drawn_alike_is_passed_on_and_what_is_not_is_not() -> None:
    assert attributes.passed_on([0.04, 0.01], [0.2, 0.1]) == pytest.approx(1.0)
    assert attributes.passed_on([0.0, 0.0], [0.2, 0.1]) == 0.0
    assert attributes.passed_on([0.0], [0.0]) is None


def test_every_attribute_of_the_product_is_compared() -> None:
    from core.edit import ATTRIBUTES

    assert set(attributes.COORDINATES) == {attribute.name for attribute in ATTRIBUTES}
