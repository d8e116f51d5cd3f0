"""Mattes let go of what a parser takes for clothes: low, in pieces, softly; and of nothing else."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from core.alignment import AlignedFace
from core.models.networks import Networks
from core.models.parsing import CLOTHES, PARSED, SIZE, HeadParser
from core.refinement.clothes import undressed


class Says(HeadParser):
    """A parser that finds clothes in the same place of every picture."""

    def __init__(self, worn: torch.Tensor, parts: int = len(PARSED)) -> None:
        super().__init__((4, 8), parts)
        self.worn = worn

    def shares(self, picture: torch.Tensor, matte: torch.Tensor, *, mirrored: bool = True) -> torch.Tensor:
        shares = torch.zeros(1, self.parts, SIZE, SIZE)
        shares[:, 0] = 1.0 - self.worn
        if self.parts > CLOTHES:
            shares[:, CLOTHES] = self.worn
        return shares


def found(aligned: AlignedFace, worn: torch.Tensor, parts: int = len(PARSED)) -> AlignedFace:
    networks = SimpleNamespace(parser=Says(worn, parts), device=torch.device("cpu"))
    return undressed(cast(Networks, networks), aligned)


def a_piece(rows: slice, columns: slice) -> torch.Tensor:
    worn = torch.zeros(SIZE, SIZE)
    worn[rows, columns] = 1.0
    return worn


def test_a_collar_leaves_both_mattes(aligned: AlignedFace) -> None:
    """Below the chin; what is beside it stays to the bit, and colours are not touched."""
    assert aligned.landmarks is not None
    chin = int(aligned.landmarks[:, 1].max() * SIZE)
    bare = found(aligned, a_piece(slice(chin, None), slice(60, 70)))
    inside = slice(round((chin + 3) * 2), None), slice(124, 136)
    assert aligned.matte256[inside].max() > 0.9
    assert bare.matte256[inside].max() == 0.0
    assert bare.matte1024[(chin + 3) * 8 :, 496:544].max() == 0.0
    assert np.array_equal(bare.matte256[: 2 * chin - 12], aligned.matte256[: 2 * chin - 12])
    assert np.array_equal(bare.matte1024[:, : 58 * 8], aligned.matte1024[:, : 58 * 8])
    assert bare.matte256.dtype == bare.matte1024.dtype == np.float32
    assert bare.crop1024 is aligned.crop1024


@pytest.mark.parametrize(
    ("worn", "parts"),
    [
        (a_piece(slice(20, 60), slice(50, 80)), len(PARSED)),  # a scarf over the eyes: a parser's mistake
        (a_piece(slice(120, 122), slice(60, 64)), len(PARSED)),  # a shade on the neck
        (0.15 * a_piece(slice(110, None), slice(40, 90)), len(PARSED)),  # unsure
        (a_piece(slice(110, None), slice(40, 90)), len(PARSED) - 1),  # weights of before clothes
    ],
    ids=["above the chin", "a few pixels", "unsure", "knows no clothes"],
)
def test_all_else_stays(aligned: AlignedFace, worn: torch.Tensor, parts: int) -> None:
    assert found(aligned, worn, parts) is aligned


def test_without_a_parser_nothing_happens(aligned: AlignedFace) -> None:
    networks = cast(Networks, SimpleNamespace(parser=None, device=torch.device("cpu")))
    assert undressed(networks, aligned) is aligned
