"""A slider for a strength around zero: the bar grows from zero, so that what is edited can be seen at a glance.

Drawn by itself, because a platform slider has no middle. It knows no attribute: only a range and a value.
"""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from gui import theme

KEY_STEP = 0.05
"""Strength of one press of an arrow key; with shift five times as much."""
STICK_PX = 4.0
"""Around zero the handle sticks for this many pixels, so that exactly nothing is easy to hit."""
_RADIUS = 7.0
_GROOVE = 4.0


class StrengthSlider(QWidget):
    """Value between ``low`` and ``high`` with zero marked.

    Args:
        low: smallest value, <= 0.
        high: largest value, >= 0.
        parent: the owner.
    """

    moved = Signal(float)
    """The value, while a person changes it."""
    settled = Signal()
    """A person has finished one change: once a drag, a click or a run of keys."""
    zeroed = Signal()
    """A person double-clicked: back to zero, as one change."""

    def __init__(self, low: float, high: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = low, high
        self._value = 0.0
        self._dragging = False
        self._travelled = False
        self._hovered = False
        # A click that turns out to be the first half of a double click must not become a step of its own.
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(QApplication.doubleClickInterval())
        self._settle.timeout.connect(self.settled)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @property
    def value(self) -> float:
        """The value shown."""
        return self._value

    def set_value(self, value: float) -> None:
        """Show a value without telling anybody."""
        value = min(max(value, self._low), self._high)
        if value != self._value:
            self._value = value
            self.update()

    def handle_centre(self) -> QPointF:
        """Where the handle is, in the widget's coordinates."""
        return QPointF(self._x(self._value), self.height() / 2)

    def sizeHint(self) -> QSize:
        """Room for handle and some groove."""
        return QSize(160, 22)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle, or bring it here."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._settle.stop()
        self._dragging = True
        self._travelled = False
        if abs(event.position().x() - self._x(self._value)) > _RADIUS + 1:
            self._go(event.position().x())
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag."""
        if self._dragging:
            self._travelled = True
            self._go(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go: a drag is finished at once, a click when it cannot become a double click any more."""
        if event.button() != Qt.MouseButton.LeftButton or not self._dragging:
            return
        self._dragging = False
        self.update()
        if self._travelled:
            self.settled.emit()
        else:
            self._settle.start()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to zero."""
        self._settle.stop()
        self._dragging = False
        self._say_zero()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows step, delete and backspace go back to zero."""
        step = KEY_STEP * (5 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        directions: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Down: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: 1}
        if event.key() in directions:
            self._change(round((self._value + directions[event.key()] * step) / KEY_STEP) * KEY_STEP)
            self._settle.start()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._settle.stop()
            self._say_zero()
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: object) -> None:
        """Brighten."""
        self._hovered = True
        self.update()

    def leaveEvent(self, event: object) -> None:
        """Calm down."""
        self._hovered = False
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Groove, bar from zero, tick at zero, handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle = self.height() / 2
        left, right = self._x(self._low), self._x(self._high)
        lively = self.isEnabled()
        painter.setBrush(theme.colour("field" if lively else "raised"))
        painter.drawRoundedRect(QRectF(left, middle - _GROOVE / 2, right - left, _GROOVE), 2, 2)
        zero, here = self._x(0.0), self._x(self._value)
        painter.setBrush(theme.colour("line_strong"))
        if self._low < 0.0:
            painter.drawRoundedRect(QRectF(zero - 1, middle - 5, 2, 10), 1, 1)
        if self._value != 0.0 and lively:
            painter.setBrush(theme.colour("accent"))
            painter.drawRoundedRect(QRectF(min(zero, here), middle - _GROOVE / 2, abs(here - zero), _GROOVE), 2, 2)
        if lively:
            self._paint_handle(painter, QPointF(here, middle))
        else:
            painter.setBrush(theme.colour("line_strong"))
            painter.drawEllipse(QPointF(here, middle), _RADIUS - 2, _RADIUS - 2)
        painter.end()

    def _paint_handle(self, painter: QPainter, centre: QPointF) -> None:
        if self.hasFocus():
            ring = theme.colour("accent")
            ring.setAlphaF(0.35)
            painter.setBrush(ring)
            painter.drawEllipse(centre, _RADIUS + 3, _RADIUS + 3)
        painter.setBrush(theme.colour("panel"))
        painter.drawEllipse(centre, _RADIUS + 1, _RADIUS + 1)
        lit = self._dragging or self._hovered
        painter.setBrush(theme.colour("accent_hover" if self._dragging else "text" if lit else "muted"))
        painter.drawEllipse(centre, _RADIUS - 1, _RADIUS - 1)

    def _say_zero(self) -> None:
        self.set_value(0.0)
        self.zeroed.emit()

    def _go(self, x: float) -> None:
        if abs(x - self._x(0.0)) <= STICK_PX:
            self._change(0.0)
            return
        margin = _RADIUS + 3
        share = (x - margin) / max(1.0, self.width() - 2 * margin)
        self._change(self._low + min(max(share, 0.0), 1.0) * (self._high - self._low))

    def _change(self, value: float) -> None:
        value = min(max(round(value, 2), self._low), self._high)
        if value != self._value:
            self._value = value
            self.update()
            self.moved.emit(value)

    def _x(self, value: float) -> float:
        margin = _RADIUS + 3
        return margin + (value - self._low) / (self._high - self._low) * (self.width() - 2 * margin)
