"""Classifiers of attributes that no published network scores: linear, on VGG16's features, by the world's exact labels.

Hair, beard and glasses have no permissive judge; the world knows them exactly. A ridge regression a label on pooled
features of a general network is as plain as a judge can be. An edit is a change of one head, so probes learn from
changes: the difference of features between two states of a head against the difference of its labels, most of which
are nothing (a change of gender also brings other hair and a beard, and says so). Fitted on people alone they took what
people happen to have together for the thing itself: every other change of a head moved them. What they explain of
changes of people they were not fitted on stands beside them: a judge that cannot tell is no judge.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from core.evaluation.changes import changed, labels_of
from core.evaluation.likeness import as_tensor, over
from core.evaluation.perceptual import Perceptual
from core.export import write_bytes
from core.frame import BACKDROP
from core.job import Job
from core.world.identity import Z_SIZE, scene_parameters

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
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# Spread of the cameras [rad]: portraits, which is what edits are judged on.
YAW, PITCH = 0.2, 0.1
STEPS = (0.5, 1.5)
"""Least and largest step of a change to both sides, in standard deviations."""
VERSION = 4


@dataclass(frozen=True, eq=False)
class Probes:
    """One linear score an attribute, in the label's own units; of use as a difference between two states of a head.

    Shape:
        scale (F,), weights (F, A), in the order of ``names``.
    """

    names: tuple[str, ...]
    scale: Array
    weights: Array
    explained: dict[str, float]
    """R² on changes of held-out people."""
    spread: dict[str, float]
    """Standard deviation of the label among people."""

    def __call__(self, perceptual: Perceptual, pixels: Pixels) -> dict[str, float]:
        """Scores of a head (256, 256, 3) over the program's backdrop."""
        found = features(perceptual, pixels) / self.scale @ self.weights
        return dict(zip(self.names, (float(value) for value in found), strict=True))


def features(perceptual: Perceptual, pixels: Pixels) -> Array:
    """What probes read of a picture (S, S, 3): pooled VGG16 features, (F,)."""
    picture = functional.interpolate(as_tensor(pixels), size=SIDE, mode="area")
    blocks = perceptual.features(picture)
    pooled = [functional.adaptive_avg_pool2d(blocks[block], cells).flatten() for block, cells in POOLED]
    return torch.cat(pooled).double().numpy()


def fitted(x: Array, y: Array, names: tuple[str, ...], groups: NDArray[np.int_], spread: Array) -> Probes:
    """Ridge regressions, the strength of each chosen on the people held out.

    Args:
        x: Changes of features (N, F).
        y: Changes of labels (N, A).
        names: Of the labels.
        groups: Whose change each row is (N,): nobody stands on both sides.
        spread: Of the labels among people (A,): their units, so that none counts for more.
    """
    people = np.unique(groups)
    held = np.isin(groups, people[int(len(people) * (1.0 - HELD_OUT)) :])
    scale = np.sqrt((x[~held] ** 2).mean(axis=0)) + 1e-6
    z, wanted = x / scale, y / spread
    kernel = (z[~held] @ z[~held].T).astype(np.float64) / z.shape[1]
    explained = np.full(y.shape[1], -np.inf)
    weights = np.zeros((x.shape[1], y.shape[1]))
    for ridge in RIDGES:
        # A change and its reverse are both true, so nothing is taken off and no offset is learnt.
        dual = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), wanted[~held]) / z.shape[1]
        tried = z[~held].T @ dual.astype(z.dtype)
        left = ((z[held] @ tried - wanted[held]) ** 2).mean(axis=0)
        now = 1.0 - left / np.maximum((wanted[held] ** 2).mean(axis=0), 1e-12)
        better = now > explained  # how strongly is a matter of each label
        weights[:, better], explained[better] = tried[:, better], now[better]
    told = dict(zip(names, map(float, explained), strict=True))
    return Probes(names, scale, weights * spread, told, dict(zip(names, map(float, spread), strict=True)))


def usual_spread(names: Sequence[str] = JUDGED, people: int = 2000) -> Array:
    """Standard deviation of labels among people of the world (A,), by their codes; nobody is drawn."""
    random = np.random.default_rng(VERSION)
    seen = [scene_parameters(z) for z in random.standard_normal((people, Z_SIZE)).astype(np.float32)]
    known = [labels_of(one) for one in seen]
    return np.array([[one[name] for name in names] for one in known]).std(axis=0)


def probes(perceptual: Perceptual, people: People, heads: int, cache: Path, job: Job) -> Probes:
    """Probes fitted on changes of so many people of the world, or those that an earlier run left behind.

    Args:
        perceptual: VGG16.
        people: The world, on the stream ``STREAM``.
        heads: How many people; each is changed in every attribute once.
        cache: Folder for the fitted probes.
        job: Where to report.

    Raises:
        Cancelled: Somebody asked to stop.
    """
    file = cache / f"probes_v{VERSION}_{heads}_{people.mark}.npz"
    if file.is_file():
        return _read(file)
    names, backdrop = JUDGED, np.array(BACKDROP, np.float64)
    x, y, groups = [], [], []
    for index in range(heads):
        job.report(index / heads, f"learning to judge from head {index + 1} of {heads}")
        random = np.random.default_rng((VERSION, index))
        (camera,) = people.cameras(index, 1, YAW, PITCH)
        for name in names:
            states = changed(people.code(index), name, random.uniform(*STEPS))
            seen = [scene_parameters(z) for z in states]
            told = [labels_of(one) for one in seen]
            before, after = (features(perceptual, over(people.drawn(one, camera), backdrop)) for one in seen)
            x.append((after - before).astype(np.float32))
            y.append([told[1][name] - told[0][name] for name in names])
            groups.append(index)
    found = fitted(np.array(x), np.array(y), names, np.array(groups), usual_spread(names))
    logger.info("judges of the world explain %s", found.explained)
    _write(found, file)
    return found


def _write(found: Probes, file: Path) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        names=np.array(found.names),
        scale=found.scale,
        weights=found.weights,
        explained=np.array([found.explained[name] for name in found.names]),
        spread=np.array([found.spread[name] for name in found.names]),
    )
    write_bytes(buffer.getvalue(), file)


def _read(file: Path) -> Probes:
    with np.load(file) as arrays:
        names = tuple(str(name) for name in arrays["names"])
        return Probes(
            names,
            arrays["scale"],
            arrays["weights"],
            dict(zip(names, map(float, arrays["explained"]), strict=True)),
            dict(zip(names, map(float, arrays["spread"]), strict=True)),
        )
