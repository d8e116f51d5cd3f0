"""The photo that is open: the picture with its faces, the aligned crop, what is known about it and what is doubtful."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QImage, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from core.photo import Photo
from core.session import Changes
from gui import theme
from gui.session_model import SessionModel
from gui.widgets.pixels import image_from, thumbnail

PANEL_PX = 288
"""Width of the panel, and of the pictures in it plus its margins."""
MARGIN = 14
_RADIUS = 8.0


class PhotoCanvas(QWidget):
    """The whole photo with a frame around every face; a click on a face chooses it.

    Args:
        parent: the owner.
    """

    face_clicked = Signal(int)
    """Number of the face."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixmap: QPixmap | None = None
        self._size = (1, 1)
        self._boxes: tuple[tuple[float, float, float, float], ...] = ()
        self._chosen = 0
        self._under: int | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(200)

    def show_photo(self, photo: Photo | None) -> None:
        """Show a photo, without any face yet."""
        self._boxes = ()
        self._chosen = 0
        if photo is None:
            self._pixmap = None
        else:
            height, width = photo.pixels.shape[:2]
            self._size = (width, height)
            self._pixmap = thumbnail(photo.pixels, PANEL_PX - 2 * MARGIN, self.devicePixelRatioF())
            shown = (PANEL_PX - 2 * MARGIN) * height / width
            self.setFixedHeight(round(min(max(shown, 110), 260)))
        self.update()

    def set_faces(self, boxes: tuple[tuple[float, float, float, float], ...], chosen: int) -> None:
        """Frame the faces.

        Args:
            boxes: x0, y0, x1, y1 in pixels of the photo.
            chosen: which one the head was made of.
        """
        self._boxes = boxes
        self._chosen = chosen
        self.update()

    def face_rectangle(self, number: int) -> QRectF:
        """Where a face is, in the widget's coordinates."""
        x0, y0, x1, y1 = self._boxes[number]
        area = self._area()
        scale = area.width() / self._size[0]
        return QRectF(area.left() + x0 * scale, area.top() + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the face under the mouse."""
        under = self._face_at(event.position())
        if under != self._under:
            self._under = under
            pointing = under is not None and under != self._chosen
            self.setCursor(Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor)
            self.setToolTip(f"Make the head of face {under + 1}" if under is not None and pointing else "")
            self.update()

    def leaveEvent(self, event: object) -> None:
        """No face is under the mouse."""
        self._under = None
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a face."""
        number = self._face_at(event.position())
        if number is not None and number != self._chosen and event.button() == Qt.MouseButton.LeftButton:
            self.face_clicked.emit(number)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Photo with round corners, frames with numbers."""
        if self._pixmap is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = self._area()
        path = QPainterPath()
        path.addRoundedRect(area, _RADIUS, _RADIUS)
        painter.setClipPath(path)
        painter.drawPixmap(area, self._pixmap, QRectF(self._pixmap.rect()))
        for number in range(len(self._boxes)):
            self._paint_face(painter, number)
        painter.end()

    def _paint_face(self, painter: QPainter, number: int) -> None:
        chosen, under = number == self._chosen, number == self._under
        pen = QPen(theme.colour("accent" if chosen else "text"), 2.0 if chosen or under else 1.2)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        box = self.face_rectangle(number)
        painter.drawRoundedRect(box, 4, 4)
        if len(self._boxes) < 2:
            return
        badge = QRectF(box.left(), box.top() - 9 if box.top() > 10 else box.top(), 18, 18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent" if chosen else "raised"))
        painter.drawEllipse(badge)
        painter.setPen(theme.colour("on_accent" if chosen else "text"))
        painter.setFont(theme.font(10.5, QFont.Weight.DemiBold))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(number + 1))

    def _area(self) -> QRectF:
        width, height = self._size
        scale = min(self.width() / width, self.height() / height)
        return QRectF(
            (self.width() - width * scale) / 2, (self.height() - height * scale) / 2, width * scale, height * scale
        )

    def _face_at(self, position: QPointF) -> int | None:
        if len(self._boxes) < 2:
            return None
        return next((n for n in range(len(self._boxes)) if self.face_rectangle(n).contains(position)), None)


class CropView(QWidget):
    """The aligned face, square, with round corners.

    Args:
        parent: the owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.setFixedHeight(PANEL_PX - 2 * MARGIN)

    def show_image(self, image: QImage | None) -> None:
        """Show a square picture, or nothing."""
        self._image = image
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the panel."""
        return QSize(PANEL_PX - 2 * MARGIN, PANEL_PX - 2 * MARGIN)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = QRectF(self.rect())
        path = QPainterPath()
        path.addRoundedRect(area, _RADIUS, _RADIUS)
        painter.fillPath(path, theme.colour("field"))
        if self._image is not None:
            painter.setClipPath(path)
            painter.drawImage(area, self._image)
        painter.end()


def doubts_of(inversion: Any) -> tuple[str, ...]:
    """What is doubtful about a head. How many faces there are is no doubt here: the window shows and numbers them."""
    several = f"The photo shows {inversion.aligned.faces_found} faces"
    return tuple(text for text in inversion.warnings if not text.startswith(several))


class PhotoPanel(QFrame):
    """Left panel: the photo beside the reconstruction.

    Args:
        model: the session to show; the panel only reads it.
        parent: the owner.
    """

    face_chosen = Signal(int)
    """The person wants the head of another face."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("leftPanel")
        self.setFixedWidth(PANEL_PX)
        self._model = model
        self.canvas = PhotoCanvas()
        self.canvas.face_clicked.connect(self.face_chosen)
        self.crop = CropView()
        self.crop.setToolTip("The face as the model saw it: straightened and framed")
        self.name = QLabel()
        self.name.setProperty("role", "strong")
        self.size_label = QLabel()
        self.size_label.setProperty("role", "muted")
        self.faces = QLabel()
        self.faces.setProperty("role", "muted")
        self.faces.setWordWrap(True)
        self.likeness = QLabel()
        self.likeness.setProperty("role", "muted")
        self.likeness.setWordWrap(True)
        self._notes = QVBoxLayout()
        self._notes.setSpacing(6)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(theme.GAP)
        column.addWidget(_heading("PHOTO"))
        column.addWidget(self.canvas)
        line = QHBoxLayout()
        line.addWidget(self.name, 1)
        line.addWidget(self.size_label)
        column.addLayout(line)
        column.addWidget(self.faces)
        column.addSpacing(theme.GAP)
        column.addWidget(_heading("ALIGNED FACE"))
        column.addWidget(self.crop)
        column.addWidget(self.likeness)
        column.addLayout(self._notes)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        model.changed.connect(self.on_changed)

    def on_changed(self, changes: Changes, initiator: object) -> None:
        """Show the photo the session has."""
        if not changes & (Changes.PHOTO | Changes.INVERSION):
            return
        photo, inversion = self._model.photo, self._model.inversion
        self.canvas.show_photo(photo)
        if photo is None or inversion is None:
            self.crop.show_image(None)
            return
        height, width = photo.pixels.shape[:2]
        name = photo.path.name if photo.path is not None else "Pasted picture"
        self.name.setText(self.name.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, 160))
        self.name.setToolTip(str(photo.path or ""))
        self.size_label.setText(f"{width} × {height}")
        self.crop.show_image(image_from(inversion.aligned.crop1024))
        self.faces.setText("")
        self.faces.hide()
        self._show_likeness(inversion.metrics)
        self._show_notes(doubts_of(inversion))

    def set_faces(self, faces: tuple[Any, ...], chosen: int) -> None:
        """Frame the faces that were found.

        Args:
            faces: ``DetectedFace`` values, largest first.
            chosen: the one the head was made of.
        """
        boxes = tuple(_corners(face.box) for face in faces)
        self.canvas.set_faces(boxes, chosen)
        several = len(faces) > 1
        self.faces.setText(f"{len(faces)} faces found. Click another to use it." if several else "")
        self.faces.setVisible(several)

    def _show_likeness(self, metrics: Mapping[str, float]) -> None:
        words = []
        distance = metrics.get("identity_distance")
        if distance is not None:
            # 0.6 is the threshold of the embedding: below it two pictures show the same person.
            word = "Very close" if distance < 0.35 else "Close" if distance < 0.6 else "Weak"
            words.append(f"Likeness: {word.lower()} ({distance:.2f})")
        if "mae" in metrics:
            words.append(f"difference {metrics['mae']:.3f}")
        self.likeness.setText(" · ".join(words))
        self.likeness.setToolTip(
            "Distance of the face embeddings of photo and reconstruction (under 0.60: same person),"
            " and mean difference of the colours over the head."
        )
        self.likeness.setVisible(bool(words))

    def _show_notes(self, notes: tuple[str, ...]) -> None:
        while (item := self._notes.takeAt(0)) is not None:
            note = item.widget()
            if note is not None:
                note.deleteLater()
        for text in notes:
            self._notes.addWidget(_Note(text))


class _Note(QWidget):
    """A doubt, with a small sign."""

    def __init__(self, text: str) -> None:
        super().__init__()
        sign = QLabel()
        sign.setPixmap(theme.pixmap("warning", 16, "warning", self.devicePixelRatioF()))
        words = QLabel(text)
        words.setProperty("role", "muted")
        words.setWordWrap(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        row.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(words, 1)


def _corners(box: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in np.asarray(box))
    return x0, y0, x1, y1


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "heading")
    return label
