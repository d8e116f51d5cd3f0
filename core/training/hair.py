"""The table of hair that the product chooses from when it fits a head to a photo's outline.

Rows are drawn from the world's own z, so that the generator knows them, a fixed number of each style. Ponytails and
braids are left out: from the front they cannot be seen, and what cannot be seen should not float behind a neck; so is
a side-swept fringe, which catches the photo's forehead. Styles that the generator draws with holes or crumbs
cost something.
"""

from __future__ import annotations

import numpy as np
import torch

from core.models.hair import HairPrior
from core.world.identity import BANGS, GENDER, HAIR_LENGTH, IDENTITY_BLOCKS, Z_SIZE, scene_parameters

STYLE_SCORES = 6
"""The first scores of the block "hair_style"; the others mean nothing."""
VOLUME = 2
"""Place of the volume in the block "hair_look"."""
ROWS: dict[str, tuple[int, float]] = {
    "": (8, 0.0), "crop": (12, 0.0), "short01": (10, 0.0), "short02": (12, 0.0), "afro": (5, 2.0),
    "short03": (4, 2.0), "bob02": (6, 0.0), "bob01": (3, 3.0), "long01": (6, 0.0),
}  # fmt: skip
"""Style → how many rows it gets, and what each costs."""


def hair_coordinates() -> np.ndarray:
    """Places in z (H,) that mean the hair's shape: length, bangs, style scores, volume."""
    style = IDENTITY_BLOCKS["hair_style"].start
    volume = IDENTITY_BLOCKS["hair_look"].start + VOLUME
    return np.array([HAIR_LENGTH, BANGS, *range(style, style + STYLE_SCORES), volume])


def hair_prior(seed: int = 5) -> HairPrior:
    """The table, the same for the same seed."""
    random = np.random.default_rng(seed)
    places = hair_coordinates()
    ancestry = IDENTITY_BLOCKS["ancestry"].start
    left = {style: count for style, (count, _) in ROWS.items()}
    table, cost = [], []
    while any(left.values()):
        z = np.zeros(Z_SIZE, np.float32)
        z[places] = random.standard_normal(len(places))
        # Which style scores win depends on gender and ancestry as well.
        z[GENDER] = random.standard_normal()
        z[ancestry : ancestry + 3] = 0.7 * random.standard_normal(3)
        style = scene_parameters(z).hair_style
        if left.get(style, 0):
            left[style] -= 1
            table.append(z[places])
            cost.append(ROWS[style][1])
    return HairPrior(torch.from_numpy(places.astype(np.int64)), torch.from_numpy(np.stack(table)), torch.tensor(cost))
