"""Makes ``docs/images/live.webm``: ``xvfb-run -a -s "-screen 0 1280x800x24" python -m tests.gui.recording``
``[PHOTO [OUT]]``.

Twenty seconds of the real window: the head is dragged, then sliders are. Pictures of the window are grabbed while the
hand moves and carry the time at which they were grabbed: what is slow stays slow.
"""

import math
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from gui import theme
from gui.app import Cameo
from gui.widgets.mesh_view import opengl_facts
from tests.gui.window_picture import ROOT, wait_until

WIDTH, HEIGHT = 1120, 700
TURNING_S, SLIDING_S = 9.0, 5.5
GRABS_A_SECOND = 12.0
SLIDERS = ("Smile", "Age")
TICK_S = 1.0 / 60.0


class Reel:
    """Pictures of a window with their times."""

    def __init__(self, window: Any) -> None:
        self._window = window
        self._started = time.monotonic()
        self.shots: list[tuple[float, QImage]] = []

    def grab(self) -> None:
        """Take a picture, if one is due."""
        now = time.monotonic() - self._started
        if not self.shots or now - self.shots[-1][0] >= 1.0 / GRABS_A_SECOND:
            self.shots.append((now, self._window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)))

    def write(self, path: Path) -> None:
        """Encode as VP9."""
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libvpx-vp9", rate=30, options={"crf": "38", "b": "0", "cpu-used": "4"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for seconds, image in self.shots:
                rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
                pixels = rows[:HEIGHT, : 3 * WIDTH].reshape(HEIGHT, WIDTH, 3)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, frame.time_base = round(1000 * seconds), stream.time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def main() -> int:
    """Open, drag, slide, write.

    Returns:
        0.
    """
    photo = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "astronaut.jpg"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images" / "live.webm"
    QCoreApplication.setOrganizationName("Cameo picture")
    application = QApplication(sys.argv[:1])
    theme.apply(application)
    cameo = Cameo(opengl=opengl_facts())
    cameo.window.resize(WIDTH, HEIGHT)
    cameo.window.show()
    cameo.photos.reconstruct(photo)
    wait_until(lambda: cameo.session.inversion is not None and cameo.surfaces.is_at_rest)
    cameo.window.banner.dismiss()
    reel = Reel(cameo.window)

    def tick() -> None:
        until = time.monotonic() + TICK_S
        while time.monotonic() < until:
            application.processEvents()
            time.sleep(0.001)
        reel.grab()

    started, before = time.monotonic(), 0.0
    while (elapsed := time.monotonic() - started) < TURNING_S:
        yaw = 0.45 * math.sin(2.0 * math.pi * elapsed / (TURNING_S / 2.0))
        cameo.view.orbit(yaw - before, 0.0)
        before = yaw
        tick()
    cameo.view.orbit(-before, 0.0)
    cameo.view.settle()
    panel = cameo.window.attribute_panel
    for name in SLIDERS:
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < SLIDING_S:
            strength = round(math.sin(1.5 * math.pi * elapsed / SLIDING_S), 3)
            panel.rows[name].set_strength(strength)
            panel.moved.emit(name, strength)
            tick()
        panel.settled.emit(name)
    for _ in range(30):
        tick()
    cameo.window.close()
    cameo.stop()
    reel.write(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
