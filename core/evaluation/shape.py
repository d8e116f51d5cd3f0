"""How far the shape is off, in millimetres: heads whose geometry is known, as the NoW benchmark asks (Sanyal 2019).

Every head is reconstructed from one picture. Its surface is laid onto the scan by seven keypoints (eye corners, base of
the nose, corners of the mouth), rigidly or with a scale, and the distance of every scan point of the face to the
surface counts. NoW refines that alignment by the distance itself; both are shown. The heads are ICT-FaceKit's, which
neither the model nor the world has seen; a folder of real scans goes the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError, FaceNotUsable
from core.evaluation.likeness import SIZE
from core.evaluation.scorers import landmarks_of
from core.evaluation.sheets import Pixels, blank, relief, tiled, write_pages
from core.evaluation.tables import Kept, Row, cell, grid, spreads, write_report
from core.export import write_picture
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo
from core.surface import SurfaceMesh

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

# MediaPipe's numbers of the seven keypoints; the head's right comes first, as in ``core.evaluation.ict``.
KEYPOINTS = (33, 133, 362, 263, 2, 61, 291)
REACH = 95.0
"""Scan points nearer than this to the tip of the nose are the face [mm]; NoW's own crop."""
MM_PER_UNIT = 1365.0
"""Millimetres in a world unit on the mean head of the world: what "without scale" has to go by."""
CANDIDATES = 12
REFINEMENTS = 15
MODES = ("rigid", "scaled", "rigid_refined", "scaled_refined")
FIGURES = tuple(f"{mode}_{what}" for mode in MODES for what in ("median", "mean", "std"))
SHOWN = ("photo", "front", "relief", "relief .6")


@dataclass(frozen=True, eq=False)
class Subject:
    """One head with known geometry.

    Shape:
        photo (H, W, 3); scan (N, 3) of the face and keypoints (7, 3), in mm.
    """

    name: str
    photo: Pixels
    scan: Array
    keypoints: Array


@dataclass(frozen=True)
class Settings:
    """What is measured how; part of every row's stamp."""

    heads: int = 24
    resolution: int = 128
    source: str = "ict"
    detector: str = "mediapipe"
    refine: str = ""
    """Method by which each head is refined for its photo before it is measured; none if empty."""

    @classmethod
    def quick(cls, source: str = "ict", detector: str = "mediapipe") -> Settings:
        """The same steps in seconds."""
        return cls(1, 64, source, detector)


def evaluate(
    opener: Callable[[], Engine],
    names: Sequence[str],
    subject: Callable[[str], Subject],
    out: Path,
    stamp: str,
    settings: Settings,
    job: Job,
) -> dict[str, Any]:
    """Reconstruct heads and write ``table.md``, ``table.json``, ``sheet.png`` … and one file a head into ``out``.

    Args:
        opener: Opens the engine when it is first needed.
        names: The heads.
        subject: Makes or reads one.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: What is measured how.
        job: Where to report.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    marks = {name: value for name, value in asdict(settings).items() if name != "heads" and (name != "refine" or value)}
    kept = Kept(out / "heads", {"weights": stamp, **marks})
    rows: dict[str, Row] = {}
    for number, name in enumerate(names):
        done, after = 0.98 * number / len(names), 0.98 * (number + 1) / len(names)
        job.report(done, name)
        row = kept.get(name)
        if row is None or ("error" not in row and not kept.path(name, ".strip.png").is_file()):
            try:
                row, cells = _one(opener(), subject(name), settings, job.part(done, after))
                write_picture(tiled(cells, len(cells)), kept.path(name, ".strip.png"))
            except CameoError as error:
                if job.cancelled:
                    raise
                row = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
            kept.put(name, row)
        rows[name] = row
    good = [row for row in rows.values() if "error" not in row]
    summary = {
        "suite": "shape",
        "weights": stamp,
        "settings": asdict(settings),
        "heads": len(rows),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
        "figures": spreads(good, (*FIGURES, "keypoints", "scale")),
    }
    write_report(out, summary, table(summary))
    strips = [
        (f"{n}  {row['scaled_median']:.2f} mm", kept.path(n, ".strip.png")) for n, row in rows.items() if row in good
    ]
    write_pages(strips, SHOWN, out)
    job.report(1.0, "done")
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    figures = summary["figures"]
    how = f", refined by {summary['settings']['refine']}" if summary["settings"].get("refine") else ""
    lines = [
        f"{summary['weights']}{how}: {summary['heads'] - len(summary['failed'])} of {summary['heads']} heads "
        f"({summary['settings']['source']}), distance of scan points of the face to the surface in mm, mean ± std over "
        "heads.",
        "",
        *grid(
            ("alignment", "median", "mean", "std"),
            [(mode, *(cell(figures.get(f"{mode}_{w}"), 2) for w in ("median", "mean", "std"))) for mode in MODES],
        ),
        "",
        f"Keypoints are left {cell(figures.get('keypoints'), 2)} mm apart by the scaled alignment, whose scale is "
        f"{cell(figures.get('scale'), 3)} of the one that was assumed.",
    ]
    return "\n".join([*lines, "", *(f"* {n}: {e['message']}" for n, e in summary["failed"].items())]).rstrip()


def _one(engine: Engine, subject: Subject, settings: Settings, job: Job) -> tuple[Row, list[Pixels]]:
    inversion = engine.invert(Photo.from_pixels(subject.photo), job.part(0.0, 0.3), 0, settings.detector)
    if settings.refine:
        inversion = engine.refine(inversion, settings.refine, job.part(0.3, 0.7))
    surface = engine.mesh(inversion, LatentEdit.none, settings.resolution, job.part(0.7, 0.8))
    front = engine.render(RenderRequest(inversion, LatentEdit.none, Camera(), 2 * SIZE))
    found = landmarks_of(front.pixels)
    if found is None:
        raise FaceNotUsable("No face is found in the head's own frontal view.")
    keypoints = on_surface(surface, found[list(KEYPOINTS)] / front.pixels.shape[0] * 2.0 - 1.0, Camera())
    job.report(0.85, "laying the surface onto the scan")
    row = errors(surface, keypoints * MM_PER_UNIT, subject)
    return row, [_small(subject.photo), _small(front.pixels), *_clay(engine, inversion)]


def _clay(engine: Engine, inversion: Inversion) -> list[Pixels]:
    found = []
    for yaw in (0.0, 0.6):
        frame = engine.render(RenderRequest(inversion, LatentEdit.none, Camera(yaw), SIZE, "normals"))
        found.append(relief(frame.pixels, frame.alpha))
    return found


def _small(pixels: Pixels) -> Pixels:
    if pixels.shape[0] != pixels.shape[1]:
        return blank(SIZE)
    return np.asarray(cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def on_surface(surface: SurfaceMesh, uv: Array, camera: Camera) -> Array:
    """The points of a surface that a camera sees at places of its picture.

    Shape:
        uv (K, 2) in [-1, 1], v down; returns (K, 3) in world units.

    Raises:
        FaceNotUsable: There is no surface at one of them.
    """
    seen, depth = camera.project(surface.vertices)
    near, directions = 0.03, _directions(camera, uv)
    points = []
    for place, direction in zip(uv, directions, strict=True):
        close = np.flatnonzero(np.abs(seen - place).max(axis=1) < near)
        if not len(close):
            raise FaceNotUsable("A keypoint lies beside the head.")
        front = close[depth[close] < depth[close].min() + 0.01]
        weights = np.exp(-((np.linalg.norm(seen[front] - place, axis=1) / (0.4 * near)) ** 2)) + 1e-9
        points.append(camera.position + direction * float(np.average(depth[front], weights=weights)))
    return np.array(points)


def _directions(camera: Camera, uv: Array) -> Array:
    """Rays (K, 3) through places of a picture, one unit of depth long."""
    tangent = np.tan(camera.half_fov)
    local = np.stack([uv[:, 0] * tangent, -uv[:, 1] * tangent, -np.ones(len(uv))], axis=1)
    return np.asarray(local @ camera.rotation.T)


def errors(surface: SurfaceMesh, keypoints: Array, subject: Subject) -> Row:
    """Median, mean and std of the distance in every mode [mm], and what the alignment found.

    Args:
        surface: Of the model, in world units.
        keypoints: (7, 3) on it, in mm.
        subject: The truth.
    """
    vertices = surface.vertices.astype(np.float64) * MM_PER_UNIT
    row: Row = {}
    for mode in ("rigid", "scaled"):
        scale, rotation, shift = similarity(keypoints, subject.keypoints, scaled=mode == "scaled")
        moved = scale * vertices @ rotation.T + shift
        if mode == "scaled":
            left = scale * keypoints @ rotation.T + shift - subject.keypoints
            row["keypoints"], row["scale"] = float(np.linalg.norm(left, axis=1).mean()), scale
        for suffix in ("", "_refined"):
            if suffix:
                moved = refined(moved, surface.faces, subject.scan, scaled=mode == "scaled")
            found = distances(moved, surface.faces, subject.scan)
            row[f"{mode}{suffix}_median"] = float(np.median(found))
            row[f"{mode}{suffix}_mean"], row[f"{mode}{suffix}_std"] = float(found.mean()), float(found.std())
    return row


def similarity(source: Array, target: Array, *, scaled: bool) -> tuple[float, Array, Array]:
    """The least-squares scale, rotation (3, 3) and shift (3,) from points to points (N, 3) (Umeyama 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((values * sign).sum() / (a**2).sum()) if scaled else 1.0
    return scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0)


def nearest(vertices: Array, faces: NDArray[np.integer], points: Array) -> Array:
    """The nearest point of a mesh to each of many points (N, 3), among the triangles whose middles are nearest."""
    triangles = vertices[faces]
    _, near = cKDTree(triangles.mean(axis=1)).query(points, k=min(CANDIDATES, len(faces)))
    near = near.reshape(len(points), -1)  # one candidate comes without an axis of its own
    count = near.shape[1]
    found = trimesh.triangles.closest_point(triangles[near.ravel()], np.repeat(points, count, axis=0))
    found = found.reshape(len(points), count, 3)
    best = np.linalg.norm(found - points[:, None], axis=2).argmin(axis=1)
    return np.asarray(found[np.arange(len(points)), best])


def distances(vertices: Array, faces: NDArray[np.integer], points: Array) -> Array:
    """Distance of each point (N, 3) to a mesh."""
    return np.asarray(np.linalg.norm(nearest(vertices, faces, points) - points, axis=1))


def refined(vertices: Array, faces: NDArray[np.integer], scan: Array, *, scaled: bool) -> Array:
    """Vertices moved on by iterated closest points, from a thousand points of the scan."""
    some = scan[np.random.default_rng(0).permutation(len(scan))[:1000]]
    for _ in range(REFINEMENTS):
        scale, rotation, shift = similarity(nearest(vertices, faces, some), some, scaled=scaled)
        vertices = scale * vertices @ rotation.T + shift
    return vertices


def cropped(scan: Array, nose: Array) -> Array:
    """The points of a scan (N, 3) that belong to the face."""
    return scan[np.linalg.norm(scan - nose, axis=1) < REACH]


def scanned(folder: Path, name: str) -> Subject:
    """A real scan: ``NAME.jpg`` or ``.png``, ``NAME.ply`` or ``.obj`` in mm, and ``NAME.txt`` with seven keypoints.

    Raises:
        CameoError: One of the files is missing or is not what it should be.
    """
    try:
        photo = next(path for suffix in (".jpg", ".jpeg", ".png") if (path := folder / f"{name}{suffix}").is_file())
        mesh = next(path for suffix in (".ply", ".obj") if (path := folder / f"{name}{suffix}").is_file())
        keypoints = np.loadtxt(folder / f"{name}.txt", ndmin=2)
        scan = np.asarray(trimesh.load(mesh, process=False).vertices, np.float64)
    except (StopIteration, OSError, ValueError) as error:
        raise CameoError(
            f"The scan {name} is not complete: {error!r}.", hint="It needs NAME.jpg, .ply and .txt."
        ) from error
    if keypoints.shape != (len(KEYPOINTS), 3):
        raise CameoError(f"{name}.txt must hold seven points.", hint="Eye corners, base of the nose, mouth corners.")
    return Subject(name, Photo.load(photo).pixels, cropped(scan, keypoints[4]), keypoints)
