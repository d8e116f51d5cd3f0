"""How the head is looked at: camera, zoom, layer, layout. Not part of the document, so never undone.

One camera for the neural picture and the mesh: whoever is dragged, both move. The camera never leaves what the model
was trained for, and whoever pushes against that border is told.
"""

import math
from dataclasses import replace
from enum import Enum

from PySide6.QtCore import QEasingCurve, QObject, QVariantAnimation, Signal

from core.camera import Camera, CameraLimits
from core.frame import LAYERS

ZOOM_LOW, ZOOM_HIGH = 0.6, 4.0
"""How far the picture may shrink and grow; below the first a face is a stamp, above the second it is all pores."""
DEFAULT_ZOOM = 1.0
GLIDE_MS = 240
"""How long the camera takes to a direction that was clicked: long enough to be followed, too short to wait for."""
BEFORE_ANY_MODEL = CameraLimits(yaw=math.radians(90), pitch_low=math.radians(-25), pitch_high=math.radians(25))
"""Limits until an engine tells its own."""


class Layout(Enum):
    """Which views are open."""

    BOTH = "both"
    PICTURE = "picture"
    MESH = "mesh"


BREADTH = 1.2
"""How much wider than a narrow view the picture may be: a head leaves the left and right tenth of its picture empty."""


def picture_side(width: float, height: float, zoom: float) -> float:
    """Side of the square picture inside a view, in the view's units; the same for picture and mesh."""
    return max(1.0, min(BREADTH * width, height) * zoom)


class ViewState(QObject):
    """The way the head is looked at, shared by all views."""

    camera_changed = Signal(object, bool)
    """Camera, and whether a hand is moving it."""
    limit_reached = Signal(bool)
    """Whether the last move was stopped by the limits; sent when that changes."""
    options_changed = Signal()
    """Layer, layout, zoom, wireframe, normals, compare or before changed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._camera = Camera()
        self._home = Camera()
        self._limits = BEFORE_ANY_MODEL
        self._at_limit = False
        self._zoom = DEFAULT_ZOOM
        self._layer = LAYERS[0]
        self._layout = Layout.BOTH
        self._glide = QVariantAnimation(self)
        self._glide.setDuration(GLIDE_MS)
        self._glide.setStartValue(0.0)
        self._glide.setEndValue(1.0)
        self._glide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._glide.valueChanged.connect(self._glide_on)
        self._glide_path = (self._camera, self._camera)
        self._flags = {"wireframe": False, "normals": False, "compare": False, "before": False}

    @property
    def camera(self) -> Camera:
        """The camera of both views."""
        return self._camera

    @property
    def home(self) -> Camera:
        """The photo's own camera, to which ``go_home`` returns."""
        return self._home

    @property
    def limits(self) -> CameraLimits:
        """What the model was trained for."""
        return self._limits

    @property
    def at_limit(self) -> bool:
        """Whether the last move was stopped by the limits."""
        return self._at_limit

    @property
    def zoom(self) -> float:
        """Side of the square picture over the shorter side of a view."""
        return self._zoom

    @property
    def layer(self) -> str:
        """What the neural view shows, one of ``core.frame.LAYERS``."""
        return self._layer

    @property
    def layout(self) -> Layout:
        """Which views are open."""
        return self._layout

    @property
    def wireframe(self) -> bool:
        """Whether the mesh shows its edges."""
        return self._flags["wireframe"]

    @property
    def normals(self) -> bool:
        """Whether the mesh is coloured by its normals."""
        return self._flags["normals"]

    @property
    def compare(self) -> bool:
        """Whether the photo is laid over one half of the picture."""
        return self._flags["compare"]

    @property
    def before(self) -> bool:
        """Whether the unedited head is shown, as long as a key or button is held."""
        return self._flags["before"]

    def set_limits(self, limits: CameraLimits) -> None:
        """Take over the limits of a model; a camera outside is brought back."""
        self._limits = limits
        self.look_from(self._camera)

    def set_home(self, camera: Camera) -> None:
        """Take over the photo's camera and go there."""
        self._home = camera.clamped(self._limits)
        self.go_home()

    def move_home(self, camera: Camera) -> None:
        """The same photo was taken from elsewhere than was believed; who looks from there goes along, others stay."""
        new = camera.clamped(self._limits)
        if new == self._home:
            return
        was_there, self._home = self._camera == self._home, new
        if was_there:
            self._glide.stop()
            self.look_from(new)

    def go_home(self) -> None:
        """Look from where the photo was taken, at the zoom that shows all of it."""
        self._glide.stop()
        self.set_zoom(DEFAULT_ZOOM)
        self.look_from(self._home)

    def glide_home(self) -> None:
        """``go_home``, but so that the eye can follow."""
        self.set_zoom(DEFAULT_ZOOM)
        self.glide_to(self._home)

    def glide_to(self, camera: Camera) -> None:
        """``look_from``, but so that the eye can follow; a hand on the view stops it."""
        self._glide.stop()
        target = camera.clamped(self._limits)
        if target == self._camera:
            return
        self._end_comparison(target)
        self._glide_path = (self._camera, target)
        self._glide.start()

    def orbit(self, dyaw: float, dpitch: float, *, moving: bool = True) -> None:
        """Move the camera around the head by two angles in radians, as far as the limits allow."""
        self._glide.stop()
        # Wrapping is the camera's own law; a drag across the back must not jump to the other border.
        yaw = self._camera.yaw + dyaw
        if abs(yaw) > math.pi and self._limits.yaw < math.pi:
            yaw = math.copysign(math.pi, yaw)
        pitch = min(max(self._camera.pitch + dpitch, -math.pi / 2), math.pi / 2)
        self.look_from(replace(self._camera, yaw=math.remainder(yaw, math.tau), pitch=pitch), moving=moving)
        self._end_comparison(self._camera)

    def look_from(self, camera: Camera, *, moving: bool = False) -> None:
        """Look from a camera, clamped to the limits."""
        allowed = camera.clamped(self._limits)
        stopped = allowed != camera
        if allowed != self._camera:
            self._camera = allowed
            self.camera_changed.emit(allowed, moving)
        if stopped != self._at_limit:
            self._at_limit = stopped
            self.limit_reached.emit(stopped)

    def settle(self) -> None:
        """The hand has let go: the notice of the limits may go."""
        if self._at_limit:
            self._at_limit = False
            self.limit_reached.emit(False)

    def set_zoom(self, zoom: float) -> None:
        """Set the zoom, within its range."""
        zoom = min(max(zoom, ZOOM_LOW), ZOOM_HIGH)
        if zoom != self._zoom:
            self._zoom = zoom
            self.options_changed.emit()

    def zoom_by(self, factor: float) -> None:
        """Multiply the zoom."""
        self.set_zoom(self._zoom * factor)

    def set_layer(self, layer: str) -> None:
        """Choose what the neural view shows.

        Raises:
            ValueError: there is no such layer.
        """
        if layer not in LAYERS:
            raise ValueError(f"unknown layer {layer!r}")
        if layer != self._layer:
            self._layer = layer
            self.options_changed.emit()

    def set_layout(self, layout: Layout) -> None:
        """Choose which views are open."""
        if layout is not self._layout:
            self._layout = layout
            self.options_changed.emit()

    def set_flag(self, name: str, *, on: bool) -> None:
        """Switch wireframe, normals, compare or before.

        Raises:
            KeyError: there is no such flag.
        """
        if self._flags[name] == on:
            return
        self._flags[name] = on
        if name == "compare" and on:
            # The photo can only be laid over the picture where it was taken from.
            self.go_home()
        self.options_changed.emit()

    def stop(self) -> None:
        """Stand still, as when the window closes."""
        self._glide.stop()

    def _glide_on(self, share: float) -> None:
        start, end = self._glide_path
        if share >= 1.0:
            self.look_from(end)
            return
        yaw = start.yaw + share * (end.yaw - start.yaw)
        pitch = start.pitch + share * (end.pitch - start.pitch)
        self.look_from(replace(end, yaw=yaw, pitch=pitch), moving=True)

    def _end_comparison(self, camera: Camera) -> None:
        if (camera.yaw, camera.pitch) != (self._home.yaw, self._home.pitch):
            self.set_flag("compare", on=False)
