"""Clothes for what a parser looks at: mattes leave collars and shoulders on heads, and the world has none.

Portraits say themselves what clothes look like: what lies below a chin and outside the matte is what the person wears.
Heads of the world get collars of such patches; a portrait's own matte is torn open downwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.parsing import PARSED
from core.training.hairdresser import noise
from core.training.parsing_data import UNKNOWN
from core.training.warps import similarities

CLOTHES, SKIN, HAIR = (PARSED.index(name) for name in ("clothes", "skin", "hair"))
DRESSED = 0.5
"""Share of heads that get some."""
LOOSE = 0.5
"""Share of portraits whose matte takes in some of what they wear."""


def clothed(picture: Tensor, label: Tensor, cloth: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures of heads in collars and on shoulders, and their labels.

    Shape:
        picture (N, 4, S, S) straight colours and alpha in [0, 1]; label (N, S, S) uint8; cloth (T, 3, t, t) uint8,
        patches of real clothes.
    """
    n, size = len(picture), picture.shape[-1]
    if not len(cloth):
        return picture, label
    alpha = picture[:, 3:]
    line = (torch.arange(size) + 0.5) / size
    y, x = line.view(1, 1, size, 1), line.view(1, 1, 1, size)
    solid = (alpha > 0.5).float()
    # The neck's end: the lowest rows that show a head, and their middle.
    bottom = (solid * y).amax(dim=(2, 3), keepdim=True)
    last = solid * (y > bottom - 0.08)
    middle = (last * x).sum(dim=(2, 3), keepdim=True) / last.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
    aside = (x - middle + 0.05 * torch.randn(n, 1, 1, 1)).abs()
    wavy = 0.008 * noise(n, size, 24)
    # A round neckline, a V, or a collar that stands; shoulders fall off to the sides.
    depth = bottom - 0.12 * torch.rand(n, 1, 1, 1)
    bent = torch.where(torch.rand(n, 1, 1, 1) < 0.5, 1.2 * aside, 6.0 * aside.square()) * torch.rand(n, 1, 1, 1)
    neckline = depth - bent.clamp(max=0.16)
    shoulder = bottom - 0.1 + 0.35 * (aside - 0.12).clamp(min=0.0) + 0.1 * (torch.rand(n, 1, 1, 1) - 0.5)
    over = y > neckline + wavy  # before the neck
    # Mattes take in a scrap of it, seldom all.
    scrap = noise(n, size, 4) + 2.0 * torch.rand(n, 1, 1, 1) - 0.7 > 0.0
    around = (y > torch.maximum(shoulder, neckline) + wavy) & (y < bottom + 0.12 * torch.rand(n, 1, 1, 1)) & scrap
    worn = torch.where(solid > 0, over & (label == SKIN)[:, None], around)
    worn = worn & (torch.rand(n) < DRESSED)[:, None, None, None]
    hair = ((label == HAIR)[:, None] & (solid > 0)).float()
    # Long hair hangs before what is worn.
    worn = worn & (F.max_pool2d(hair, 3, 1, 1) < 0.5)
    share = F.avg_pool2d(worn.float(), 3, 1, 1)
    # A shirt and a jacket.
    first, second = (_fabric(n, size, cloth) for _ in range(2))
    jacket = (aside > 0.06 + 0.2 * torch.rand(n, 1, 1, 1)) & (torch.rand(n, 1, 1, 1) < 0.6)
    fabric = torch.where(jacket, first, second)
    fabric = fabric * (0.7 + 0.3 * torch.sigmoid((y - neckline) * 60.0))  # the chin's shadow
    colour = torch.where(solid > 0, picture[:, :3].lerp(fabric, share), fabric)
    new = torch.where(worn[:, 0], CLOTHES, label.long())
    return torch.cat((colour, torch.maximum(alpha, share * (solid == 0))), dim=1), new.byte()


def loosened(picture: Tensor, straight: Tensor, worn: Tensor) -> tuple[Tensor, Tensor]:
    """Portraits whose matte takes in some of what they wear, and where that is clothes (N, 1, S, S) uint8.

    Shape:
        picture (N, 4, S, S) premultiplied; straight (N, 3, S, S) in [0, 1], all of the crop; worn (N, S, S) bool: what
        is surely clothes.
    """
    n, size = len(picture), picture.shape[-1]
    line = (torch.arange(size) + 0.5) / size
    reach = torch.where(worn, line.view(1, size, 1), 2.0).amin(dim=(1, 2)).view(n, 1, 1, 1)
    scrap = noise(n, size, 4) + 2.0 * torch.rand(n, 1, 1, 1) - 0.7 > 0.0
    low = line.view(1, 1, size, 1) < reach + 0.3 * torch.rand(n, 1, 1, 1)
    taken = worn[:, None] & scrap & low & (torch.rand(n) < LOOSE)[:, None, None, None]
    alpha = torch.maximum(picture[:, 3:], F.avg_pool2d(taken.float(), 3, 1, 1) * worn[:, None])
    grown = alpha - picture[:, 3:]
    return torch.cat((picture[:, :3] + straight * grown, alpha), dim=1), taken.byte()


def _fabric(count: int, size: int, cloth: Tensor) -> Tensor:
    """Patches of clothes over whole pictures (N, 3, S, S), in other colours and light."""
    tile = cloth[torch.randint(len(cloth), (count,))].float() / 255
    matrix = similarities(count, 1.5, 0.4, 2.0, size / tile.shape[-1] * 1.5)
    grid = F.affine_grid(matrix, [count, 3, size, size], align_corners=False)
    fabric = F.grid_sample(tile, grid, padding_mode="reflection", align_corners=False)
    other = fabric[:, torch.randperm(3)]
    fabric = torch.where(torch.rand(count, 1, 1, 1) < 0.3, other, fabric)
    return (fabric * (0.5 + torch.rand(count, 1, 1, 1))).clamp(0.0, 1.0) ** (0.6 + 0.9 * torch.rand(count, 1, 1, 1))


__all__ = ["CLOTHES", "UNKNOWN", "clothed", "loosened"]
