"""Grain on the skin that no photo saw: without it cheeks and ears beside the photo's pores look airbrushed.

Nobody knows those pores and freckles either. What is known is how much of them the photo shows, size by size, on the
skin of its face. So the grain is noise fixed to the head, octave by octave as strong as the photo's. Like strands it
only shades what is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import blurred, luma
from core.rendering.tones import EXTENT

__all__ = ["Grain", "grain_of"]

# Side of the pictures in which it is measured, their pixels in world units, and the octaves' deviations in pixels.
SIDE, PIXEL, OCTAVES = 512, 0.21 / 512, (0.7, 1.4, 2.8)
# Share of what an octave measures that is grain: in the coarse ones the shape of the face takes part.
SHARES = (1.0, 0.8, 0.4)
# Cells a side of the noise, which repeats; its finest deviation in cells.
CELLS, FINE = 64, 1.0
# Wave of an octave, in its deviations, and points that a wave needs: none of it, all of it.
WAVE, NEEDED = 6.5, (2.0, 3.5)
# Share of the face that must be skin for its grain to be known, and the most that an octave may have.
ENOUGH, MOST = 0.01, 0.05
# Of a normal distribution's median distance from its middle, its deviation.
DEVIATION = 1.4826
# Hair from which on a place has less grain, and none.
HAIRY = (0.2, 0.6)
SEED = 11


@dataclass(frozen=True, eq=False)
class Grain:
    """Grain of one photo's skin.

    Shape:
        strengths (OCTAVES,), deviations relative to the skin's brightness; hair (1, 1, C, C, C): how far each place is
        hair, 0..1; None for a head without any.
    """

    strengths: tuple[float, ...]
    hair: Tensor | None

    def shade(self, points: Tensor, spacing: Tensor) -> Tensor:
        """By what to multiply colours in [0, 1] there (N, 1).

        Args:
            points: Where (N, 3), world units.
            spacing: How far apart they stand (N,) or (1,); what is too fine for that is left out.
        """
        noise = _noise().to(points)
        found = torch.zeros_like(points[:, 0])
        for number, (strength, width) in enumerate(zip(self.strengths, OCTAVES, strict=True)):
            deviation = width * PIXEL
            waves = (WAVE * deviation / spacing - NEEDED[0]) / (NEEDED[1] - NEEDED[0])
            # Octaves of one volume, each from another place of it.
            cells = points * (FINE / deviation) + 17.3 * number
            place = torch.remainder(cells, CELLS) * (2.0 / CELLS) - 1.0
            read = functional.grid_sample(noise, place[None, :, None, None], align_corners=True)[0, 0, :, 0, 0]
            found += strength * waves.clamp(0.0, 1.0) * read
        if self.hair is not None:
            grid = (points / EXTENT)[None, :, None, None]
            hair = functional.grid_sample(self.hair, grid, padding_mode="border", align_corners=False)[0, 0, :, 0, 0]
            found *= 1.0 - ((hair - HAIRY[0]) / (HAIRY[1] - HAIRY[0])).clamp(0.0, 1.0)
        return 1.0 + found[:, None]


def grain_of(photo: Tensor, skin: Tensor, hair: Tensor | None) -> Grain | None:
    """The grain of a photo's skin; None where there is too little of it.

    Args:
        photo: The large crop in [-1, 1].
        skin: What of the face is skin, 0..1.
        hair: Where the head is hair, as :class:`Grain` keeps it.

    Shape:
        photo (1, 3, 1024, 1024), skin (1, 1, any, any).
    """
    light = luma(functional.interpolate((photo + 1.0) * 0.5, size=(SIDE, SIDE), mode="area"))
    sure = functional.interpolate(skin, size=(SIDE, SIDE), mode="bilinear", align_corners=False) > 0.9
    if sure.float().mean() < ENOUGH:
        return None
    levels = [blurred(light, width) for width in (*OCTAVES, 2.0 * OCTAVES[-1])]
    strengths = []
    for share, (fine, coarse) in zip(SHARES, pairwise(levels), strict=True):
        off = ((fine - coarse) / coarse.clamp(min=0.05))[sure]
        # The middle of the distances: lashes, nostrils and lips are few, and no grain.
        strengths.append(min(MOST, share * DEVIATION * float(off.abs().median())))
    return Grain(tuple(strengths), hair)


@cache
@torch.inference_mode(mode=False)
def _noise() -> Tensor:
    """Seeded noise (1, 1, CELLS + 1, …) of deviation 1 that repeats: what lies between two widths an octave apart."""
    white = torch.randn(CELLS, CELLS, CELLS, generator=torch.Generator().manual_seed(SEED))
    wave = torch.fft.fftfreq(CELLS) * (2.0 * torch.pi)
    square = wave.square()[:, None, None] + wave.square()[:, None] + wave.square()
    band = torch.exp(-0.5 * FINE**2 * square) - torch.exp(-2.0 * FINE**2 * square)
    noise = torch.fft.ifftn(torch.fft.fftn(white) * band).real
    noise = noise / noise.std()
    for dim in range(3):
        noise = torch.cat((noise, noise.narrow(dim, 0, 1)), dim=dim)
    return noise[None, None].contiguous()
