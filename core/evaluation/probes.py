"""Classifiers of attributes that no published network scores: linear, on VGG16's features, by the world's exact labels.

Hair, beard and glasses have no permissive judge; the world knows them exactly. A ridge regression a label on pooled
features of a general network is as plain as a judge can be. What it explains of people it was not fitted on stands
beside it: a judge that cannot tell is no judge.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from core.evaluation.likeness import as_tensor, over
from core.evaluation.perceptual import Perceptual
from core.export import write_bytes
from core.frame import BACKDROP
from core.job import Job

if TYPE_CHECKING:
    from core.evaluation.people import People

logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Array = NDArray[np.float64]

STREAM = 1
"""The people that probes are fitted on are not those that anything is measured on."""
JUDGED = (
    "Smile", "Mouth open", "Eyes open", "Brows", "Age", "Gender", "Weight", "Skin tone", "Hair length", "Hair colour",
    "Bangs", "Beard", "Eyeglasses",
)  # fmt: skip
"""Attributes of the product that the world has a label for, by the same name."""
HELD_OUT = 0.25
# Side at which a head is read, and cells of the grid that features of a block are averaged over: (block, cells).
SIDE = 128
POOLED = ((1, 4), (2, 8), (3, 8))
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Spread of the cameras [rad]: portraits, which is what edits are judged on.
YAW, PITCH = 0.2, 0.1
VERSION = 3


@dataclass(frozen=True, eq=False)
class Probes:
    """One linear score an attribute, in the label's own units.

    Shape:
        mean and scale (F,), weights (F, A), offsets (A,), in the order of ``names``.
    """

    names: tuple[str, ...]
    mean: Array
    scale: Array
    weights: Array
    offsets: Array
    explained: dict[str, float]
    """R² on held-out people."""
    spread: dict[str, float]
    """Standard deviation of the score among held-out people."""

    def __call__(self, perceptual: Perceptual, pixels: Pixels) -> dict[str, float]:
        """Scores of a head (256, 256, 3) over the program's backdrop."""
        found = (features(perceptual, pixels) - self.mean) / self.scale @ self.weights + self.offsets
        return dict(zip(self.names, (float(value) for value in found), strict=True))


def features(perceptual: Perceptual, pixels: Pixels) -> Array:
    """What probes read of a picture (S, S, 3): pooled VGG16 features, (F,)."""
    picture = functional.interpolate(as_tensor(pixels), size=SIDE, mode="area")
    blocks = perceptual.features(picture)
    pooled = [functional.adaptive_avg_pool2d(blocks[block], cells).flatten() for block, cells in POOLED]
    return torch.cat(pooled).double().numpy()


def fitted(x: Array, y: Array, names: tuple[str, ...], groups: NDArray[np.int_]) -> Probes:
    """Ridge regressions, their strength chosen on the people held out.

    Args:
        x: Features (N, F).
        y: Labels (N, A).
        names: Of the labels.
        groups: Whose picture each row is (N,): nobody stands on both sides.
    """
    people = np.unique(groups)
    held = np.isin(groups, people[int(len(people) * (1.0 - HELD_OUT)) :])
    mean, scale = x[~held].mean(axis=0), x[~held].std(axis=0) + 1e-6
    z, middle = (x - mean) / scale, y[~held].mean(axis=0)
    kernel = z[~held] @ z[~held].T / z.shape[1]
    best = None
    for ridge in RIDGES:
        dual = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), y[~held] - middle) / z.shape[1]
        weights = z[~held].T @ dual
        scores = z[held] @ weights + middle
        variance = np.maximum(y[held].var(axis=0), 1e-12)
        explained = 1.0 - ((scores - y[held]) ** 2).mean(axis=0) / variance
        if best is None or explained.mean() > best[0].mean():
            best = explained, weights, scores
    assert best is not None
    explained, weights, scores = best
    return Probes(
        names,
        mean,
        scale,
        weights,
        middle,
        dict(zip(names, map(float, explained), strict=True)),
        dict(zip(names, map(float, scores.std(axis=0)), strict=True)),
    )


def probes(perceptual: Perceptual, people: People, heads: int, cache: Path, job: Job, views: int = 1) -> Probes:
    """Probes fitted on so many people of the world, or those that an earlier run left behind.

    Args:
        perceptual: VGG16.
        people: The world, on the stream ``STREAM``.
        heads: How many people.
        cache: Folder for the fitted probes.
        job: Where to report.
        views: Pictures of each.

    Raises:
        Cancelled: Somebody asked to stop.
    """
    file = cache / f"probes_v{VERSION}_{heads}x{views}_{people.mark}.npz"
    if file.is_file():
        return _read(file)
    names = JUDGED
    x, y, groups = [], [], []
    for index in range(heads):
        job.report(index / heads, f"learning to judge from head {index + 1} of {heads}")
        person = people.person(index)
        for camera in people.cameras(index, views, YAW, PITCH):
            colour = people.view(person, camera).colour
            x.append(features(perceptual, over(colour, np.array(BACKDROP, np.float64))))
            y.append([person.labels[name] for name in names])
            groups.append(index)
    found = fitted(np.array(x), np.array(y), names, np.array(groups))
    logger.info("judges of the world explain %s", found.explained)
    _write(found, file)
    return found


def _write(found: Probes, file: Path) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        names=np.array(found.names),
        mean=found.mean,
        scale=found.scale,
        weights=found.weights,
        offsets=found.offsets,
        explained=np.array([found.explained[name] for name in found.names]),
        spread=np.array([found.spread[name] for name in found.names]),
    )
    write_bytes(buffer.getvalue(), file)


def _read(file: Path) -> Probes:
    with np.load(file) as arrays:
        names = tuple(str(name) for name in arrays["names"])
        return Probes(
            names,
            arrays["mean"],
            arrays["scale"],
            arrays["weights"],
            arrays["offsets"],
            dict(zip(names, map(float, arrays["explained"]), strict=True)),
            dict(zip(names, map(float, arrays["spread"]), strict=True)),
        )
