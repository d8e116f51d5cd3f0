"""Picture and mesh side by side under one camera: what either hand does, both follow."""

import math

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QSplitter, QWidget

from core.camera import Camera
from core.frame import Frame
from core.surface import SurfaceMesh
from gui.view_state import Layout, ViewState
from gui.widgets.frame_view import FrameView
from gui.widgets.mesh_view import MeshView, OpenGLFacts
from gui.widgets.orbit_drag import OrbitDrag
from gui.widgets.view_pane import ViewPane

NO_OPENGL = (
    "The mesh needs OpenGL 2, which this computer does not offer.\nPictures, sliders and exports work without it."
)
_TITLES = {
    "picture": "Reconstruction",
    "normals": "Normals",
    "depth": "Depth",
    "generator": "Generator alone",
}


class Stage(QSplitter):
    """Both views.

    Args:
        view: whose camera and options they follow; the stage only reads it.
        opengl: None leaves the mesh out and puts a notice in its place.
        parent: the owner.
    """

    orbited = Signal(float, float)
    """A hand wants to move the camera by yaw and pitch, in radians."""
    released = Signal()
    """The hand let go."""
    zoomed = Signal(float)
    """A hand wants to zoom by a factor."""
    home_requested = Signal()
    """Back to the photo's view."""

    def __init__(self, view: ViewState, opengl: OpenGLFacts | None, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._view = view
        self.frame_view = FrameView()
        self.frame_pane = ViewPane(_TITLES["picture"], self.frame_view)
        self.mesh_view = MeshView(opengl) if opengl is not None else None
        self.mesh_pane = ViewPane("Mesh", self.mesh_view or _notice(NO_OPENGL))
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        self.addWidget(self.frame_pane)
        self.addWidget(self.mesh_pane)
        self.setSizes([1000, 1000])
        for one in (self.frame_view, self.mesh_view):
            if one is not None:
                self._follow(one.drag)
        view.camera_changed.connect(self.on_camera_changed)
        view.limit_reached.connect(self.on_limit_reached)
        view.options_changed.connect(self.on_options_changed)
        self.on_camera_changed(view.camera, moving=False)
        self.on_options_changed()

    def sizeHint(self) -> QSize:
        """Room for two faces."""
        return QSize(860, 600)

    def show_frame(self, frame: Frame | None) -> None:
        """Show a neural frame and what it cost."""
        self.frame_view.show_frame(frame)
        self.frame_pane.title.setText(_TITLES[frame.request.layer if frame is not None else self._view.layer])
        self._show_cost(frame)

    def set_waiting(self, waiting: bool) -> None:
        """The picture is behind what is wanted, long enough to be noticed; or no longer."""
        if waiting:
            self.frame_pane.figures.setText("Rendering…")
        else:
            self._show_cost(self.frame_view.frame)

    def show_mesh(self, mesh: SurfaceMesh | None, draft: SurfaceMesh | None = None) -> None:
        """Show a mesh and how large it is; a draft may stand in for it while a hand moves."""
        if self.mesh_view is not None:
            self.mesh_view.set_mesh(mesh, draft)
        self.mesh_pane.figures.setText(f"{len(mesh.faces):,} triangles" if mesh is not None else "")

    def set_photo(self, photo: QImage | None) -> None:
        """The aligned photo, for the comparison."""
        self.frame_view.set_photo(photo)

    def set_stale(self, stale: bool) -> None:
        """The mesh is of an older edit, or no longer."""
        if self.mesh_view is not None:
            self.mesh_view.set_stale(stale=stale)
        self.mesh_pane.say_at_bottom("Before your last edit" if stale else "", "muted")

    def set_mesh_progress(self, fraction: float) -> None:
        """How far the mesh's rebuild is; 1 when it is over."""
        if fraction < 1.0:
            self.mesh_pane.say_at_bottom(f"Building the mesh · {math.floor(100 * fraction)}%", "muted")
        elif self.mesh_pane.bottom_chip.text().startswith("Building"):
            self.mesh_pane.say_at_bottom("")

    def release(self) -> None:
        """Give the graphics memory back."""
        if self.mesh_view is not None:
            self.mesh_view.release()

    def on_camera_changed(self, camera: Camera, moving: bool) -> None:
        """Both views look from the shared camera; the picture follows when its frame is rendered."""
        if self.mesh_view is not None:
            self.mesh_view.set_camera(camera)

    def on_limit_reached(self, reached: bool) -> None:
        """Say where the model's knowledge ends."""
        words = "As far as the model can see" if reached else ""
        self.frame_pane.say_at_top(words, "warning")
        self.mesh_pane.say_at_top(words, "warning")

    def on_options_changed(self) -> None:
        """Layer, layout, zoom, mesh options, comparison, before."""
        view = self._view
        self.frame_pane.setVisible(view.layout is not Layout.MESH)
        self.mesh_pane.setVisible(view.layout is not Layout.PICTURE)
        self.frame_view.set_zoom(view.zoom)
        self.frame_view.set_comparing(on=view.compare)
        self.frame_view.set_badge("Before" if view.before else "")
        if self.mesh_view is not None:
            self.mesh_view.set_zoom(view.zoom)
            self.mesh_view.set_considerate(on=view.layout is Layout.BOTH)
            self.mesh_view.set_look(wireframe=view.wireframe, normals=view.normals)

    def _show_cost(self, frame: Frame | None) -> None:
        cost = f"{frame.request.size} px · {frame.milliseconds:.0f} ms" if frame is not None else ""
        self.frame_pane.figures.setText(cost)

    def _follow(self, drag: OrbitDrag) -> None:
        drag.orbited.connect(self.orbited)
        drag.released.connect(self.released)
        drag.zoomed.connect(self.zoomed)
        drag.home_requested.connect(self.home_requested)


def _notice(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("noOpenGL")
    label.setProperty("role", "muted")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    return label
