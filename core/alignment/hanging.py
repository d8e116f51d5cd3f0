"""Hair that hangs beside a face to the shoulders, told from the clothes that it hangs on.

A network for persons follows hair well against any background, and knows nothing of clothes; a graph cut by colour
alone loses long hair to a flag or a blouse of its tone. So it is looked for with what is known of hair: it hangs from
the crown without a gap, beside ear, cheek and jaw, spreads little on its way down, and is nearer in colour to the hair
above than to skin, or to what is surely clothes. Where hair and clothes are alike, it ends at the chin.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.alignment.values import Array

__all__ = ["Hanging", "hanging_hair"]

Mask = NDArray[np.float32]
Region = NDArray[np.bool_]

NOSE_BRIDGE, CHIN, JAW, MOUTH, EYES = 168, 152, (172, 397), (61, 291), (33, 263)  # MediaPipe's numbers
DOUBT, TRUST = 0.5, 0.9  # of the person mask
WIDE, BROAD, LONG = 8, 24, 0.75  # pixels beside the face that must be hair; where, of the way from ear to jaw
ALIKE = 0.5  # of what is seen there of the person: a hood is none
MANY = (12.0, 20.0, 25.0)  # squared distances that are hair's: beside a face, on shoulders, to learn more of its tones
SKINNY, NO_SKIN, LIKE_SKIN = 3.0, 12.0, 4.0  # of tones that are the skin's; of what is none; by how much skin may win
FLARE = 0.5  # how far hair spreads, pixels a row; shoulders do by more
ABOVE = 10  # rows above the eyes from which on the person beside the face is taken for what hangs
CLOTHES, MIXED, LIKE_CLOTHES = 100, 0.3, 6.0  # pixels that tell clothes; share of them like hair that tells nothing
BLUR, CLOSED, OPENED = 5, 7, 5  # pixels
TONES, LEAST, FEW, MOST = 4, 0.05, 80, 4000  # clusters of colour, the smallest share of one, pixels to learn from
# Least and most standard deviations in L, a, b.
SPREAD = np.array([[6.0, 3.0, 3.0], [25.0, 9.0, 9.0]])


class Hanging(NamedTuple):
    """What hangs beside a face.

    Shape:
        hair, clothes (S, S): hair, and what below the jaw is surely none.
    """

    hair: Region
    clothes: Region


class _Tones(NamedTuple):
    """Some colours and how far each spreads, (K, 3) both, in L, a, b."""

    middle: Array
    spread: Array

    def far(self, lab: Mask) -> Mask:
        """Squared distance of colours (S, S, 3) to the nearest one, in its deviations."""
        nearest = np.full(lab.shape[:2], np.inf, np.float32)
        for middle, spread in zip(self.middle, self.spread, strict=True):
            nearest = np.minimum(nearest, (((lab - middle) / spread) ** 2).sum(axis=2))
        return np.asarray(nearest, dtype=np.float32)


def hanging_hair(
    crop: NDArray[np.uint8], person: Mask, face: Region, neck: Region, points: Array, reach: Region
) -> Hanging | None:
    """Where hair hangs beside a face, on either side of its axis; None where it does on neither.

    Args:
        crop: the picture (S, S, 3).
        person: how likely each pixel shows this person (S, S), 0..1.
        face: inside the face's outline (S, S).
        neck: where an average neck is (S, S): what hangs before it is not looked for.
        points: landmarks (468, 2) [pixels].
        reach: so near to a head that it may be its hair (S, S).
    """
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    smooth = np.asarray(cv2.blur(lab, (BLUR, BLUR)), dtype=np.float32)
    aside = cv2.dilate(face.astype(np.uint8), np.ones((BLUR, BLUR), np.uint8)) == 0
    eyes, mouth, jaw = (points[list(some), 1].mean() for some in (EYES, MOUTH, JAW))
    rows = np.arange(len(lab))[:, None] + np.zeros((1, len(lab)))
    first, last = round((eyes + mouth) / 2), min(round(jaw), len(lab))
    skin = _tones(lab, cv2.erode(face.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0, 2)
    above = (person > TRUST) & aside & (rows < eyes)
    usual = _tones(lab, above, TONES)
    if skin is None or usual is None or first < 0 or last - first < TONES:
        return None
    usual = _without(usual, skin)
    like, skinny = usual.far(smooth), skin.far(smooth)

    hair, clothes = np.zeros(face.shape, bool), np.zeros(face.shape, bool)
    across = _across(points, len(lab))
    for out in (across, -across):
        sure = (person > TRUST) & aside & (out > 0.0)
        beside = sure & (rows >= first) & (rows < last)
        if not _hangs(sure[first:last], like[first:last], skinny[first:last]):
            continue
        all_tones = _tones(lab, (above & (like < MANY[0])) | (beside & (like < MANY[2])), TONES)
        near = like if all_tones is None else all_tones.far(smooth)

        farthest = [out[row][sure[row]].max() for row in range(first, last) if sure[row].any()]
        limit = np.median(farthest) + FLARE * (rows - 0.5 * (first + last)).clip(min=0.0)
        low = (person > DOUBT) & (out > 0.0) & ~face & ~neck & (rows >= jaw)
        seeds = low & (person > TRUST) & ((out > limit) | ((near > MANY[1]) & (skinny > NO_SKIN)))
        worn = _tones(lab, seeds, TONES) if np.count_nonzero(seeds) > CLOTHES else None
        apart = np.full_like(near, np.inf) if worn is None else worn.far(smooth)
        unclear = worn is not None and np.mean(near[seeds] < LIKE_CLOTHES) > MIXED

        some = low & (out <= limit) & (near < np.minimum(apart, MANY[1])) & (near < skinny + LIKE_SKIN)
        if unclear:
            some &= rows < points[CHIN, 1]
        some = _cleaned(some) & low & (out <= limit)
        root = sure & (rows < jaw) & reach
        _, parts = cv2.connectedComponents((some | root).astype(np.uint8))
        hangs = np.isin(parts, np.setdiff1d(np.unique(parts[root & (rows > first)]), [0]))
        hair |= (some & hangs) | (root & (rows > eyes - ABOVE))
        if not unclear:
            clothes |= low & ~(some & hangs) & ((near > apart) | (out > limit))
    return Hanging(hair, clothes) if hair.any() else None


def _across(points: Array, size: int) -> Array:
    """How far each pixel (size, size) lies to the right of the line from nose to chin [pixels]."""
    top, end = points[NOSE_BRIDGE], points[CHIN]
    along = (end - top) / max(float(np.linalg.norm(end - top)), 1.0)
    line = np.arange(size)
    return np.asarray((line[None] - top[0]) * along[1] - (line[:, None] - top[1]) * along[0])


def _hangs(sure: Region, like: Mask, skinny: Mask) -> bool:
    """Whether hair hangs on one side, by the rows from ear to jaw: the person there is wide enough, and hair."""
    if np.mean(sure.sum(axis=1) >= WIDE) < 0.9 or np.mean(like[sure] < MANY[0]) < ALIKE:
        return False
    hairy = sure & (like < MANY[0])
    # Hair in the colour of skin is wider than any jaw or ear.
    told = (hairy & (like < skinny)).sum(axis=1) >= WIDE, hairy.sum(axis=1) >= BROAD
    return bool(np.mean(told[0] | told[1]) >= LONG)


def _cleaned(region: Region) -> Region:
    """Without holes that strands leave, and without specks."""
    closed = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((CLOSED, CLOSED), np.uint8))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((OPENED, OPENED), np.uint8)) > 0)


def _tones(lab: Mask, sample: Region, count: int) -> _Tones | None:
    """The colours of some pixels, in so many clusters at most; None where there are too few."""
    colours = lab[sample]
    if len(colours) < FEW:
        return None
    colours = np.ascontiguousarray(colours[:: -(-len(colours) // MOST)])
    cv2.setRNGSeed(0)  # the same photo gives the same matte
    _, labels, _ = cv2.kmeans(colours, count, None, (3, 12, 0.5), 2, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    parts = [colours[labels[:, 0] == number] for number in range(count)]
    parts = [part for part in parts if len(part) >= max(FEW / 4, LEAST * len(colours))]
    middle, spread = (np.array([getattr(part, of)(axis=0) for part in parts]) for of in ("mean", "std"))
    return _Tones(middle, spread.clip(*SPREAD))


def _without(tones: _Tones, skin: _Tones) -> _Tones:
    """Tones that are not the skin's: foreheads and ears lie among hair. All, where hair has the colour of skin."""
    alike = skin.far(np.asarray(tones.middle[None], dtype=np.float32))[0] < SKINNY
    return tones if alike.all() else _Tones(tones.middle[~alike], tones.spread[~alike])
