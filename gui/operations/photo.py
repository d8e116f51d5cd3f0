"""A photo comes in: decode, show at once, reconstruct, swap in one step.

Failure and cancel leave everything as it was.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from core.errors import CameoError, Cancelled
from core.job import Job
from core.photo import Photo
from gui.engine_worker import EngineWorker
from gui.session_model import SessionModel
from gui.view_state import ViewState
from gui.widgets.banner import Message
from gui.widgets.photo_panel import doubts_of

logger = logging.getLogger(__name__)

WARMING = "Loading the model"


class PhotoOperations(QObject):
    """Opens photos and chooses faces.

    Args:
        session: the document.
        view: whose camera goes to the photo's.
        worker: does the work.
        parent: the owner.
    """

    said = Signal(object)
    """A Message for the banner."""
    pending_changed = Signal(object)
    """The Photo that is being worked on, or None when there is none any more."""
    faces_found = Signal(object, int)
    """All DetectedFace values of the open photo, and the number of the one in use."""

    def __init__(
        self, session: SessionModel, view: ViewState, worker: EngineWorker, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._view = view
        self._worker = worker
        self._job: Job | None = None
        self._detection: Job | None = None

    @property
    def is_working(self) -> bool:
        """Whether a photo is on its way."""
        return self._job is not None

    def warm_up(self) -> None:
        """Open the engine while the person is still looking for a photo; silent, also when it fails."""
        self._worker.submit(WARMING, _nothing, _ignore, self._on_warm_up_failed, background=True)

    def reconstruct(self, source: Path | bytes) -> None:
        """Open a photo and make a head of it; a photo that is on its way is given up.

        Args:
            source: a path, or the bytes of an encoded picture.
        """
        self._give_up()
        name = source.name if isinstance(source, Path) else "pasted picture"
        logger.info("open %s", name)
        self._job = self._worker.submit(
            f"Opening {name}",
            partial(_decode, source),
            partial(self._on_decoded, name),
            self._on_failed,
            needs_engine=False,
        )

    def choose_face(self, number: int) -> None:
        """Make the head of another face of the open photo."""
        photo = self._session.photo
        if photo is not None:
            self._give_up()
            self._invert(photo, f"Reconstructing face {number + 1}", number)

    def cancel(self, job: Job) -> None:
        """Give up the photo that is on its way, if this is its job; the open one stays."""
        if job is self._job:
            self._give_up()
            self.pending_changed.emit(None)

    def _give_up(self) -> None:
        for job in (self._job, self._detection):
            if job is not None:
                job.cancel()
        self._job = None
        self._detection = None

    def _on_decoded(self, name: str, photo: Photo) -> None:
        self.pending_changed.emit(photo)
        self._invert(photo, f"Reconstructing {name}", 0)

    def _invert(self, photo: Photo, label: str, face: int) -> None:
        self._job = self._worker.submit(
            label, partial(_invert, photo, face), partial(self._on_inverted, photo, face), self._on_failed
        )

    def _on_inverted(self, photo: Photo, face: int, inversion: Any) -> None:
        self._job = None
        self._view.set_flag("compare", on=False)
        # The camera first: the first frame of the new head is then of the right view.
        self._view.set_home(inversion.camera)
        self._session.replace(photo, inversion)
        self.pending_changed.emit(None)
        self._say_doubts(inversion, face)
        if inversion.aligned.faces_found > 1:
            self._detection = self._worker.submit(
                "Finding all faces",
                partial(_detect, photo),
                partial(self._on_detected, photo, face),
                self._on_detection_failed,
                background=True,
            )
        else:
            self.faces_found.emit((), face)

    def _say_doubts(self, inversion: Any, face: int) -> None:
        doubts, faces = doubts_of(inversion), inversion.aligned.faces_found
        choice = "Click another face in the photo to use it." if faces > 1 else ""
        if doubts:
            first, stop, more = doubts[0].partition(". ")
            self.said.emit(Message("warning", first + stop.strip(), " ".join([more, *doubts[1:], choice]).strip()))
        elif faces > 1:
            self.said.emit(Message("notice", f"The photo shows {faces} faces; face {face + 1} is used.", choice))

    def _on_detected(self, photo: Photo, face: int, faces: tuple[Any, ...]) -> None:
        self._detection = None
        if photo is self._session.photo:
            self.faces_found.emit(faces, face)

    def _on_detection_failed(self, error: CameoError) -> None:
        self._detection = None
        if not isinstance(error, Cancelled):
            logger.info("the other faces were not found: %s", error)

    def _on_failed(self, error: CameoError) -> None:
        if isinstance(error, Cancelled):
            return
        self._job = None
        self.pending_changed.emit(None)
        self.said.emit(Message("error", error.message, error.hint))

    def _on_warm_up_failed(self, error: CameoError) -> None:
        # Said at once: without weights no photo will ever work, and a person should not choose one first.
        if not isinstance(error, Cancelled):
            self.said.emit(Message("error", error.message, error.hint))


def _nothing(engine: Any, job: Job) -> None:
    """The engine being open is all that is wanted."""


def _ignore(result: None) -> None:
    """Nobody waits for it."""


def _decode(source: Path | bytes, engine: Any, job: Job) -> Photo:
    job.report(0.0, "Reading the file")
    return Photo.load(source) if isinstance(source, Path) else Photo.from_bytes(source)


def _invert(photo: Photo, face: int, engine: Any, job: Job) -> Any:
    return engine.invert(photo, job, face=face)


def _detect(photo: Photo, engine: Any, job: Job) -> Any:
    return engine.detect(photo, job)
