"""Every file of one photo by ``python -m core reconstruct``: pictures, mesh, turntable, report."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.bench.rows import Row, row

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"


def rows() -> list[Row]:
    """Seconds and memory of one run, loading included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        command = [sys.executable, "-m", "core", "reconstruct", str(PHOTO), "--out", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        fast_ms = 1000.0 * (time.monotonic() - started)
        report = json.loads((Path(folder) / PHOTO.stem / "report.json").read_text(encoding="utf-8"))
    must = {"fast_ms": ("<=", 30_000.0), "peak_rss_mb": ("<=", 3072.0)}
    return [row("command_line_all_files", fast_ms, must, peak_rss_mb=report["peak_rss_mb"])]
