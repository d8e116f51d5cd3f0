"""Two processes learn what one learns from the same rows; the first alone writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.errors import CameoError
from core.training import processes as module
from tests.training import sharded


def learned(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "shares.pt", weights_only=True)  # noqa: TID251 - a state
    return {name: value for part in ("live", "averaged") for name, value in state[part]["network"].items()}


@pytest.mark.slow
def test_sharded_equals_single(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    sharded.main(alone, 12)
    launcher = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--log-dir",
        str(tmp_path / "log"),
    ]
    command = [sys.executable, *launcher, "-m", "tests.training.sharded", str(together), "12"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # A launcher that starts one process only would make all that follows true.
    assert {path.name for path in together.glob("process_*")} == {"process_0_of_2", "process_1_of_2"}
    one, two = learned(alone), learned(together)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    steps = [json.loads(line)["step"] for line in (together / "shares.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13)), "one process writes the log, and every step once"


def test_several_processes_without_accelerate_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    module.processes.cache_clear()
    try:
        with pytest.raises(CameoError, match="accelerate") as caught:
            module.processes()
        assert "pip install accelerate" in caught.value.hint
    finally:
        module.processes.cache_clear()
