"""Takes photos that are dropped anywhere on the window, and shows while one hovers that it would be taken."""

from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMimeData, QRectF, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QFont,
    QImage,
    QImageWriter,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from gui import theme


def photo_in(mime: QMimeData) -> Path | bytes | None:
    """The photo that a drop or the clipboard carries: a path, encoded bytes, or None.

    Whether a path is a picture is for the decoder to say: it has better words than a silent refusal.
    """
    for url in mime.urls():
        if url.isLocalFile():
            return Path(url.toLocalFile())
    if mime.hasImage():
        image = QImage(mime.imageData())
        if not image.isNull():
            return _encoded(image)
    text = mime.text().strip()
    if text and "\n" not in text and Path(text).is_absolute() and Path(text).is_file():
        return Path(text)
    return None


def _encoded(image: QImage) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, QByteArray(b"png")).write(image)
    return bytes(buffer.data().data())


class DropArea(QWidget):
    """The window's content; accepts drops.

    Args:
        parent: the owner.
    """

    dropped = Signal(object)
    """A Path, or the bytes of an encoded picture."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._veil = _Veil(self)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Say whether we would take it."""
        if photo_in(event.mimeData()) is not None:
            event.acceptProposedAction()
            self._veil.setGeometry(self.rect())
            self._veil.raise_()
            self._veil.show()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """It went away."""
        self._veil.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take it."""
        self._veil.hide()
        photo = photo_in(event.mimeData())
        if photo is not None:
            event.acceptProposedAction()
            self.dropped.emit(photo)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the veil over everything."""
        super().resizeEvent(event)
        self._veil.setGeometry(self.rect())


class _Veil(QWidget):
    """What lies over the window while a photo hovers."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Dim, frame, word."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dim = theme.colour("field")
        dim.setAlphaF(0.95)
        painter.fillRect(self.rect(), dim)
        painter.setPen(QPen(theme.colour("accent"), 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(24, 24, -24, -24), 16, 16)
        side = 48
        sign = theme.pixmap("drop", side, "accent", self.devicePixelRatioF())
        painter.drawPixmap((self.width() - side) // 2, self.height() // 2 - 56, sign)
        painter.setPen(theme.colour("text"))
        painter.setFont(theme.font(20, QFont.Weight.DemiBold))
        words = QRectF(0, self.height() / 2, self.width(), 32)
        painter.drawText(words, Qt.AlignmentFlag.AlignCenter, "Drop to make a head of it")
        painter.end()
