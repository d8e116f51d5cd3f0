"""Turns mouse, wheel and keys over a view into wishes to orbit and zoom: the same hand for picture and mesh.

An event filter rather than a base class, because the two views have different Qt bases. The speed of the hand is a
matter of the window; the limits are the camera's.
"""

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

RADIANS_PER_PX = 0.0062
"""Camera angle of one logical pixel of dragging: half a view's width goes from the front to a profile."""
KEY_STEP = 0.05
"""Camera angle of one press of an arrow key, in radians."""
WHEEL_BASE = 1.0012
"""Zoom factor of one eighth of a degree of the wheel."""

_KEYS: dict[int, tuple[float, float]] = {
    Qt.Key.Key_Left: (1.0, 0.0),
    Qt.Key.Key_Right: (-1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}


class OrbitDrag(QObject):
    """Watches one view.

    Args:
        view: the view, which also becomes the parent.
    """

    orbited = Signal(float, float)
    """Change of yaw and pitch in radians: the head follows the hand, so the camera goes the other way."""
    released = Signal()
    """The hand let go."""
    zoomed = Signal(float)
    """Factor."""
    home_requested = Signal()
    """Double click: back to the photo's view."""

    def __init__(self, view: QWidget) -> None:
        super().__init__(view)
        self._view = view
        self._last: QPointF | None = None
        view.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        view.setCursor(Qt.CursorShape.OpenHandCursor)
        view.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take what is ours, leave the rest to the view."""
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            return self._press(event)
        if kind == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            return self._move(event)
        if kind == QEvent.Type.MouseButtonRelease:
            return self._release()
        if kind == QEvent.Type.MouseButtonDblClick:
            self._last = None
            self.home_requested.emit()
            return True
        if kind == QEvent.Type.Wheel and isinstance(event, QWheelEvent):
            self.zoomed.emit(WHEEL_BASE ** event.angleDelta().y())
            return True
        if kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._key(event)
        return False

    def _press(self, event: QMouseEvent) -> bool:
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        self._view.setFocus(Qt.FocusReason.MouseFocusReason)
        self._view.setCursor(Qt.CursorShape.ClosedHandCursor)
        self._last = event.position()
        return True

    def _move(self, event: QMouseEvent) -> bool:
        if self._last is None:
            return False
        step = event.position() - self._last
        self._last = event.position()
        self.orbited.emit(-step.x() * RADIANS_PER_PX, step.y() * RADIANS_PER_PX)
        return True

    def _release(self) -> bool:
        if self._last is None:
            return False
        self._last = None
        self._view.setCursor(Qt.CursorShape.OpenHandCursor)
        self.released.emit()
        return True

    def _key(self, event: QKeyEvent) -> bool:
        direction = _KEYS.get(event.key())
        if direction is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        self.orbited.emit(direction[0] * KEY_STEP, direction[1] * KEY_STEP)
        if not event.isAutoRepeat():
            self.released.emit()
        return True
