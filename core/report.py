"""One photo to one folder of results with its report: what the command line does for every photo.

Pictures, mesh, turntable and figures, made one after the other into a hidden folder; where they may go is the business
of ``core.results``. Knows nothing of terminals.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.camera import Camera, turntable_path
from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation.likeness import measure
from core.export import write_bytes, write_mesh, write_picture, write_turntable
from core.frame import RenderRequest
from core.job import Job
from core.photo import Photo
from core.refinement.delta import delta_bytes
from core.results import move_results, refuse_foreign, workshop

# Radians to either side over which the row of views is spread.
VIEW_YAW = 0.6
VIEW_SIZE, TURNTABLE_SIZE = 512, 256


@dataclass(frozen=True)
class Wishes:
    """What to make of every photo."""

    edit: LatentEdit = LatentEdit.none
    views: int = 5
    mesh: str = "glb"
    """File type, or "none"."""
    mesh_resolution: int = 128
    turntable: str = "mp4"
    """File type, or "none"."""
    frames: int = 60
    face: int = 0
    detector: str = "mediapipe"
    refine: str | None = None
    """A name that ``core.refinement.methods.method_of`` knows, or the encoder's answer as it is."""
    refine_passes: int | None = None

    def names(self) -> list[str]:
        """The files that will be written, the report excepted."""
        names = ["aligned.png", "reconstruction.png"]
        names += [] if self.edit.is_empty else ["edited.png"]
        names += [] if self.refine is None else ["refinement.safetensors"]
        names += [f"view_{number}.png" for number in range(self.views)]
        names += [] if self.mesh == "none" else [f"mesh.{self.mesh}"]
        names += [] if self.turntable == "none" else [f"turntable.{self.turntable}"]
        return names


def reconstruct(engine: Engine, photo: Photo, folder: Path, wishes: Wishes, job: Job) -> dict[str, Any]:
    """Make all results of one photo and put them into a folder.

    Returns:
        The report, as it stands in ``report.json``.

    Raises:
        CameoError: The photo cannot be used, or the results cannot be written; nothing was changed.
        Cancelled: Somebody asked to stop; nothing was changed.
    """
    refuse_foreign(folder, wishes.names())
    with workshop(folder) as place:
        report = _make_all(engine, photo, place, wishes, job)
        move_results(place, folder, report)
    return report


# --------------------------------------------------------------------------------------------------------- the making


def _make_all(engine: Engine, photo: Photo, folder: Path, wishes: Wishes, job: Job) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    files: dict[str, str] = {}

    def save(role: str, name: str, write: Callable[[Path], None]) -> None:
        write(folder / name)
        files[role] = name

    refinement: dict[str, Any] = {}
    inversion = engine.invert(
        photo, job.part(0.0, 0.25 if wishes.refine is None else 0.05), wishes.face, wishes.detector
    )
    seconds.update(inversion.seconds)
    if wishes.refine is not None:
        # Refining takes most of the time when it is asked for; the other stages share what is left of the bar.
        inversion = engine.refine(inversion, wishes.refine, job.part(0.05, 0.75), wishes.refine_passes)
        job = job.part(0.7, 1.0)
        if inversion.refinement is not None:
            refinement = {"refinement": dict(inversion.refinement.report)}
            content = delta_bytes(inversion.refinement.delta)
            save("refinement", "refinement.safetensors", lambda path: write_bytes(content, path))
    started = time.perf_counter()
    save("aligned", "aligned.png", lambda path: write_picture(inversion.aligned.crop256, path))
    save("reconstruction", "reconstruction.png", lambda path: write_picture(inversion.reconstruction, path))

    def view(camera: Camera) -> Callable[[Path], None]:
        frame = engine.render(RenderRequest(inversion, wishes.edit, camera, VIEW_SIZE))
        return lambda path: write_picture(frame.pixels, path)

    job.report(0.25, "rendering views")
    figures = measure(engine, inversion)
    if not wishes.edit.is_empty:
        save("edited", "edited.png", view(inversion.camera))
    for number, yaw in enumerate(np.linspace(-VIEW_YAW, VIEW_YAW, wishes.views) if wishes.views > 1 else [0.0]):
        if number >= wishes.views:
            break
        job.report(0.25 + 0.15 * number / wishes.views, "rendering views")
        save(f"view_{number}", f"view_{number}.png", view(Camera(float(yaw))))
    seconds["render"] = time.perf_counter() - started
    mesh_figures = _save_mesh(engine, inversion, wishes, save, seconds, job.part(0.4, 0.6))
    started = time.perf_counter()
    if wishes.turntable != "none":
        path = turntable_path(wishes.frames, engine.limits)
        frames = engine.turntable(inversion, wishes.edit, path, TURNTABLE_SIZE, job.part(0.6, 0.98))
        save("turntable", f"turntable.{wishes.turntable}", lambda path: write_turntable(frames, path))
    seconds["turntable"] = time.perf_counter() - started
    return {
        "weights": engine.weights_name,
        "device": engine.device_name,
        "seconds": {name: round(seconds[name], 3) for name in ("align", "encode", "render", "mesh", "turntable")},
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "camera": {"yaw": inversion.camera.yaw, "pitch": inversion.camera.pitch},
        "warnings": list(inversion.warnings),
        "metrics": figures,
        **refinement,
        "mesh": mesh_figures,
        "files": files,
    }


def _save_mesh(
    engine: Engine,
    inversion: Any,
    wishes: Wishes,
    save: Callable[[str, str, Callable[[Path], None]], None],
    seconds: dict[str, float],
    job: Job,
) -> dict[str, Any]:
    started = time.perf_counter()
    figures: dict[str, Any] = {}
    if wishes.mesh != "none":
        mesh = engine.mesh(inversion, wishes.edit, wishes.mesh_resolution, job)
        save("mesh", f"mesh.{wishes.mesh}", lambda path: write_mesh(mesh, path))
        figures = {
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
            "components": mesh.raw_components,
            "largest_component_share": mesh.raw_largest_share,
            "watertight": mesh.watertight,
        }
    seconds["mesh"] = time.perf_counter() - started
    return figures


def peak_rss_mb() -> float:
    """The most memory this process has held, in 10⁶ bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
