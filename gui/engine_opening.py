"""How the engine is opened beside a window: what must be said to PyTorch before it is imported, and to Python for it.

Called in the worker's thread. The only place of the window's that has PyTorch imported, and that by name.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from core.settings import Settings

COMPUTE_DRIVERS = ("/proc/driver/nvidia/version", "/dev/kfd")
"""What is there on Linux when a graphics card can compute: NVIDIA's driver, AMD's."""
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while another one waits, in seconds."""


def open_engine(settings: Settings) -> Any:
    """Load the model; called in the worker's thread, where the import of torch disturbs nobody."""
    # Networks share the processor with the window and, without a graphics card, with OpenGL. By default the threads of
    # OpenMP spin while they wait for one another: on two busy cores that made a frame 4 to 20 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux" and not any(Path(place).exists() for place in COMPUTE_DRIVERS):
        # Triton's LLVM and the one Mesa draws with end the process when they meet, and only graphics cards need Triton.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # None is Python's word for "cannot be imported"
    # A frame's two threads ask for the interpreter every few microseconds. At Python's 5 ms each of the window's events
    # stopped both for as long as it lasted: a slider's frame took a seventh longer.
    sys.setswitchinterval(SWITCH_S)
    engine = importlib.import_module("core.engine").Engine
    return engine.open(settings.weights, settings.device, settings.threads or None)
