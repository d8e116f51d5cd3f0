"""Has the model's layers compiled for this machine while nobody waits: in a process of its own, once.

The window works without; with them pictures and meshes come sooner. A machine without a compiler stays as it is.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from core.job import Job

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
IDLE_MS = 15_000
"""How long nothing may have been asked of the engine before it begins."""

GRACE_MS = 500
"""How long the process has for tidying up when the window closes."""


def take_kernels(engine: Any, job: Job) -> None:
    """A job of the worker's: pictures from now on are made with what was compiled; those that are shown stay."""
    engine.take_kernels(job)


def ignored(result: object) -> None:
    """What becomes of that: nobody waits for it."""


class KernelBuilder(QObject):
    """Starts ``python -m core kernels`` when the program has been idle for a while.

    Args:
        weights: the model whose layers are wanted.
        device: where it runs, as the settings say.
        parent: the owner.
        idle_ms: how long to wait.
    """

    built = Signal()
    """Compiled layers lie ready."""

    def __init__(
        self, weights: str, device: str = "auto", parent: QObject | None = None, idle_ms: int = IDLE_MS
    ) -> None:
        super().__init__(parent)
        self._arguments = ["-m", "core", "kernels", "--weights", weights, "--device", device, "--aside"]
        self._timer = QTimer(self, singleShot=True, interval=idle_ms)
        self._timer.timeout.connect(self._begin)
        self._process: QProcess | None = None
        self._armed = False

    @property
    def is_building(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.state() != QProcess.ProcessState.NotRunning

    def arm(self) -> None:
        """Begin as soon as nothing has been going on for a while."""
        self._armed = True
        self._timer.start()

    def put_off(self) -> None:
        """Something is going on: wait anew."""
        if self._armed:
            self._timer.start()

    def stop(self) -> None:
        """Give up, at once. Sends no signal."""
        self._armed = False
        self._timer.stop()
        if self._process is not None and self.is_building:
            self._process.finished.disconnect(self._end)
            self._process.terminate()
            if not self._process.waitForFinished(GRACE_MS):
                self._process.kill()
                self._process.waitForFinished(GRACE_MS)

    def _begin(self) -> None:
        self._armed = False
        self._process = QProcess(self)
        self._process.setWorkingDirectory(str(ROOT))
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.finished.connect(self._end)
        self._process.start(sys.executable, self._arguments)

    def _end(self, code: int, status: QProcess.ExitStatus) -> None:
        assert self._process is not None
        said = bytes(self._process.readAll().data()).decode(errors="replace").strip()
        if code == 0 and status == QProcess.ExitStatus.NormalExit:
            self.built.emit()
        else:
            logger.info("no compiled layers: %s", said)
