"""Which pixels of a photo are hair by their colours: where those leave no doubt, the parser learns from it.

Cheeks say what skin looks like, and what lies above the brows and is not like it is hair, unless it may be skin in
shade or shine. It fails where hair has the colour of skin or of its shade; :class:`core.models.parsing.HeadParser` is
what the program asks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from core.rendering.hair import SIDE, Face, strand_contrast
from core.rendering.measures import luma

__all__ = ["hair_share", "strands"]

# Colours that a region is known by, steps to find them, and how far hair is off from skin at least (luma and weighted
# chroma of colours in [0, 1]).
TONES, STEPS, APART = 5, 8, 0.105
# Differences in colour matter more than in brightness, which light and folds make as well.
CHROMA = 2.5
# Difference of the two distances that is as good as certain.
CERTAIN = 0.06
# Tones that make up less of the cheeks than this are shade or somebody's locks.
RARE = 0.15
# Pixels that a region needs to be judged, and the share of the picture below which a gap in hair is none.
FEW, GAP = 40, 0.12
# Rows of hair that are thought around a picture.
EDGE = 4
# Skin in shade keeps its hue: hair is off by more of red's and green's share of a colour than three of four pixels
# of these cheeks are, times the first, and than the second at least; surely by the third more. Or it is darker than
# skin by these factors. What is lighter by those is shine.
CHEEKS_OWN, HUE, SURELY = 1.3, 0.008, 0.016
DARK, PALE = (0.64, 0.46), (1.05, 1.25)
# Width of the surroundings of hair within hair, and the share of them that must be hair for certain.
LOCK, MANY = 19, 0.3
# Share of a patch of hair, away from skin, that must be hair for certain for all of it to be.
MOSTLY = 0.6
# A scalp has no strands: contrast of the middle pixel of a patch (see `strand_contrast`) below which it is smooth.
# White and blond hair can be as smooth, but is bright and covers this share of the picture.
SMOOTH, BRIGHT, WIDE = 0.028, 0.85, 0.018
# No shade on a scalp is darker than this, in parts of the cheeks' light; black hair is, and may show no strands.
DIMMEST = 0.3
# Pixels at a head's rim that say nothing of it.
RIM = 3


class Palette(NamedTuple):
    """What skin and hair of a picture look like: luma and weighted chroma, (K, 3) and (H, 3)."""

    skin: Tensor
    hair: Tensor

    def certain(self, tones: Tensor) -> Tensor:
        """Whether tones (N, 3) are hair: from -1, skin for certain, to 1, hair for certain."""
        nearer = torch.cdist(tones, self.skin).amin(dim=1) - torch.cdist(tones, self.hair).amin(dim=1)
        return (nearer / CERTAIN).clamp(-1.0, 1.0)


def strands(picture: Tensor, solid: Tensor, hair: Tensor, face: Face) -> Tensor:
    """What of a picture's hair is no shaded skin (1, 1, SIDE, SIDE), 0..1.

    A bald head's rim lies in shade and is parted as hair; dyeing it shows. Shade dims all channels alike, hair has
    another hue or is much darker. Skin that shines is no hair, however pale. Only in the middle of hair, with no skin
    nearby, a lock that shines like skin is believed.

    Args:
        picture: Of a head (1, 3, any, any) in [-1, 1].
        solid: Where it shows the head (1, 1, any, any), 0..1.
        hair: What was parted as hair (1, 1, SIDE, SIDE).
        face: Where the face is.
    """
    colour = (functional.interpolate(picture, size=(SIDE, SIDE), mode="bilinear", antialias=True) + 1.0) * 0.5
    colour = functional.avg_pool2d(colour, 3, 1, 1, count_include_pad=False)[0].flatten(1)
    skin = colour[:, (face.skin > 0.5).flatten()]
    if skin.shape[1] < FEW:
        return torch.zeros_like(hair)
    light = luma(colour, 0)[0]
    usual = skin.median(dim=1, keepdim=True).values
    bright = float(luma(usual, 0))

    def share(of: Tensor) -> Tensor:
        return of[:2] / of.sum(dim=0).clamp(min=0.03)

    off = (share(colour) - share(usual)).norm(dim=0)
    least = max(HUE, CHEEKS_OWN * float(off[(face.skin > 0.5).flatten()].quantile(0.75)))
    hue = (off - least) / SURELY
    dark = (DARK[0] - light / bright) / (DARK[0] - DARK[1])
    pale = ((PALE[1] - light / bright) / (PALE[1] - PALE[0])).clamp(0.0, 1.0)
    found = torch.maximum(hue.clamp(max=1.0) * pale, dark.clamp(max=1.0)).clamp(min=0.0).reshape(hair.shape)
    # Under a chin dark is shade; beside the face it is hair that hangs down.
    columns = (face.bare.amax(dim=2, keepdim=True) < 0.5).to(found)
    found = hair * functional.avg_pool2d(found, 5, 1, 2, count_include_pad=False)
    near = [functional.avg_pool2d(one, LOCK, 1, LOCK // 2, count_include_pad=False) for one in (found, hair)]
    head = functional.interpolate(solid, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    beside = functional.max_pool2d(_with_face((1.0 - hair) * head > 0.5, face.bare), LOCK, 1, LOCK // 2)
    filled = (near[0] / near[1].clamp(min=1e-3) / MANY).clamp(max=1.0)
    filled = hair * torch.maximum(filled, _mostly(found > 0.5, (hair * head * (1.0 - beside)) > 0.5))
    filled = functional.avg_pool2d(filled * (1.0 - beside), 5, 1, 2, count_include_pad=False)
    found = torch.maximum(found, filled) * torch.maximum(face.upper, columns)
    return found * (1.0 - _scalp(picture, found > 0.5, head > 0.95, (light / bright).reshape(hair.shape)))


def _scalp(picture: Tensor, hair: Tensor, head: Tensor, light: Tensor) -> Tensor:
    """Patches of hair that have no strands (1, 1, SIDE, SIDE), 0 or 1: a bald head in another light than its cheeks.

    Shape:
        picture (1, 3, any, any); hair, head (1, 1, SIDE, SIDE), bool; light the same, in parts of the cheeks'.
    """
    contrast = strand_contrast(picture).cpu().numpy()
    inside = ndimage.binary_erosion(head[0, 0].cpu().numpy(), iterations=RIM)
    patches, count = ndimage.label((hair[0, 0].cpu().numpy()) & inside)
    shades = light[0, 0].cpu().numpy()
    bald = np.zeros(count + 1, bool)
    for number in range(1, count + 1):
        here = patches == number
        shade = float(np.median(shades[here]))
        wide = here.sum() > WIDE * here.size and shade > BRIGHT
        bald[number] = np.median(contrast[here]) < SMOOTH and shade > DIMMEST and not wide
    # Its fringe goes with it, unless that is nearer to hair.
    grown = ndimage.distance_transform_edt(patches == 0, return_distances=False, return_indices=True)
    nearest = patches[tuple(grown)] if count else patches
    return torch.from_numpy(bald[nearest].astype(np.float32)).to(picture)[None, None]


def _mostly(found: Tensor, hair: Tensor) -> Tensor:
    """Patches of hair (1, 1, S, S) most of which is hair for certain: wide streaks of shine in them are hair, too."""
    patches, count = ndimage.label(hair[0, 0].cpu().numpy())
    sizes = np.bincount(patches.ravel(), minlength=count + 1)
    sure = np.bincount(patches.ravel(), weights=found[0, 0].cpu().numpy().ravel(), minlength=count + 1)
    whole = sure > MOSTLY * np.maximum(sizes, 1)
    whole[0] = False
    return torch.from_numpy(whole[patches].astype(np.float32)).to(hair.device)[None, None]


def _with_face(skin: Tensor, face: Tensor) -> Tensor:
    """What of skin (1, 1, S, S) hangs together with the face: the rest is shine on hair."""
    patches, count = ndimage.label(skin[0, 0].cpu().numpy())
    ours = np.zeros(count + 1, bool)
    ours[np.unique(patches[face[0, 0].cpu().numpy() > 0.5])] = True
    ours[0] = False
    return torch.from_numpy(ours[patches].astype(np.float32)).to(face)[None, None]


def palette(picture: Tensor, solid: Tensor, face: Face, apart: float = APART) -> Palette | None:
    """The tones of skin and hair, or None where they look alike. Arguments as in :func:`hair_share`."""
    flat, head = _flat(picture, solid)
    cheeks = flat[((face.skin > 0.5) & head).flatten()]
    rest = flat[((face.bare < 0.5) & (face.above > 0.5) & head).flatten()]
    if min(len(cheeks), len(rest)) < FEW:
        return None
    skin, others = _typical(cheeks, RARE), _typical(rest)
    # What lies outside the face but looks like it is forehead, not hair.
    bare = torch.cdist(others, skin).amin(dim=1) < apart
    return None if bare.all() else Palette(torch.cat((skin, others[bare])), others[~bare])


def _flat(picture: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Smoothed tones (SIDE * SIDE, 3) of a picture, and where it is head (1, 1, SIDE, SIDE)."""
    colour = tones_of(functional.interpolate(picture, size=(SIDE, SIDE), mode="bilinear", antialias=True))
    head = functional.interpolate(solid, size=(SIDE, SIDE), mode="bilinear", antialias=True) > 0.9
    return functional.avg_pool2d(colour, 3, 1, 1, count_include_pad=False).flatten(2)[0].T, head


def hair_share(picture: Tensor, solid: Tensor, face: Face, apart: float = APART) -> Tensor:
    """How surely each pixel of a head is hair (1, 1, SIDE, SIDE), 0..1; 0 all over where hair and skin look alike.

    Args:
        picture: Of a head (1, 3, any, any) in [-1, 1].
        solid: Where it shows the head (1, 1, any, any), 0..1.
        face: Where the face is.
        apart: How far hair is off from skin at least.
    """
    found = palette(picture, solid, face, apart)
    if found is None:
        return torch.zeros_like(face.skin)
    flat, head = _flat(picture, solid)
    share = found.certain(flat).reshape(1, 1, SIDE, SIDE)
    light = flat[:, 0].reshape(SIDE, SIDE) > found.skin[:, 0].max()
    share = torch.where(_shine(light & (share[0, 0] > 0.0), head[0, 0]), -1.0, share)
    smooth = functional.avg_pool2d(share, 5, 1, 2, count_include_pad=False)
    share = (0.5 + smooth).clamp(0.0, 1.0) * (1.0 - face.bare)
    return torch.maximum(share, _gaps((share > 0.5) | ~head, face.bare) * face.above * (1.0 - face.bare))


def _shine(light: Tensor, head: Tensor) -> Tensor:
    """Patches (S, S) lighter than skin that do not reach the head's rim: foreheads shine, white hair is at the rim."""
    inside = ndimage.binary_erosion(np.pad(head.cpu().numpy(), ((0, 1), (0, 0)), constant_values=True), iterations=4)
    patches, _ = ndimage.label(light.cpu().numpy())
    reaching = np.unique(patches[~inside[:-1]])
    return torch.from_numpy((patches > 0) & ~np.isin(patches, reaching)).to(light.device)


def _gaps(hair: Tensor, face: Tensor) -> Tensor:
    """Gaps within hair and what is no head (1, 1, S, S): light and shade on hair, at the head's rim as well.

    The picture's borders count as hair. What is bare hangs together with the face, or is large.
    """
    # Wide enough that closing, which takes all beyond for bare, leaves some of it.
    mask = np.pad(hair[0, 0].cpu().numpy(), EDGE, constant_values=True)
    inner = (slice(EDGE, -EDGE),) * 2
    gaps, count = ndimage.label(ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2)) & ~mask)
    sizes = np.bincount(gaps.ravel(), minlength=count + 1)
    sizes[np.unique(gaps[inner][face[0, 0].cpu().numpy() > 0.5])] = mask.size
    sizes[0] = mask.size
    small = ndimage.binary_dilation((sizes < GAP * hair.numel())[gaps], iterations=3)[inner]
    return torch.from_numpy(small.astype(np.float32)).to(hair.device)[None, None]


def tones_of(picture: Tensor) -> Tensor:
    """Luma and weighted chroma (1, 3, S, S) of a picture in [-1, 1], by Rec. 601."""
    colour = (picture + 1.0) * 0.5
    light = luma(colour)
    return torch.cat((light, CHROMA * 0.564 * (colour[:, 2:] - light), CHROMA * 0.713 * (colour[:, :1] - light)), dim=1)


def _typical(colours: Tensor, rare: float = 0.03) -> Tensor:
    """Up to TONES colours (K, 3) that stand for many (N, 3): k-means from quantiles of luma."""
    order = colours[:, 0].argsort()
    found = colours[order[[int((i + 0.5) * len(order) / TONES) for i in range(TONES)]]]
    for _ in range(STEPS):
        nearest = functional.one_hot(torch.cdist(colours, found).argmin(dim=1), TONES).to(colours.dtype)
        count = nearest.sum(dim=0)[:, None]
        found = torch.where(count > 0, nearest.T @ colours / count.clamp(min=1.0), found)
    return found[count[:, 0] > rare * len(colours)]
