"""Rows that survive, rows that must not, and what a table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.evaluation import tables
from core.evaluation.tables import Kept
from core.weights import Registry
from tests.toy_head import NAME, toy_registry


def test_a_kept_row_comes_back(tmp_path: Path) -> None:
    Kept(tmp_path, {"weights": "a", "size": 3}).put("one", {"mae": 0.5, "sides": [1.0, 2.0]})
    assert Kept(tmp_path, {"size": 3, "weights": "a"}).get("one") == {"mae": 0.5, "sides": [1.0, 2.0]}


def test_rows_of_other_weights_are_not_mixed_in(tmp_path: Path) -> None:
    Kept(tmp_path, {"weights": "a@1"}).put("one", {"mae": 0.5})
    assert Kept(tmp_path, {"weights": "a@2"}).get("one") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stamp": {}, "row": 3}'])
def test_a_damaged_row_is_measured_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "one.json").write_text(content)
    assert Kept(tmp_path, {}).get("one") is None


def test_a_figure_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Kept(tmp_path, {}).put("one", {"mae": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_every_number_of_a_list_counts() -> None:
    found = tables.spreads([{"a": [1.0, 2.0]}, {"a": 3.0}, {"b": 1.0}], ("a", "b", "c"))
    assert found["a"] == {"mean": 2.0, "std": 1.0, "n": 3}
    assert found["b"] == {"mean": 1.0, "std": 0.0, "n": 1}
    assert "c" not in found


def test_a_share_counts() -> None:
    assert tables.share([True, True, False, True]) == {"mean": 0.75, "std": pytest.approx(0.433, abs=1e-3), "n": 4}
    assert tables.share([]) is None


def test_retrained_weights_are_other_weights(tmp_path: Path) -> None:
    registry = toy_registry(tmp_path)
    before = tables.weights_stamp(registry, NAME)
    (tmp_path / "toy.safetensors").write_bytes(b"others")
    entry = registry.entry(NAME)
    registry.add(NAME, {"model": "toy.safetensors"}, purpose="head", licence="x", contract=entry.contract)
    assert before.startswith(f"{NAME}@")
    assert tables.weights_stamp(registry, NAME) != before


def test_a_table_is_markdown() -> None:
    lines = tables.figure_lines({"mae": {"mean": 0.5, "std": 0.25, "n": 2}})
    assert lines == ["| figure | mean ± std | n |", "|---|---|---|", "| mae | 0.500 ± 0.250 | 2 |"]


def test_a_stamp_tells_of_every_file_of_some_weights(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    stamps = set()
    for model, directions in ((b"a", b"a"), (b"b", b"a"), (b"b", b"b")):
        (tmp_path / "model").write_bytes(model)
        (tmp_path / "directions").write_bytes(directions)
        registry.add("two", {"model": "model", "directions": "directions"}, purpose="head", licence="CC0-1.0")
        stamps.add(tables.weights_stamp(registry, "two"))
    assert len(stamps) == 3
