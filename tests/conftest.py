"""What every test of Cameo gets, asked for or not: a home of its own, and a judge for what it leaves behind.

A test fails when it warns, logs at level WARNING or above without announcing it (``caplog.at_level``), leaves a thread
running, or leaves a temporary file. Ideas from qutebrowser (log records) and napari (leaks).
"""

import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before Qt starts. A test that needs a real display starts a process of its own (marker xvfb).
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Before torch starts. Its threads spin while they wait for one another, which on a busy machine is most of the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The same numbers on every machine, whatever lies in somebody's cache; tests of compiled layers switch them on.
os.environ["CAMEO_KERNELS"] = "off"

THREAD_GRACE = 2.0
"""Seconds a thread may take to end after its test: joining is not instant on a busy machine."""

# Threads and files that libraries keep for the whole process, each with its owner.
# (Hands of core.rendering.hands wait for the next piece of work; that each has ended its piece is tested there.)
LIBRARY_THREADS = ("tqdm_monitor", "TMonitor", "cameo-hand")
LIBRARY_FILES = ("torchinductor_", "pymp-", "runtime-")  # torch.compile, multiprocessing, Qt


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {
        "long": None if config.getoption("--long") else "long; run with --long (make test-long)",
        "pixels": None if sys.platform == "linux" else "pixels are compared on Linux only",
        "xvfb": None if shutil.which("xvfb-run") and shutil.which("Xvfb") else "Xvfb is not installed",
    }
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        reasons["gpu"] = None if torch.cuda.is_available() else "no CUDA device"
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _private_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All temporary files of this run, of its child processes too, go to one folder that can be looked into."""
    folder = tmp_path_factory.mktemp("temporary")
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for every test: no setting of the person's is read or changed."""
    home = tmp_path_factory.mktemp("home")
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "appdata",
        "LOCALAPPDATA": home / "localappdata",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_STATE_HOME": home / "state",
    }
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(folder))
    if "PySide6.QtCore" in sys.modules:
        from PySide6.QtCore import QSettings

        for kind in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
            QSettings.setPath(kind, QSettings.Scope.UserScope, str(home / "config"))
    return home


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_GRACE
    left = _threads_since(before)
    while left and time.monotonic() < deadline:
        left[0].join(0.05)
        left = _threads_since(before)
    if left:
        pytest.fail("threads left running: " + ", ".join(thread.name for thread in left))


def _threads_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t not in before and not t.name.startswith(LIBRARY_THREADS)]


@pytest.fixture(autouse=True)
def _no_temporary_file_left(_private_temporary_folder: Path) -> Iterator[None]:
    before = set(_private_temporary_folder.iterdir())
    yield
    left = [p.name for p in set(_private_temporary_folder.iterdir()) - before if not p.name.startswith(LIBRARY_FILES)]
    if left:
        pytest.fail("temporary files left behind: " + ", ".join(sorted(left)))


class _LogJudge(logging.Handler):
    """Collects records that no test announced."""

    def __init__(self, announced: logging.Handler) -> None:
        super().__init__(logging.WARNING)
        self.announced = announced
        self.unexpected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # caplog.at_level sets the level of its handler, which is 0 otherwise.
        if not 0 < self.announced.level <= record.levelno:
            self.unexpected.append(f"{record.name}: {record.levelname}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def _no_unannounced_log_record(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    judge = _LogJudge(caplog.handler)
    logging.getLogger().addHandler(judge)
    yield
    logging.getLogger().removeHandler(judge)
    if judge.unexpected:
        pytest.fail("log records nobody announced (caplog.at_level):\n" + "\n".join(judge.unexpected))
