"""The mesh: holds a renderer, a camera and a look, and redraws when one of them changes.

OpenGL draws into a framebuffer of its own and the picture is painted like any other. A ``QOpenGLWidget`` would make Qt
compose the *whole* window by OpenGL for every change anywhere in it; without a graphics card that takes the processor
from the networks (a frame took 590 instead of 210 ms while a number field changed beside it). Without OpenGL there is
no such view: ``opengl_facts`` says so beforehand, and the window shows a notice instead.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from OpenGL import GL
from PySide6.QtCore import QRectF, QSize, QTimer, Signal
from PySide6.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QPainter, QPaintEvent
from PySide6.QtOpenGL import QOpenGLFramebufferObject, QOpenGLFramebufferObjectFormat
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.camera import Camera
from core.surface import SurfaceMesh
from gui import theme
from gui.mesh_renderer import MeshLook, MeshRenderer
from gui.view_state import DEFAULT_ZOOM, picture_side
from gui.widgets.orbit_drag import OrbitDrag

logger = logging.getLogger(__name__)

SAMPLES = 4
"""Samples a pixel for smooth edges."""
REST_MS = 160
"""Rest of the hand after which a software rasteriser draws smooth edges."""
UPLOAD_MS = 8.0
"""How long a mesh may be handed over at a stretch before the window does something else."""
SHARE = 6.0
"""In software, beside a neural picture: of this many milliseconds one may go into turning the mesh."""
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader")
"""Names of rasterisers that run on the processor, where four samples a pixel would cost four times."""


@dataclass(frozen=True)
class OpenGLFacts:
    """What the machine's OpenGL is."""

    renderer: str
    version: str
    software: bool
    embedded: bool


def opengl_facts() -> OpenGLFacts | None:
    """What OpenGL there is, or None when no usable context can be made; costs some tens of milliseconds."""
    surface = QOffscreenSurface()
    surface.create()
    context = QOpenGLContext()
    if not (surface.isValid() and context.create() and context.makeCurrent(surface)):
        return None
    try:
        renderer = str(context.functions().glGetString(GL.GL_RENDERER) or "")
        version = str(context.functions().glGetString(GL.GL_VERSION) or "")
    finally:
        context.doneCurrent()
    if context.format().version() < (2, 0):
        return None
    software = any(name in renderer.lower() for name in _SOFTWARE)
    return OpenGLFacts(renderer, version, software, context.isOpenGLES())


class MeshView(QWidget):
    """Shows a mesh.

    Args:
        facts: from ``opengl_facts``.
        parent: the owner.
    """

    painted = Signal()
    """A picture has been painted."""

    def __init__(self, facts: OpenGLFacts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts = facts
        self._surface = QOffscreenSurface()
        self._surface.create()
        self._context = QOpenGLContext()
        self._renderer: MeshRenderer | None = None
        self._target: QOpenGLFramebufferObject | None = None
        self._image: QImage | None = None
        self._mesh: SurfaceMesh | None = None
        self._draft: SurfaceMesh | None = None
        self._is_uploaded = True
        self._upload: Iterator[None] | None = None
        self._loader = QTimer(self)
        self._loader.setInterval(0)
        self._loader.timeout.connect(self._load)
        self._camera = Camera()
        self._zoom = DEFAULT_ZOOM
        self._look = MeshLook()
        # In software smooth edges cost too much for a moving hand, so they come when it rests.
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._draw_smoothly)
        self._smooth = not facts.software
        self._hand_moves = False
        self._considerate = False
        self._pace = QTimer(self)
        self._pace.setSingleShot(True)
        self._pace.timeout.connect(self._redraw)
        self._draw_ms = 0.0
        self.drag = OrbitDrag(self)
        self.setMinimumSize(120, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Mesh of the head")

    @property
    def mesh(self) -> SurfaceMesh | None:
        """The mesh shown."""
        return self._mesh

    @property
    def is_up_to_date(self) -> bool:
        """Whether what was painted last is the mesh as it is, and not the one before."""
        return self._is_uploaded and self._image is not None

    @property
    def camera(self) -> Camera:
        """The camera it is seen from."""
        return self._camera

    def sizeHint(self) -> QSize:
        """Room for a face."""
        return QSize(420, 420)

    def set_mesh(self, mesh: SurfaceMesh | None, draft: SurfaceMesh | None = None) -> None:
        """Show another mesh, or none. It is handed over piece by piece; until it is there, the one before is drawn.

        Args:
            mesh: what to show.
            draft: the same head in fewer triangles, for a software rasteriser while a hand moves.
        """
        self._mesh = mesh
        self._draft = draft if self._facts.software else None
        self._is_uploaded = False
        self._upload = None
        if self._renderer is None:
            self._redraw()  # makes it
        elif mesh is None:
            self._load()  # nothing to wait for
        else:
            self._loader.start()

    def set_camera(self, camera: Camera) -> None:
        """See it from another camera."""
        if camera != self._camera:
            self._camera = camera
            self._hand_moves = True
            if not self._considerate:
                self._redraw()
            elif not self._pace.isActive():
                self._pace.start(round(self._draw_ms * (SHARE - 1.0)))

    def set_zoom(self, zoom: float) -> None:
        """Side of the square picture over the shorter side of the view."""
        if zoom != self._zoom:
            self._zoom = zoom
            self._redraw()

    def set_look(self, *, wireframe: bool, normals: bool) -> None:
        """Edges, colours."""
        self._set_look(replace(self._look, wireframe=wireframe, normals=normals))

    def set_stale(self, *, stale: bool) -> None:
        """A mesh of an older edit steps back."""
        self._set_look(replace(self._look, fade=0.7 if stale else 0.0))

    def set_considerate(self, *, on: bool) -> None:
        """Leave most of the processor to the networks while turning; matters only in software."""
        self._considerate = on and self._facts.software

    def picture(self) -> QImage:
        """What is to be seen from the camera now, whole."""
        if self._pace.isActive() or not self._is_uploaded:
            self._pace.stop()
            self._image = None
        while not self._is_uploaded:
            self._load()
        return self._current()

    def release(self) -> None:
        """Give the graphics memory back; the view can be used again afterwards."""
        self._rest.stop()
        self._pace.stop()
        self._loader.stop()
        self._upload = None
        if self._renderer is not None and self._context.makeCurrent(self._surface):
            self._renderer.release()
            self._target = None
            self._context.doneCurrent()
        self._renderer = None
        self._is_uploaded = False
        self._image = None

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw if anything changed, then paint."""
        painter = QPainter(self)
        painter.drawImage(QRectF(self.rect()), self._current())
        painter.end()
        self.painted.emit()

    def resizeEvent(self, event: object) -> None:
        """Another size needs another picture."""
        self._redraw()

    def _current(self) -> QImage:
        if self._image is None:
            self._image = self._drawn()
        return self._image

    def _redraw(self) -> None:
        self._image = None
        self._smooth = not self._facts.software
        self.update()

    def _set_look(self, look: MeshLook) -> None:
        if look != self._look:
            self._look = look
            self._redraw()

    def _load(self) -> None:
        """Hands over as much of the mesh as fits into ``UPLOAD_MS``; a whole one is shown."""
        started = time.perf_counter()
        upload, self._upload = self._upload, None
        try:
            renderer = self._ready()
            upload = renderer.uploading(self._mesh, self._draft) if upload is None else upload
            for _ in upload:
                if 1000.0 * (time.perf_counter() - started) > UPLOAD_MS:
                    self._upload = upload
                    break
            else:
                self._is_uploaded = True
                self._redraw()
            self._context.doneCurrent()
        finally:
            # Whole, or failed: the next picture that is asked for begins anew, not this timer.
            if self._upload is None:
                self._loader.stop()

    def _draw_smoothly(self) -> None:
        self._image = None
        self._smooth = True
        self._hand_moves = False
        self.update()

    def _drawn(self) -> QImage:
        started = time.perf_counter()
        ratio = self.devicePixelRatioF()
        width, height = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        renderer = self._ready()
        if not self._is_uploaded and not self._loader.isActive():
            self._loader.start()
        target = self._framebuffer(QSize(width, height), SAMPLES if self._smooth else 0)
        target.bind()
        side = picture_side(width, height, self._zoom)
        hurried = self._hand_moves and not self._smooth
        renderer.draw(self._camera, width, height, side, self._look, hurried=hurried)
        target.release()
        image = target.toImage()
        self._context.doneCurrent()
        if not self._smooth:
            self._draw_ms = 1000.0 * (time.perf_counter() - started)
            if self._mesh is not None:
                self._rest.start()
        return image

    def _ready(self) -> MeshRenderer:
        """The renderer, with its context current; made when the first picture is needed."""
        if not (self._context.isValid() or self._context.create()) or not self._context.makeCurrent(self._surface):
            raise RuntimeError("the OpenGL context that was there at the start cannot be made again")
        if self._renderer is None:
            centre, edge = theme.colour("view_centre"), theme.colour("view_edge")
            self._renderer = MeshRenderer(
                (centre.redF(), centre.greenF(), centre.blueF()),
                (edge.redF(), edge.greenF(), edge.blueF()),
                embedded=self._facts.embedded,
                light_per_vertex=self._facts.software,
            )
        return self._renderer

    def _framebuffer(self, size: QSize, samples: int) -> QOpenGLFramebufferObject:
        made = self._target
        if made is None or made.size() != size or made.format().samples() != samples:
            wanted = QOpenGLFramebufferObjectFormat()
            wanted.setSamples(samples)
            wanted.setAttachment(QOpenGLFramebufferObject.Attachment.Depth)
            made = QOpenGLFramebufferObject(size, wanted)
            self._target = made
        return made
