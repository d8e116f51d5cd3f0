"""Makes ``docs/images/window.png``: ``QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1440x900x24" python -m
tests.gui.window_picture [PHOTO [OUT]]``, with the real engine, once head and mesh have come to rest.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from gui import theme
from gui.app import FINE_PX, Cameo
from gui.widgets.mesh_view import opengl_facts

ROOT = Path(__file__).parents[2]
YAW = -0.3
"""How far the head is turned, in radians: enough to see that there are three dimensions."""
PATIENCE_S = 180


def wait(milliseconds: int) -> None:
    """Let Qt work."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool]) -> None:
    """Let Qt work until something is so.

    Raises:
        TimeoutError: it does not come.
    """
    for _ in range(PATIENCE_S * 10):
        if condition():
            return
        wait(100)
    raise TimeoutError("the window does not come to rest")


def main() -> int:
    """Open, turn, wait, write.

    Returns:
        0.
    """
    photo = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "astronaut.jpg"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images" / "window.png"
    QCoreApplication.setOrganizationName("Cameo picture")
    application = QApplication(sys.argv[:1])
    theme.apply(application)
    cameo = Cameo(opengl=opengl_facts())
    cameo.window.resize(1440, 900)
    cameo.window.show()
    cameo.photos.reconstruct(photo)
    wait_until(lambda: cameo.session.inversion is not None)
    cameo.view.orbit(YAW, 0.0)
    cameo.view.settle()

    def rests() -> bool:
        frame = cameo.window.stage.frame_view.frame
        shown = frame is not None and frame.request.size == FINE_PX and frame.request.camera == cameo.view.camera
        return shown and cameo.surfaces.is_at_rest

    wait_until(rests)
    cameo.window.banner.dismiss()
    wait(600)
    cameo.window.grab().save(str(target))
    cameo.window.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
