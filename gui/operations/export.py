"""Writes what a person asked for, as a job that holds values only: editing goes on meanwhile."""

import importlib
import logging
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from core.camera import turntable_path
from core.edit import LatentEdit
from core.errors import CameoError, Cancelled
from core.frame import RenderRequest
from core.job import Job
from gui.engine_worker import EngineWorker
from gui.session_model import SessionModel
from gui.widgets.banner import Message
from gui.widgets.export_dialog import ExportSpec

logger = logging.getLogger(__name__)

_LABELS = {"mesh": "Exporting the mesh", "turntable": "Exporting the turntable", "picture": "Exporting the picture"}


class ExportOperations(QObject):
    """Exports mesh, turntable and picture.

    Args:
        session: whose head it is.
        worker: does the work.
        parent: the owner.
    """

    said = Signal(object)
    """A Message for the banner."""

    def __init__(self, session: SessionModel, worker: EngineWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._worker = worker

    def export(self, spec: ExportSpec, request: RenderRequest) -> Job:
        """Write what ``spec`` says.

        Args:
            spec: what and where.
            request: what the view shows: the content of a picture.

        Returns:
            The job.
        """
        works = {
            "mesh": partial(_mesh, spec, request.inversion, self._session.edit),
            "turntable": partial(_turntable, spec, request.inversion, self._session.edit),
            "picture": partial(_picture, spec, replace(request, size=spec.size)),
        }
        logger.info("export %s to %s", spec.kind, spec.path)
        return self._worker.submit(
            _LABELS[spec.kind], works[spec.kind], partial(self._on_written, spec), self._on_failed
        )

    def _on_written(self, spec: ExportSpec, size: int) -> None:
        text = f"Saved {spec.path.name}"
        self.said.emit(Message("good", text, f"{_readable(size)} in {spec.path.parent}", "Show in folder", spec.path))

    def _on_failed(self, error: CameoError) -> None:
        if isinstance(error, Cancelled):
            self.said.emit(Message("notice", "Export stopped. No file was written."))
        else:
            self.said.emit(Message("error", error.message, error.hint))


def _writers() -> Any:
    """The writers, loaded in the worker's thread: they bring along libraries that a start of the window can spare."""
    return importlib.import_module("core.export")


def _mesh(spec: ExportSpec, inversion: Any, edit: LatentEdit, engine: Any, job: Job) -> int:
    make = partial(engine.mesh, inversion, edit, spec.mesh_resolution, job.part(0.0, 0.9))
    _writers().mesh_aside(make, spec.path, job)
    return spec.path.stat().st_size


def _turntable(spec: ExportSpec, inversion: Any, edit: LatentEdit, engine: Any, job: Job) -> int:
    path = turntable_path(spec.frames, engine.limits)
    _writers().turntable_aside(engine.turntable(inversion, edit, path, spec.size, job), spec.path, spec.fps, job)
    return spec.path.stat().st_size


def _picture(spec: ExportSpec, request: RenderRequest, engine: Any, job: Job) -> int:
    job.report(0.1, "Rendering")
    frame = engine.render(request)
    keeps_alpha = spec.transparent and spec.path.suffix.lower() not in (".jpg", ".jpeg")
    pixels = frame.cutout() if keeps_alpha else frame.pixels
    job.report(0.9, "Writing the file")
    _writers().write_picture(pixels, spec.path)
    return spec.path.stat().st_size


def _readable(size: int) -> str:
    """Bytes for a person."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
