"""Paints the newest neural frame; a drag over it is a wish to orbit.

With the comparison on, the aligned photo covers the part left of a line that can be dragged. The head is painted with
its alpha on the same backdrop as the mesh, so that both views read as one stage.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.frame import Frame
from gui import theme
from gui.view_state import DEFAULT_ZOOM, picture_side
from gui.widgets.orbit_drag import OrbitDrag
from gui.widgets.pixels import feathered, image_from, thumbnail

PENDING_PX = 96
"""Longer side of the thumbnail that stands in for a head: coarse enough to be taken for what it is."""
_GRIP_PX = 12
"""How near to the dividing line a press takes the line instead of the head."""


class FrameView(QWidget):
    """Shows a frame.

    Args:
        parent: the owner.
    """

    split_moved = Signal(float)
    """Where the dividing line is, 0..1 of the picture's width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.frame: Frame | None = None
        self._image: QImage | None = None
        self._photo: QImage | None = None
        self._pending: QImage | None = None
        self._comparing = False
        self._split = 0.5
        self._gripping = False
        self._zoom = DEFAULT_ZOOM
        self._badge = ""
        self.drag = OrbitDrag(self)
        # Filters installed later are asked first: the line goes before the orbit.
        self.installEventFilter(self)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Neural view of the head")

    @property
    def comparing(self) -> bool:
        """Whether the photo covers one half."""
        return self._comparing

    def sizeHint(self) -> QSize:
        """Room for a face."""
        return QSize(420, 420)

    def show_frame(self, frame: Frame | None) -> None:
        """Show a frame, or nothing."""
        self.frame = frame
        self._image = None if frame is None else image_from(feathered(frame.cutout()))
        if frame is not None:
            self._pending = None
        self.update()

    def set_pending(self, photo: NDArray[np.uint8] | None) -> None:
        """A photo whose head is on its way: its thumbnail stands in until the first frame; None gives it up.

        Args:
            photo: ``(H, W, 3)`` uint8 sRGB.
        """
        self._pending = None
        if photo is not None:
            small = thumbnail(photo, PENDING_PX).toImage()
            side = min(small.width(), small.height())
            self._pending = small.copy((small.width() - side) // 2, (small.height() - side) // 2, side, side)
        self.update()

    def set_photo(self, photo: QImage | None) -> None:
        """The aligned photo for the comparison, square."""
        self._photo = photo
        self.update()

    def set_comparing(self, *, on: bool) -> None:
        """Lay the photo over the part left of the line, or take it away."""
        self._comparing = on
        self.update()

    def set_zoom(self, zoom: float) -> None:
        """Side of the picture over the shorter side of the view."""
        self._zoom = zoom
        self.update()

    def set_badge(self, text: str) -> None:
        """A word in the corner, as "Before"; empty takes it away."""
        if text != self._badge:
            self._badge = text
            self.update()

    def picture_rectangle(self) -> QRectF:
        """Where the square picture is painted."""
        side = picture_side(self.width(), self.height(), self._zoom)
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Drag the dividing line before the orbit gets to see the mouse."""
        if not self._comparing or not isinstance(event, QMouseEvent):
            return False
        near = abs(event.position().x() - self._line_x()) <= _GRIP_PX
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and near:
            self._gripping = True
        elif kind == QEvent.Type.MouseButtonRelease and self._gripping:
            self._gripping = False
        elif kind == QEvent.Type.MouseMove and self._gripping:
            self._move_line(event.position().x())
        elif kind == QEvent.Type.MouseMove and not event.buttons():
            self.setCursor(Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.OpenHandCursor)
            return False
        else:
            return False
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        """Backdrop, head, photo, line, badge."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ratio = self.devicePixelRatioF()
        ground = theme.backdrop(round(self.width() * ratio), round(self.height() * ratio))
        painter.drawImage(QRectF(self.rect()), ground)
        rectangle = self.picture_rectangle()
        if self._pending is not None:
            painter.drawImage(rectangle, self._pending)
        elif self._image is not None:
            painter.drawImage(rectangle, self._image)
        if self._comparing and self._photo is not None:
            self._paint_photo(painter, rectangle, self._photo)
        if self._badge:
            self._paint_label(painter, self._badge, QPointF(12, 12), "accent")
        painter.end()

    def _paint_photo(self, painter: QPainter, rectangle: QRectF, photo: QImage) -> None:
        x = self._line_x()
        painter.save()
        painter.setClipRect(QRectF(0, 0, x, self.height()))
        painter.drawImage(rectangle, photo)
        painter.restore()
        painter.setPen(QPen(theme.colour("text"), 1.5))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setBrush(theme.colour("text"))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QPointF(x, self.height() / 2), 9, 9)
        painter.setPen(QPen(theme.colour("window"), 1.6))
        middle = self.height() / 2
        for sign in (-1, 1):
            painter.drawLine(QPointF(x + sign * 2.5, middle - 3), QPointF(x + sign * 5, middle))
            painter.drawLine(QPointF(x + sign * 5, middle), QPointF(x + sign * 2.5, middle + 3))
        top = max(12.0, rectangle.top() + 12)
        self._paint_label(painter, "Photo", QPointF(max(12.0, rectangle.left() + 12), top), "text")
        self._paint_label(painter, "3D", QPointF(min(rectangle.right(), self.width()) - 46, top), "text")

    def _paint_label(self, painter: QPainter, text: str, corner: QPointF, role: str) -> None:
        painter.setFont(theme.font(11.5, QFont.Weight.DemiBold))
        width = painter.fontMetrics().horizontalAdvance(text) + 16
        box = QRectF(corner.x(), corner.y(), width, 22)
        ground = theme.colour("field")
        ground.setAlphaF(0.78)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(theme.colour(role))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _line_x(self) -> float:
        rectangle = self.picture_rectangle()
        return rectangle.left() + self._split * rectangle.width()

    def _move_line(self, x: float) -> None:
        rectangle = self.picture_rectangle()
        self._split = min(max((x - rectangle.left()) / rectangle.width(), 0.02), 0.98)
        self.split_moved.emit(self._split)
        self.update()
