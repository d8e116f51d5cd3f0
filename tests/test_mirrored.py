"""What the mirrored photo may say: detail, but not the light of the other side, nor hair where skin is."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering.mirrored import plausible

SIZE = 128


def _guide(colour: Tensor, direct: Tensor, mirror: Tensor) -> Tensor:
    """As ``core.visibility.guide`` makes it: colours times what is known of them."""
    total = direct + (1.0 - direct) * mirror
    return torch.cat((colour * total, direct, torch.ones_like(direct), mirror), dim=1)


def _halves() -> tuple[Tensor, Tensor]:
    """The photo sees the left half; what is right of it has been mirrored."""
    direct = torch.zeros(1, 1, SIZE, SIZE)
    direct[..., : SIZE // 2] = 1.0
    return direct, 0.9 * (1.0 - direct)


def _shown(guide: Tensor) -> Tensor:
    direct, mirror = guide[:, 3:4], guide[:, 5:6]
    return guide[:, :3] / (direct + (1.0 - direct) * mirror).clamp(min=1e-6)


def test_a_shaded_side_comes_over_lit_and_keeps_its_detail() -> None:
    direct, mirror = _halves()
    freckles = 0.1 * torch.sin(torch.arange(SIZE) * 2.0).expand(1, 3, SIZE, SIZE)
    # Skin of .7 in the light and of .5 in the shade; the generator knows the light of the place.
    skin = torch.full((1, 3, SIZE, SIZE), 2.0 * 0.7 - 1.0)
    shaded = 2.0 * 0.5 * (1.0 + freckles) - 1.0
    found = plausible(_guide(torch.where(direct > 0.5, skin, shaded), direct, mirror), skin)
    right = _shown(found)[..., SIZE // 2 + 8 :]
    # As bright as the generator, and the freckles brighter with it.
    assert abs(float((right.mean() + 1.0) * 0.5) - 0.7) < 0.02
    assert abs(float(right.std()) / float((1.4 * freckles[..., SIZE // 2 + 8 :]).std()) - 1.0) < 0.05
    assert torch.equal(found[..., : SIZE // 2 - 8], _guide(skin, direct, mirror)[..., : SIZE // 2 - 8])


def test_a_dash_of_hair_on_a_forehead_is_not_believed() -> None:
    direct, mirror = torch.ones(1, 1, SIZE, SIZE), torch.full((1, 1, SIZE, SIZE), 0.9)
    direct[..., 60:63, 20:100] = 0.0
    skin = torch.full((1, 3, SIZE, SIZE), 0.4)
    hair = torch.where(direct > 0.5, skin, torch.full_like(skin, -0.8))
    assert float(plausible(_guide(hair, direct, mirror), skin)[..., 61, 30:90][:, 5].max()) < 0.01
    # The same strip is believed where the generator has hair, too, and where it is skin to both.
    for one in (hair, skin):
        assert float(plausible(_guide(one, direct, mirror), one)[..., 61, 30:90][:, 5].min()) > 0.89


def test_what_the_photo_saw_itself_stays() -> None:
    random = torch.Generator().manual_seed(3)
    colour, own = (torch.rand(1, 3, SIZE, SIZE, generator=random) * 2.0 - 1.0 for _ in range(2))
    guide = _guide(colour, torch.ones(1, 1, SIZE, SIZE), torch.full((1, 1, SIZE, SIZE), 0.9))
    assert torch.equal(plausible(guide, own), guide)
    some = guide.clone()
    some[:, 3, :, 100:] = 0.0
    assert torch.allclose(plausible(some, own)[..., :90], guide[..., :90], atol=1e-6)
