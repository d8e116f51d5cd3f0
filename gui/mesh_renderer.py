"""OpenGL buffers and shaders that draw one mesh; no widget, no event, no camera of its own.

Plain OpenGL 2.1 (or ES 2), so that old drivers, macOS's legacy profile and Mesa's software rasteriser all run the same
code. Everything but ``packed`` and ``clip_matrix`` needs a current context.
"""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

# The raw functions: PyOpenGL's wrappers of these two ask for the context by GLX, while Qt may have made it by EGL.
from OpenGL.raw.GL.VERSION.GL_1_1 import glDrawElements
from OpenGL.raw.GL.VERSION.GL_2_0 import glVertexAttribPointer

from core.camera import Camera
from core.surface import SurfaceMesh

NEAR, FAR = 0.6, 1.4
"""Clipping planes: wider than the rendered scene, since a mesh may carry a neck or hair beyond it."""

VERTEX = np.dtype([("position", "<f4", 3), ("normal", "i1", 4), ("colour", "u1", 4)])
"""One interleaved vertex, 20 bytes: half of what floats would take, which halves the upload."""

_HEADER = "#version 120\n"
_HEADER_ES = "#version 100\nprecision highp float;\n"

# A photographer's three lights, fixed to the camera: soft key from the upper left, cool fill from the right, thin rim.
# Colours of the field already carry the photo's light, so the key only models the form: a flat face keeps its colour.
_SHADE = """
uniform float u_mode;
uniform float u_fade;
vec4 shade(vec3 direction, vec3 base) {
    vec3 n = normalize(direction);
    if (u_mode > 1.5) return vec4(0.98, 0.86, 0.74, 0.34);
    if (u_mode > 0.5) return vec4(0.5 + 0.5 * n, 1.0);
    float key = max(dot(n, vec3(-0.42, 0.50, 0.757)), 0.0);
    float fill = max(dot(n, vec3(0.72, 0.10, 0.687)), 0.0);
    float sky = 0.5 + 0.5 * n.y;
    float away = 1.0 - max(n.z, 0.0);
    vec3 light = vec3(1.0, 0.97, 0.93) * (0.40 * key) + vec3(0.80, 0.88, 1.0) * (0.12 * fill) + (0.50 + 0.12 * sky);
    vec3 colour = sqrt(base * base * light + vec3(0.030, 0.033, 0.039) * away * away * away);
    return vec4(mix(colour, vec3(dot(colour, vec3(0.3, 0.6, 0.1))), u_fade), 1.0);
}
"""

_MESH_VERTEX = """
uniform mat4 u_clip;
uniform mat3 u_to_camera;
attribute vec3 a_position;
attribute vec3 a_normal;
attribute vec3 a_colour;
varying vec3 v_normal;
varying vec3 v_colour;
void main() {
    v_normal = u_to_camera * a_normal;
    v_colour = a_colour;
    gl_Position = u_clip * vec4(a_position, 1.0);
}
"""

_MESH_FRAGMENT = """
varying vec3 v_normal;
varying vec3 v_colour;
void main() { gl_FragColor = shade(v_normal, v_colour); }
"""

# The same light a vertex instead of a pixel. A software rasteriser shades whole blocks for triangles of two pixels:
# with 200,000 triangles this saves a fifth of the time (27 instead of 34 ms of processor time at 800 x 600, llvmpipe).
_MESH_VERTEX_LIT = """
uniform mat4 u_clip;
uniform mat3 u_to_camera;
attribute vec3 a_position;
attribute vec3 a_normal;
attribute vec3 a_colour;
varying vec4 v_colour;
void main() {
    v_colour = shade(u_to_camera * a_normal, a_colour);
    gl_Position = u_clip * vec4(a_position, 1.0);
}
"""

_MESH_FRAGMENT_LIT = """
varying vec4 v_colour;
void main() { gl_FragColor = v_colour; }
"""

_GROUND_VERTEX = """
attribute vec2 a_corner;
varying vec2 v_corner;
void main() {
    v_corner = a_corner;
    gl_Position = vec4(a_corner, 0.999999, 1.0);
}
"""

_GROUND_FRAGMENT = """
uniform vec3 u_centre;
uniform vec3 u_edge;
uniform vec2 u_aspect;
varying vec2 v_corner;
void main() {
    float t = clamp(length(v_corner * u_aspect), 0.0, 1.0);
    // Half a level of noise hides the bands that a dark gradient shows in 8 bits.
    float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
    gl_FragColor = vec4(mix(u_centre, u_edge, t) + noise / 255.0, 1.0);
}
"""


@dataclass(frozen=True)
class MeshLook:
    """How a mesh is drawn."""

    wireframe: bool = False
    """Edges over the surface."""
    normals: bool = False
    """Colour by normal in the camera's frame instead of by the surface's own colour."""
    fade: float = 0.0
    """0 full colour .. 1 grey: a stale mesh steps back."""


def packed(mesh: SurfaceMesh) -> tuple[NDArray[np.void], NDArray[np.uint32]]:
    """A mesh as the graphics card wants it.

    Returns:
        Interleaved vertices ``(V,)`` of ``VERTEX`` and indices ``(3 F,)``.
    """
    vertices = np.zeros(len(mesh.vertices), dtype=VERTEX)
    vertices["position"] = mesh.vertices
    vertices["normal"][:, :3] = np.rint(np.clip(mesh.normals, -1.0, 1.0) * 127.0)
    vertices["colour"][:, :3] = mesh.colours
    vertices["colour"][:, 3] = 255
    return vertices, mesh.faces.astype(np.uint32).reshape(-1)


def clip_matrix(camera: Camera, width: float, height: float, side: float) -> NDArray[np.float32]:
    """World to clip coordinates of a view whose square picture has the given side, ``(4, 4)``.

    Args:
        camera: the camera.
        width: of the view, in the same unit as ``side``.
        height: of the view.
        side: of the square that shows exactly the camera's field of view, centred in the view.
    """
    fit = np.diag([side / width, side / height, 1.0, 1.0])
    return (fit @ camera.projection_matrix(NEAR, FAR) @ camera.view_matrix()).astype(np.float32)


class _Buffers:
    """One mesh on the graphics card."""

    def __init__(self) -> None:
        self._vertices, self._indices = (int(name) for name in GL.glGenBuffers(2))
        self.count = 0

    def fill(self, mesh: SurfaceMesh | None) -> None:
        self.count = 0
        if mesh is None:
            return
        vertices, indices = packed(mesh)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._vertices)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, vertices.nbytes, vertices, GL.GL_STATIC_DRAW)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)
        GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, indices.nbytes, indices, GL.GL_STATIC_DRAW)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, 0)
        self.count = len(indices)

    def bind(self) -> None:
        stride = VERTEX.itemsize
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._vertices)
        for place in range(3):
            GL.glEnableVertexAttribArray(place)
        glVertexAttribPointer(0, 3, GL.GL_FLOAT, False, stride, ctypes.c_void_p(0))
        glVertexAttribPointer(1, 3, GL.GL_BYTE, True, stride, ctypes.c_void_p(12))
        glVertexAttribPointer(2, 3, GL.GL_UNSIGNED_BYTE, True, stride, ctypes.c_void_p(16))
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)

    def draw(self) -> None:
        glDrawElements(GL.GL_TRIANGLES, self.count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def unbind(self) -> None:
        for place in range(3):
            GL.glDisableVertexAttribArray(place)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, 0)

    def release(self) -> None:
        GL.glDeleteBuffers(2, [self._vertices, self._indices])
        self.count = 0


class MeshRenderer:
    """Draws one mesh on a backdrop with the current context.

    Args:
        centre: colour of the backdrop's middle, rgb 0..1.
        edge: colour of its edge.
        embedded: whether the context is OpenGL ES.
        light_per_vertex: the faster light, for software rasterisers.
    """

    def __init__(
        self,
        centre: tuple[float, float, float],
        edge: tuple[float, float, float],
        *,
        embedded: bool = False,
        light_per_vertex: bool = False,
    ) -> None:
        self._ground_colours = (centre, edge)
        self._embedded = embedded
        header = _HEADER_ES if embedded else _HEADER
        vertex, fragment = _MESH_VERTEX, _SHADE + _MESH_FRAGMENT
        if light_per_vertex:
            vertex, fragment = _SHADE + _MESH_VERTEX_LIT, _MESH_FRAGMENT_LIT
        self._mesh_program = _linked(header, vertex, fragment, ("a_position", "a_normal", "a_colour"))
        self._ground_program = _linked(header, _GROUND_VERTEX, _GROUND_FRAGMENT, ("a_corner",))
        self._corners = int(GL.glGenBuffers(1))
        self._full, self._draft = _Buffers(), _Buffers()
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._corners)
        # One triangle that covers the view.
        corners = np.array([[-1, -1], [3, -1], [-1, 3]], dtype=np.float32)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, corners.nbytes, corners, GL.GL_STATIC_DRAW)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)

    @property
    def can_draw_edges(self) -> bool:
        """Whether the wireframe is available: ES has no polygon mode."""
        return not self._embedded

    def upload(self, mesh: SurfaceMesh | None, draft: SurfaceMesh | None = None) -> None:
        """Replace the mesh, and the coarser one that may stand in for it while a hand moves."""
        self._full.fill(mesh)
        self._draft.fill(draft)

    def draw(
        self, camera: Camera, width: int, height: int, side: float, look: MeshLook, *, hurried: bool = False
    ) -> None:
        """Draw backdrop and mesh into the bound framebuffer.

        Args:
            camera: the camera.
            width: of the viewport in device pixels.
            height: of the viewport.
            side: of the square picture in device pixels, as in ``clip_matrix``.
            look: how.
            hurried: draw the coarser mesh if there is one.
        """
        buffers = self._draft if hurried and self._draft.count else self._full
        GL.glViewport(0, 0, width, height)
        GL.glDisable(GL.GL_BLEND)
        GL.glDepthMask(True)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT)
        self._draw_ground(width, height)
        if buffers.count == 0:
            return
        GL.glUseProgram(self._mesh_program)
        matrix = clip_matrix(camera, width, height, side)
        rotation = camera.rotation.T.astype(np.float32)
        # OpenGL wants columns first; transposing here works on ES too, where the driver may not.
        GL.glUniformMatrix4fv(self._place("u_clip"), 1, False, np.ascontiguousarray(matrix.T))
        GL.glUniformMatrix3fv(self._place("u_to_camera"), 1, False, np.ascontiguousarray(rotation.T))
        GL.glUniform1f(self._place("u_fade"), look.fade)
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDepthFunc(GL.GL_LEQUAL)
        GL.glEnable(GL.GL_CULL_FACE)
        GL.glCullFace(GL.GL_BACK)
        buffers.bind()
        edges = look.wireframe and self.can_draw_edges
        if edges:
            GL.glEnable(GL.GL_POLYGON_OFFSET_FILL)
            GL.glPolygonOffset(1.0, 1.0)
        GL.glUniform1f(self._place("u_mode"), 1.0 if look.normals else 0.0)
        buffers.draw()
        if edges:
            GL.glDisable(GL.GL_POLYGON_OFFSET_FILL)
            GL.glUniform1f(self._place("u_mode"), 2.0)
            GL.glEnable(GL.GL_BLEND)
            GL.glBlendFunc(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA)
            GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_LINE)
            buffers.draw()
            GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_FILL)
            GL.glDisable(GL.GL_BLEND)
        buffers.unbind()
        GL.glDisable(GL.GL_CULL_FACE)
        GL.glDisable(GL.GL_DEPTH_TEST)
        GL.glUseProgram(0)

    def release(self) -> None:
        """Give buffers and programs back."""
        GL.glDeleteBuffers(1, [self._corners])
        self._full.release()
        self._draft.release()
        GL.glDeleteProgram(self._mesh_program)
        GL.glDeleteProgram(self._ground_program)

    def _draw_ground(self, width: int, height: int) -> None:
        centre, edge = self._ground_colours
        radius = 0.62 * max(width, height)
        GL.glDisable(GL.GL_DEPTH_TEST)
        GL.glUseProgram(self._ground_program)
        GL.glUniform3f(GL.glGetUniformLocation(self._ground_program, "u_centre"), *centre)
        GL.glUniform3f(GL.glGetUniformLocation(self._ground_program, "u_edge"), *edge)
        aspect = GL.glGetUniformLocation(self._ground_program, "u_aspect")
        GL.glUniform2f(aspect, 0.5 * width / radius, 0.5 * height / radius)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._corners)
        GL.glEnableVertexAttribArray(0)
        glVertexAttribPointer(0, 2, GL.GL_FLOAT, False, 0, ctypes.c_void_p(0))
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
        GL.glDisableVertexAttribArray(0)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)
        GL.glUseProgram(0)

    def _place(self, name: str) -> int:
        return int(GL.glGetUniformLocation(self._mesh_program, name))


def _linked(header: str, vertex: str, fragment: str, attributes: tuple[str, ...]) -> int:
    """Compile and link a program whose attributes lie at 0, 1, 2 and so on."""
    program = GL.glCreateProgram()
    for kind, text in ((GL.GL_VERTEX_SHADER, vertex), (GL.GL_FRAGMENT_SHADER, fragment)):
        shader = GL.glCreateShader(kind)
        GL.glShaderSource(shader, header + text)
        GL.glCompileShader(shader)
        if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
            raise RuntimeError(f"a shader does not compile: {GL.glGetShaderInfoLog(shader)!r}")
        GL.glAttachShader(program, shader)
        GL.glDeleteShader(shader)
    for place, name in enumerate(attributes):
        GL.glBindAttribLocation(program, place, name)
    GL.glLinkProgram(program)
    if not GL.glGetProgramiv(program, GL.GL_LINK_STATUS):
        raise RuntimeError(f"a shader program does not link: {GL.glGetProgramInfoLog(program)!r}")
    return int(program)
