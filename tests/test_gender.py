"""Gender on the photo: lips, lashes, brows, shaven beards; forehead, teeth and hair stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from core.edit import LatentEdit
from core.models.volume import VolumeMaps
from core.rendering import gender
from core.rendering.gender import Cues, beard_at, cues_at, with_gender
from core.rendering.regions import SKINLESS, region
from tests.toy_face import numbers, places

SIDE = 256
SKIN, LIP, TEETH = (0.75, 0.6, 0.5), (0.7, 0.42, 0.4), (0.85, 0.84, 0.8)


def cues() -> Cues:
    found = cues_at(places(), numbers(), SIDE)
    assert found is not None
    return found


def face(lip: tuple[float, float, float] = LIP) -> Tensor:
    """Plain skin, with lips and a row of teeth between them."""
    picture = torch.tensor(SKIN)[None, :, None, None].expand(1, 3, SIDE, SIDE).clone()
    picture[:, :, 170:179, 107:149] = torch.tensor(lip)[None, :, None, None]
    picture[:, :, 173:176, 112:144] = torch.tensor(TEETH)[None, :, None, None]
    return picture * 2.0 - 1.0


def at(picture: Tensor, u: float, v: float) -> Tensor:
    return (picture[0, :, round(v * SIDE), round(u * SIDE)] + 1.0) * 0.5


CHIN, FOREHEAD, TOOTH, UPPER_LIP, LASH = (0.5, 0.76), (0.5, 0.27), (0.5, 0.682), (0.5, 0.671), (0.38, 0.425)


def test_neither_is_the_photo_itself() -> None:
    before = face()
    assert with_gender(before, cues(), 0.0) is before


def test_a_shaven_beard_is_darker_and_greyer_and_the_forehead_is_not() -> None:
    after = with_gender(face(), cues(), 1.0)
    chin = at(after, *CHIN)
    assert chin.mean() < 0.95 * np.mean(SKIN)
    assert float(chin.max() - chin.min()) < 0.9 * (SKIN[0] - SKIN[2])
    torch.testing.assert_close(at(after, *FOREHEAD), torch.tensor(SKIN), atol=0.01, rtol=0.0)


def test_lips_redden_and_pale_and_teeth_stay() -> None:
    red, pale = (with_gender(face(), cues(), strength) for strength in (-1.0, 1.0))

    def redness(colour: Tensor) -> float:
        return float(colour[0] - 0.5 * (colour[1] + colour[2]))

    own = redness(torch.tensor(LIP))
    assert redness(at(red, *UPPER_LIP)) > own + 0.03
    assert redness(at(pale, *UPPER_LIP)) < own - 0.02
    for changed in (red, pale):
        torch.testing.assert_close(at(changed, *TOOTH), torch.tensor(TEETH), atol=0.06, rtol=0.0)


def test_lashes_darken_on_the_feminine_side_alone() -> None:
    feminine, masculine = (with_gender(face(), cues(), strength) for strength in (-1.0, 1.0))
    assert at(feminine, *LASH).mean() < 0.85 * np.mean(SKIN)
    torch.testing.assert_close(at(masculine, *LASH), torch.tensor(SKIN), atol=0.01, rtol=0.0)


def test_the_shadow_of_a_beard_is_lightened_to_the_cheeks() -> None:
    shaded = face()
    shaded[:, :, 182:230, 80:176] = (shaded[:, :, 182:230, 80:176] + 1.0) * 0.85 - 1.0
    before, after = at(shaded, *CHIN), at(with_gender(shaded, cues(), -1.0), *CHIN)
    assert before.mean() < after.mean() <= np.mean(SKIN) + 0.01


@pytest.mark.parametrize("strength", [-1.0, 1.0])
def test_nothing_is_drawn_under_hair(strength: float) -> None:
    hidden = with_gender(face(), cues(), strength, torch.zeros(1, 1, 32, 32))
    torch.testing.assert_close(hidden, face(), atol=0.02, rtol=0.0)


def test_half_a_step_is_about_half_the_change() -> None:
    half, whole = (at(with_gender(face(), cues(), strength), *CHIN).mean() for strength in (0.5, 1.0))
    assert abs(float((np.mean(SKIN) - half) / (np.mean(SKIN) - whole)) - 0.5) < 0.1


def test_landmarks_without_names_say_nothing() -> None:
    unknown = numbers()
    unknown[list(unknown).index(gender.NOSE[0])] = 9999
    assert cues_at(places(), unknown, SIDE) is None


def test_where_it_is_drawn_the_generator_paints_nothing_for_it() -> None:
    one = torch.ones(1, 1, 8, 8)
    maps = VolumeMaps(torch.zeros(1, 3, 8, 8), torch.zeros(1, 4, 8, 8), one, torch.zeros(1, 3, 8, 8), one)
    edit = LatentEdit.none.with_strength("Gender", 1.0)
    assert region(edit, maps).min() == 1.0
    assert region(edit, maps, drawn=("Gender",)).max() == 0.0
    skin = torch.zeros(1, 1, 128, 128)
    skin[..., 64:, :] = 1.0
    low = maps._replace(xyz=maps.xyz - 0.05)  # where mouths are
    for name in SKINLESS:
        # What these move, or hang before it, they do not paint.
        found = region(LatentEdit.none.with_strength(name, 1.0), low, skin=skin)
        assert found[..., 4:, :].max() == 0.0
        assert found[..., :4, :].min() == 1.0
    assert region(LatentEdit.none.with_strength("Smile", 1.0), maps, skin=skin).max() == 1.0
    assert region(edit.with_strength("Weight", 1.0), maps, drawn=("Gender",)).min() == 1.0


def test_a_beard_grows_on_jaw_and_chin_and_not_on_necks_ears_or_temples() -> None:
    found = beard_at(places(), numbers(), SIDE)
    assert found is not None

    def grows(u: float, v: float) -> float:
        return float(found[0, 0, round(v * SIDE), round(u * SIDE)])

    for there in ((0.5, 0.76), (0.5, 0.62), (0.3, 0.8), (0.5, 0.84)):
        assert grows(*there) > 0.9, there
    for elsewhere in ((0.5, 0.3), (0.5, 0.97), (0.1, 0.5), (0.9, 0.5), (0.36, 0.52), (0.64, 0.52)):
        assert grows(*elsewhere) < 0.1, elsewhere
