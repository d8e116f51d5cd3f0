"""What a photo and its edit say about tones everywhere: told in the photo's view and at the back, and carried on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.models.volume import VolumeMaps
from core.rendering.behind import Behind
from core.rendering.source import SourceHead
from core.rendering.tones import tone_volume
from core.visibility import SourceView, look_up

__all__ = ["told_tones"]

# What is said about hair at the back counts as much as this share of a point that the photo sees.
BEHIND = 0.5
# The same of skin at the sides: where the photo shows little of a cheek, its shade is not that of the whole.
BESIDE = 0.25


def told_tones(
    source: SourceHead, view: SourceView, maps: VolumeMaps, behind: Behind | None, uncovered: float
) -> Tensor:
    """How far the field's colours are off everywhere (1, 3, C, C, C).

    Args:
        source: The photo tier.
        view: The photo in the state that an edit asks for.
        maps: What the generator has in the photo's view, in that state.
        behind: What is told of its back and sides, in that state.
        uncovered: How far the sides' skin still lies bare, 0..1.
    """
    solid = maps.alpha.clamp(min=1e-3)
    points = (maps.xyz / solid).flatten(2).transpose(1, 2)
    colour, trust = look_up(view, points, target=source.angles, elsewhere=True)
    own = (maps.rgb / solid).flatten(2).transpose(1, 2)
    trust = trust * (maps.alpha.flatten(1) > 0.9)
    if source.parting is not None:
        # From the photo's own camera everything is believed, but what hangs before a cheek is not its tone.
        agreed = functional.interpolate(source.parting.agreed, size=maps.alpha.shape[-2:], mode="area")
        trust = trust * agreed.flatten(1)
    across = colour[0]
    if source.skin_light is not None and source.parting is not None and source.parting.skin is not None:
        skin = functional.interpolate(source.parting.skin, size=maps.alpha.shape[-2:], mode="area")
        across = source.skin_light.across(colour[0], points[0], skin.flatten()[:, None])
    known = [points[0], colour[0] - own[0], trust[0, :, None], across - own[0]]
    if behind is not None:
        for place, shift, weight in (
            (behind.hair, behind.off, BEHIND * behind.told),
            (behind.skin, behind.skin_off, BESIDE * uncovered * torch.ones_like(behind.skin[:, :1])),
        ):
            known = [torch.cat(pair) for pair in zip(known, (place, shift, weight, shift), strict=True)]
    points, difference, trust, mirrored = known
    return tone_volume(points, difference, trust, mirrored=mirrored)
