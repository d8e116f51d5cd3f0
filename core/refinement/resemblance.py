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

from core.camera import HALF_FOV
from core.models.field import Field
from core.models.networks import Networks
from core.models.parsing import HAIR, HeadParser
from core.refinement.silhouette import ABOVE_CHIN, CLEAR, SOLID
from core.rendering.folded import FoldedField
from core.rendering.hair import face_of, without_scalps
from core.rendering.hands import Pause, resting
from core.rendering.surfaces import crossings
from core.tensor_camera import project, rays

__all__ = ["Looks", "Resemblance", "looks_of", "resemblance"]


class Looks(NamedTuple):
    """A head as one ray a pixel meets it.

    Shape:
        colour (1, 3, s, s) in [-1, 1], 0 where it is missed; met (1, 1, s, s), 0 or 1.
    """

    colour: Tensor
    met: Tensor


class Resemblance(NamedTuple):
    """What a head gets wrong of its photo; both above the chin."""

    outline: float
    """Share of the picture's sure pixels that it misses or covers wrongly."""
    hair: float = 0.0
    """Share of the head that is hair to one of the two and not to the other; 0 without a parser."""

    @property
    def wrong(self) -> float:
        """Both: what decides between two heads."""
        return self.outline + self.hair


def looks_of(field: Field, styles: Tensor, angles: Tensor, pause: Pause = resting) -> Looks:
    """The head of latents, in the first colours that rays meet.

    Shape:
        styles (1, rows, style_dim), angles (1, 2).
    """
    light = FoldedField(field, styles).light

    def distances(points: Tensor) -> Tensor:
        pause()
        return light.sdf(points)

    found = crossings(distances, angles)
    side = round(len(found.depth) ** 0.5)
    origin, directions = rays(angles, side, HALF_FOV)
    colour = torch.zeros_like(directions[0])
    if found.hit.any():
        met = origin[0] + directions[0, found.hit] * found.depth[found.hit, None]
        colour[found.hit] = light.appearance(light.hidden(met))[1].sigmoid() * 2.0 - 1.0
    pause()
    return Looks(colour.T.reshape(1, 3, side, side), found.hit.to(colour).reshape(1, 1, side, side))


def resemblance(
    networks: Networks,
    styles: Tensor,
    angles: Tensor,
    picture: Tensor,
    matte: Tensor,
    landmarks: Tensor,
    pause: Pause = resting,
) -> Resemblance:
    """How far a head is from its photo.

    Args:
        networks: With landmarks.
        styles: Latent rows of the head.
        angles: The photo's camera.
        picture: The picture of that camera.
        matte: Of the head in it; near .5 where nothing is known.
        landmarks: In the same picture, in the model's order.
        pause: Called between steps.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), picture (1, 3, S, S) in [-1, 1], matte (1, 1, S, S), landmarks
        (L, 2) in unit picture coordinates.
    """
    seen = looks_of(networks.generator.field, styles, angles, pause)
    side = seen.met.shape[-1]
    shown = functional.interpolate(matte, size=(side, side), mode="area")
    heights = (torch.arange(side, device=matte.device) + 0.5) / side
    above = (heights < float(landmarks[:, 1].max()) - ABOVE_CHIN)[None, None, :, None]
    sure = ((shown > SOLID) | (shown < CLEAR)) & above
    wrong = ((shown > 0.5) != (seen.met > 0.5)) & sure
    outline = float(wrong.sum()) / max(1, int(sure.sum()))
    if networks.parser is None or networks.landmarks is None:
        return Resemblance(outline)
    places = networks.landmarks(styles[:, 0])
    pause()
    hair = _hair_apart(networks.parser, seen, picture, matte, places[0], project(places, angles)[0][0], pause)
    return Resemblance(outline, hair)


def _hair_apart(
    parser: HeadParser, seen: Looks, picture: Tensor, matte: Tensor, points: Tensor, places: Tensor, pause: Pause
) -> float:
    """Share of the head above the mouth that only one of head and photo has as hair.

    Shape:
        points (L, 3), places (L, 2) in [-1, 1]: the head's landmarks.
    """
    face = face_of(points, places)
    # Not ``stepping``: two heads are judged at a time, and hooks would be both threads'.
    own = parser.shares(seen.colour, seen.met, mirrored=False)[:, HAIR : HAIR + 1]
    pause()
    photo = parser.shares(picture, matte)[:, HAIR : HAIR + 1]
    pause()
    size = photo.shape[-2:]
    head, met = (functional.interpolate(one, size=size, mode="area") > 0.5 for one in (matte, seen.met))
    photo = without_scalps(photo * head, picture, matte, face)
    there = head * face.upper
    apart = (photo - own).abs() * (head & met) * face.upper
    return float(apart.sum() / there.sum().clamp(min=1.0))
