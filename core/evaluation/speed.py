"""How long a person waits: every tier of the program on this machine, minimum and median.

The minimum is what the machine can do, the median what it did while others used it too. Nothing is kept between runs:
a time is only worth something beside the machine it was taken on.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from core.camera import Camera, turntable_path
from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation.tables import grid, write_report
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo

PHOTO = Path(__file__).resolve().parents[2] / "resources" / "sample_portrait.png"
LABELS = {
    "align": "find and cut out the face",
    "encode": "latents, pose, framing",
    "first_picture": "photo to first picture, networks loaded",
    "orbit_128": "one frame at 128 px, camera moved",
    "orbit_256": "one frame at 256 px, camera moved",
    "orbit_512": "one frame at 512 px, camera moved",
    "slider_128": "one frame at 128 px, edit changed",
    "slider_256": "one frame at 256 px, edit changed",
    "mesh": "surface, 128 grid points a side",
    "turntable_256": "one frame of a turntable at 256 px",
}


@dataclass(frozen=True)
class Settings:
    """How often each is done."""

    repeats: int = 7
    mesh_resolution: int = 128

    @classmethod
    def quick(cls) -> Settings:
        """Once each, small."""
        return cls(1, 32)


def evaluate(
    opener: Callable[[], Engine], photo: Photo, out: Path, stamp: str, settings: Settings, job: Job
) -> dict[str, Any]:
    """Time every tier and write ``table.md`` and ``table.json`` into ``out``.

    Raises:
        NoFaceFound, FaceNotUsable: The photo cannot be used.
        Cancelled: Somebody asked to stop.
    """
    started = time.perf_counter()
    engine = opener()
    opened = 1000.0 * (time.perf_counter() - started)
    inversion = engine.invert(photo, Job.quiet())  # once for nothing: first calls build what later ones use
    times: dict[str, list[float]] = {name: [] for name in LABELS}
    for repeat in range(settings.repeats):
        job.report(repeat / settings.repeats, f"round {repeat + 1} of {settings.repeats}")
        begun = time.perf_counter()
        inversion = engine.invert(photo, Job.quiet())
        times["first_picture"].append(1000.0 * (time.perf_counter() - begun))
        for name in ("align", "encode"):
            times[name].append(1000.0 * inversion.seconds[name])
        for name, value in _tiers(engine, inversion, repeat, settings).items():
            times[name].append(value)
    summary = summarise(times, stamp, settings, engine.device_name)
    summary["open"] = opened
    write_report(out, summary, table(summary))
    job.report(1.0, "done")
    return summary


def _tiers(engine: Engine, inversion: Inversion, repeat: int, settings: Settings) -> dict[str, float]:
    """Milliseconds of everything after the photo tier; no camera and no edit that a cache knows."""

    def frame(edit: LatentEdit, camera: Camera, size: int) -> float:
        return _milliseconds(lambda: [engine.render(RenderRequest(inversion, edit, camera, size))])

    turned = Camera(inversion.camera.yaw + 0.2 + 0.02 * repeat, inversion.camera.pitch)
    found = {f"orbit_{size}": frame(LatentEdit.none, turned, size) for size in (128, 256, 512)}
    for number, size in enumerate((128, 256)):
        if engine.attributes:
            strength = 0.31 + 0.05 * repeat + 0.01 * number
            edit = LatentEdit.none.with_strength(engine.attributes[0].name, strength)
            found[f"slider_{size}"] = frame(edit, inversion.camera, size)
    found["mesh"] = _milliseconds(
        lambda: [engine.mesh(inversion, LatentEdit.none, settings.mesh_resolution, Job.quiet())]
    )
    path = turntable_path(16, engine.limits)[1:4]
    frames = engine.turntable(inversion, LatentEdit.none, path, 256, Job.quiet())
    found["turntable_256"] = _milliseconds(lambda: frames) / len(path)
    return found


def _milliseconds(work: Callable[[], Iterable[object]]) -> float:
    """How long it takes to make all of something."""
    started = time.perf_counter()
    for _ in work():
        pass
    return 1000.0 * (time.perf_counter() - started)


def summarise(times: dict[str, list[float]], stamp: str, settings: Settings, device: str) -> dict[str, Any]:
    """Minimum, median and count of every tier, and what machine it was."""
    return {
        "suite": "speed",
        "weights": stamp,
        "settings": asdict(settings),
        "machine": {
            "device": device,
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count() or 0,
            "threads": torch.get_num_threads(),
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        },
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "milliseconds": {
            name: {"min": min(values), "median": statistics.median(values), "n": len(values)}
            for name, values in times.items()
            if values
        },
        "notes": [],
    }


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    machine = summary["machine"]
    lines = [
        f"{summary['weights']} on {machine['device']}, {machine['cores']} cores, {machine['threads']} threads, load "
        f"{machine['load']} at the end; {summary['rss_mb']:.0f} MB held; networks loaded in {summary['open']:.0f} ms.",
        "",
        *grid(
            ("tier", "minimum [ms]", "median [ms]", "n", ""),
            [
                (name, f"{v['min']:.0f}", f"{v['median']:.0f}", str(v["n"]), LABELS[name])
                for name, v in summary["milliseconds"].items()
            ],
        ),
    ]
    return "\n".join(lines)
