"""Rows of the real window: start, first picture, live view, memory.

The window runs in a process of its own, on a virtual display where there is no other; the child prints its rows as one
line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.bench.rows import Row, row

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"

LIVE_SECONDS = 5.0
"""How long the head is dragged: some hundred events, so that one slow frame does not decide."""
QUICK_SECONDS = 1.0
TIMEOUT_MS = 120_000
SLIDER_SECONDS, EVENTS_A_SECOND = 10.0, 60.0
"""A slider's drag, and how often a mouse reports."""


def rows(quick: bool = False) -> list[Row]:
    """The rows, measured in a child process."""
    command = [sys.executable, "-m", "tests.bench", "--in-the-window", *(["--quick"] if quick else [])]
    env = dict(os.environ)
    if sys.platform.startswith("linux") and not env.get("DISPLAY"):
        if shutil.which("xvfb-run"):
            command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", *command]
        else:
            env["QT_QPA_PLATFORM"] = "offscreen"
    result = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    found: list[Row] = json.loads(result.stdout.splitlines()[-1])
    return found


def child(quick: bool) -> None:
    """Measure and print; called in the child process."""
    print(json.dumps(in_the_window(QUICK_SECONDS if quick else LIVE_SECONDS)))


def in_the_window(live_seconds: float) -> list[Row]:
    """Start, open a photo, open another, drag the head; in this process."""
    import resource

    import psutil
    from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication

    from core.frame import Frame
    from gui import theme
    from gui.app import Cameo
    from gui.widgets.mesh_view import opengl_facts

    QCoreApplication.setOrganizationName("Cameo benchmark")
    application = QApplication([])
    theme.apply(application)
    cameo = Cameo(opengl=opengl_facts())
    cameo.start()
    while not cameo.window.windowHandle().isExposed():
        application.processEvents()
    application.processEvents()
    visible_ms = 1000.0 * (time.time() - psutil.Process().create_time())

    frames: list[Frame] = []
    cameo.worker.frame_rendered.connect(frames.append)

    def open_and_wait() -> float:
        """Milliseconds from the drop to the first picture of the new head."""
        frames.clear()
        before = cameo.session.inversion
        started = time.monotonic()
        cameo.photos.reconstruct(PHOTO)
        # The window's own loop: one that looks every millisecond would take time from what it measures.
        loop, alarm = QEventLoop(), QTimer(interval=TIMEOUT_MS, singleShot=True)

        def shown(frame: Frame) -> None:
            if frame.request.inversion is not before:
                loop.quit()

        cameo.worker.frame_rendered.connect(shown)
        alarm.timeout.connect(loop.quit)
        alarm.start()
        loop.exec()
        cameo.worker.frame_rendered.disconnect(shown)
        if not alarm.isActive():
            raise TimeoutError("no picture after two minutes")
        return 1000.0 * (time.monotonic() - started)

    def settle() -> None:
        deadline = time.monotonic() + 120.0
        while cameo.window.job_bar.job is not None or cameo.surfaces.is_stale:
            application.processEvents()
            time.sleep(0.01)
            if time.monotonic() > deadline:
                raise TimeoutError("the window does not come to rest")

    open_and_wait()  # loads the networks
    settle()
    picture_ms = open_and_wait()
    settle()

    frames.clear()
    started = time.monotonic()
    while time.monotonic() - started < live_seconds:
        phase = (time.monotonic() - started) * 3.0
        cameo.view.orbit(0.02 if phase % 2.0 < 1.0 else -0.02, 0.0)
        application.processEvents()
        time.sleep(1.0 / 60.0)  # a mouse that is dragged
    dragged = len(frames)
    settle()
    latencies, shown_px = _slide(cameo, live_seconds / LIVE_SECONDS * SLIDER_SECONDS)
    live_ms = 1000.0 * live_seconds / max(dragged, 1)
    live_px = min(frame.request.size for frame in frames[:dragged]) if dragged else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    cameo.window.close()
    cameo.stop()
    return [
        row("window_visible", visible_ms, {"fast_ms": ("<=", 4000.0)}, peak_rss_mb=peak),
        row("photo_to_first_picture", picture_ms, {"fast_ms": ("<=", 5000.0)}, peak_rss_mb=peak),
        row(
            "live_view",  # five frames a second, none smaller than 128 px
            live_ms,
            {"fast_ms": ("<=", 200.0), "size_px": (">=", 128), "peak_rss_mb": ("<=", 1536.0)},
            size_px=live_px,
            peak_rss_mb=peak,
        ),
        row(
            "slider_to_pixels_p95",  # of the values that were painted; values in between are overtaken by newer ones
            _share(latencies, 0.95),
            {"fast_ms": ("<=", 150.0), "size_px": (">=", 128)},
            median_ms=_share(latencies, 0.5),
            worst_ms=max(latencies),
            frames_per_s=len(latencies) / (live_seconds / LIVE_SECONDS * SLIDER_SECONDS),
            size_px=shown_px,
            peak_rss_mb=peak,
        ),
    ]


def _share(values: list[float], share: float) -> float:
    """A quantile."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def _slide(cameo: Any, seconds: float) -> tuple[list[float], int]:
    """Drag a slider to and fro at a mouse's pace.

    Returns:
        For every value that was painted the milliseconds from the slider's signal to the end of its painting, and the
        smallest picture that was shown.
    """
    from PySide6.QtCore import QEventLoop, Qt, QTimer

    panel, view = cameo.window.attribute_panel, cameo.window.stage.frame_view
    sent: dict[float, float] = {}
    latencies: list[float] = []
    sizes: list[int] = []

    def painted(frame: Any) -> None:
        if frame is None:
            return
        view.repaint()  # paints now, not when Qt finds time: the clock stops when pixels are there
        begun = sent.pop(dict(frame.request.edit.items()).get("Smile", 0.0), None)
        if begun is not None:
            latencies.append(1000.0 * (time.monotonic() - begun))
            sizes.append(frame.request.size)

    started = time.monotonic()

    def move() -> None:
        value = round(0.9 * math.sin(2.0 * (time.monotonic() - started)), 4)
        sent[value] = time.monotonic()
        panel.moved.emit("Smile", value)

    cameo.view.go_home()  # where the program opens, and most sliders are moved
    cameo.live.frame_due.connect(painted)
    # The program's own event loop, as when a person drags: polling would compete with the engine for a core.
    loop, mouse = QEventLoop(), QTimer()
    mouse.setTimerType(Qt.TimerType.PreciseTimer)
    mouse.timeout.connect(move)
    mouse.start(round(1000.0 / EVENTS_A_SECOND))
    QTimer.singleShot(round(1000.0 * seconds), loop.quit)
    loop.exec()
    mouse.stop()
    cameo.live.frame_due.disconnect(painted)
    panel.settled.emit("Smile")
    return latencies, min(sizes)
