"""How far a fitted head is from its photo in what both are: where the head ends, and where hair does.

Outlines alone cannot tell a bob from a short back and sides whose ears stand out as far, nor a bald head from a cap.
The head's surface is met by one ray a pixel and looked at in its field's own colours; photo and picture are then parted
into hair and the rest by the same parser. Refuses to know how heads are fitted, and which of them is shown.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR
from core.models.field import Field
from core.models.networks import Networks
from core.models.parsing import HAIR, HeadParser
from core.refinement.silhouette import ABOVE_CHIN, CLEAR, MEETING, SOLID, Approaches
from core.rendering.folded import FoldedField
from core.rendering.hair import face_of, without_scalps
from core.rendering.hands import Pause, resting
from core.tensor_camera import rays

__all__ = ["Judge", "Looks", "Resemblance", "looks_of"]


# What a wrong pixel of the outline weighs against one of hair: the matte is surer than the parser.
OUTLINE = 2.0
# Side of the picture that is looked at, as of the field's own.
SIDE = 64
# Depth between two readings of the volume (world units).
STRIDE = 0.006
# What the volume may be wrong by where it says how near a ray comes (world units): half of its spacing.
UNSURE = 0.004
# Steps of the distance onto the surface from there.
APPROACHES = 2


class Looks(NamedTuple):
    """A head as one ray a pixel meets it.

    Shape:
        colour (1, 3, s, s) in [-1, 1], 0 where it is missed; met (1, 1, s, s), 0 or 1.
    """

    colour: Tensor
    met: Tensor


class Resemblance(NamedTuple):
    """What a head gets wrong of its photo: its outline above the chin, its hair above the mouth."""

    outline: float
    """Share of the picture's sure pixels that it misses or covers wrongly."""
    hair: float = 0.0
    """Share of the head that is hair to one of the two and not to the other; 0 without a parser."""
    missing: float = 0.0
    """The part of it that is hair to the photo: the rest is hair that only the head has."""

    @property
    def wrong(self) -> float:
        """Both: what decides between two heads."""
        return OUTLINE * self.outline + self.hair


def looks_of(field: Field, styles: Tensor, angles: Tensor, pause: Pause = resting) -> Looks:
    """The head of latents, in the first colours that rays meet.

    Shape:
        styles (1, rows, style_dim), angles (1, 2).
    """
    light = FoldedField(field, styles).light

    def distances(points: Tensor) -> Tensor:
        pause()
        return light.sdf(points[None])[0, :, 0]

    origin, directions = rays(angles, SIDE, HALF_FOV)
    t = NEAR + torch.arange(round((FAR - NEAR) / STRIDE), device=styles.device) * STRIDE
    # The volume is coarse: it says where to look, and the field what is there.
    nearest, entered, least = Approaches(distances, styles.device).along(origin[0], directions[0], t)
    pause()
    hit, unsure = least <= MEETING, least.abs() < UNSURE
    hit[unsure] = distances(origin[0] + directions[0, unsure] * nearest[unsure, None]) <= MEETING
    depth = torch.minimum(entered, nearest)
    colour = torch.zeros_like(directions[0])
    if hit.any():
        depth, ahead = depth[hit, None], directions[0, hit]
        for _ in range(APPROACHES):
            depth = depth + distances(origin[0] + ahead * depth)[:, None]
        colour[hit] = light.appearance(light.hidden(origin[0] + ahead * depth))[1].sigmoid() * 2.0 - 1.0
    pause()
    return Looks(colour.T.reshape(1, 3, SIDE, SIDE), hit.to(colour).reshape(1, 1, SIDE, SIDE))


class Judge:
    """Says of heads how far they are from one photo.

    Args:
        networks: With landmarks.
        angles: The photo's camera.
        picture: The picture of that camera.
        matte: Of the head in it; near .5 where nothing is known.
        landmarks: In the same picture, in the model's order.
        pause: Called between steps.

    Shape:
        angles (1, 2), picture (1, 3, S, S) in [-1, 1], matte (1, 1, S, S), landmarks (L, 2) in unit picture
        coordinates.
    """

    def __init__(
        self,
        networks: Networks,
        angles: Tensor,
        picture: Tensor,
        matte: Tensor,
        landmarks: Tensor,
        pause: Pause = resting,
    ) -> None:
        self._field, self._angles = networks.generator.field, angles
        self._parser = None if networks.landmarks is None else networks.parser
        self._shown = functional.interpolate(matte, size=(SIDE, SIDE), mode="area")
        heights = (torch.arange(SIDE, device=matte.device) + 0.5) / SIDE
        above = (heights < float(landmarks[:, 1].max()) - ABOVE_CHIN)[None, None, :, None]
        self._sure = ((self._shown > SOLID) | (self._shown < CLEAR)) & above
        self._hair = self._upper = torch.zeros_like(matte)
        if self._parser is None or networks.landmarks is None:
            return
        face = face_of(networks.landmarks.mean, landmarks * 2.0 - 1.0)
        hair = _hair(self._parser, picture, matte, mirrored=True)
        pause()
        self._hair = without_scalps(hair, picture, matte, face)
        self._upper = face.upper * (functional.interpolate(matte, size=hair.shape[-2:], mode="area") > 0.5)
        pause()

    def __call__(self, styles: Tensor, pause: Pause = resting) -> Resemblance:
        """How far the head of latents (1, rows, style_dim) is from the photo."""
        seen = looks_of(self._field, styles, self._angles, pause)
        wrong = ((self._shown > 0.5) != (seen.met > 0.5)) & self._sure
        outline = float(wrong.sum()) / max(1, int(self._sure.sum()))
        if self._parser is None:
            return Resemblance(outline)
        own = _hair(self._parser, seen.colour, seen.met)
        pause()
        both = self._upper * (functional.interpolate(seen.met, size=own.shape[-2:], mode="area") > 0.5)
        apart, whole = (self._hair - own) * both, self._upper.sum().clamp(min=1.0)
        return Resemblance(outline, float(apart.abs().sum() / whole), float(apart.clamp(min=0.0).sum() / whole))


def _hair(parser: HeadParser, picture: Tensor, solid: Tensor, *, mirrored: bool = False) -> Tensor:
    """How surely each pixel is hair of the head, (1, 1, 128, 128).

    Not ``parts_of``, which hooks pauses into the parser: two heads are judged at a time, and only one thread may pause.
    """
    share = parser.shares(picture, solid, mirrored=mirrored)[:, HAIR : HAIR + 1]
    return share * (functional.interpolate(solid, size=share.shape[-2:], mode="area") > 0.1)
