"""The same journeys on a real X server with OpenGL, and how fast the window stands there."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
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


WALL = """
import sys
from dataclasses import replace
import numpy as np
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from core.camera import Camera
from core.surface import PhotoTexture, SurfaceMesh
from gui import theme
from gui.widgets.mesh_view import MeshView, opengl_facts

application = QApplication([])
theme.apply(application)
# A grey wall across the picture; the photo on it is red above and blue below, and fades out towards the right.
corners = np.array([[-1, 1, 0], [-1, -1, 0], [1, -1, 0], [1, 1, 0]]) * 0.08
wall = SurfaceMesh(
    corners, [[0, 1, 2], [0, 2, 3]], [[0, 0, 1]] * 4, np.full((4, 3), 128),
    texture=PhotoTexture(
        np.concatenate((np.tile([255, 0, 0], (2, 4, 1)), np.tile([0, 0, 255], (2, 4, 1)))),
        [[0, 0], [0, 1], [1, 1], [1, 0]], [255, 255, 0, 0],
    ),
)
for software in (True, False):  # light a vertex, light a pixel
    view = MeshView(replace(opengl_facts(), software=software))
    view.resize(200, 200)
    view.show()
    view.set_mesh(wall)
    view.set_camera(Camera())
    image = view.picture().convertToFormat(QImage.Format.Format_RGB888)
    for x, y in ((60, 70), (60, 130), (135, 70)):
        colour = image.pixelColor(x, y)
        print(colour.red(), colour.green(), colour.blue())
    view.release()
    view.close()
"""


SWAP = """
from PySide6.QtWidgets import QApplication
from core.camera import Camera
from core.surface import SurfaceMesh
import numpy as np
from gui import mesh_renderer, theme
from gui.widgets import mesh_view

application = QApplication([])
theme.apply(application)
# One slice a turn of the event loop, six of them.
mesh_renderer.SLICE, mesh_view.UPLOAD_MS = 1, 0.0
corners = np.array([[-1, 1, 0], [-1, -1, 0], [1, -1, 0], [1, 1, 0]]) * 0.08
walls = [
    SurfaceMesh(corners, [[0, 1, 2], [0, 2, 3]], [[0, 0, 1]] * 4, np.tile(colour, (4, 1)))
    for colour in ([255, 0, 0], [0, 0, 255])
]
view = mesh_view.MeshView(mesh_view.opengl_facts())
view.resize(200, 200)
view.show()
view.set_camera(Camera())

def middle(image):
    colour = image.pixelColor(100, 100)
    return "red" if colour.red() > 150 else "blue" if colour.blue() > 150 else "nothing"

view.set_mesh(walls[0])
print(middle(view.picture()))  # asked for, it is there
view.set_mesh(walls[1])
shown = []
for _ in range(1000):
    shown.append(middle(view._current()))  # what a painting would show
    if view.is_up_to_date and shown[-1] == "blue":
        break
    application.processEvents()
print(*sorted(set(shown)), shown == sorted(shown, reverse=True), len(shown) > 3)
view.set_mesh(walls[0])
application.processEvents()
view.set_mesh(None)  # in the middle of it
print(middle(view.picture()))
view.set_mesh(walls[0])
application.processEvents()
view.set_mesh(walls[1])
print(middle(view.picture()))
view.set_mesh(walls[0])
application.processEvents()
view.release()
print(middle(view.picture()))
view.release()
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


@pytest.mark.xvfb
@pytest.mark.slow
def test_a_mesh_wears_its_photo_the_right_way_up_and_no_farther_than_its_share() -> None:
    result = on_display(sys.executable, "-c", WALL, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    colours = [[int(value) for value in line.split()] for line in result.stdout.splitlines()]
    for above, below, bare in (colours[:3], colours[3:]):
        assert above[0] > 2 * above[2]
        assert below[2] > 2 * below[0]
        assert bare[0] - bare[2] < 0.5 * (above[0] - above[2])
    assert np.abs(np.subtract(*np.split(np.array(colours), 2))).max() <= 3  # the same light both ways


@pytest.mark.xvfb
def test_a_new_mesh_is_handed_over_in_slices_while_the_old_one_is_shown() -> None:
    result = on_display(sys.executable, "-c", SWAP, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines() == ["red", "blue red True True", "nothing", "blue", "red"]
