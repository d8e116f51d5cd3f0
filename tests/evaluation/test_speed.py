"""Speed: every tier has a time, and the machine stands beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.evaluation.speed import LABELS, Settings, summarise
from tests.toy_head import NAME, toy_registry

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"


def test_minimum_and_median() -> None:
    summary = summarise({"mesh": [3.0, 1.0, 9.0], "slider_128": []}, "toy@1", Settings(), "cpu")
    assert summary["milliseconds"] == {"mesh": {"min": 1.0, "median": 3.0, "n": 3}}
    assert summary["machine"]["cores"] > 0


@pytest.mark.slow
def test_every_tier_is_timed(tmp_path: Path) -> None:
    registry = toy_registry(tmp_path / "weights")
    command = ["evaluate", "speed", str(ASTRONAUT), "--out", str(tmp_path / "out"), "--weights", NAME, "--quick"]
    command += ["--threads", "1", "--weights-folder", str(registry.folder), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["milliseconds"]) == set(LABELS)
    assert "| mesh |" in (tmp_path / "out" / "table.md").read_text()
