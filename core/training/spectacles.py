"""Fits which edges around the eyes are glasses: a ridge regression over portraits that were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from core.models.spectacles import SpectaclesDetector, edges, eye_crops, eyes_of
from core.training.data import DataMissing, RealPortraits

__all__ = ["Trial", "spectacles_detector", "spectacles_of", "wearers"]

WEARERS = Path(__file__).with_name("wearers.txt")
"""Names of portraits whose sitter wears glasses, a line each."""

RIDGE = 3.0
# How much a wearer counts beside the others, of whom there are more.
COUNTS = 2.0
# Parts into which portraits are split for the trial.
PARTS = 8
# Share of those who wear none that may score above zero: nobody should get temples who wears no glasses.
WRONG = 1 / 100


class Trial(NamedTuple):
    """How scores of portraits come out that took no part in the fit."""

    found: float
    """Share of wearers above zero."""
    wrong: int
    """Others above zero."""
    ordered: float
    """Share of pairs of a wearer and another that are in order (area under the curve)."""


def wearers(names: Sequence[str], path: Path = WEARERS) -> Tensor:
    """Which of N named portraits wear glasses: (N,) bool."""
    listed = {line for line in path.read_text().splitlines() if line and not line.startswith("#")}
    return torch.tensor([name in listed for name in names])


def spectacles_of(portraits: Path) -> tuple[SpectaclesDetector, Trial]:
    """The detector of what ``core.alignment.prepare`` made of photos-train, without its validation part.

    Raises:
        DataMissing: There is no such file, or none of its portraits wears glasses by :data:`WEARERS`.
    """
    found = RealPortraits.load(portraits, torch.device("cpu"))
    worn = wearers(found.names)
    if not worn.any():
        raise DataMissing(
            f"None of the portraits of {portraits} is known to wear glasses.", hint=f"List some, by name, in {WEARERS}."
        )
    return spectacles_detector(found.colour.float() / 127.5 - 1.0, eyes_of(found.landmarks), worn)


def spectacles_detector(pictures: Tensor, eyes: Tensor, worn: Tensor) -> tuple[SpectaclesDetector, Trial]:
    """The detector, and how its twins do on portraits that each has not seen.

    The threshold lies above what those score who wear none: a missed pair costs nothing but what was so before.

    Shape:
        pictures (N, 3, S, S) in [-1, 1]; eyes (N, 2, 2), as in :class:`SpectaclesDetector`; worn (N,) bool.
    """
    crops = eye_crops(pictures, eyes)
    both = torch.stack([edges(one) for one in (crops, crops.flip(-1))]).double()
    part = torch.randperm(len(worn), generator=torch.Generator().manual_seed(0)) % PARTS
    scores = torch.zeros(len(worn), dtype=torch.float64)
    for number in range(PARTS):
        weight, offset = _ridge(both[:, part != number], worn[part != number])
        scores[part == number] = (both[:, part == number] @ weight + offset).mean(dim=0)
    others = scores[~worn]
    threshold = others.quantile(1.0 - WRONG)
    trial = Trial(
        float((scores[worn] > threshold).double().mean()),
        int((others > threshold).sum()),
        float((scores[worn][:, None] > others).double().mean()),
    )
    detector = SpectaclesDetector()
    weight, offset = _ridge(both, worn)
    detector.weight.copy_(weight)
    detector.offset.copy_(offset - threshold)
    return detector, trial


def _ridge(both: Tensor, worn: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (F,) and an offset for both sides (2, N, F), by the dual problem: there are fewer pictures than edges."""
    found, wanted = both.flatten(0, 1), torch.where(worn, 1.0, -1.0).double().repeat(2)
    counts = torch.where(worn, COUNTS, 1.0).double().repeat(2)
    middle, level = found.mean(dim=0), (counts * wanted).sum() / counts.sum()
    near = (found - middle) @ (found - middle).T + RIDGE * torch.diag(1.0 / counts)
    weight = (found - middle).T @ torch.linalg.solve(near, wanted - level)
    return weight, level - middle @ weight
