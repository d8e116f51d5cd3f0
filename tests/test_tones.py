"""Laws of the tones: what is known is kept, the rest continues it, and nothing known changes nothing."""

from __future__ import annotations

import pytest
import torch

from core.models.volume import VolumeMaps
from core.rendering.frames import in_tune
from core.rendering.tones import tone_volume, tones_at


def sphere(count: int = 4000) -> torch.Tensor:
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(points, dim=-1) * 0.08


def test_one_difference_is_carried_everywhere() -> None:
    points = sphere()
    trust = (points[:, 2:] > 0).float()
    volume = tone_volume(points, torch.full((len(points), 3), 0.3), trust)
    assert (tones_at(volume, points) - 0.3).abs().max() < 1e-4


def test_nothing_known_changes_nothing() -> None:
    points = sphere()
    volume = tone_volume(points, torch.ones(len(points), 3), torch.zeros(len(points), 1))
    assert tones_at(volume, points).abs().max() == 0


def test_different_places_keep_different_tones_and_the_back_continues_the_nearest() -> None:
    points = sphere()
    difference = points[:, 1:2].sign().expand(-1, 3) * 0.2
    volume = tone_volume(points, difference, (points[:, 2:] > 0).float())
    back = torch.tensor([[0.0, 0.06, -0.05], [0.0, -0.06, -0.05]])
    tones = tones_at(volume, back)
    assert (tones[0] > 0.05).all()
    assert (tones[1] < -0.05).all()
    front = torch.tensor([[0.0, 0.06, 0.05], [0.0, -0.06, 0.05]])
    assert (tones_at(volume, front)[0] > 0.15).all()


def test_a_cell_of_few_believed_points_keeps_its_own_tone() -> None:
    """At the head's rim the photo is hardly believed, but what lies behind it is hair like that and not face."""
    points = sphere(6000)
    rim = points[:, 2:] < 0.02
    volume = tone_volume(points, torch.where(rim, -0.4, 0.0).expand(-1, 3), torch.where(rim, 0.02, 1.0))
    assert tones_at(volume, points[points[:, 2] < -0.01]).mean() < -0.36


@pytest.mark.parametrize("finely", [False, True])
def test_what_a_decoder_paints_beside_a_head_does_not_bleed_into_its_rim(finely: bool) -> None:
    """A head of skin before the blue that decoders paint where there is none; their detail within it stays."""
    line = (torch.arange(256) + 0.5) / 128 - 1
    v, u = torch.meshgrid(line, line, indexing="ij")
    within = torch.sigmoid((0.6 - (u**2 + v**2).sqrt()) * 60)[None, None]  # as soft as decoders paint it
    skin, blue = torch.tensor([0.4, 0.1, 0.0]), torch.tensor([-0.9, -0.9, 1.0])
    detail = 0.1 * torch.cos(u * 160)[None, None]
    painted = (skin[:, None, None] + detail) * within + blue[:, None, None] * (1 - within)
    alpha = torch.nn.functional.avg_pool2d((u**2 + v**2 < 0.36).float()[None, None], 4)
    # Where its picture is partly head the field has colours of its own, too.
    rgb = torch.where(alpha > 0.9, skin[:, None, None], blue[:, None, None]) * alpha
    xyz = torch.zeros(1, 3, 64, 64)
    maps = VolumeMaps(rgb, torch.zeros(1, 1, 64, 64), alpha.clone(), xyz, alpha)
    fine = (torch.ones(1, 1, 128, 128), None) if finely else None
    found = in_tune(painted, maps, torch.zeros(1, 3, 8, 8, 8), fine) - skin[:, None, None]
    head = (u**2 + v**2 < 0.36)[None, None].expand(1, 3, -1, -1)
    assert found[head].abs().max() < 0.15, "once .36"
    inner = (u**2 + v**2 < 0.2)[None, None].expand(1, 3, -1, -1)
    detail = detail.expand(1, 3, -1, -1)[inner]
    assert (found[inner] * detail).sum() > 0.6 * detail.square().sum()
