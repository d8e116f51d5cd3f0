"""Beards for heads of the world: full ones, moustaches, goatees, stubble, of real people's hair.

The world draws its beards by procedure, as its hair: few shapes, and nobody's structure. The parser that learnt from
them took every real beard for skin. Where one may grow is told by each pixel's place on the head, so that beards are
seen from all sides; labels stay exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.parsing import PARSED
from core.training.face_places import STEPS
from core.training.hairdresser import blurred, coloured, noise, real_hair
from core.training.parsing_data import UNKNOWN

SKIN, BEARD = PARSED.index("skin"), PARSED.index("beard")
SHAVEN, RETOUCHED = 0.5, 0.7
"""Shares of heads that stay without, and of the world's own beards that get other hair."""
FULL, GOATEE, MOUSTACHE = 0.45, 0.7, 0.9
"""Up to which number a random one stands for which shape; beyond, a tuft on the chin."""
LEAST, WHOLE = 0.25, 0.5
"""How dense hair on skin is a beard's: below the first it is skin, from the second on beard; between, nobody knows."""


def bearded(picture: Tensor, label: Tensor, places: Tensor, nose: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures with other beards, and their labels.

    Shape:
        picture (N, 4, S, S) straight colours and alpha in [0, 1]; label (N, S, S) uint8; places (N, 3, S, S) int8 of
        ``core.training.face_places``; nose (N,), its height above the mouth likewise; tiles (T, 3, t, t) uint8.
    """
    n, size = len(picture), picture.shape[-1]
    colour, alpha = picture[:, :3], picture[:, 3:]
    skin, own = ((label == part)[:, None].float() for part in (SKIN, BEARD))
    grown = _grown(places.float() * (1.0 / STEPS), nose, size) * skin * (alpha > 0.5)
    grown = grown * ((torch.rand(n) > SHAVEN) & (own.sum(dim=(1, 2, 3)) == 0))[:, None, None, None]
    # Stubble shows skin between its hairs; a beard hardly.
    dense = (0.25 + 1.1 * torch.rand(n, 1, 1, 1)).clamp(max=1.0)
    thin = 1.0 + (1.0 - dense) * 0.8 * noise(n, size, size // 2)
    share = (blurred(grown, 3) * dense * thin).clamp(0.0, 1.0) * skin
    again = (torch.rand(n) < RETOUCHED)[:, None, None, None] * blurred(own, 3)
    where = skin.bool() & (alpha > 0.9)
    base = colour.mean(dim=1, keepdim=True) * (1.0 + 0.3 * noise(n, size, size // 3))
    strands = coloured(real_hair(base, tiles) if len(tiles) else base.expand(-1, 3, -1, -1), colour, where)
    mixed = colour.lerp(strands, torch.maximum(share, again)).clamp(0.0, 1.0)
    new = torch.where((share >= WHOLE)[:, 0], BEARD, torch.where((share >= LEAST)[:, 0], UNKNOWN, label.long()))
    return torch.cat((mixed, alpha), dim=1), new.byte()


def _grown(place: Tensor, nose: Tensor, size: int) -> Tensor:
    """Where a beard of some shape grows, 0..1 (N, 1, S, S); places (N, 3, S, S) in units of the mouth's height."""
    n = len(place)
    aside, up, front = place[:, :1].abs(), place[:, 1:2], place[:, 2:]
    drawn = torch.rand(n, 8, 1, 1, 1)
    wavy = 0.06 * noise(n, size, 10)
    # From a corner of the mouth the cheek's line rises to the ear; below the jaw a beard ends on the neck.
    line = -0.25 + 0.6 * drawn[:, 0] + (0.5 + 0.7 * drawn[:, 1]) * (aside - 0.6).clamp(min=0.0)
    low = -1.05 - 0.6 * drawn[:, 2]
    cheeks = _soft(line + wavy - up) * _soft(up - low + wavy) * _soft(front + 1.5 + 0.5 * drawn[:, 3])
    high = nose.view(n, 1, 1, 1) * (0.55 + 0.4 * drawn[:, 4]) - 0.35 * aside.square()
    lip = _soft(high - up) * _soft(up + 0.15 + 0.5 * drawn[:, 5]) * _soft(0.55 + 0.4 * drawn[:, 5] - aside + wavy)
    lip = lip * (front > -0.8)
    chin = _soft(0.35 + 0.5 * drawn[:, 6] - aside + wavy) * _soft(-0.2 - 0.2 * drawn[:, 7] - up) * _soft(up - low)
    chin = chin * (front > -1.0)
    ring = torch.maximum(lip, torch.maximum(chin, cheeks * _soft(0.75 + 0.2 * drawn[:, 6] - aside + wavy)))
    shape = torch.rand(n, 1, 1, 1)
    rest = torch.where(shape < MOUSTACHE, lip, chin)
    rest = torch.where(shape < GOATEE, ring, rest)
    # Some full beards leave the lip bare.
    full = torch.maximum(cheeks, lip * (torch.rand(n, 1, 1, 1) < 0.85))
    return torch.where(shape < FULL, full, rest)


def _soft(distance: Tensor) -> Tensor:
    """1 within, 0 beyond, over some thirtieth of a unit."""
    return torch.sigmoid(distance * 30.0)
