"""Where the head is looked at from, in degrees, with the usual directions at a click."""

import math
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.camera import Camera
from gui import theme
from gui.view_state import ViewState

DIRECTIONS = (
    ("L", "Left profile", -90.0),
    ("¾", "Three quarters from the left", -45.0),
    ("F", "Front", 0.0),
    ("¾", "Three quarters from the right", 45.0),
    ("R", "Right profile", 90.0),
)
"""Button text, tip, yaw in degrees."""


class CameraPanel(QWidget):
    """Yaw and pitch as numbers, directions as buttons, and the way back to the photo's view.

    Args:
        view: the view to show; the panel only reads it.
        parent: the owner.
    """

    look_requested = Signal(object)
    """A Camera."""
    home_requested = Signal()
    """Back to the photo's view."""

    def __init__(self, view: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        heading = QLabel("VIEW")
        heading.setProperty("role", "heading")
        home = QPushButton("Photo's view")
        home.setProperty("role", "quiet")
        home.setToolTip("Look from where the photo was taken (R, or double-click a view)")
        home.clicked.connect(self.home_requested)
        top = QHBoxLayout()
        top.addWidget(heading)
        top.addStretch(1)
        top.addWidget(home)
        self.yaw, self.pitch = _degrees("Turn"), _degrees("Tilt")
        numbers = QHBoxLayout()
        numbers.setSpacing(theme.GAP)
        for title, field in (("Turn", self.yaw), ("Tilt", self.pitch)):
            label = QLabel(title)
            label.setProperty("role", "muted")
            numbers.addWidget(label)
            numbers.addWidget(field, 1)
            field.valueChanged.connect(self._on_typed)
        segments = QFrame()
        segments.setObjectName("segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(3, 3, 3, 3)
        row.setSpacing(2)
        self.directions: list[QToolButton] = []
        for text, tip, degrees in DIRECTIONS:
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setSizePolicy(theme.expanding())
            button.clicked.connect(partial(self._look_from_degrees, degrees))
            self.directions.append(button)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(top)
        column.addLayout(numbers)
        column.addWidget(segments)
        view.camera_changed.connect(self.on_camera_changed)
        self.on_camera_changed(view.camera, moving=False)

    def on_camera_changed(self, camera: Camera, moving: bool) -> None:  # a signal's arguments are positional
        """Show the angles."""
        for field, angle in ((self.yaw, camera.yaw), (self.pitch, camera.pitch)):
            field.blockSignals(True)
            field.setValue(math.degrees(angle))
            field.blockSignals(False)

    def _on_typed(self) -> None:
        self.look_requested.emit(Camera(math.radians(self.yaw.value()), math.radians(self.pitch.value())))

    def _look_from_degrees(self, degrees: float, checked: bool = False) -> None:
        self.look_requested.emit(Camera(math.radians(degrees), 0.0))


def _degrees(name: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(-180.0, 180.0)
    if name == "Tilt":
        field.setRange(-90.0, 90.0)
    field.setDecimals(1)
    field.setSuffix("°")
    field.setAlignment(Qt.AlignmentFlag.AlignRight)
    field.setKeyboardTracking(False)
    field.setFont(theme.font(12, figures=True))
    field.setAccessibleName(f"{name} of the camera in degrees")
    return field
