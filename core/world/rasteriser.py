"""Draws scenes off screen with OpenGL (EGL): pictures, and exact geometry for supervision.

Colour is drawn at twice the size and resolved on the GPU; geometry is sampled at pixel centres of half the picture's
size, so that depth, normal, part and flow are exact there and never blended over an edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np

from core.camera import Camera
from core.world import shaders
from core.world.assets import Pack
from core.world.parts import PARTS, Part
from core.world.scene import Scene

MODES = {
    "skin": 0, "eyes": 2, "teeth": 4, "mouth": 3, "hair": 1, "brows": 7, "lashes": 7, "beard": 5, "glasses": 3,
    "neck_end": 3, "lens": 6,
}  # fmt: skip
BLENDED = ("brows", "lashes", "lens")  # drawn over what is there, without writing depth
NOT_GEOMETRY = ("lashes", "lens")
NO_SHADOW = ("brows", "lashes", "lens", "eyes", "mouth", "teeth")
NEAR, FAR = 0.7, 1.4
SHADOW_SIZE = 768
SHADOW_RADIUS = 0.17


@dataclass(frozen=True, eq=False)
class Buffers:
    """What one view of a scene looks like and is."""

    colour: np.ndarray  # (S, S, 4) uint8 sRGB, straight alpha, antialiased
    depth: np.ndarray  # (G, G) float32 optical-axis depth, 0 = nothing; G = S / 2 (float16 would step by 1e-3)
    normal: np.ndarray  # (G, G, 3) int8 world normal * 127
    part: np.ndarray  # (G, G) uint8 index into PARTS
    other_position: np.ndarray  # (G, G, 3) float16 world position in the other scene, 0 = none
    vertex_id: np.ndarray  # (G, G) int32 a base vertex (pack index) of the triangle under a skin pixel, -1 = none


class Renderer:
    """An OpenGL context with the pack's textures; one a process."""

    def __init__(self, pack: Pack, size: int = 256) -> None:
        """Open a context.

        Args:
            pack: the pack.
            size: width of the picture in pixels; geometry buffers have half of it.
        """
        self.pack, self.size = pack, size
        self.context = context = moderngl.create_context(standalone=True, backend="egl")
        self.programs = {
            "material": context.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.MATERIAL),
            "geometry": context.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.GEOMETRY),
            "shadow": context.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.SHADOW),
        }
        self.resolve = context.program(vertex_shader=shaders.SCREEN, fragment_shader=shaders.RESOLVE)
        double, half = (2 * size, 2 * size), (size // 2, size // 2)
        self.large = context.texture(double, 4)
        self.large_frame = context.framebuffer([self.large], context.depth_renderbuffer(double))
        self.small = context.texture((size, size), 4)
        self.small_frame = context.framebuffer([self.small])
        self.geometry_textures = [context.texture(half, 4, dtype="f4") for _ in range(3)]
        self.geometry_frame = context.framebuffer(self.geometry_textures, context.depth_renderbuffer(half))
        self.shadow = context.texture((SHADOW_SIZE, SHADOW_SIZE), 1, dtype="f4")
        self.shadow.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self.shadow_frame = context.framebuffer([self.shadow], context.depth_renderbuffer((SHADOW_SIZE, SHADOW_SIZE)))
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self.screen = context.vertex_array(self.resolve, [(corners, "2f", "corner")])
        self.textures: dict[str, moderngl.Texture] = {}
        self.loaded: _Loaded | None = None

    def render(
        self, scene: Scene, yaw: float, pitch: float, half_fov: float = Camera().half_fov, other: Scene | None = None
    ) -> Buffers:
        """Draw one view.

        Args:
            scene: what to draw.
            yaw: the camera's azimuth in radians.
            pitch: its elevation in radians.
            half_fov: half its field of view in radians.
            other: another state of the same head, for `other_position`.
        """
        with self.context:  # another renderer of this process may have been current
            return self._render(scene, Camera(yaw=yaw, pitch=pitch, half_fov=half_fov), other)

    def colour(self, scene: Scene, yaw: float, pitch: float, half_fov: float) -> np.ndarray:
        """The picture alone, (S, S, 4) uint8 straight alpha; arguments as in ``render``."""
        with self.context:
            loaded = self._load(scene, None)
            return self._colour(loaded, *_looking(Camera(yaw=yaw, pitch=pitch, half_fov=half_fov)))

    def geometry(
        self, scene: Scene, yaw: float, pitch: float, half_fov: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth, normal and part of ``Buffers`` alone; arguments as in ``render``."""
        with self.context:
            loaded = self._load(scene, None)
            a, b, _ = self._geometry(loaded, *_looking(Camera(yaw=yaw, pitch=pitch, half_fov=half_fov)))
        return _seen(a, b)

    def _load(self, scene: Scene, other: Scene | None) -> _Loaded:
        if self.loaded is None or self.loaded.scene is not scene or self.loaded.other is not other:
            if self.loaded is not None:
                self.loaded.release()
            self.loaded = _Loaded(self, scene, other)
        return self.loaded

    def _render(self, scene: Scene, camera: Camera, other: Scene | None) -> Buffers:
        loaded = self._load(scene, other)
        matrix, eye = _looking(camera)
        colour = self._colour(loaded, matrix, eye)
        a, b, c = self._geometry(loaded, matrix, eye)
        seen = a[..., 3] > 0.5
        return Buffers(
            colour, *_seen(a, b), c[..., :3].astype(np.float16), np.where(seen, a[..., 2], -1).astype(np.int32)
        )

    def close(self) -> None:
        """Give the context back."""
        self.context.release()

    def texture(self, key: str) -> moderngl.Texture:
        """A texture of the pack on the GPU, with mipmaps."""
        if key not in self.textures:
            pixels = np.ascontiguousarray(self.pack.texture(key)[::-1])
            texture = self.context.texture(pixels.shape[1::-1], 4, pixels.tobytes())
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self.textures[key] = texture
        return self.textures[key]

    def _common(self, name: str, part: Part) -> moderngl.Program:
        program = self.programs[name]
        program["mode"].value = MODES[part.name]
        program["has_image"].value = int(bool(part.texture))
        program["grain"].value = 0.0 if name == "geometry" else 1.0
        program["cover"].value = part.material.cover
        if part.texture:
            self.texture(part.texture).use(0)
        return program

    def _cast_shadow(self, loaded: _Loaded) -> None:
        toward = loaded.scene.light.directions[0]
        right = np.cross([0.0, 1.0, 0.0], toward)
        right /= np.linalg.norm(right)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([right, np.cross(toward, right), -toward]) / SHADOW_RADIUS
        loaded.shadow_matrix = matrix.T.astype("f4").tobytes()
        self.shadow_frame.use()
        self.shadow_frame.clear(1.0, 0.0, 0.0, 0.0)
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.disable(moderngl.BLEND)
        self.programs["shadow"]["m"].write(loaded.shadow_matrix)
        for k, part in enumerate(loaded.scene.parts):
            if part.name not in NO_SHADOW:
                self._common("shadow", part)
                loaded.draw("shadow", k)

    def _colour(self, loaded: _Loaded, matrix: bytes, eye: np.ndarray) -> np.ndarray:
        if not loaded.shadow_matrix:
            self._cast_shadow(loaded)
        program, context, light = self.programs["material"], self.context, loaded.scene.light
        self.large_frame.use()
        self.large_frame.clear(0.0, 0.0, 0.0, 0.0)
        context.enable(moderngl.DEPTH_TEST | moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        program["m"].write(matrix)
        program["eye"].value = tuple(eye)
        program["toward"].write(light.directions.astype("f4").tobytes())
        program["power"].write(light.colours.astype("f4").tobytes())
        program["sky"].value = tuple(light.sky)
        program["ground"].value = tuple(light.ground)
        program["shadow"].value = 1
        program["image"].value = 0
        program["shadow_m"].write(loaded.shadow_matrix)
        program["shadow_on"].value = 0.75
        self.shadow.use(1)
        order = [k for k, part in enumerate(loaded.scene.parts) if part.name not in BLENDED]
        for k in order:
            self._material(loaded, k, (0.5, 2.0))
        context.depth_mask = False
        soft = [k for k in order if loaded.scene.parts[k].name in ("hair", "beard")]
        blended = [k for k, part in enumerate(loaded.scene.parts) if part.name in BLENDED]
        for k in [*(k for k in blended if loaded.scene.parts[k].name != "lens"), *soft]:
            self._material(loaded, k, (0.02, 0.5) if k in soft else (0.02, 2.0), fade=True)
        for k in blended:
            if loaded.scene.parts[k].name == "lens":
                self._material(loaded, k, (0.0, 2.0), fade=True)
        context.depth_mask = True
        self.small_frame.use()
        context.disable(moderngl.DEPTH_TEST | moderngl.BLEND)
        self.large.use(0)
        self.screen.render()
        return np.frombuffer(self.small.read(), "u1").reshape(self.size, self.size, 4)[::-1].copy()

    def _material(self, loaded: _Loaded, k: int, band: tuple[float, float], *, fade: bool = False) -> None:
        part = loaded.scene.parts[k]
        program = self._common("material", part)
        material = part.material
        program["tone"].value = material.tone
        program["hair"].value = material.hair
        program["amounts"].value = material.amounts
        program["shine"].value = material.shine
        program["band"].value = band
        program["fade"].value = int(fade)
        loaded.draw("material", k)

    def _geometry(self, loaded: _Loaded, matrix: bytes, eye: np.ndarray) -> list[np.ndarray]:
        program = self.programs["geometry"]
        self.geometry_frame.use()
        self.geometry_frame.clear(0.0, 0.0, 0.0, 0.0)
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.disable(moderngl.BLEND)
        program["m"].write(matrix)
        program["eye"].value = tuple(eye)
        program["axis"].value = tuple(-eye / np.linalg.norm(eye))
        for k, part in enumerate(loaded.scene.parts):
            if part.name not in NOT_GEOMETRY:
                self._common("geometry", part)["part"].value = float(PARTS.index(part.name))
                loaded.draw("geometry", k)
        side = self.size // 2
        return [np.frombuffer(texture.read(), "f4").reshape(side, side, 4)[::-1] for texture in self.geometry_textures]


def _looking(camera: Camera) -> tuple[bytes, np.ndarray]:
    """A camera's matrix for the shaders, and its place (3,)."""
    matrix = (camera.projection_matrix(NEAR, FAR) @ camera.view_matrix()).T.astype("f4").tobytes()
    return matrix, np.asarray(camera.position, "f4")


def _seen(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, normal and part of ``Buffers`` from the first two textures."""
    seen = a[..., 3] > 0.5
    depth, part = np.where(seen, a[..., 0], 0).astype(np.float32), np.where(seen, a[..., 1], 0).astype(np.uint8)
    return depth, np.round(b[..., :3] * 127).astype(np.int8), part


class _Loaded:
    """A scene's vertices and indices on the GPU: one buffer, a range a part."""

    def __init__(self, renderer: Renderer, scene: Scene, other: Scene | None) -> None:
        self.scene, self.other = scene, other
        self.shadow_matrix = b""
        twins = {part.key: part for part in other.parts} if other is not None else {}
        rows, faces, self.ranges, start, first = [], [], [], 0, 0
        for part in scene.parts:
            count = len(part.vertices)
            twin = twins.get(part.key)
            matched = twin is not None and len(twin.vertices) == count
            row = np.zeros((count, 17), np.float32)
            row[:, 0:3], row[:, 3:6], row[:, 6:8], row[:, 8:12] = part.vertices, part.normals, part.uv, part.paint
            if matched and twin is not None:
                row[:, 12:15], row[:, 15] = twin.vertices, 1.0
            row[:, 16] = -1 if part.ids is None else part.ids
            rows.append(row)
            faces.append(part.triangles + start)
            self.ranges.append((first, part.triangles.size))
            start, first = start + count, first + part.triangles.size
        context = renderer.context
        self.vertices = context.buffer(np.concatenate(rows).tobytes())
        self.indices = context.buffer(np.ascontiguousarray(np.concatenate(faces), np.int32).tobytes())
        self.arrays = {}
        layout = (("3f", "p"), ("3f", "n"), ("2f", "uv"), ("4f", "paint"), ("4f", "other"), ("1f", "id"))
        for name, program in renderer.programs.items():
            formats = " ".join(f if a in program else f"{int(f[0]) * 4}x" for f, a in layout)
            attributes = [a for _, a in layout if a in program]
            self.arrays[name] = context.vertex_array(
                program, [(self.vertices, formats, *attributes)], index_buffer=self.indices
            )

    def draw(self, name: str, k: int) -> None:
        first, count = self.ranges[k]
        if count:
            self.arrays[name].render(vertices=count, first=first)

    def release(self) -> None:
        for array in self.arrays.values():
            array.release()
        self.vertices.release()
        self.indices.release()
