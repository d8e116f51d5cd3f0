"""Other hair for heads of the world: other hairlines, fringes, bald heads, other colours, and the hair of real people.

The world has few styles, and its hair looks like a computer game's. What is hair in a picture is moved by noise: where
it grows it hangs over the skin, where it goes the skin is carried on. Labels stay exact, whatever is done.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.parsing import HAIR, PARSED
from core.surface_maps import extended
from core.training.parsing_data import UNKNOWN
from core.training.warps import similarities

SKIN = PARSED.index("skin")
KEEPS = tuple(PARSED.index(name) for name in ("eyes", "mouth", "glasses"))
"""What hair does not grow over."""
BALD, MOVED, REAL, DYED = 0.1, 0.6, 0.5, 0.7
"""Shares of the heads that lose all hair, get another hairline, real hair, another colour."""
LIKE_SKIN = 0.3
"""Share of other colours that have the skin's hue."""
LEAST = 40
"""Pixels of hair that are worth it."""


def dressed(picture: Tensor, label: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures with other hair, and their labels.

    Shape:
        picture (N, 4, S, S) straight colours and alpha in [0, 1]; label (N, S, S) uint8; tiles (T, 3, t, t) uint8.
    """
    n, size = len(picture), picture.shape[-1]
    colour, alpha = picture[:, :3], picture[:, 3:]
    hair = (label == HAIR).float()[:, None]
    enough = hair.sum(dim=(1, 2, 3)) > LEAST
    kept = torch.stack([label == part for part in KEEPS]).any(dim=0)[:, None] | (alpha < 0.5)
    moved = (torch.rand(n) < MOVED) & enough
    bald = (torch.rand(n) < BALD) & enough
    # Hair moves where there is hair, and does not grow in patches on a cheek.
    wide = _widely(hair)
    near = (4.0 * wide * (1.0 - wide)).clamp(max=1.0)
    soft = 0.4 * blurred(hair, 9) + 0.6 * wide + _reach(n, size) * near
    edge = 8.0 + 40.0 * torch.rand(n, 1, 1, 1)
    # Single hairs at the edge.
    frayed = soft + 0.12 * noise(n, size, size // 2) * (soft * (1.0 - soft)).clamp(min=0.0) * 4.0
    new = torch.sigmoid((frayed - 0.5) * edge)
    new = torch.where(moved[:, None, None, None], new, blurred(hair, 3))
    new = new * (~bald).float()[:, None, None, None]
    new = torch.where(kept, blurred(hair, 3).minimum(new), new)
    skin = extended(colour, ((label == SKIN)[:, None] & (alpha > 0.9)).float())
    # A skull is round: carried skin darkens towards the rim.
    skull = skin * (0.55 + 0.45 * _widely(alpha)) * (1.0 + 0.08 * noise(n, size, 6))
    under = torch.where(hair > 0.5, skull, colour)
    strands = extended(colour, (hair > 0.5).float())
    strands = torch.where(hair > 0.5, colour, strands * (1.0 + 0.25 * noise(n, size, size // 3)))
    if len(tiles):
        real = (torch.rand(n) < REAL)[:, None, None, None]
        strands = torch.where(real, real_hair(strands, tiles), strands)
    strands = coloured(strands, colour, (label == SKIN)[:, None] & (alpha > 0.9))
    mixed = (under * (1.0 - new) + strands * new).clamp(0.0, 1.0)
    share = new[:, 0]
    changed = torch.where(share > 0.6, HAIR, torch.where((share < 0.4) & (label == HAIR), SKIN, label.long()))
    doubt = (share >= 0.4) & (share <= 0.6) & ((share - hair[:, 0]).abs() > 0.3)
    return torch.cat((mixed, alpha), dim=1), torch.where(doubt, UNKNOWN, changed).byte()


def redyed(picture: Tensor, label: Tensor) -> Tensor:
    """Pictures whose hair has another colour and stays where it is.

    Shape:
        picture (N, 4, S, S) straight colours and alpha in [0, 1]; label (N, S, S) uint8; returns pictures.
    """
    share = blurred((label == HAIR).float()[:, None], 3)
    skin = (label == SKIN)[:, None] & (picture[:, 3:] > 0.9)
    strands = coloured(extended(picture[:, :3], share), picture[:, :3], skin)
    return torch.cat((picture[:, :3].lerp(strands, share), picture[:, 3:]), dim=1).clamp(0.0, 1.0)


def real_hair(strands: Tensor, tiles: Tensor) -> Tensor:
    """Real people's hair in the light of the world's (N, 3, S, S)."""
    n, size = len(strands), strands.shape[-1]
    tile = tiles[torch.randint(len(tiles), (n,))].float() / 255
    matrix = similarities(n, 0.7, 0.3, 2.0, size / tile.shape[-1] * 2.0)
    grid = F.affine_grid(matrix, [n, 3, size, size], align_corners=False)
    texture = F.grid_sample(tile, grid, padding_mode="reflection", align_corners=False)
    light = strands.mean(dim=1, keepdim=True)
    usual = light.mean(dim=(2, 3), keepdim=True).clamp(min=0.03)
    return texture * (light / usual).clamp(0.3, 2.5) ** torch.rand(n, 1, 1, 1)


def coloured(strands: Tensor, colour: Tensor, skin: Tensor) -> Tensor:
    """Hair in another colour, and in other light, for most of the heads (N, 3, S, S); now and then in that of the skin.

    Shape:
        strands, colour (N, 3, S, S); skin (N, 1, S, S), where there is some.
    """
    n = len(strands)
    grey = strands.mean(dim=1, keepdim=True)
    usual = grey.mean(dim=(2, 3), keepdim=True).clamp(min=0.03)
    # From black to white, from ash to red.
    light = 0.03 + 0.82 * torch.rand(n, 1, 1, 1) ** 1.4
    warm = (torch.rand(n, 1, 1, 1) - 0.15).clamp(min=0.0) * 0.5 * (1.0 - light)
    tint = torch.cat((1.0 + 1.2 * warm, torch.ones_like(warm), 1.0 - 1.3 * warm), dim=1)
    usual_skin = (colour * skin).sum(dim=(2, 3)) / skin.sum(dim=(2, 3)).clamp(min=1)
    alike = (usual_skin / usual_skin.mean(dim=1, keepdim=True).clamp(min=0.02))[..., None, None] * torch.randn(
        n, 3, 1, 1
    ).mul(0.05).exp()
    tint = torch.where(torch.rand(n, 1, 1, 1) < LIKE_SKIN, alike, tint)
    contrast = 0.1 + 1.4 * torch.rand(n, 1, 1, 1)
    new = light * tint * (1.0 + contrast * (grey / usual - 1.0)).clamp(0.1, 3.0)
    new = new.lerp(strands * light / usual, 0.5 * torch.rand(n, 1, 1, 1))
    # Bands of shine.
    new = new * (1.0 + 0.35 * torch.rand(n, 1, 1, 1) * noise(n, strands.shape[-1], 7)).clamp(min=0.2)
    return torch.where((torch.rand(n) < DYED)[:, None, None, None], new, strands)


def _reach(count: int, size: int) -> Tensor:
    """How far hairlines move: a whole head's, and here and there."""
    level = torch.randn(count, 1, 1, 1) * 0.22
    return level + 0.3 * noise(count, size, 5) + 0.18 * noise(count, size, 16)


def noise(count: int, size: int, knots: int) -> Tensor:
    """Smooth noise (N, 1, S, S) of deviation about 1."""
    return F.interpolate(torch.randn(count, 1, knots, knots), size=(size, size), mode="bicubic", align_corners=False)


def _widely(mask: Tensor) -> Tensor:
    """Blurred over a quarter of the picture."""
    coarse = blurred(F.avg_pool2d(mask, 4), 9)
    return F.interpolate(coarse, size=mask.shape[-2:], mode="bilinear", align_corners=False)


def blurred(mask: Tensor, width: int) -> Tensor:
    """Averaged over so many pixels, twice."""
    half = width // 2
    once = F.avg_pool2d(mask, width, 1, half, count_include_pad=False)
    return F.avg_pool2d(once, width, 1, half, count_include_pad=False)
