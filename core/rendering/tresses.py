"""Strands on the hair that no photo saw: without them the back of a head is a smooth balloon in the right colour.

Nobody knows the hairs behind. What is known is where the hair is (the photo's parting in front, the generator's palette
behind), its tone, and how much its strands stand out where the photo shows them. So the strands are a pattern fixed to
the head: they run from the crown downwards, as hair falls, and their contrast is the photo's. It only shades what is
there: colours come from elsewhere and edits may change them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from core.rendering.measures import luma
from core.rendering.tones import EXTENT, tone_volume

__all__ = ["Tresses", "contrast_of", "tresses_on"]

# Where hair parts at the back of the mean head, and the middle it falls around (world units).
CROWN, MIDDLE = (0.0, 0.088, -0.035), (0.0, 0.0, -0.02)
# Cells around the head and from the crown to the chin, and how far apart they are at the ears (world units).
AROUND, DOWN, CELL = 1024, 128, 0.0006
# Hairs, strands and locks: widths in cells (deviations), knots from crown to chin, shares of the contrast.
OCTAVES = ((1.1, 24, 0.8), (2.6, 16, 0.6), (7.0, 10, 0.45))
# How far strands drift from straight, in cells: a slow wander of locks and a quick one of hairs, as in OCTAVES.
DRIFT = ((45.0, 7, 9.0), (12.0, 14, 2.5))
# Points that a wave of strands needs at least.
FINEST = 1.8
# Polar angle below which the pattern, which meets at the crown, fades [rad].
WHORL = 0.4
# Contrast that strands may have at least and at most: deviation of luma over its mean.
LEAST, MOST = 0.06, 0.2
# Pixels of a photo of 256 that are a strand's surroundings.
NEAR = 9
# From this share of hair on a place has strands, and all of them.
HAIRY = (0.4, 0.8)
SEED = 7


@dataclass(frozen=True, eq=False)
class Tresses:
    """A pattern of strands on one head.

    Shape:
        volume (1, 1, C, C, C): how far each place is hair, 0..1; pattern (1, OCTAVES + 1, DOWN, AROUND + 1): shades,
        together of deviation 1, and by how many cells they drift.
    """

    volume: Tensor
    pattern: Tensor
    contrast: float

    def shade(self, points: Tensor, spacing: Tensor) -> Tensor:
        """By what to multiply colours in [0, 1] there (N, 1).

        Args:
            points: Where (N, 3), world units.
            spacing: How far apart they stand (N,) or (1,); strands too fine for that are left out.
        """
        grid = (points / EXTENT)[None, :, None, None]
        hair = functional.grid_sample(self.volume, grid, padding_mode="border", align_corners=False)[0, 0, :, 0, 0]
        hair = ((hair - HAIRY[0]) / (HAIRY[1] - HAIRY[0])).clamp(0.0, 1.0)
        shade = torch.ones_like(hair)
        some = hair.nonzero()[:, 0]
        shade[some] += self.contrast * self.strands(points[some], spacing.expand(len(points))[some]) * hair[some]
        return shade[:, None]

    def strands(self, points: Tensor, spacing: Tensor) -> Tensor:
        """How much lighter strands are than others there (N,), in deviations; arguments as in :meth:`shade`."""
        around, down, fading = _places(points)
        drift = _read(self.pattern[:, -1:], around, down)[:, 0]
        strands = _read(self.pattern[:, :-1], torch.remainder(around + 1.0 + drift * (2.0 / AROUND), 2.0) - 1.0, down)
        waves = points.new_tensor([4.0 * width * CELL for width, _, _ in OCTAVES])
        drawn = (waves / spacing.expand(len(points))[:, None] - FINEST).clamp(0.0, 1.0)
        return (strands * drawn).sum(dim=1) * fading


def tresses_on(hair: Tensor, bare: Tensor, contrast: float) -> Tresses:
    """Strands for a head.

    Args:
        hair: Points of the surface that are hair (N, 3).
        bare: Points that are not (M, 3).
        contrast: As :func:`contrast_of` says.
    """
    points = torch.cat((hair, bare))
    label = torch.cat((hair.new_ones(len(hair), 3), hair.new_zeros(len(bare), 3)))
    volume = tone_volume(points, label, torch.ones_like(label[:, :1]))[:, :1]
    return Tresses(volume, _pattern().to(points), contrast)


def contrast_of(photo: Tensor, hair: Tensor) -> float:
    """How much strands stand out in a photo: deviation of luma from its surroundings, over its mean, bounded.

    Shape:
        photo (1, 3, 256, 256) in [-1, 1]; hair (1, 1, any, any), 0..1.
    """
    light = luma((photo + 1.0) * 0.5)
    sure = functional.interpolate(hair, size=photo.shape[-2:], mode="bilinear", align_corners=False) > 0.9
    # Rims of hair are contrasts of another kind.
    sure = functional.max_pool2d((~sure).to(light), NEAR, 1, NEAR // 2) < 0.5
    if sure.sum() < 100:
        return LEAST
    off = light - functional.avg_pool2d(light, NEAR, 1, NEAR // 2, count_include_pad=False)
    return min(max(float(off[sure].std() / light[sure].mean().clamp(min=0.05)), LEAST), MOST)


def _places(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where points lie in the pattern: around and down in [-1, 1], and how far it has faded in, each (N,)."""
    middle = points.new_tensor(MIDDLE)
    axis = functional.normalize(points.new_tensor(CROWN) - middle, dim=0)
    side = points.new_tensor((1.0, 0.0, 0.0))
    ahead = torch.linalg.cross(side, axis)
    off = points - middle
    height, right, before = off @ axis, off @ side, off @ ahead
    polar = torch.atan2((right.square() + before.square()).sqrt(), height)
    turn = torch.atan2(right, before)  # 0 in front: the pattern's ends meet behind
    return turn / math.pi, 2.0 * polar / math.pi - 1.0, (polar.sin() / math.sin(WHORL)).clamp(0.0, 1.0)


def _read(pattern: Tensor, around: Tensor, down: Tensor) -> Tensor:
    """A pattern (1, C, H, W) at places (N,): (N, C)."""
    place = torch.stack((around, down), dim=-1)[None, :, None]
    return functional.grid_sample(pattern, place, padding_mode="border", align_corners=True)[0, :, :, 0].T


@cache
@torch.inference_mode(mode=False)
def _pattern() -> Tensor:
    """The seeded pattern, the same for everybody and made once; its last column is its first."""
    random = torch.Generator().manual_seed(SEED)
    shades = torch.cat([share * _noise(width, knots, random) for width, knots, share in OCTAVES], dim=1)
    drift = sum((reach * _noise(width, knots, random) for width, knots, reach in DRIFT), start=torch.zeros(()))
    whole = torch.cat((shades / shades.sum(dim=1).std(), drift), dim=1)
    return torch.cat((whole, whole[..., :1]), dim=-1)


def _noise(width: float, knots: int, random: torch.Generator) -> Tensor:
    """Noise (1, 1, DOWN, AROUND) of deviation 1: so many cells wide, with so many knots from crown to chin."""
    noise = torch.randn(1, 1, knots, AROUND, generator=random)
    reach = math.ceil(3.0 * width)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())[None, None, None]
    smooth = functional.conv2d(functional.pad(noise, (reach, reach, 0, 0), mode="circular"), weights)
    smooth = functional.interpolate(smooth, size=(DOWN, AROUND), mode="bicubic", align_corners=True)
    return (smooth - smooth.mean()) / smooth.std()
