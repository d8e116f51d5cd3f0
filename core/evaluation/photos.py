"""A folder of portraits through the whole engine: a table of figures and a contact sheet to look at.

Each photo's figures and pictures are kept as soon as they are there, so that an interrupted run goes on where it
stopped; results of other weights are not mixed in. The sheet shows photo, reconstruction, two turned views and the
bare surface side by side: figures are worth little that nobody has looked at.
"""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError, PhotoNotFound
from core.evaluation.likeness import SIDE_YAW, measure
from core.export import write_bytes, write_picture
from core.frame import RenderRequest
from core.inversion import SAME_PERSON
from core.job import Job
from core.photo import Photo

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".avif")
SPLIT_FILE = Path(__file__).resolve().parents[2] / "resources" / "validation_split.json"
CELL = 256
COLUMNS = ("photo", "reconstruction", "left", "right", "surface")
# Rows of a contact sheet before it goes on in a second block of columns, so that it stays viewable.
SHEET_ROWS = 10
FIGURES = ("mae", "mae_whole", "ssim", "ssim_e3dge", "psnr", "identity_distance", "identity_yaw35")


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
    opener: Callable[[], Engine], photos: Sequence[Path], out: Path, weights: str, detector: str, job: Job
) -> dict[str, Any]:
    """Reconstruct photos and write ``table.md``, ``table.json``, ``sheet.png`` and one file a photo into ``out``.

    Returns:
        The summary: per figure mean, std and n; how many photos failed and how many look like the same person.
    """
    rows: dict[str, dict[str, Any]] = {}
    for number, path in enumerate(photos):
        job.report(number / len(photos), path.name)
        row = _kept(out, path, weights)
        if row is None:
            row = _one(opener(), path, out, detector, job.part(number / len(photos), (number + 1) / len(photos)))
            text = json.dumps({"weights": weights, **row}, indent=1, ensure_ascii=False, allow_nan=False)
            write_bytes(text.encode(), _row_file(out, path))
        rows[path.name] = row
    summary = summarise(rows, weights)
    write_bytes((table(summary) + "\n").encode(), out / "table.md")
    write_bytes(json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False).encode(), out / "table.json")
    sheet = contact_sheet(out, [path for path in photos if "error" not in rows[path.name]], rows)
    if sheet is not None:
        write_picture(sheet, out / "sheet.png")
    job.report(1.0, "done")
    return summary


def summarise(rows: dict[str, dict[str, Any]], weights: str) -> dict[str, Any]:
    """Mean, standard deviation and count of every figure over the photos that worked."""
    good = [row for row in rows.values() if "error" not in row]
    figures: dict[str, Any] = {}
    for name in (*FIGURES, "largest_component_share", "seconds"):
        values = [float(row[name]) for row in good if name in row]
        if values:
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            figures[name] = {"mean": statistics.fmean(values), "std": deviation, "n": len(values)}
    return {
        "weights": weights,
        "photos": len(rows),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
        "same_person": sum(row["identity_distance"] < SAME_PERSON for row in good),
        "same_person_yaw35": sum(row["identity_yaw35"] < SAME_PERSON for row in good),
        "figures": figures,
    }


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    worked = summary["photos"] - len(summary["failed"])
    lines = [
        f"{summary['weights']}: {worked} of {summary['photos']} photos reconstructed; same person in "
        f"{summary['same_person']}, at yaw ±{SIDE_YAW} in {summary['same_person_yaw35']}.",
        "",
        "| figure | mean ± std | n |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {value['mean']:.3f} ± {value['std']:.3f} | {value['n']} |"
        for name, value in summary["figures"].items()
    ]
    lines += ["", *(f"* {name}: {error['message']}" for name, error in summary["failed"].items())]
    return "\n".join(lines).rstrip()


def _row_file(out: Path, photo: Path) -> Path:
    return out / "photos" / f"{photo.name}.json"


def _strip_file(out: Path, photo: Path) -> Path:
    return out / "photos" / f"{photo.name}.strip.png"


def _kept(out: Path, photo: Path, weights: str) -> dict[str, Any] | None:
    """The row of an earlier run with the same weights."""
    try:
        row = json.loads(_row_file(out, photo).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(row, dict) or row.pop("weights", None) != weights:
        return None
    return row if "error" in row or _strip_file(out, photo).is_file() else None


def _one(engine: Engine, path: Path, out: Path, detector: str, job: Job) -> dict[str, Any]:
    """Figures of one photo, and its strip of pictures on disk."""
    try:
        inversion = engine.invert(Photo.load(path), job.part(0.0, 0.4), 0, detector)
        row: dict[str, Any] = dict(measure(engine, inversion))
        job.report(0.6, path.name)
        mesh = engine.mesh(inversion, LatentEdit.none, 64, job.part(0.6, 0.9))
    except CameoError as error:
        if job.cancelled:
            raise
        return {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
    row["largest_component_share"] = mesh.raw_largest_share
    row["watertight"] = mesh.watertight
    row["yaw"], row["pitch"] = inversion.camera.yaw, inversion.camera.pitch
    row["seconds"] = sum(inversion.seconds.values())
    row["warnings"] = list(inversion.warnings)
    cells = [inversion.aligned.crop256, inversion.reconstruction]
    for turn, layer in ((-SIDE_YAW, "picture"), (SIDE_YAW, "picture"), (0.0, "normals")):
        camera = Camera(inversion.camera.yaw + turn, inversion.camera.pitch)
        cells.append(engine.render(RenderRequest(inversion, LatentEdit.none, camera, CELL, layer)).pixels)
    write_picture(np.concatenate(cells, axis=1), _strip_file(out, path))
    return row


def contact_sheet(out: Path, photos: Sequence[Path], rows: dict[str, dict[str, Any]]) -> NDArray[np.uint8] | None:
    """Strips under one another, with name and figures; None without photos."""
    if not photos:
        return None
    blocks = (len(photos) + SHEET_ROWS - 1) // SHEET_ROWS
    width = CELL * len(COLUMNS)
    sheet = Image.new("RGB", (blocks * (width + 8), CELL * min(len(photos), SHEET_ROWS)), (20, 20, 20))
    draw = ImageDraw.Draw(sheet)
    for number, path in enumerate(photos):
        x, y = number // SHEET_ROWS * (width + 8), number % SHEET_ROWS * CELL
        with Image.open(_strip_file(out, path)) as strip:
            sheet.paste(strip.convert("RGB"), (x, y))
        row = rows[path.name]
        text = f"{path.stem}  mae {row['mae']:.3f}  id {row['identity_distance']:.2f}/{row['identity_yaw35']:.2f}"
        draw.rectangle((x, y, x + 7 * len(text), y + 12), fill=(0, 0, 0))
        draw.text((x + 2, y), text, fill=(255, 255, 255))
    return np.asarray(sheet)


__all__ = ["contact_sheet", "evaluate", "photos_in", "summarise", "table"]
