"""Curves of a log: what stands in it is drawn, half a line is not a crash."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.training.curves import draw_curves, read_log


def test_a_log_is_read_and_drawn(tmp_path: Path) -> None:
    log, picture = tmp_path / "stage.jsonl", tmp_path / "stage.curves.png"
    rows = [{"step": step, "seconds": 1.0, "loss": 1 / step, "late": float("nan")} for step in range(1, 30)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 30, "lo')
    assert read_log(log) == {"loss": [(step, 1 / step) for step in range(1, 30)]}
    draw_curves(log, picture)
    drawn = np.asarray(Image.open(picture).convert("RGB"))
    assert min(drawn.shape[:2]) > 100
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["stage.curves.png", "stage.jsonl"]


def test_an_empty_log_is_no_picture(tmp_path: Path) -> None:
    log = tmp_path / "stage.jsonl"
    log.touch()
    draw_curves(log, tmp_path / "stage.curves.png")
    assert not (tmp_path / "stage.curves.png").exists()
