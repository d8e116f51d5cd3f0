"""The detector of glasses is fitted to those who wear some, and says how it does on those it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.training.data import DataMissing
from core.training.spectacles import WEARERS, WRONG, spectacles_detector, spectacles_of, wearers


def test_rims_are_found_and_few_who_wear_none_are_said_to() -> None:
    random = torch.Generator().manual_seed(0)
    pictures = 0.2 * torch.randn(160, 3, 64, 64, generator=random)
    worn = torch.arange(160) % 4 == 0
    pictures[worn, :, 30:32, 10:54] = -1.0
    eyes = torch.tensor([[0.35, 0.5], [0.65, 0.5]]).expand(160, 2, 2)
    detector, trial = spectacles_detector(pictures, eyes, worn)
    assert trial.found > 0.9
    assert trial.wrong <= max(1, round(2 * WRONG * 160))
    assert trial.ordered > 0.99
    scores = detector(pictures, eyes)
    assert (scores[worn] > 0.0).float().mean() > 0.9
    assert (scores[~worn] < 0.0).float().mean() > 0.97
    # Without what tells them apart there is nothing to be found, and the trial says so.
    _, blind = spectacles_detector(pictures[torch.randperm(160, generator=random)], eyes, worn)
    assert blind.ordered < 0.75
    assert blind.found < 0.3


def test_those_who_were_looked_at_are_listed_by_name() -> None:
    lines = WEARERS.read_text().splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names)) > 100
    assert wearers([names[0], "nobody.jpg"]).tolist() == [True, False]


def test_portraits_of_others_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="No portraits"):
        spectacles_of(tmp_path / "none.npz")
