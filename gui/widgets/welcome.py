"""What is shown before the first head: where to drop, a sample at a click, then the photo that is being worked on."""

from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.job import Job
from core.photo import Photo
from gui import theme
from gui.widgets.job_bar import STEPS
from gui.widgets.pixels import thumbnail

ZONE = QSize(620, 430)
_PHOTO_PX = 360


class SampleCard(QFrame):
    """The sample portrait, to be clicked.

    Args:
        sample: the picture.
        parent: the owner.
    """

    clicked = Signal()
    """The person wants to try it."""

    def __init__(self, sample: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Open the sample portrait")
        self.setAccessibleName("Sample portrait")
        picture = QLabel()
        ratio = self.devicePixelRatioF()
        small = QPixmap(str(sample)).scaled(
            round(64 * ratio),
            round(64 * ratio),
            Qt.AspectRatioMode.KeepAspectRatioByExpanding,
            Qt.TransformationMode.SmoothTransformation,
        )
        small.setDevicePixelRatio(ratio)
        picture.setPixmap(_rounded(small, 8))
        title = QLabel("No photo at hand?")
        title.setProperty("role", "strong")
        text = QLabel("Try the sample portrait. It was rendered by Cameo, nobody looks like this.")
        text.setProperty("role", "muted")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addStretch(1)
        words.addWidget(title)
        words.addWidget(text)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 12, 18, 12)
        row.setSpacing(14)
        row.addWidget(picture)
        row.addLayout(words, 1)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click."""
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter and space click too."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()


class Welcome(QStackedWidget):
    """First page: drop zone; second page: the photo that is being worked on.

    Args:
        sample: path of the sample portrait; without that file no sample is offered.
        parent: the owner.
    """

    open_requested = Signal()
    """Choose a file."""
    paste_requested = Signal()
    """Take the clipboard."""
    sample_requested = Signal()
    """Take the sample portrait."""
    cancel_requested = Signal(object)
    """Stop the Job."""

    def __init__(self, sample: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty = self._empty_page(sample)
        self.working = _WorkingPage()
        self.working.cancel_requested.connect(self.cancel_requested)
        self.addWidget(self.empty)
        self.addWidget(self.working)

    def show_pending(self, photo: Photo | None) -> None:
        """Show a photo that is being worked on; None goes back to the drop zone."""
        self.working.show_photo(photo)

    def begin(self, job: Job, background: bool) -> None:
        """A job was queued."""
        if not background:
            self.working.follow(job)
            self.setCurrentWidget(self.working)

    def report(self, job: Job, fraction: float, stage: str) -> None:
        """A job got on."""
        self.working.report(job, fraction, stage)

    def end(self, job: Job) -> None:
        """A job is over."""
        if job is self.working.job:
            self.working.follow(None)

    def show_empty(self) -> None:
        """Back to the drop zone."""
        self.setCurrentWidget(self.empty)

    def _empty_page(self, sample: Path) -> QWidget:
        page = QWidget()
        zone = QFrame()
        zone.setObjectName("dropZone")
        zone.setFixedSize(ZONE)
        sign = QLabel()
        sign.setPixmap(theme.pixmap("drop", 56, "accent", self.devicePixelRatioF()))
        title = QLabel("Drop a portrait here")
        title.setProperty("role", "title")
        lead = QLabel("One photo of a face becomes a 3D head you can turn, edit and export.")
        lead.setProperty("role", "lead")
        choose = QPushButton("Open a photo…")
        choose.setProperty("role", "primary")
        choose.setToolTip("Ctrl+O")
        choose.clicked.connect(self.open_requested)
        paste = QPushButton("Paste")
        paste.setToolTip("Take the picture from the clipboard (Ctrl+V)")
        paste.clicked.connect(self.paste_requested)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.GAP)
        buttons.addStretch(1)
        buttons.addWidget(choose)
        buttons.addWidget(paste)
        buttons.addStretch(1)
        formats = QLabel("JPEG, PNG, WebP, TIFF, BMP, HEIC, AVIF. Your photos stay on this computer.")
        formats.setProperty("role", "faint")
        column = QVBoxLayout(zone)
        column.setContentsMargins(40, 40, 40, 28)
        column.addStretch(2)
        for widget, gap in ((sign, 18), (title, 8), (lead, 28)):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
            column.addSpacing(gap)
        column.addLayout(buttons)
        column.addStretch(3)
        column.addWidget(formats, 0, Qt.AlignmentFlag.AlignHCenter)
        outer = QVBoxLayout(page)
        outer.addStretch(3)
        outer.addWidget(zone, 0, Qt.AlignmentFlag.AlignHCenter)
        if sample.is_file():
            card = SampleCard(sample)
            card.setFixedWidth(ZONE.width())
            card.clicked.connect(self.sample_requested)
            self.sample_card: SampleCard | None = card
            outer.addSpacing(2 * theme.GAP)
            outer.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        else:
            self.sample_card = None
        outer.addStretch(4)
        return page


class _WorkingPage(QWidget):
    """The photo, the stage, a bar and Cancel."""

    cancel_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None
        self._photo = _PendingPhoto()
        self.title = QLabel()
        self.title.setFont(theme.font(17, QFont.Weight.DemiBold))
        self.title.setStyleSheet("font-size: 17px; font-weight: 600;")
        self.stage = QLabel()
        self.stage.setProperty("role", "lead")
        self.progress = QProgressBar()
        self.progress.setRange(0, STEPS)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(_PHOTO_PX)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop (Esc)")
        self.cancel_button.clicked.connect(self._cancel)
        column = QVBoxLayout(self)
        column.addStretch(3)
        for widget, gap in ((self._photo, 22), (self.title, 4), (self.stage, 14), (self.progress, 18)):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
            column.addSpacing(gap)
        column.addWidget(self.cancel_button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(4)

    def show_photo(self, photo: Photo | None) -> None:
        self._photo.show_photo(photo)

    def follow(self, job: Job | None) -> None:
        self.job = job
        self.cancel_button.setEnabled(job is not None)
        if job is not None:
            self.title.setText(job.label)
            self.stage.setText("Starting")
            self.progress.setValue(0)

    def report(self, job: Job, fraction: float, stage: str) -> None:
        if job is self.job and not job.cancelled:
            self.stage.setText(stage[:1].upper() + stage[1:])
            self.progress.setValue(round(fraction * STEPS))

    def _cancel(self) -> None:
        if self.job is not None:
            self.cancel_button.setEnabled(False)
            self.stage.setText("Stopping")
            self.cancel_requested.emit(self.job)


class _PendingPhoto(QWidget):
    """A photo in a rounded frame; an empty frame before it is decoded."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap: QPixmap | None = None
        self.setFixedSize(_PHOTO_PX, _PHOTO_PX)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_photo(self, photo: Photo | None) -> None:
        ratio = self.devicePixelRatioF()
        self._pixmap = None if photo is None else thumbnail(photo.pixels, _PHOTO_PX, ratio)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect())
        if self._pixmap is not None:
            size = self._pixmap.deviceIndependentSize()
            area = QRectF(0, 0, size.width(), size.height())
            area.moveCenter(QRectF(self.rect()).center())
        path = QPainterPath()
        path.addRoundedRect(area, 12, 12)
        painter.fillPath(path, theme.colour("panel"))
        if self._pixmap is not None:
            painter.setClipPath(path)
            painter.drawPixmap(area.topLeft(), self._pixmap)
        painter.end()


def _rounded(pixmap: QPixmap, radius: float) -> QPixmap:
    made = QPixmap(pixmap.size())
    made.setDevicePixelRatio(pixmap.devicePixelRatio())
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    path = QPainterPath()
    size = pixmap.deviceIndependentSize()
    path.addRoundedRect(QRectF(0, 0, size.width(), size.height()), radius, radius)
    painter.setClipPath(path)
    painter.drawPixmap(0, 0, pixmap)
    painter.end()
    return made
