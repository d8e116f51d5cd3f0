"""The composition root: builds everything and holds *all* connections on one page.

Nothing here imports torch: the engine is opened by the worker, in its thread, through ``open_engine``.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QSettings, QTimer
from PySide6.QtWidgets import QApplication

from core.errors import CameoError
from core.job import Job
from core.photo import Photo
from core.session import Changes
from core.settings import Settings
from gui import theme
from gui.actions import Situation, all_keys
from gui.engine_opening import open_engine
from gui.engine_worker import EngineFacts, EngineWorker
from gui.frame_scheduler import FrameScheduler
from gui.kernel_builder import KernelBuilder, ignored, take_kernels
from gui.main_window import MainWindow
from gui.operations.dialogs import Dialogs
from gui.operations.edit import EditOperations
from gui.operations.export import ExportOperations
from gui.operations.live import LiveView
from gui.operations.photo import WARMING, PhotoOperations
from gui.operations.refine import RefineOperations
from gui.operations.surface import SurfaceOperations
from gui.session_model import SessionModel
from gui.view_state import Layout, ViewState
from gui.widgets.banner import Message
from gui.widgets.mesh_view import OpenGLFacts, opengl_facts
from gui.widgets.pixels import image_from

logger = logging.getLogger(__name__)

SAMPLE = theme.RESOURCES / "sample_portrait.png"
"""A portrait rendered by our own world."""
WARM_UP_MS = 400
"""After the window is shown: first it paints, then the engine loads."""
LOADING = "Loading the model…"
QUICKER = "Taking compiled layers"
ZOOM_STEP = 1.25
STILL_PX, FINE_PX = 256, 512
"""Sides of the picture at rest and after a longer rest: the decoder's size, and about what a view has on the screen."""


class Cameo(QObject):
    """The running program: models, worker, operations and window.

    Args:
        engine_factory: makes the engine, in the worker's thread; the one of the settings by default.
        opengl: what the machine's OpenGL is, None without.
        sample: path of the sample portrait.
        settings: which model on which device, and defaults of exports.
    """

    def __init__(
        self,
        engine_factory: Callable[[], Any] | None = None,
        opengl: OpenGLFacts | None = None,
        sample: Path = SAMPLE,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        settings = settings or Settings()
        self._sample = sample
        self.session = SessionModel(self)
        self.view = ViewState(self)
        self.worker = EngineWorker(engine_factory or partial(open_engine, settings), self)
        self.photos = PhotoOperations(self.session, self.view, self.worker, self)
        self.edits = EditOperations(self.session)
        self._pending: Photo | None = None
        self.live = LiveView(self.session, self.view, self.worker, FrameScheduler(STILL_PX, FINE_PX), parent=self)
        self.surfaces = SurfaceOperations(self.session, self.worker, self)
        self.exports = ExportOperations(self.session, self.worker, self)
        self.refinements = RefineOperations(self.session, self.worker, self)
        self.kernels = KernelBuilder(settings.weights, settings.device, self)
        self.window = MainWindow(self.session, self.view, opengl, sample)
        self.dialogs = Dialogs(
            self.window, self.session, self.live, self.photos, self.exports, all_keys(), settings, self
        )
        self._connect_worker()
        self._connect_models()
        self._connect_widgets()
        self._connect_actions()
        self._refresh()

    def start(self, photo: Path | None = None) -> None:
        """Show the window where it stood last; open a photo if one was named."""
        geometry = QSettings().value("geometry")
        if geometry is not None:
            self.window.restoreGeometry(geometry)
        self.window.show()
        if photo is not None:
            self.photos.reconstruct(photo)
        else:
            QTimer.singleShot(WARM_UP_MS, self.photos.warm_up)

    def stop(self) -> None:
        """End all work; safe to call twice."""
        if self.window.isVisible() or self.window.geometry().isValid():
            QSettings().setValue("geometry", self.window.saveGeometry())
        self.view.stop()
        self.live.stop()
        self.surfaces.stop()
        self.kernels.stop()
        self.worker.stop()
        self.window.stage.release()

    # -- connections ---------------------------------------------------------------------------------------------------

    def _connect_worker(self) -> None:
        worker, window = self.worker, self.window
        worker.engine_opened.connect(self._on_engine_opened)
        worker.engine_opened.connect(self.dialogs.on_engine_opened)
        worker.frame_rendered.connect(self.live.on_frame)
        worker.frame_failed.connect(self.live.on_frame_failed)
        for listener in (window.job_bar, window.welcome):
            worker.job_began.connect(listener.begin)
            worker.job_reported.connect(listener.report)
            worker.job_ended.connect(listener.end)
        worker.job_reported.connect(self.surfaces.on_job_reported)
        worker.job_reported.connect(self.refinements.on_job_reported)
        worker.job_showed.connect(self.refinements.on_job_showed)
        worker.job_began.connect(self._on_job_began)
        # Whatever is going on, compiling waits until it is over.
        worker.frame_rendered.connect(self.kernels.put_off)
        worker.job_reported.connect(self.kernels.put_off)
        self.kernels.built.connect(self._on_kernels_built)
        worker.job_ended.connect(self._on_job_ended)

    def _connect_models(self) -> None:
        self.session.changed.connect(self._on_session_changed)
        self.session.changed.connect(self.live.on_session_changed)
        self.session.changed.connect(self.surfaces.on_session_changed)
        self.session.changed.connect(self.refinements.on_session_changed)
        self.view.camera_changed.connect(self.live.on_camera_changed)
        self.view.options_changed.connect(self.live.on_options_changed)
        self.view.options_changed.connect(self._refresh)
        for operations in (self.photos, self.live, self.surfaces, self.exports, self.refinements, self.dialogs):
            operations.said.connect(self._say)
        self.photos.pending_changed.connect(self._on_pending_changed)
        self.photos.faces_found.connect(self.window.photo_panel.set_faces)
        self.live.frame_due.connect(self.window.stage.show_frame)
        self.live.waiting_changed.connect(self.window.stage.set_waiting)
        self.surfaces.mesh_built.connect(self.window.stage.show_mesh)
        self.surfaces.stale_changed.connect(self.window.stage.set_stale)
        self.surfaces.progressed.connect(self.window.stage.set_mesh_progress)

    def _connect_widgets(self) -> None:
        window = self.window
        window.area.dropped.connect(self._on_dropped)
        window.welcome.open_requested.connect(self.dialogs.choose_photo)
        window.welcome.paste_requested.connect(self.dialogs.paste)
        window.welcome.sample_requested.connect(self._open_sample)
        window.welcome.cancel_requested.connect(self._cancel_job)
        window.job_bar.cancel_requested.connect(self._cancel_job)
        window.photo_panel.face_chosen.connect(self.photos.choose_face)
        window.attribute_panel.moved.connect(self._on_slider_moved)
        window.attribute_panel.settled.connect(self._on_slider_settled)
        window.attribute_panel.reset_requested.connect(self.edits.reset)
        window.camera_panel.look_requested.connect(self.view.glide_to)
        window.camera_panel.home_requested.connect(self.view.glide_home)
        window.refine_panel.refine_requested.connect(self.refinements.refine)
        window.refine_panel.cancel_requested.connect(self.refinements.cancel)
        window.refine_panel.pause_requested.connect(self.refinements.pause)
        window.refine_panel.finish_requested.connect(self.refinements.finish)
        window.refine_panel.pick_requested.connect(self.refinements.pick)
        self.refinements.began.connect(window.refine_panel.begin)
        self.refinements.progressed.connect(window.refine_panel.report)
        self.refinements.showed.connect(window.refine_panel.look)
        self.refinements.ended.connect(window.refine_panel.end)
        window.stage.orbited.connect(self.view.orbit)
        window.stage.released.connect(self.view.settle)
        window.stage.zoomed.connect(self.view.zoom_by)
        window.stage.home_requested.connect(self.view.glide_home)
        window.before_button.pressed.connect(partial(self.view.set_flag, "before", on=True))
        window.before_button.released.connect(partial(self.view.set_flag, "before", on=False))
        window.before_held.connect(self._on_before_held)
        window.banner.acted.connect(self.dialogs.act_on)
        window.closing.connect(self.stop)

    def _connect_actions(self) -> None:
        actions = self.window.actions_table
        simple: dict[str, Callable[[], object]] = {
            "open": self.dialogs.choose_photo,
            "paste": self.dialogs.paste,
            "sample": self._open_sample,
            "export_mesh": self.dialogs.export_mesh,
            "export_turntable": self.dialogs.export_turntable,
            "export_picture": self.dialogs.export_picture,
            "quit": self.window.close,
            "undo": self.session.undo,
            "redo": self.session.redo,
            "reset_edit": self.edits.reset,
            "cancel": self._cancel_or_dismiss,
            "home": self.view.glide_home,
            "zoom_in": partial(self.view.zoom_by, ZOOM_STEP),
            "zoom_out": partial(self.view.zoom_by, 1 / ZOOM_STEP),
            "shortcuts": self.dialogs.show_shortcuts,
            "about": self.dialogs.show_about,
        }
        for name, function in simple.items():
            actions[name].triggered.connect(_without_arguments(function))
        for layout in Layout:
            actions[f"layout_{layout.value}"].triggered.connect(
                _without_arguments(partial(self.view.set_layout, layout))
            )
        for layer in ("picture", "normals", "depth", "generator"):
            actions[f"layer_{layer}"].triggered.connect(_without_arguments(partial(self.view.set_layer, layer)))
        for flag in ("compare", "wireframe", "normals"):
            actions[flag].triggered.connect(_without_arguments(partial(self._take_flag, flag)))
        actions["before"].triggered.connect(self._toggle_before)
        actions["full_screen"].triggered.connect(self._toggle_full_screen)
        self.window.export_button.setMenu(self.window.export_menu)

    # -- slots ---------------------------------------------------------------------------------------------------------

    def _on_engine_opened(self, facts: EngineFacts) -> None:
        self.view.set_limits(facts.limits)
        self.window.attribute_panel.set_attributes(facts.attributes)
        self.window.facts.setText(f"{facts.weights_name} · {facts.device_name}")
        if facts.wants_kernels:
            self.kernels.arm()

    def _on_kernels_built(self) -> None:
        self.worker.submit(QUICKER, take_kernels, ignored, ignored, background=True)

    def _on_session_changed(self, changes: Changes, initiator: object) -> None:
        if changes & Changes.INVERSION and self.session.inversion is not None:
            self.window.stage.set_photo(image_from(self.session.inversion.aligned.crop1024))
            self.view.move_home(self.session.inversion.camera)
        self._refresh()

    def _on_job_began(self, job: Job, background: bool) -> None:
        if job.label == WARMING:
            self.window.facts.setText(LOADING)
        self._refresh()

    def _on_job_ended(self, job: Job) -> None:
        if job.label == WARMING and self.window.facts.text() == LOADING:
            self.window.facts.clear()
        self._refresh()

    def _on_pending_changed(self, photo: Photo | None) -> None:
        self.window.welcome.show_pending(photo)
        if photo is None:
            self.window.welcome.show_empty()
        # Of a head that has come the first frame takes the thumbnail's place.
        if photo is not None or self.session.photo is not self._pending:
            self.window.stage.frame_view.set_pending(None if photo is None else photo.pixels)
        self._pending = photo
        self._refresh()

    def _on_dropped(self, source: Path | bytes) -> None:
        self.photos.reconstruct(source)
        self.window.activateWindow()

    def _open_sample(self) -> None:
        self.photos.reconstruct(self._sample)

    def _on_slider_moved(self, name: str, strength: float) -> None:
        self.edits.preview(name, strength, self.window.attribute_panel)

    def _on_slider_settled(self, name: str) -> None:
        self.edits.commit(name, self.window.attribute_panel)

    def _on_before_held(self, held: bool) -> None:
        self.view.set_flag("before", on=held and self.session.inversion is not None)

    def _toggle_before(self) -> None:
        self.view.set_flag("before", on=not self.view.before)

    def _take_flag(self, name: str) -> None:
        self.view.set_flag(name, on=self.window.actions_table[name].isChecked())

    def _toggle_full_screen(self) -> None:
        if self.window.isFullScreen():
            self.window.showNormal()
        else:
            self.window.showFullScreen()

    def _cancel_job(self, job: Job) -> None:
        job.cancel()
        self.photos.cancel(job)

    def _cancel_or_dismiss(self) -> None:
        job = self.window.job_bar.job or self.window.welcome.working.job
        if job is not None:
            self._cancel_job(job)
        else:
            self.window.banner.dismiss()

    def _say(self, message: Message) -> None:
        self.window.banner.show_message(message)
        self.window.place_banner()

    def _refresh(self) -> None:
        """Bring actions, pages and the status line in line with the models."""
        window, session, view = self.window, self.session, self.view
        has_head = session.inversion is not None
        window.show_editor(on=has_head)
        window.job_bar.setVisible(has_head and window.job_bar.job is not None)
        window.status.setVisible(not window.job_bar.isVisible())
        name = session.photo.path.name if session.photo is not None and session.photo.path is not None else ""
        window.setWindowTitle(f"{name} – Cameo" if name else "Cameo")
        window.status.setText(str(session.edit) if has_head and not session.edit.is_empty else "")
        window.before_button.setEnabled(has_head)
        window.export_button.setEnabled(has_head)
        window.layer_button.setEnabled(has_head)
        actions = window.actions_table
        changed = actions.refresh(
            Situation(
                has_head=has_head,
                edited=not session.edit.is_empty,
                undo_label=session.undo_label,
                redo_label=session.redo_label,
            )
        )
        if changed:
            actions["sample"].setEnabled(self._sample.is_file())
        actions[f"layout_{view.layout.value}"].setChecked(True)
        actions[f"layer_{view.layer}"].setChecked(True)
        for flag in ("compare", "wireframe", "normals"):
            actions[flag].setChecked(getattr(view, flag))


def _without_arguments(function: Callable[[], object]) -> Callable[..., None]:
    """A slot for ``triggered`` that drops its "checked"."""

    def call(checked: bool = False) -> None:
        function()

    return call


def _settings() -> tuple[Settings, CameoError | None]:
    """The person's settings; with a file that cannot be read the defaults, and what is wrong with it."""
    try:
        return Settings.load(), None
    except CameoError as error:
        return Settings(), error


def install_excepthook(cameo: Cameo) -> None:
    """An error nobody foresaw is logged and shown; the window stays open, so that work can be saved."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.error("unexpected error", exc_info=(kind, error, trace))
        hint = error.hint if isinstance(error, CameoError) else "Your head is still here; the log has the details."
        cameo.dialogs.said.emit(Message("error", f"Something went wrong: {error}", hint))

    sys.excepthook = hook


def main(arguments: list[str]) -> int:
    """Run the window.

    Args:
        arguments: the program's name and, optionally, a photo.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    QCoreApplication.setOrganizationName("Cameo")
    QCoreApplication.setApplicationName("Cameo")
    application = QApplication(arguments)
    theme.apply(application)
    settings, trouble = _settings()
    cameo = Cameo(opengl=opengl_facts(), settings=settings)
    install_excepthook(cameo)
    named = application.arguments()[1:]
    cameo.start(Path(named[0]) if named else None)
    if trouble is not None:
        cameo.dialogs.said.emit(Message("warning", trouble.message, trouble.hint))
    code = application.exec()
    cameo.stop()
    return code
