"""An engine that needs no network: a shaded bust in NumPy that honours camera, edit, size and layer.

It obeys the real engine's rules (one thread, reports through ``Job``, the same errors), so that the window can be
tested in milliseconds. ``gates`` stop it where a test wants to look around.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.camera import Camera, CameraLimits
from core.edit import ATTRIBUTES, LatentEdit
from core.errors import NoFaceFound
from core.frame import BACKDROP, Frame, RenderRequest
from core.job import Job
from core.photo import Photo
from core.surface import SurfaceMesh

# centre, radii, colour: skull, nose, neck, hair cap
_PARTS = (
    ((0.0, 0.0, 0.0), (0.066, 0.088, 0.076), (214, 168, 140)),
    ((0.0, -0.008, 0.076), (0.012, 0.022, 0.014), (218, 166, 138)),
    ((0.0, -0.088, -0.012), (0.038, 0.05, 0.038), (196, 150, 126)),
    ((0.0, 0.030, -0.014), (0.070, 0.074, 0.074), (74, 52, 40)),
)


@dataclass(frozen=True, eq=False)
class FakeInversion:
    """What the window may read of an inversion."""

    aligned: Any
    camera: Camera
    warnings: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=lambda: {"identity_distance": 0.31, "mae": 0.08})
    reconstruction: NDArray[np.uint8] | None = None


class Gate:
    """Lets a test hold the engine at a place: the engine waits until ``open`` is called."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        """Let it pass."""
        self._opened.set()

    def wait_for(self, job: Job, fraction: float, stage: str) -> None:
        """Report until opened, as a real loop would: cancelling and live frames work meanwhile."""
        self.reached.set()
        while not self._opened.wait(0.002):
            job.report(fraction, stage)


class FakeEngine:
    """Stands in for ``core.engine.Engine``.

    Args:
        faces: how many faces every photo holds; 0 finds none.
        steps: how often a reconstruction reports, five milliseconds apart: time for a hand to act midway.
    """

    weights_name = "fake-256"
    device_name = "cpu"
    limits = CameraLimits(yaw=1.6, pitch_low=-0.5, pitch_high=0.5)
    attributes = ATTRIBUTES
    wants_kernels = False

    def __init__(self, faces: int = 1, steps: int = 0) -> None:
        self.faces = faces
        self.steps = steps
        self.thread: int | None = None
        self.invert_gate: Gate | None = None
        self.mesh_gate: Gate | None = None
        self.frame_gate: Gate | None = None
        self.render_error: Exception | None = None
        self.warnings: tuple[str, ...] = ()
        self.rendered: list[RenderRequest] = []
        self.meshed: list[tuple[LatentEdit, int]] = []
        self.kernels_taken = 0

    def take_kernels(self, job: Job) -> bool:
        """Compiled layers, if they came."""
        self._check_thread()
        self.kernels_taken += 1
        return True

    def detect(self, photo: Photo, job: Job, detector: str = "mediapipe") -> tuple[Any, ...]:
        """Faces side by side, the first the largest."""
        self._check_thread()
        height, width = photo.pixels.shape[:2]
        step = width / max(1, self.faces)
        return tuple(
            SimpleNamespace(
                box=np.array([step * (n + 0.3), height * 0.2, step * (n + 0.7), height * (0.2 + 0.5 * step / width)]),
                score=0.9,
            )
            for n in range(self.faces)
        )

    def invert(self, photo: Photo, job: Job, face: int = 0, detector: str = "mediapipe") -> FakeInversion:
        """Cut the middle of the photo."""
        self._check_thread()
        job.report(0.1, "Finding the face")
        if self.faces == 0:
            raise NoFaceFound("No face was found in this photo.", hint="Choose a photo with a clearly visible face.")
        if self.invert_gate is not None:
            self.invert_gate.wait_for(job, 0.4, "Encoding")
        pause = threading.Event()
        for step in range(self.steps):
            job.report(0.1 + 0.5 * step / self.steps, "Encoding")
            pause.wait(0.005)
        job.report(0.6, "Encoding")
        height, width = photo.pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 3, (width - side) // 2
        crop = photo.pixels[top : top + side, left : left + side]
        places = (np.arange(256) + 0.5) * side / 256
        small = np.ascontiguousarray(crop[places.astype(int)][:, places.astype(int)])
        aligned = SimpleNamespace(crop256=small, crop1024=small, faces_found=self.faces)
        job.report(1.0, "Done")
        return FakeInversion(aligned, Camera(0.12 + 0.2 * face, -0.03), self.warnings, reconstruction=small)

    def render(self, request: RenderRequest, pause: Callable[[], None] = lambda: None) -> Frame:
        """Trace the bust."""
        self._check_thread()
        if self.frame_gate is not None:
            self.frame_gate.reached.set()
            self.frame_gate._opened.wait(5)
        pause()
        if self.render_error is not None:
            raise self.render_error
        camera = request.camera.clamped(self.limits)
        pixels, alpha = _traced(camera, request.edit, request.size, request.layer)
        self.rendered.append(request)
        return Frame(pixels, alpha, request, 10.0 * (request.size / 128) ** 2, camera != request.camera)

    def mesh(self, inversion: FakeInversion, edit: LatentEdit, resolution: int, job: Job) -> SurfaceMesh:
        """The parts of the bust as ellipsoids."""
        self._check_thread()
        if self.mesh_gate is not None:
            self.mesh_gate.wait_for(job, 0.3, "Sampling the surface")
        job.report(0.5, "Sampling the surface")
        mesh = bust_mesh(edit, resolution // 2)
        job.report(1.0, "Done")
        self.meshed.append((edit, resolution))
        return mesh

    def turntable(
        self, inversion: FakeInversion, edit: LatentEdit, path: Sequence[Camera], size: int, job: Job
    ) -> Iterator[Frame]:
        """One frame a camera."""
        for number, camera in enumerate(path):
            job.report(number / len(path), f"Picture {number + 1} of {len(path)}")
            yield self.render(RenderRequest(inversion, edit, camera, size))

    def _check_thread(self) -> None:
        here = threading.get_ident()
        if here == threading.main_thread().ident:
            raise AssertionError("the engine was used in the window's thread")
        if self.thread not in (None, here):
            raise AssertionError("the engine was used by two threads")
        self.thread = here


def bust_mesh(edit: LatentEdit, rings: int) -> SurfaceMesh:
    """Ellipsoids of about ``2 * rings ** 2`` quads each, joined."""
    theta = np.linspace(0.0, np.pi, rings + 1)
    phi = np.linspace(0.0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    unit = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], axis=-1).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    following = (column + 1) % (2 * rings)
    a, b = row * 2 * rings + column, (row + 1) * 2 * rings + column
    c, d = (row + 1) * 2 * rings + following, row * 2 * rings + following
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    vertices, normals, colours, triangles = [], [], [], []
    for number, (centre, radii, colour) in enumerate(_shapes(edit)):
        vertices.append(unit * radii + centre)
        normal = unit / radii
        normals.append(normal / np.linalg.norm(normal, axis=1, keepdims=True))
        colours.append(np.broadcast_to(colour, unit.shape))
        triangles.append(faces + number * len(unit))
    return SurfaceMesh(
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(triangles).astype(np.int32),
        np.concatenate(normals).astype(np.float32),
        np.concatenate(colours).astype(np.uint8),
    )


def _shapes(edit: LatentEdit) -> list[tuple[Any, Any, Any]]:
    """The parts with the edit applied: a smile widens, hair grows, a beard darkens the chin."""
    shapes = [(np.array(c), np.array(r), np.array(k, float)) for c, r, k in _PARTS]
    centre, radii, colour = shapes[0]
    shapes[0] = (centre, radii * (1 + 0.06 * edit.strength("Smile"), 1.0, 1.0), colour - 14 * edit.strength("Age"))
    centre, radii, colour = shapes[3]
    shapes[3] = (centre, radii * (1 + 0.08 * edit.strength("Hair length")), colour)
    return shapes


def _traced(camera: Camera, edit: LatentEdit, size: int, layer: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    origin, directions = camera.rays(size)
    nearest = np.full((size, size), np.inf)
    colours = np.zeros((size, size, 3))
    normals = np.zeros((size, size, 3))
    for centre, radii, colour in _shapes(edit):
        o, d = (origin - centre) / radii, directions / radii
        b, c = (d * o).sum(-1), (o * o).sum() - 1.0
        a = (d * d).sum(-1)
        disc = b * b - a * c
        t = np.where(disc > 0, (-b - np.sqrt(np.maximum(disc, 0))) / a, np.inf)
        hit = t < nearest
        nearest = np.where(hit, t, nearest)
        n = (o + np.where(np.isfinite(t), t, 0)[..., None] * d) / radii
        n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-9)
        normals = np.where(hit[..., None], n, normals)
        colours = np.where(hit[..., None], colour, colours)
    seen = np.isfinite(nearest)
    points = origin + np.where(seen, nearest, 0)[..., None] * directions
    x, y, z = np.moveaxis(points, -1, 0)
    for side in (-1, 1):
        eye = ((x - side * 0.026) / 0.009) ** 2 + ((y - 0.012) / 0.005) ** 2 < 1
        colours[eye & (z > 0.03)] = (40, 40, 52)
    smile = edit.strength("Smile")
    mouth = (np.abs(x) < 0.022 + 0.006 * smile) & (np.abs(y + 0.045 - 12 * smile * x * x) < 0.003) & (z > 0.03)
    colours[mouth] = (150, 70, 66)
    beard = edit.strength("Beard")
    colours[(y < -0.032) & (z > 0.02) & ~mouth] *= 1 - 0.3 * min(1.0, beard)
    if layer == "normals":
        shown = 127.5 * (1 + normals @ camera.rotation)
    elif layer == "depth":
        shown = np.repeat(np.clip((1.1 - nearest) / 0.2, 0, 1)[..., None] * 255, 3, -1)
    else:
        light = 0.35 + 0.65 * np.clip(normals @ (camera.rotation @ np.array([-0.4, 0.5, 0.77])), 0, 1)
        shown = colours * light[..., None]
    shown = np.where(seen[..., None], shown, BACKDROP)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8), (seen * 255).astype(np.uint8)
