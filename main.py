"""Starts the window: ``python main.py [PHOTO]``. Everything else lives in ``gui`` and ``core``.

Qt ends the process when the system lacks a library it needs, with a text few people understand. So the libraries are
tried first, and what is missing is said in one sentence.
"""

import ctypes
import importlib.util
import os
import re
import sys
from pathlib import Path

SYSTEM_PACKAGES = (
    "libegl1 libgl1 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 "
    "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0"
)
"""What Qt needs from Debian or Ubuntu; named in the README and installed by .ci/run."""


def missing_library(error: Exception) -> str | None:
    """The sentence about a system library that could not be loaded; None if the error is about another thing."""
    found = re.search(r"(\blib[\w.+-]+?)\.so[\w.]*: cannot open shared object file", str(error))
    if found is None:
        return None
    return (
        f"The system library {found.group(1)} is missing; on Debian or Ubuntu, "
        f"`sudo apt-get install {SYSTEM_PACKAGES}` installs all that the window needs."
    )


def display_problem() -> str | None:
    """Why no window can be opened here, in a sentence; None if nothing speaks against it."""
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if not sys.platform.startswith("linux") or platform not in ("", "xcb"):
        return None
    if not os.environ.get("DISPLAY"):
        if platform == "" and os.environ.get("WAYLAND_DISPLAY"):
            return None
        return "There is no display to open a window on; `python -m core reconstruct PHOTO --out DIR` needs none."
    package = importlib.util.find_spec("PySide6")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        plugin = Path(folder) / "Qt" / "plugins" / "platforms" / "libqxcb.so"
        if plugin.is_file():
            try:
                ctypes.CDLL(str(plugin))
            except OSError as error:
                return missing_library(error)
    return None


def main() -> int:
    """Run the window until it is closed.

    Returns:
        The exit code.
    """
    problem = display_problem()
    if problem is None:
        try:
            from gui.app import main as run
        except ImportError as error:
            problem = missing_library(error)
            if problem is None:
                raise
        else:
            return run(sys.argv)
    sys.stderr.write(problem + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
