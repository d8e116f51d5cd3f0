"""``make bench``: the promises about speed and memory, measured through the real window and the real command line.

Each figure is measured once on an otherwise idle machine, compared with its limit for two CPU cores, shown, and written
to ``bench.json``. The exit code is 1 when a limit is broken.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"

LIMITS = {
    "window_visible_s": (4.0, "at most"),
    "photo_to_first_picture_s": (5.0, "at most"),
    "command_line_all_files_s": (30.0, "at most"),
    "live_view_frames_per_s": (5.0, "at least"),
    "live_view_size_px": (128.0, "at least"),
    "window_peak_rss_mb": (3072.0, "at most"),
    "command_line_peak_rss_mb": (3072.0, "at most"),
}

LIVE_SECONDS = 5.0
"""How long the head is dragged: some hundred events, so that one slow frame does not decide."""


def measure_command_line() -> dict[str, float]:
    """Every file of one photo: pictures, mesh, turntable, report."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        command = [sys.executable, "-m", "core", "reconstruct", str(PHOTO), "--out", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        report = json.loads((Path(folder) / PHOTO.stem / "report.json").read_text(encoding="utf-8"))
    return {"command_line_all_files_s": seconds, "command_line_peak_rss_mb": report["peak_rss_mb"]}


def measure_window() -> dict[str, float]:
    """The window in a process of its own, on a virtual display where there is no other."""
    command = [sys.executable, "-m", "tests.bench", "--window"]
    env = dict(os.environ)
    if sys.platform.startswith("linux") and not env.get("DISPLAY"):
        if shutil.which("xvfb-run"):
            command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", *command]
        else:
            env["QT_QPA_PLATFORM"] = "offscreen"
    result = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def in_the_window() -> dict[str, float]:
    """Start, open a photo, open another, drag the head; in this process."""
    import resource

    import psutil
    from PySide6.QtCore import QCoreApplication
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
    figures = {"window_visible_s": time.time() - psutil.Process().create_time()}

    frames: list[Frame] = []
    cameo.worker.frame_rendered.connect(frames.append)

    def open_and_wait() -> float:
        """Seconds from the drop to the first picture of the new head."""
        frames.clear()
        before = cameo.session.inversion
        started = time.monotonic()
        cameo.photos.reconstruct(PHOTO)
        while not any(frame.request.inversion is not before for frame in frames):
            application.processEvents()
            time.sleep(0.001)
            if time.monotonic() - started > 120.0:
                raise TimeoutError("no picture after two minutes")
        return time.monotonic() - started

    def settle() -> None:
        deadline = time.monotonic() + 120.0
        while cameo.window.job_bar.job is not None or cameo.surfaces.is_stale:
            application.processEvents()
            time.sleep(0.01)
            if time.monotonic() > deadline:
                raise TimeoutError("the window does not come to rest")

    open_and_wait()  # loads the networks
    settle()
    figures["photo_to_first_picture_s"] = open_and_wait()
    settle()

    frames.clear()
    started = time.monotonic()
    while time.monotonic() - started < LIVE_SECONDS:
        phase = (time.monotonic() - started) * 3.0
        cameo.view.orbit(0.02 if phase % 2.0 < 1.0 else -0.02, 0.0)
        application.processEvents()
        time.sleep(1.0 / 60.0)  # a mouse that is dragged
    figures["live_view_frames_per_s"] = len(frames) / LIVE_SECONDS
    figures["live_view_size_px"] = float(min(frame.request.size for frame in frames)) if frames else 0.0
    figures["window_peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    cameo.window.close()
    cameo.stop()
    return figures


def main() -> int:
    """Measure everything.

    Returns:
        0 when every limit holds, 1 otherwise.
    """
    if "--window" in sys.argv:
        print(json.dumps(in_the_window()))
        return 0
    figures = measure_window() | measure_command_line()
    broken = []
    for name, value in figures.items():
        limit, side = LIMITS[name]
        holds = value <= limit if side == "at most" else value >= limit
        if not holds:
            broken.append(name)
        print(f"{'ok    ' if holds else 'BROKEN'} {name:26s} {value:9.2f}   {side} {limit:g}")
    document = {
        "figures": {name: round(value, 3) for name, value in figures.items()},
        "limits": {name: {side.replace(" ", "_"): limit} for name, (limit, side) in LIMITS.items()},
        "broken": broken,
    }
    (ROOT / "bench.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
