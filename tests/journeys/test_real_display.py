"""The same journeys on a real X server with OpenGL, and how fast the window stands there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VISIBLE_S = 4.0
"""Seconds from starting Python to a window that has been painted."""

START = """
import time
import psutil
from PySide6.QtCore import QTimer
import gui.app
from gui.main_window import MainWindow

def painted(self, event):
    MainWindow.shown_at = getattr(MainWindow, "shown_at", None) or time.time()

def judge():
    import sys
    print("visible", MainWindow.shown_at - psutil.Process().create_time())
    print("torch", "torch" in sys.modules)
    gui.app.QApplication.closeAllWindows()

gui.app.WARM_UP_MS = 10_000_000
MainWindow.paintEvent = painted
class Judge(gui.app.Cameo):
    def start(self, photo=None):
        super().start(photo)
        QTimer.singleShot(300, judge)
gui.app.Cameo = Judge
raise SystemExit(gui.app.main(["main.py"]))
"""


def on_display(*command: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command under Xvfb, with the platform people have."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    return subprocess.run(
        ["xvfb-run", "-a", "-s", "-screen 0 1440x900x24 +extension GLX", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.xvfb
@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        "fake and (becomes_a_head or orbiting or slider or text_file or closing)",
        # PyTorch and Mesa in one process: their compilers once ended it (an LLVM each).
        "real and (orbiting or exported)",
    ],
)
def test_the_journeys_work_on_a_real_display_with_opengl(chosen: str, tmp_path: Path) -> None:
    if chosen.startswith("real") and not (ROOT / "weights" / "cameo-256").is_dir():
        pytest.skip("weights/cameo-256 is not there")
    result = on_display(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        f"--basetemp={tmp_path / 'inner'}",
        *("tests/journeys/test_journeys.py", "-k", chosen),
        timeout=240,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert "skipped" not in result.stdout


@pytest.mark.xvfb
@pytest.mark.slow
def test_the_window_is_visible_within_four_seconds_and_before_torch() -> None:
    result = on_display(sys.executable, "-c", START, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    facts = dict(line.split() for line in result.stdout.splitlines())
    assert facts["torch"] == "False"
    assert float(facts["visible"]) < VISIBLE_S
