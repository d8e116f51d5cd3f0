"""Starting the program on machines that lack something: one sentence that says what, instead of a dead process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("said_by_the_loader", "library"),
    [
        ("libEGL.so.1: cannot open shared object file: No such file or directory", "libEGL"),
        (
            "/x/libqxcb.so: libxcb-cursor.so.0: cannot open shared object file: No such file or directory",
            "libxcb-cursor",
        ),
        ("libglib-2.0.so.0: cannot open shared object file: No such file or directory", "libglib-2.0"),
    ],
)
def test_a_missing_system_library_is_named_with_the_line_that_brings_it(said_by_the_loader: str, library: str) -> None:
    sentence = main.missing_library(ImportError(said_by_the_loader))
    assert sentence is not None
    assert f"library {library} is missing" in sentence
    assert "sudo apt-get install libegl1 " in sentence
    assert "\n" not in sentence


def test_another_import_error_is_not_taken_for_a_missing_library() -> None:
    assert main.missing_library(ImportError("cannot import name 'Window'")) is None


def test_the_continuous_integration_installs_what_the_program_names() -> None:
    recipe = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [package for package in main.SYSTEM_PACKAGES.split() if package not in recipe.split()] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert main.SYSTEM_PACKAGES in " ".join(readme.replace("\\\n", " ").split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_without_a_display_the_program_says_so_and_ends() -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    result = subprocess.run(
        [sys.executable, "main.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("There is no display")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.xvfb
@pytest.mark.parametrize("order", ["cv2, PySide6.QtWidgets", "PySide6.QtWidgets, cv2"])
def test_opencvs_own_qt_does_not_keep_the_window_from_opening(order: str) -> None:
    script = (
        f"import {order}\n"
        "from PySide6.QtWidgets import QApplication, QLabel\n"
        "app = QApplication([]); label = QLabel('x'); label.show(); app.processEvents()\n"
        "print(app.platformName(), label.isVisible())\n"
    )
    result = subprocess.run(
        ["xvfb-run", "-a", sys.executable, "-c", script],
        env=os.environ | {"QT_QPA_PLATFORM": "xcb"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout.strip() == "xcb True", result.stderr
