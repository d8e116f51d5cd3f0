"""The field's layers as one compiled function, made on this machine for this machine; without one all runs as before.

A chain sin(W h + b) spends a third of its time on sines, each an operation with its own trip through memory. PyTorch's
compiler writes sines that take a quarter of that, but to load it takes seconds and to run it tens of seconds: so it
runs once, aside (``python -m core kernels``, or the window when nobody waits), and leaves a shared library in the
person's cache. To load that takes milliseconds and no compiler. It is called through its C interface, which lets go of
the interpreter's lock as PyTorch's own operations do. A library that is not there, does not load, or answers otherwise
than the layers it replaces is not used, and nothing is lost but time. For processors only.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.capability import SWITCH

__all__ = ["Chain", "ChainKernel", "build", "kernel_of", "layers_of", "look_again", "plainly", "worth_building"]

logger = logging.getLogger(__name__)

Layers = Sequence[tuple[Tensor, Tensor]]
"""Weights (out, in) and offsets (out,), first to last."""

FEW = 16
"""Points below which a call costs more than it spares; also the least that the compiled code was made for."""
TOLERANCE = {True: 0.02, False: 1e-4}
"""Mean difference from the plain layers beyond which a library is not believed: several times what rounding makes of
seeded layers, in bfloat16 (True) and float32."""
FAILED = ".failed"
"""What stands in a library's place, with the reason, where it could not be made: nobody tries again unasked."""
HALF_MADE, OLD_S = "building-", 3600.0
"""How folders of builds begin, and when one that is still there belongs to nobody any more."""
FORMAT = 1
"""Grows when what is compiled changes."""


@dataclass(frozen=True)
class Chain:
    """What a library was made for."""

    width: int
    depth: int
    """Layers, the first of which sees coordinates and keeps float32."""
    low: bool
    """Whether the others are bfloat16; else float32."""

    @property
    def name(self) -> str:
        """File name of its library: another processor or PyTorch is another library."""
        made_by = (FORMAT, torch.__version__, torch.backends.cpu.get_cpu_capability(), platform.machine(), _processor())
        digest = hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]
        return f"chain-{self.width}x{self.depth}-{'bf16' if self.low else 'f32'}-{digest}"

    def made_up(self, count: int) -> tuple[Tensor, Layers]:
        """Points and layers of this form, with seeded numbers, to compile and to check with."""
        random = torch.Generator().manual_seed(0)
        kind = torch.bfloat16 if self.low else torch.float32

        def layer(inputs: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
            weight = torch.randn(self.width, inputs, generator=random) / inputs**0.5
            return weight.to(dtype), torch.randn(self.width, generator=random).to(dtype)

        layers = [layer(3, torch.float32), *(layer(self.width, kind) for _ in range(self.depth - 1))]
        return torch.randn(count, 3, generator=random), layers


def layers_of(layers: Layers) -> Chain | None:
    """The form of some layers, or None if no library could do for them: those are for processors."""
    return form_of(layers) if layers[0][0].device.type == "cpu" else None


def form_of(layers: Layers) -> Chain | None:
    """The form of some layers on any device, or None if it is none that is compiled."""
    (first, _), *others = layers
    width = first.shape[0]
    kinds = {weight.dtype for weight, _ in others}
    even = all(weight.shape == (width, width) for weight, _ in others) and first.shape[1] == 3
    if first.dtype != torch.float32 or not even or len(kinds) != 1:
        return None
    kind = kinds.pop()
    return Chain(width, len(layers), kind == torch.bfloat16) if kind in (torch.bfloat16, torch.float32) else None


def plainly(points: Tensor, layers: Layers) -> Tensor:
    """The slow twin: the last activation. Shape: points (N, 3), returns (N, W)."""
    h = points
    for weight, offset in layers:
        h = functional.linear(h.to(weight.dtype), weight, offset).sin_()
    return h


class ChainKernel:
    """A loaded library.

    Args:
        path: The library.
        chain: What it was made for.

    Raises:
        OSError, AttributeError, RuntimeError: It cannot be loaded.
    """

    def __init__(self, path: Path, chain: Chain) -> None:
        library = ctypes.CDLL(str(path))
        self._container = ctypes.c_void_p()
        make = library.AOTInductorModelContainerCreateWithDevice
        make.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p]
        # As many models as may run at the same time; a further call would wait.
        if make(ctypes.byref(self._container), max(2, os.cpu_count() or 2), b"cpu", None):
            raise RuntimeError("the library makes no container")
        self._call = library.AOTInductorModelContainerRun
        pointers = ctypes.POINTER(ctypes.c_void_p)
        self._call.argtypes = [
            ctypes.c_void_p, pointers, ctypes.c_size_t, pointers, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
        ]  # fmt: skip
        self._pointer = ctypes.pythonapi.PyCapsule_GetPointer
        self._pointer.restype, self._pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        self._capsule = ctypes.pythonapi.PyCapsule_New
        self._capsule.restype = ctypes.py_object
        self._capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self._lend = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors
        self._take = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs
        self.chain = chain

    def hidden(self, points: Tensor, layers: Layers) -> Tensor:
        """Last activation of points, as :func:`plainly` says it; by that where points are few or want gradients.

        Shape:
            points (N, 3); layers of the chain's form, which is not checked; returns (N, W).
        """
        if len(points) < FEW or points.dtype != torch.float32 or points.requires_grad:
            return plainly(points, layers)
        tensors = [points.contiguous(), *(weight for weight, _ in layers), *(offset for _, offset in layers)]
        lent = self._lend(tensors)
        given = (ctypes.c_void_p * len(tensors))(*(self._pointer(one, None) for one in lent))
        found = (ctypes.c_void_p * 1)()
        if self._call(self._container, given, len(tensors), found, 1, None, None):
            raise RuntimeError("compiled layers failed")
        result: Tensor = self._take([self._capsule(found[0], None, None)])[0]
        return result

    def agrees(self) -> bool:
        """Whether it says what the plain layers say, for two numbers of points."""
        for count in (FEW, 1000):
            points, layers = self.chain.made_up(count)
            with torch.inference_mode():
                found, wanted = self.hidden(points, layers), plainly(points, layers)
            if found.shape != wanted.shape or found.dtype != wanted.dtype:
                return False
            if not float((found.float() - wanted.float()).abs().mean()) < TOLERANCE[self.chain.low]:
                return False
        return True


@cache
def kernel_of(chain: Chain | None) -> ChainKernel | None:
    """The library for some layers if this machine has one; asked for once a process (see :func:`look_again`)."""
    if chain is None or os.environ.get(SWITCH) == "off":
        return None
    path = folder() / f"{chain.name}.so"
    if not path.is_file():
        return None
    try:
        kernel = ChainKernel(path, chain)
        if kernel.agrees():
            return kernel
        logger.warning("compiled layers %s answer otherwise than plain ones and are left alone", path)
    except (OSError, AttributeError, RuntimeError) as error:
        logger.warning("compiled layers %s cannot be used: %s", path, error)
    return None


def worth_building(chain: Chain) -> bool:
    """Whether its library is missing, wanted, and has not been found impossible to make on this machine."""
    missing = not any((folder() / f"{chain.name}{suffix}").exists() for suffix in (".so", FAILED))
    return missing and os.environ.get(SWITCH) != "off"


def look_again() -> None:
    """Forget what was found: the next to ask looks into the cache anew."""
    kernel_of.cache_clear()


def folder() -> Path:
    """Where libraries lie, whether they exist or not."""
    return platformdirs.user_cache_path("cameo", appauthor=False) / "kernels"


class _Layers(nn.Module):
    """What is compiled."""

    def forward(self, points: Tensor, weights: list[Tensor], offsets: list[Tensor]) -> Tensor:
        h = points
        for weight, offset in zip(weights, offsets, strict=True):
            h = functional.linear(h.to(weight.dtype), weight, offset).sin()
        return h


def build(chain: Chain) -> Path:
    """Compile a chain into the cache: half a minute of one core. Quick when it is there already.

    Returns:
        The library.

    Raises:
        RuntimeError: This machine has no compiler, or what it makes does not answer as it should.
        OSError: The cache cannot be written.
    """
    path = folder() / f"{chain.name}.so"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidied(path.parent)
    failed = path.with_suffix(FAILED)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=HALF_MADE) as place:
        made = Path(place) / "chain.so"
        try:
            _compile(chain, made)
            trouble = (
                "" if ChainKernel(made, chain).agrees() else "The compiled layers say something else than plain ones."
            )
        except (OSError, AttributeError, RuntimeError) as error:
            trouble = str(error)
        if trouble:
            failed.write_text(trouble, encoding="utf-8")
            raise RuntimeError(trouble)
        made.replace(path)
    failed.unlink(missing_ok=True)
    return path


def _tidied(place: Path) -> None:
    """What builds that were killed have left is taken away once it is old."""
    for left in place.glob(f"{HALF_MADE}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > OLD_S:
                shutil.rmtree(left, ignore_errors=True)


def _compile(chain: Chain, path: Path) -> None:
    if sys.platform == "darwin" and subprocess.run(["xcode-select", "-p"], capture_output=True, check=False).returncode:
        # Asked for its version Apple's stub of a compiler opens a dialog that nobody expects.
        raise RuntimeError("There is no compiler: the command line developer tools are not installed.")
    import torch._inductor  # takes seconds: only for who compiles

    # It has no graphics card, and says so in a warning.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    points, layers = chain.made_up(1000)
    arguments = (points, [weight for weight, _ in layers], [offset for _, offset in layers])
    count = torch.export.Dim("points", min=FEW, max=1 << 22)
    form = ({0: count}, [None] * chain.depth, [None] * chain.depth)
    package = path.with_suffix(".pt2")
    try:
        with torch.no_grad():
            program = torch.export.export(_Layers(), arguments, dynamic_shapes=form)
            # In one thread: hands call it from threads of their own, a core each.
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(package), inductor_configs={"cpp.threads": 1}
            )
        with zipfile.ZipFile(package) as parts:
            (name,) = (name for name in parts.namelist() if name.endswith((".so", ".pyd", ".dylib")))
            path.write_bytes(parts.read(name))
    except Exception as error:  # whatever a compiler and its finding may raise
        raise RuntimeError(f"PyTorch's compiler could not make the layers: {type(error).__name__}: {error}") from error


@cache
def _processor() -> str:
    """What of a processor decides whether code made for it runs."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return " ".join(sorted(line.split(":", 1)[1].split()))
    return platform.processor()
