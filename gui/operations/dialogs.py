"""Questions to the person: which photo, what to export, and the two pages that only tell."""

import logging
from pathlib import Path

from PySide6.QtCore import QObject, QSettings, QStandardPaths, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from core.settings import Settings
from gui.engine_worker import EngineFacts
from gui.operations.export import ExportOperations
from gui.operations.live import LiveView
from gui.operations.photo import PhotoOperations
from gui.session_model import SessionModel
from gui.widgets.about_dialog import AboutDialog
from gui.widgets.banner import Message
from gui.widgets.drop_area import photo_in
from gui.widgets.export_dialog import ExportDialog
from gui.widgets.shortcuts_dialog import ShortcutsDialog

logger = logging.getLogger(__name__)

PATTERNS = "Photos (*.jpg *.jpeg *.png *.webp *.tif *.tiff *.bmp *.heic *.heif *.avif *.gif);;All files (*)"


class Dialogs(QObject):
    """Opens dialogs over the window and hands their answers to the operations.

    Args:
        window: what the dialogs belong to.
        session: for names and the edit.
        live: for what the view shows.
        photos: opens photos.
        exports: writes files.
        keys: (shortcut, what it does), for the list of keys.
        settings: defaults of exports.
        parent: the owner.
    """

    said = Signal(object)
    """A Message for the banner."""

    def __init__(
        self,
        window: QWidget,
        session: SessionModel,
        live: LiveView,
        photos: PhotoOperations,
        exports: ExportOperations,
        keys: tuple[tuple[str, str], ...],
        settings: Settings,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._session = session
        self._live = live
        self._photos = photos
        self._exports = exports
        self._keys = keys
        self._settings = settings
        self._facts: EngineFacts | None = None

    def on_engine_opened(self, facts: EngineFacts) -> None:
        """Remember what to say about the model."""
        self._facts = facts

    def choose_photo(self) -> None:
        """Ask for a file and open it."""
        settings = QSettings()
        folder = str(settings.value("photo_folder", _place("PicturesLocation")))
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Open a photo", folder, PATTERNS)
        if chosen:
            settings.setValue("photo_folder", str(Path(chosen).parent))
            self._photos.reconstruct(Path(chosen))

    def paste(self) -> None:
        """Open the picture in the clipboard."""
        photo = photo_in(QGuiApplication.clipboard().mimeData())
        if photo is None:
            self.said.emit(
                Message("notice", "There is no picture in the clipboard.", "Copy a picture or a file, then paste.")
            )
        else:
            self._photos.reconstruct(photo)

    def export_mesh(self) -> None:
        """Ask how and where, then write a mesh."""
        self._export("mesh")

    def export_turntable(self) -> None:
        """Ask how and where, then write a video."""
        self._export("turntable")

    def export_picture(self) -> None:
        """Ask how and where, then write a picture."""
        self._export("picture")

    def make_export_dialog(self, kind: str) -> ExportDialog:
        """The dialog with what was chosen last."""
        photo = self._session.photo
        stem = photo.path.stem if photo is not None and photo.path is not None else "head"
        folder = Path(str(QSettings().value("export_folder", _place("DocumentsLocation"))))
        folder = folder if folder.is_dir() else Path.home()
        dialog = ExportDialog(kind, folder, stem, self._session.edit, self._window)
        dialog.prefer(self._settings)
        return dialog

    def _export(self, kind: str) -> None:
        request = self._live.current_request()
        if request is None:
            return
        dialog = self.make_export_dialog(kind)
        if dialog.exec():
            spec = dialog.spec()
            QSettings().setValue("export_folder", str(spec.path.parent))
            self._exports.export(spec, request)
        dialog.deleteLater()

    def act_on(self, message: Message) -> None:
        """The banner's button was clicked: show the file where it lies."""
        if message.path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(message.path.parent)))

    def show_shortcuts(self) -> None:
        """The list of keys."""
        ShortcutsDialog(self._keys, self._window).open()

    def show_about(self) -> None:
        """What this is."""
        model = f"{self._facts.weights_name} on {self._facts.device_name}" if self._facts else "not loaded yet"
        AboutDialog(model, self._window).open()


def _place(name: str) -> str:
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation[name])
    return place if Path(place).is_dir() else str(Path.home())
