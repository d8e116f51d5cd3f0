"""The mesh in an OpenGL widget: holds a renderer, a camera and a look, and redraws when one of them changes.

Without OpenGL there is no such widget: ``opengl_facts`` says so beforehand, and the window shows a notice instead.
"""

import logging
from dataclasses import dataclass, replace

from OpenGL import GL
from PySide6.QtCore import QSize, QTimer
from PySide6.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QSurfaceFormat
from PySide6.QtOpenGL import QOpenGLFramebufferObject, QOpenGLFramebufferObjectFormat
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QWidget

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


def surface_format(facts: OpenGLFacts) -> QSurfaceFormat:
    """The format of the view's surface: smooth edges where the graphics card does them for nothing."""
    wanted = QSurfaceFormat(QSurfaceFormat.defaultFormat())
    wanted.setDepthBufferSize(24)
    wanted.setSamples(0 if facts.software else SAMPLES)
    return wanted


class MeshView(QOpenGLWidget):
    """Shows a mesh.

    Args:
        facts: from ``opengl_facts``.
        parent: the owner.
    """

    def __init__(self, facts: OpenGLFacts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFormat(surface_format(facts))
        self._facts = facts
        self._renderer: MeshRenderer | None = None
        self._mesh: SurfaceMesh | None = None
        self._draft: SurfaceMesh | None = None
        self._is_uploaded = True
        self._camera = Camera()
        self._zoom = DEFAULT_ZOOM
        self._look = MeshLook()
        self._smooth: QOpenGLFramebufferObject | None = None
        # In software smooth edges cost too much for a moving hand, so they come when it rests.
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._draw_smoothly)
        self._smoothing = False
        self._hand_moves = False
        self.drag = OrbitDrag(self)
        self.setMinimumSize(120, 120)
        self.setAccessibleName("Mesh of the head")

    @property
    def renderer(self) -> MeshRenderer | None:
        """What draws, while there is a context."""
        return self._renderer

    @property
    def mesh(self) -> SurfaceMesh | None:
        """The mesh shown."""
        return self._mesh

    @property
    def camera(self) -> Camera:
        """The camera it is seen from."""
        return self._camera

    def sizeHint(self) -> QSize:
        """Room for a face."""
        return QSize(420, 420)

    def set_mesh(self, mesh: SurfaceMesh | None, draft: SurfaceMesh | None = None) -> None:
        """Show another mesh, or none; it is uploaded with the next picture.

        Args:
            mesh: what to show.
            draft: the same head in fewer triangles, for a software rasteriser while a hand moves.
        """
        self._mesh = mesh
        self._draft = draft if self._facts.software else None
        self._is_uploaded = False
        self.update()

    def set_camera(self, camera: Camera) -> None:
        """See it from another camera."""
        if camera != self._camera:
            self._camera = camera
            self._hand_moves = True
            self.update()

    def set_zoom(self, zoom: float) -> None:
        """Side of the square picture over the shorter side of the view."""
        if zoom != self._zoom:
            self._zoom = zoom
            self.update()

    def set_look(self, *, wireframe: bool, normals: bool) -> None:
        """Edges, colours."""
        self._set_look(replace(self._look, wireframe=wireframe, normals=normals))

    def set_stale(self, *, stale: bool) -> None:
        """A mesh of an older edit steps back."""
        self._set_look(replace(self._look, fade=0.7 if stale else 0.0))

    def picture(self) -> QImage:
        """What is on the screen."""
        return self.grabFramebuffer()

    def initializeGL(self) -> None:
        """Make shaders and buffers; again after the widget moved to another window."""
        centre, edge = theme.colour("view_centre"), theme.colour("view_edge")
        self._renderer = MeshRenderer(
            (centre.redF(), centre.greenF(), centre.blueF()),
            (edge.redF(), edge.greenF(), edge.blueF()),
            embedded=self._facts.embedded,
            light_per_vertex=self._facts.software,
        )
        self._is_uploaded = False
        # The context dies with the window; buffers have to go while it is still there.
        self.context().aboutToBeDestroyed.connect(self._release)

    def paintGL(self) -> None:
        """Upload if needed, draw."""
        if self._renderer is None:
            return
        if not self._is_uploaded:
            self._renderer.upload(self._mesh, self._draft)
            self._is_uploaded = True
        ratio = self.devicePixelRatioF()
        width, height = round(self.width() * ratio), round(self.height() * ratio)
        side = picture_side(width, height, self._zoom)
        target = self._smooth_target(width, height) if self._smoothing else None
        if target is None:
            hurried = self._hand_moves and not self._smoothing
            self._renderer.draw(self._camera, width, height, side, self._look, hurried=hurried)
            if self._facts.software and self._mesh is not None and not self._smoothing:
                self._rest.start()
        else:
            target.bind()
            self._renderer.draw(self._camera, width, height, side, self._look)
            target.release()
            GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, target.handle())
            GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, self.defaultFramebufferObject())
            area = (0, 0, width, height)
            GL.glBlitFramebuffer(*area, *area, GL.GL_COLOR_BUFFER_BIT, GL.GL_NEAREST)
            GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self.defaultFramebufferObject())
        self._smoothing = False

    def _draw_smoothly(self) -> None:
        self._hand_moves = False
        self._smoothing = True
        self.update()

    def _smooth_target(self, width: int, height: int) -> QOpenGLFramebufferObject | None:
        """A framebuffer with four samples a pixel, or None where the driver has none."""
        if self._smooth is None or self._smooth.size() != QSize(width, height):
            form = QOpenGLFramebufferObjectFormat()
            form.setSamples(SAMPLES)
            form.setAttachment(QOpenGLFramebufferObject.Attachment.Depth)
            self._smooth = QOpenGLFramebufferObject(width, height, form)
        return self._smooth if self._smooth.isValid() else None

    def _set_look(self, look: MeshLook) -> None:
        if look != self._look:
            self._look = look
            self.update()

    def _release(self) -> None:
        if self._renderer is not None:
            self.makeCurrent()
            self._renderer.release()
            self._renderer = None
            self._smooth = None
            self.doneCurrent()
