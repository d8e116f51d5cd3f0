"""For whom does it work? Likeness by perceived gender, age and skin tone, on people of the world with exact labels.

No folder of portraits at hand says who its people are, and nobody should be sorted by a network's guess. The world
knows its people, mixes them evenly, and knows their true side views: what an embedding finds alike differs by group
even between true views of one head, so that floor stands beside the figure. A computer game's people are not people:
what is worse for a group here is a reason to look, what is even here proves little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.camera import Camera
from core.engine import Engine
from core.errors import CameoError
from core.evaluation.likeness import SIDE_YAW, measure, over
from core.evaluation.people import People, Person
from core.evaluation.sheets import Pixels, tiled, write_pages
from core.evaluation.tables import Kept, Row, cell, grid, spreads, write_report
from core.export import write_picture
from core.frame import BACKDROP
from core.job import Job
from core.photo import Photo

STREAM = 3
"""People of this suite only."""
YAW, PITCH = 0.2, 0.1
"""Spread of the cameras [rad]: portraits."""
GROUPS: dict[str, tuple[tuple[str, str, float, float], ...]] = {
    "perceived gender": (
        ("feminine", "Gender", 0.0, 0.5),
        ("masculine", "Gender", 0.5, 1.01),
    ),
    "age": (
        ("16 to 39", "Age", -0.01, 1 / 3),
        ("39 to 62", "Age", 1 / 3, 2 / 3),
        ("62 to 85", "Age", 2 / 3, 1.01),
    ),
    "skin tone": (
        ("light", "Skin tone", 0.0, 1 / 3),
        ("medium", "Skin tone", 1 / 3, 2 / 3),
        ("dark", "Skin tone", 2 / 3, 1.01),
    ),
}
"""What is told apart: name, label of the world, from, to (below). Ages by the world's own rough scale."""
FIGURES = ("mae", "ssim", "identity_distance", "identity_yaw35", "floor_yaw35")
SHOWN = ("photo", "reconstruction")


@dataclass(frozen=True)
class Settings:
    """How many people, and what finds their faces; part of every row's stamp."""

    people: int = 48
    detector: str = "mediapipe"

    @classmethod
    def quick(cls, detector: str = "mediapipe") -> Settings:
        """The same steps in seconds."""
        return cls(2, detector)


def evaluate(
    opener: Callable[[], Engine],
    people: People,
    out: Path,
    stamp: str,
    settings: Settings,
    job: Job,
) -> dict[str, Any]:
    """Reconstruct people of the world and write tables, sheets and one file a person into ``out``.

    Args:
        opener: Opens the engine when it is first needed.
        people: The world, on the stream ``STREAM``.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: How many.
        job: Where to report.

    Returns:
        The summary: per group and figure mean, std and n.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    kept = Kept(out / "people", {"weights": stamp, "world": people.mark, "detector": settings.detector})
    rows: dict[str, Row] = {}
    for index in range(settings.people):
        key = f"person_{index:04d}"
        done, after = 0.98 * index / settings.people, 0.98 * (index + 1) / settings.people
        job.report(done, key)
        row = kept.get(key)
        if row is None or ("error" not in row and not kept.path(key, ".strip.png").is_file()):
            person = people.person(index)
            row = {"labels": person.labels}
            try:
                figures, cells = _one(opener(), people, person, settings, job.part(done, after))
                write_picture(tiled(cells), kept.path(key, ".strip.png"))
                row |= figures
            except CameoError as error:
                if job.cancelled:
                    raise
                row["error"] = {"kind": error.kind, "message": error.message, "hint": error.hint}
            kept.put(key, row)
        rows[key] = row
    summary = summarise(rows, stamp, settings)
    write_report(out, summary, table(summary))
    good = [key for key in rows if "error" not in rows[key]]
    strips = [(f"{key}  mae {rows[key]['mae']:.3f}", kept.path(key, ".strip.png")) for key in good]
    write_pages(strips, SHOWN, out)
    job.report(1.0, "done")
    return summary


def _one(engine: Engine, people: People, person: Person, settings: Settings, job: Job) -> tuple[Row, list[Pixels]]:
    """Figures of one person, and the cells of a strip."""
    camera = people.cameras(person.index, 1, YAW, PITCH)[0]
    inversion = engine.invert(Photo.from_pixels(people.photo(person, camera)), job, 0, settings.detector)
    aligned = inversion.aligned
    same = engine.judge.embed(aligned.crop256, aligned.matte256 > 0.5)
    row: Row = dict(measure(engine, inversion))
    floor = []
    for turn in (-SIDE_YAW, SIDE_YAW):
        colour = people.view(person, Camera(camera.yaw + turn, camera.pitch)).colour
        truth = over(colour, np.array(BACKDROP, np.float64))
        floor.append(float(np.linalg.norm(same - engine.judge.embed(truth, colour[..., 3] > 127))))
    row["floor_yaw35"] = sum(floor) / len(floor)
    return row, [aligned.crop256, inversion.reconstruction]


def members(rows: Mapping[str, Row], label: str, low: float, high: float) -> list[Row]:
    """Rows of the people whose label lies from ``low`` to below ``high``."""
    return [row for row in rows.values() if low <= row["labels"][label] < high]


def summarise(rows: Mapping[str, Row], stamp: str, settings: Settings) -> dict[str, Any]:
    """Figures of everybody and of every group."""
    groups: dict[str, Any] = {"everybody": _figures(list(rows.values()))}
    for kind, bands in GROUPS.items():
        for name, label, low, high in bands:
            groups[f"{kind}: {name}"] = _figures(members(rows, label, low, high))
    return {"suite": "fairness", "weights": stamp, "settings": asdict(settings), "people": len(rows), "groups": groups}


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    return {"people": len(rows), "failed": len(rows) - len(good), "figures": spreads(good, FIGURES)}


def table(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    lines = [
        f"{summary['weights']}: {summary['people']} people of the world, one picture each; mean ± std. The floor is "
        f"the identity distance of the picture to true views of the same head at yaw ±{SIDE_YAW}.",
        "",
        *grid(
            ("people", "n", "no face", "mae", "ssim", "identity", f"identity ±{SIDE_YAW}", f"floor ±{SIDE_YAW}"),
            [
                (
                    name,
                    str(group["people"]),
                    str(group["failed"]),
                    *(cell(group["figures"].get(figure)) for figure in FIGURES),
                )
                for name, group in summary["groups"].items()
            ],
        ),
    ]
    return "\n".join(lines)


__all__ = ["GROUPS", "STREAM", "Settings", "evaluate", "summarise", "table"]
