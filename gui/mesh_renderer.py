"""OpenGL buffers and shaders that draw one mesh; no widget, no event, no camera of its own.

Plain OpenGL 2.1 (or ES 2), so that old drivers, macOS's legacy profile and Mesa's software rasteriser all run the same
code. Everything but ``clip_matrix`` needs a current context.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

# The raw functions: PyOpenGL's wrappers of these two ask for the context by GLX, while Qt may have made it by EGL.
from OpenGL.raw.GL.VERSION.GL_1_1 import glDrawElements
from OpenGL.raw.GL.VERSION.GL_2_0 import glVertexAttribPointer

from core.camera import Camera
from core.surface import SurfaceMesh
from gui.mesh_packing import VERTEX, packed_indices, packed_vertices

NEAR, FAR = 0.6, 1.4
"""Clipping planes: wider than the rendered scene, since a mesh may carry a neck or hair beyond it."""

SLICE = 16384
"""Vertices, or faces, that are handed over at a time: some milliseconds, after which a window may do something else."""

ATTRIBUTES = len(VERTEX.names or ())
"""Of a vertex, in the order in which they lie."""
_BARE = np.zeros((1, 1, 3), np.uint8)
"""In place of a photo."""

_HEADER = "#version 120\n"
_HEADER_ES = "#version 100\nprecision highp float;\n"

# A photographer's three lights, fixed to the camera: soft key from the upper left, cool fill from the right, thin rim.
# Colours of the field already carry the photo's light, so the key only models the form: a flat face keeps its colour.
_LIGHT = """
uniform float u_mode;
vec4 light_on(vec3 direction) {
    vec3 n = normalize(direction);
    if (u_mode > 0.5) return vec4(0.5 + 0.5 * n, 1.0);
    float key = max(dot(n, vec3(-0.42, 0.50, 0.757)), 0.0);
    float fill = max(dot(n, vec3(0.72, 0.10, 0.687)), 0.0);
    float sky = 0.5 + 0.5 * n.y;
    float away = 1.0 - max(n.z, 0.0);
    vec3 light = vec3(1.0, 0.97, 0.93) * (0.40 * key) + vec3(0.80, 0.88, 1.0) * (0.12 * fill) + (0.50 + 0.12 * sky);
    return vec4(light, away * away * away);
}
"""

# What the light shows: the vertices' colours, and the photo on them where it saw them. With normals for colours the
# light is the colour already.
_SHADE = """
uniform float u_shown;
uniform float u_fade;
uniform sampler2D u_photo;
varying vec4 v_light;
varying vec4 v_colour;
varying vec2 v_place;
vec4 shaded(vec4 light) {
    if (u_shown > 1.5) return vec4(0.98, 0.86, 0.74, 0.34);
    if (u_shown > 0.5) return vec4(light.rgb, 1.0);
    vec3 base = mix(v_colour.rgb, texture2D(u_photo, v_place).rgb, v_colour.a);
    vec3 colour = sqrt(base * base * light.rgb + vec3(0.030, 0.033, 0.039) * light.a);
    return vec4(mix(colour, vec3(dot(colour, vec3(0.3, 0.6, 0.1))), u_fade), 1.0);
}
"""

_MESH_VERTEX = """
uniform mat4 u_clip;
uniform mat3 u_to_camera;
attribute vec3 a_position;
attribute vec3 a_normal;
attribute vec4 a_colour;
attribute vec2 a_place;
varying vec4 v_light;
varying vec4 v_colour;
varying vec2 v_place;
void main() {
    v_light = LIGHT;
    v_colour = a_colour;
    v_place = a_place;
    gl_Position = u_clip * vec4(a_position, 1.0);
}
"""

_MESH_FRAGMENT = """
void main() { gl_FragColor = shaded(light_on(v_light.xyz)); }
"""

# The same light a vertex instead of a pixel. A software rasteriser shades whole blocks for triangles of two pixels:
# with 200,000 triangles this saved a fifth of the time (27 instead of 34 ms of processor time at 800 x 600, llvmpipe,
# before there was a photo on them).
_MESH_FRAGMENT_LIT = """
void main() { gl_FragColor = shaded(v_light); }
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
        self._photo = int(GL.glGenTextures(1))
        self.count = 0

    def filling(self, mesh: SurfaceMesh | None) -> Iterator[None]:
        """Hands a mesh over slice by slice; the context must be current whenever it goes on. Drawn once it is whole."""
        self.empty()
        if mesh is None:
            return
        face = 3 * np.dtype(np.uint32).itemsize
        for kind, name, pack, count, size in (
            (GL.GL_ARRAY_BUFFER, self._vertices, packed_vertices, len(mesh.vertices), VERTEX.itemsize),
            (GL.GL_ELEMENT_ARRAY_BUFFER, self._indices, packed_indices, len(mesh.faces), face),
        ):
            GL.glBindBuffer(kind, name)
            GL.glBufferData(kind, count * size, None, GL.GL_STATIC_DRAW)
            GL.glBindBuffer(kind, 0)
            for start in range(0, count, SLICE):
                values = pack(mesh, slice(start, start + SLICE))
                GL.glBindBuffer(kind, name)
                GL.glBufferSubData(kind, start * size, values.nbytes, values)
                GL.glBindBuffer(kind, 0)
                yield
        self._fill_photo(_BARE if mesh.texture is None else mesh.texture.pixels)
        self.count = 3 * len(mesh.faces)

    def _fill_photo(self, pixels: NDArray[np.uint8]) -> None:
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._photo)
        # No smaller levels: ES has them for powers of two only, and a face is about as large on the screen as here.
        for name in (GL.GL_TEXTURE_MIN_FILTER, GL.GL_TEXTURE_MAG_FILTER):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, GL.GL_LINEAR)
        for name in (GL.GL_TEXTURE_WRAP_S, GL.GL_TEXTURE_WRAP_T):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, GL.GL_CLAMP_TO_EDGE)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        height, width = pixels.shape[:2]
        GL.glTexImage2D(
            GL.GL_TEXTURE_2D, 0, GL.GL_RGB, width, height, 0, GL.GL_RGB, GL.GL_UNSIGNED_BYTE, np.array(pixels)
        )
        GL.glBindTexture(GL.GL_TEXTURE_2D, 0)

    def bind(self) -> None:
        stride = VERTEX.itemsize
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._vertices)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._photo)
        for place in range(ATTRIBUTES):
            GL.glEnableVertexAttribArray(place)
        glVertexAttribPointer(0, 3, GL.GL_FLOAT, False, stride, ctypes.c_void_p(0))
        glVertexAttribPointer(1, 3, GL.GL_BYTE, True, stride, ctypes.c_void_p(12))
        glVertexAttribPointer(2, 4, GL.GL_UNSIGNED_BYTE, True, stride, ctypes.c_void_p(16))
        glVertexAttribPointer(3, 2, GL.GL_UNSIGNED_SHORT, True, stride, ctypes.c_void_p(20))
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)

    def draw(self) -> None:
        glDrawElements(GL.GL_TRIANGLES, self.count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def unbind(self) -> None:
        for place in range(ATTRIBUTES):
            GL.glDisableVertexAttribArray(place)
        GL.glBindTexture(GL.GL_TEXTURE_2D, 0)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, 0)

    def empty(self) -> None:
        """Give the memory back but keep the names."""
        for kind, name in ((GL.GL_ARRAY_BUFFER, self._vertices), (GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)):
            GL.glBindBuffer(kind, name)
            GL.glBufferData(kind, 0, None, GL.GL_STATIC_DRAW)
            GL.glBindBuffer(kind, 0)
        self._fill_photo(_BARE)
        self.count = 0

    def release(self) -> None:
        GL.glDeleteBuffers(2, [self._vertices, self._indices])
        GL.glDeleteTextures([self._photo])
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
        turned = "u_to_camera * a_normal"
        vertex, fragment = _MESH_VERTEX.replace("LIGHT", f"vec4({turned}, 0.0)"), _SHADE + _LIGHT + _MESH_FRAGMENT
        if light_per_vertex:
            vertex, fragment = (
                _LIGHT + _MESH_VERTEX.replace("LIGHT", f"light_on({turned})"),
                _SHADE + _MESH_FRAGMENT_LIT,
            )
        self._mesh_program = _linked(header, vertex, fragment, ("a_position", "a_normal", "a_colour", "a_place"))
        self._ground_program = _linked(header, _GROUND_VERTEX, _GROUND_FRAGMENT, ("a_corner",))
        self._corners = int(GL.glGenBuffers(1))
        self._full, self._draft = _Buffers(), _Buffers()
        self._next = _Buffers(), _Buffers()
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._corners)
        # One triangle that covers the view.
        corners = np.array([[-1, -1], [3, -1], [-1, 3]], dtype=np.float32)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, corners.nbytes, corners, GL.GL_STATIC_DRAW)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, 0)

    @property
    def can_draw_edges(self) -> bool:
        """Whether the wireframe is available: ES has no polygon mode."""
        return not self._embedded

    def uploading(self, mesh: SurfaceMesh | None, draft: SurfaceMesh | None = None) -> Iterator[None]:
        """Replace the mesh, and the coarser one that may stand in for it while a hand moves, slice by slice.

        What was there is drawn until all is there. The context must be current whenever it goes on. What one that is
        given up has handed over is let go of by the next.
        """
        full, rough = self._next
        yield from full.filling(mesh)
        yield from rough.filling(draft)
        self._next = self._full, self._draft
        self._full, self._draft = full, rough
        for old in self._next:
            old.empty()

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
        GL.glUniform1i(self._place("u_photo"), 0)
        GL.glUniform1f(self._place("u_mode"), 1.0 if look.normals else 0.0)
        GL.glUniform1f(self._place("u_shown"), 1.0 if look.normals else 0.0)
        buffers.draw()
        if edges:
            GL.glDisable(GL.GL_POLYGON_OFFSET_FILL)
            GL.glUniform1f(self._place("u_shown"), 2.0)
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
        for buffers in (self._full, self._draft, *self._next):
            buffers.release()
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
