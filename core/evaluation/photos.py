"""A folder of portraits through the whole engine: a table of figures and contact sheets to look at.

Each photo's figures and pictures are kept as soon as they are there, so that an interrupted run goes on where it
stopped; results of other weights or settings are not mixed in. The sheets show photo, reconstruction, turned views,
a smile to either side and the bare surface side by side.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import copysign
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError, PhotoNotFound
from core.evaluation.floor import identity_floor
from core.evaluation.likeness import (
    FAR_YAW,
    SIDE_YAW,
    measure,
    outline_figures,
    perceptual_distance,
    side_distances,
)
from core.evaluation.perceptual import ABSENT, Perceptual
from core.evaluation.sheets import CELL, Pixels, blank, relief, tiled, write_pages
from core.evaluation.tables import Kept, Row, cell, figure_lines, grid, share, spreads, write_report
from core.export import write_picture
from core.frame import RenderRequest
from core.inversion import SAME_PERSON, Inversion
from core.job import Job
from core.photo import Photo

if TYPE_CHECKING:
    from core.evaluation.people import People

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".avif")
SPLIT_FILE = Path(__file__).resolve().parents[2] / "resources" / "validation_split.json"
COLUMNS = (
    "photo",
    "reconstruction",
    "-.6",
    "-.35",
    "+.35",
    "+.6",
    "1.2, hidden side",
    "1.2, other side",
    "Smile -1",
    "Smile +1",
    "relief",
    "relief .6",
)
PROFILE_YAW = 1.2
FIGURES = (
    *("mae", "mae_whole", "ssim", "ssim_e3dge", "psnr", "perceptual"),
    *("identity_distance", "identity_yaw35", "identity_yaw60", "beyond", "missed"),
    *("largest_component_share", "seconds"),
)


@dataclass(frozen=True)
class Settings:
    """What is measured how; part of every row's stamp."""

    detector: str = "mediapipe"
    mesh_resolution: int = 64
    perceptual: bool = True
    floor_heads: int = 24
    """0 for no floor."""

    @classmethod
    def quick(cls, detector: str = "mediapipe", *, perceptual: bool = True) -> Settings:
        """The same steps in seconds."""
        return cls(detector, 24, perceptual, 2)


def photos_in(folder: Path, split: str = "all") -> list[Path]:
    """The photos of a folder, by name.

    Args:
        folder: The folder.
        split: "all", or "validation" for those that ``resources/validation_split.json`` names.

    Raises:
        PhotoNotFound: There are none.
    """
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if split == "validation":
        try:
            names = set(json.loads(SPLIT_FILE.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise PhotoNotFound(
                "There is no validation split.", hint=f"Put a list of names into {SPLIT_FILE}."
            ) from None
        found = [path for path in found if path.name in names or path.stem in names]
    if not found:
        raise PhotoNotFound(f"There are no photos in {folder}.", hint="Name a folder with JPEG or PNG photos.")
    return found


def evaluate(
    opener: Callable[[], Engine],
    photos: Sequence[Path],
    out: Path,
    stamp: str,
    settings: Settings,
    job: Job,
    *,
    perceptual: Perceptual | None = None,
    people: People | None = None,
) -> dict[str, Any]:
    """Reconstruct photos and write ``table.md``, ``table.json``, ``sheet.png`` … and one file a photo into ``out``.

    Args:
        opener: Opens the engine when it is first needed.
        photos: The photos.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: What is measured how.
        job: Where to report.
        perceptual: VGG16, or None to leave that distance out.
        people: The world, for the floor; None to leave it out.

    Returns:
        The summary: per figure mean, std and n; how many photos failed and how many look like the same person.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    kept = Kept(out / "photos", {"weights": stamp, "detector": settings.detector, **_marks(settings, perceptual)})
    rows: dict[str, Row] = {}
    end = 0.95 if people is None else 0.85
    for number, path in enumerate(photos):
        done = end * number / len(photos)
        job.report(done, path.name)
        row = kept.get(path.name)
        if row is None or ("error" not in row and not kept.path(path.name, ".strip.png").is_file()):
            part = job.part(done, end * (number + 1) / len(photos))
            row = _one(opener(), path, kept, settings, perceptual, part)
            kept.put(path.name, row)
        rows[path.name] = row
    floor = None
    if people is not None and settings.floor_heads:
        marks = {"world": people.mark}
        floor = identity_floor(opener(), people, settings.floor_heads, Kept(out / "floor", marks), job.part(end, 0.97))
    summary = summarise(rows, stamp, settings, floor)
    if perceptual is None:
        summary["notes"] = [ABSENT]
    write_report(out, summary, table(summary))
    good = [path for path in photos if "error" not in rows[path.name]]
    write_pages([(_caption(path, rows[path.name]), kept.path(path.name, ".strip.png")) for path in good], COLUMNS, out)
    job.report(1.0, "done")
    return summary


def _marks(settings: Settings, perceptual: Perceptual | None) -> dict[str, Any]:
    return {"mesh_resolution": settings.mesh_resolution, "perceptual": perceptual is not None}


def summarise(
    rows: dict[str, Row], stamp: str, settings: Settings, floor: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Mean, standard deviation and count of every figure over the photos that worked, and shares of one person."""
    good = [row for row in rows.values() if "error" not in row]
    sides = {"source": [[row["identity_distance"]] for row in good]}
    sides |= {name: [row[f"identity_{name}_sides"] for row in good] for name in ("yaw35", "yaw60")}
    return {
        "suite": "photos",
        "weights": stamp,
        "settings": asdict(settings),
        "photos": len(rows),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
        "same_person": sum(row["identity_distance"] < SAME_PERSON for row in good),
        "same_person_yaw35": sum(row["identity_yaw35"] < SAME_PERSON for row in good),
        "same_person_yaw60": sum(row["identity_yaw60"] < SAME_PERSON for row in good),
        # Every turned view counts by itself, as in the measurements that the aims come from.
        "same_person_share": {
            name: share(distance < SAME_PERSON for view in views for distance in view) for name, views in sides.items()
        },
        "figures": spreads(good, FIGURES),
        "floor": floor,
        "notes": [],
    }


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    worked = summary["photos"] - len(summary["failed"])
    floor = summary["floor"] or {}
    shares = summary["same_person_share"]
    lines = [
        f"{summary['weights']}: {worked} of {summary['photos']} photos reconstructed; same person in "
        f"{summary['same_person']}, at yaw ±{SIDE_YAW} in {summary['same_person_yaw35']}, at ±{FAR_YAW} in "
        f"{summary['same_person_yaw60']} (mean of both sides).",
        "",
        *figure_lines(summary["figures"]),
        "",
        *grid(
            ("identity", "distance to the photo", f"views below {SAME_PERSON}", "floor: true views", "floor: share"),
            [
                (
                    label,
                    cell(summary["figures"].get(figure)),
                    _percent(shares.get(name)),
                    cell(floor.get(figure)),
                    _percent(floor.get(f"same_{name}")),
                )
                for label, figure, name in (
                    ("source", "identity_distance", "source"),
                    (f"yaw ±{SIDE_YAW}", "identity_yaw35", "yaw35"),
                    (f"yaw ±{FAR_YAW}", "identity_yaw60", "yaw60"),
                )
            ],
        ),
    ]
    remarks = [*summary["notes"], *(f"{name}: {error['message']}" for name, error in summary["failed"].items())]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in remarks)]).rstrip()


def _percent(value: dict[str, float] | None) -> str:
    return "–" if value is None else f"{100 * value['mean']:.0f} % of {int(value['n'])}"


def _caption(path: Path, row: Row) -> str:
    distances = "/".join(f"{row[name]:.2f}" for name in ("identity_distance", "identity_yaw35", "identity_yaw60"))
    return f"{path.stem}  mae {row['mae']:.3f}  id {distances}"


def _one(engine: Engine, path: Path, kept: Kept, settings: Settings, perceptual: Perceptual | None, job: Job) -> Row:
    """Figures of one photo, and its strip of pictures on disk."""
    try:
        inversion = engine.invert(Photo.load(path), job.part(0.0, 0.4), 0, settings.detector)
        row: Row = dict(measure(engine, inversion)) | outline_figures(engine, inversion)
        job.report(0.6, path.name)
        for name, yaw in (("yaw35", SIDE_YAW), ("yaw60", FAR_YAW)):
            distances = side_distances(engine, inversion, yaw)
            row[f"identity_{name}_sides"], row[f"identity_{name}"] = distances, sum(distances) / len(distances)
        if perceptual is not None:
            aligned = inversion.aligned
            row["perceptual"] = perceptual_distance(
                perceptual, aligned.crop256, inversion.reconstruction, aligned.matte256 > 0.5
            )
        mesh = engine.mesh(inversion, LatentEdit.none, settings.mesh_resolution, job.part(0.6, 0.9))
    except CameoError as error:
        if job.cancelled:
            raise
        return {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
    row["largest_component_share"] = mesh.raw_largest_share
    row["watertight"] = mesh.watertight
    row["yaw"], row["pitch"] = inversion.camera.yaw, inversion.camera.pitch
    row["seconds"] = sum(inversion.seconds.values())
    row["warnings"] = list(inversion.warnings)
    write_picture(tiled(strip(engine, inversion)), kept.path(path.name, ".strip.png"))
    return row


def strip(engine: Engine, inversion: Inversion) -> list[Pixels]:
    """The pictures of one photo, one a column; what the model does not offer stays empty."""
    camera = inversion.camera

    def look(turn: float = 0.0, edit: LatentEdit = LatentEdit.none) -> Pixels:
        turned = Camera(camera.yaw + turn, camera.pitch)
        return engine.render(RenderRequest(inversion, edit, turned, CELL)).pixels

    def clay(turn: float) -> Pixels:
        turned = Camera(camera.yaw + turn, camera.pitch)
        frame = engine.render(RenderRequest(inversion, LatentEdit.none, turned, CELL, "normals"))
        return relief(frame.pixels, frame.alpha)

    # First towards the side that the photo shows less of; the other one stops where the model's cameras do.
    profile = -copysign(PROFILE_YAW, camera.yaw)
    cells = [inversion.aligned.crop256, inversion.reconstruction]
    cells += [look(turn) for turn in (-FAR_YAW, -SIDE_YAW, SIDE_YAW, FAR_YAW, profile, -profile)]
    smiles = any(attribute.name == "Smile" for attribute in engine.attributes)
    cells += [look(0.0, LatentEdit.none.with_strength("Smile", s)) if smiles else blank() for s in (-1.0, 1.0)]
    return [*cells, clay(0.0), clay(copysign(FAR_YAW, profile))]


__all__ = ["Settings", "evaluate", "photos_in", "strip", "summarise", "table"]
