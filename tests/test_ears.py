"""Ears of a photo are believed where the head has ears."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering import ears
from core.rendering.ears import misplaced
from core.rendering.hair import SIDE
from core.rendering.surfaces import SurfaceMap

ALL = torch.ones(1, 1, SIDE, SIDE)
NONE = torch.zeros(1, 1, SIDE, SIDE)


def marks() -> Tensor:
    """A face in the middle: brows at .35 of the picture, corners of the mouth at .7."""
    found = torch.full((468, 2), 0.5)
    turn = torch.linspace(0.0, 2.0 * torch.pi, 469)[:-1]
    found[:, 0], found[:, 1] = 0.5 + 0.25 * turn.cos(), 0.5 + 0.3 * turn.sin()
    for number in ears.TOP:
        found[number] = torch.tensor((0.5, 0.35))
    for number in ears.BOTTOM:
        found[number] = torch.tensor((0.5, 0.7))
    return found


def doubt(place: tuple[float, float, float], hair: Tensor = NONE, matte: Tensor = ALL) -> Tensor:
    """Of a head whose surface is at one place everywhere (SIDE, SIDE)."""
    points = torch.tensor(place)[None, :, None, None].expand(1, 3, SIDE, SIDE)
    surface = SurfaceMap(ALL, points, ALL)
    return misplaced(surface, points, marks(), hair, matte)[0, 0]


EAR, TEMPLE = (0.06, -0.01, -0.02), (0.06, 0.04, 0.0)
MIDDLE = SIDE // 2


def test_beside_the_face_at_the_height_of_ears_only_ears_are_believed() -> None:
    assert doubt(EAR).max() == 0.0
    found = doubt(TEMPLE)
    assert found[MIDDLE, 12] == 1.0
    assert found[MIDDLE, SIDE - 12] == 1.0


def test_the_face_the_forehead_and_the_neck_are_believed() -> None:
    found = doubt(TEMPLE)
    assert found[MIDDLE, MIDDLE] == 0.0
    assert found[10].max() == 0.0
    assert found[SIDE - 10].max() == 0.0


def test_hair_is_no_ear_and_nothing_is_beside_the_head() -> None:
    assert doubt(TEMPLE, hair=ALL).max() == 0.0
    assert doubt(TEMPLE, matte=NONE).max() == 0.0
