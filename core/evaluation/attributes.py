"""Which attributes of the world does the field show at all? A slider can only move what the generator knows.

A head of the world and the generator's head of the same code are both drawn with an attribute's coordinate lowered and
raised. How large both changes are, and the share of the world's that the generator's contains, as one picture projected
on another: 1 all of it, 0 nothing. Hair of another style than the world's is a large change and a small share; a small
change is one that no slider can show. No photo, no direction and no SVM take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.camera import Camera
from core.evaluation.changes import COORDINATES, changed
from core.evaluation.likeness import over
from core.evaluation.people import People
from core.evaluation.tables import cell, grid, spread, write_report
from core.job import Job
from core.models.generator import Generator
from core.rendering.integrals import integrate_geometry
from core.rendering.search import located
from core.rendering.shape import head_shape
from core.world.identity import scene_parameters

STREAM = 4
"""People of this suite only."""
SIZE = 64  # of the field's own pictures
STEP = 1.0
"""Standard deviations to both sides of what a coordinate is."""
Picture = NDArray[np.float64]


def evaluate(generator: Generator, people: People, out: Path, stamp: str, heads: int, job: Job) -> dict[str, Any]:
    """Draw both sides of every attribute and write ``table.md`` and ``table.json`` into ``out``.

    Args:
        generator: Of the weights.
        people: The world, on the stream ``STREAM``.
        out: Where results go.
        stamp: Name and hash of the weights.
        heads: How many people.
        job: Where to report.

    Returns:
        The summary: per attribute the share that is shown, and the sizes of both changes.
    """
    common: dict[str, list[float]] = {name: [] for name in COORDINATES}
    sizes: dict[str, list[float]] = {name: [] for name in COORDINATES}
    painted: dict[str, list[float]] = {name: [] for name in COORDINATES}
    for index in range(heads):
        for number, name in enumerate(COORDINATES):
            job.report((index + number / len(COORDINATES)) / heads, f"head {index + 1} of {heads}: {name}")
            truth, drawn = [], []
            for z in changed(people.code(index), name, STEP):
                truth.append(_world(people, z))
                drawn.append(_field(generator, z))
            change, ours = truth[1] - truth[0], drawn[1] - drawn[0]
            common[name].append(float((change * ours).mean()))
            sizes[name].append(float((change * change).mean() ** 0.5))
            painted[name].append(float((ours * ours).mean() ** 0.5))
    summary = {
        "suite": "attributes",
        "weights": stamp,
        "heads": heads,
        "shown": {name: passed_on(common[name], sizes[name]) for name in COORDINATES},
        "size": {name: spread(values) for name, values in sizes.items()},
        "own_size": {name: spread(values) for name, values in painted.items()},
    }
    write_report(out, summary, table(summary))
    job.report(1.0, "done")
    return summary


def passed_on(common: Sequence[float], sizes: Sequence[float]) -> float | None:
    """Share of the true changes of all heads that the drawn ones contain.

    Args:
        common: Mean product of true and drawn change, a head each.
        sizes: Root mean square of the true change, a head each.
    """
    energy = sum(size * size for size in sizes)
    return sum(common) / energy if energy > 1e-9 else None


def _world(people: People, z: NDArray[np.float32]) -> Picture:
    """The world's head (64, 64, 3) in [-1, 1] on grey."""
    colour = people.drawn(scene_parameters(z), Camera())
    small = cv2.resize(over(colour, 127.5), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64) / 127.5 - 1.0


@torch.inference_mode()
def _field(generator: Generator, z: NDArray[np.float32]) -> Picture:
    """The generator's head (64, 64, 3) in [-1, 1] on grey."""
    styles = generator.styles(generator.mapping(torch.from_numpy(z)[None]))
    shape = head_shape(generator.field, styles, None)
    angles = torch.zeros(1, 2)
    maps = integrate_geometry(generator, shape.field, angles, located(shape, angles)).appearance(generator, shape.field)
    return np.asarray(maps.rgb[0].permute(1, 2, 0).double().numpy())


def table(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    shown: Mapping[str, float | None] = summary["shown"]
    lines = [
        f"{summary['weights']}: what of a change of the world's head the generator's head shows; {summary['heads']} "
        "heads, one standard deviation to both sides, 64 px from the front; root mean squares in [-1, 1].",
        "",
        *grid(
            ("attribute", "the world's change", "the generator's change", "share that is shown"),
            [
                (
                    name,
                    cell(summary["size"][name]),
                    cell(summary["own_size"][name]),
                    "–" if value is None else f"{value:.2f}",
                )
                for name, value in shown.items()
            ],
        ),
    ]
    return "\n".join(lines)


__all__ = ["COORDINATES", "STREAM", "evaluate", "passed_on", "table"]
