"""Measures the mesh view: ``QT_QPA_PLATFORM=xcb xvfb-run -a python -m tests.gui.mesh_view_bench``.

200,000 triangles at 800 x 600, turned for five seconds: frames a second, the first picture of a new mesh, and the
longest time in which the window did nothing else meanwhile.
"""

import json
import math
import resource
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication

from core.camera import Camera
from core.edit import LatentEdit
from core.surface import PhotoTexture, SurfaceMesh
from gui import theme
from gui.widgets.mesh_view import MeshView, opengl_facts
from tests.gui.fake_engine import bust_mesh

RINGS = 112
"""Gives 200,704 triangles."""
SECONDS = 5.0
UPLOADS = 7


def wait(milliseconds: int) -> None:
    """Let Qt work."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def processor_seconds() -> float:
    """Of all threads of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def photographed(mesh: SurfaceMesh) -> SurfaceMesh:
    """The mesh with a photo of 512 pixels on its front, as heads have one."""
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3))
    places, _ = Camera().project(mesh.vertices)
    shares = np.where(mesh.normals[:, 2] > 0.2, 255, 0)
    return replace(mesh, texture=PhotoTexture(pixels, 0.5 * (places + 1.0), shares))


class Ticks:
    """Says how long the window did not get round to anything else."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._last = self._longest = 0.0

    def start(self) -> None:
        """Begin to watch."""
        self._last, self._longest = time.perf_counter(), 0.0
        self._timer.start(1)

    def longest_ms(self) -> float:
        """The longest time between two turns since the start; ends watching."""
        self._tick()
        self._timer.stop()
        return 1000 * self._longest

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._last)
        self._last = now


class Turning:
    """Turns the camera whenever a picture has reached the screen.

    Args:
        view: whose camera.
    """

    def __init__(self, view: MeshView) -> None:
        self._view = view
        self.count = 0

    def step(self) -> None:
        """One picture on."""
        self.count += 1
        self._view.set_camera(Camera(0.8 * math.sin(self.count / 20), 0.1))


def main() -> int:
    """Measure.

    Returns:
        0, or 1 without OpenGL.
    """
    application = QApplication(sys.argv[:1])
    theme.apply(application)
    facts = opengl_facts()
    if facts is None:
        return 1
    view = MeshView(facts)
    view.resize(800, 600)
    view.show()
    wait(300)
    mesh = photographed(bust_mesh(LatentEdit.none, RINGS))
    view.picture()
    ticks = Ticks()
    uploads, stalls = [], []
    for _ in range(UPLOADS):
        view.set_mesh(None)
        wait(300)
        ticks.start()
        started = time.perf_counter()
        view.set_mesh(mesh)
        while not view.is_up_to_date:
            application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        uploads.append(1000 * (time.perf_counter() - started))
        stalls.append(ticks.longest_ms())
    wait(500)
    turning = Turning(view)
    view.painted.connect(turning.step)
    spent, started = processor_seconds(), time.perf_counter()
    turning.step()
    wait(round(SECONDS * 1000))
    elapsed = time.perf_counter() - started
    figures = {
        "renderer": facts.renderer,
        "triangles": len(mesh.faces),
        "frames_per_s": round(turning.count / elapsed, 1),
        "processor_ms_a_frame": round(1000 * (processor_seconds() - spent) / turning.count, 1),
        "upload_and_draw_ms_median": round(statistics.median(uploads), 1),
        "upload_and_draw_ms_longest": round(max(uploads), 1),
        "stall_ms_median": round(statistics.median(stalls), 1),
        "stall_ms_longest": round(max(stalls), 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    view.painted.disconnect(turning.step)
    view.release()
    view.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
