"""What no photo shows: hair behind, skin at the sides, in the tones of the photo's."""

from __future__ import annotations

from pathlib import Path

import torch

from core.edit import LatentEdit
from core.engine import Engine
from core.job import Job
from core.photo import Photo
from core.rendering.behind import BACK, RATIO, skin_of

CROWN = 0.03
"""Above this height a head is its crown (world units)."""


def test_how_light_a_skin_is_is_told_by_the_face_alone() -> None:
    own = torch.zeros(1, 3, 64, 64)  # 0.5 of white
    photo = torch.full((1, 3, 256, 256), -1.0)
    photo[:, 0, 64:192, 64:192] = 0.5
    photo[:, 1:, 64:192, 64:192] = -0.5
    face = torch.zeros(1, 1, 128, 128)
    face[..., 32:96, 32:96] = 1.0
    found = skin_of(photo, own, torch.ones(1, 1, 64, 64), face)
    torch.testing.assert_close(found, torch.tensor([1.5, 0.5, 0.5]))
    black = skin_of(torch.full((1, 3, 256, 256), -1.0), own, torch.ones(1, 1, 64, 64), face)
    assert (black == RATIO[0]).all()


def test_without_a_face_skin_is_taken_as_it_is() -> None:
    nothing = torch.zeros(1, 1, 128, 128)
    found = skin_of(torch.ones(1, 3, 256, 256), torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64), nothing)
    torch.testing.assert_close(found, torch.ones(3))


def test_cheeks_have_no_strands_and_the_back_of_a_haired_head_has() -> None:
    """The astronaut, by the embedded weights: hair behind and above, skin at the sides between eyes and chin."""
    engine = Engine.open(device="cpu")
    inversion = engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())
    behind = engine.tiers.head(inversion, LatentEdit.none).source.behind
    assert behind is not None
    assert (behind.hair[:, 2] < BACK).all()
    assert behind.hair[:, 1].median() > 0.0
    # A bare forehead is as high as a crown.
    crown = [int(((one[:, 1] > CROWN) & (one[:, 2] < BACK)).sum()) for one in (behind.hair, behind.bare)]
    assert crown[1] < 0.03 * crown[0], crown  # her crown is brown in the light, and no balloon
    assert len(behind.skin) > 50
    assert (behind.skin[:, 2] > BACK).all()
    # Nothing that is skin lies on top of the head.
    assert behind.skin[:, 1].quantile(0.9) < 0.05
    assert len(behind.bare) >= len(behind.skin)
    assert behind.skin_off.shape == behind.skin.shape
