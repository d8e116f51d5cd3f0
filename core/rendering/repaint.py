"""What an edit does to the photo's colours, in the photo's view and at any resolution.

The photo is moved by the edit's flow, painted anew where the generator shows that the edit means it, and given what is
drawn and not generated: a beard's strands, an opened mouth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.edit import LatentEdit
from core.models.volume import VolumeMaps
from core.rendering.beard import ATTRIBUTE as BEARD
from core.rendering.beard import DARKER, bearded
from core.rendering.brows import ATTRIBUTE as BROWS
from core.rendering.brows import with_brows
from core.rendering.complexion import ATTRIBUTE as SKIN_TONE
from core.rendering.complexion import Complexion, complexion_of, with_complexion
from core.rendering.gender import ATTRIBUTE as GENDER
from core.rendering.gender import Cues, with_gender
from core.rendering.hair import kept_apart
from core.rendering.hair_tone import beard_tone
from core.rendering.locks import LENGTH, grows, new_hair, within
from core.rendering.measures import luma, surroundings
from core.rendering.mouth import Opening, with_mouth
from core.rendering.regions import DYES, region
from core.rendering.source import SourceHead
from core.rendering.wrinkles import ATTRIBUTE as AGE
from core.rendering.wrinkles import with_wrinkles
from core.surface_maps import extended
from core.visibility import SourceView, carried_out

# Largest difference over the channels of two thumbnails (in [-1, 1]) below which an edit left the pixel as it was, and
# above which its new appearance is taken in full: the numbers that the hybrid stage was trained with.
CHANGE_NONE, CHANGE_FULL = 0.08, 0.24
# A patch that an edit lightens may outshine what the generator paints there by what it did before, but by no more than
# this much; patches a side.
SURPLUS, AROUND = 0.15, 64
# By how much strands may stand out more than they did when their hair is lightened: as much as it is, up to this.
LIVELIER = 1.8
# How far around new hair the photo's own says its tone (pictures' widths).
NEAR = 0.06
# Share of hair from which on it says so, and what the typical tone of all hair counts beside it.
SURE, FAR = 0.7, 0.05


class Drawn(NamedTuple):
    """What an edit draws at landmarks, in the photo's view; see the files that say how."""

    mouth: Opening | None = None
    lips: Tensor | None = None
    """Where lips are and no beard grows (1, 1, size, size), 0..1."""
    brows: Tensor | None = None
    """Where brows are (1, 1, size, size), 0..1."""
    kept: Tensor | None = None
    """Where lips are that smile and that nothing parts (1, 1, size, size), 0..1."""
    skin: Tensor | None = None
    """Where the skin of the face is (1, 1, size, size), 0..1."""
    gender: Cues | None = None
    """Where the face shows its gender."""
    grows: Tensor | None = None
    """Where a beard may grow (1, 1, size, size), 0..1."""
    creases: Tensor | None = None
    """Lines that age may add (1, 1, size, size)."""


class EditedColours:
    """The photo as it would show the edited head, at any resolution.

    Args:
        source: The photo tier.
        edit: What is changed.
        maps: The edited head from the photo's camera.
        flow: Where the edit moves the photo, or None.
        size: Side at which changes are compared.
        drawn: What is drawn and not generated.
    """

    matte: Tensor
    """Of the edited head (1, 1, size, size)."""

    def __init__(
        self,
        source: SourceHead,
        edit: LatentEdit,
        maps: VolumeMaps,
        flow: Tensor | None,
        size: int,
        drawn: Drawn,
    ) -> None:
        self._flow, self._drawn, self._tone = flow, drawn, source.tone
        self._agreed = None if source.parting is None else moved(grown(source.parting.agreed, size), flow)
        self._brows, self._age, self._gender = (edit.strength(name) for name in (BROWS, AGE, GENDER))
        self._skin = drawn.skin
        if drawn.skin is not None and source.parting is not None:
            self._skin = drawn.skin * (1.0 - moved(grown(source.parting.photo * source.parting.above, size), flow))
        # Hair of the photo over the brows: bangs, which no pen goes under.
        self._free: Tensor | None = None
        if drawn.brows is not None and source.parting is not None:
            self._free = _forehead(moved(grown(source.parting.photo, size), flow), drawn.brows)
        before, after = moved(_solid_colours(source.maps, size), flow), _solid_colours(maps, size)
        meant = _significance(after - before)
        if source.parting is not None:
            apart = source.parting
            # The generator paints brows along with hair.
            sure = (apart.photo + apart.photo_brows * apart.brows).clamp(max=1.0)
            parts = torch.cat((sure, apart.own, apart.upper), dim=1)
            photos, own, upper = moved(grown(parts, size), flow).split(1, dim=1)
            solid = moved(grown(source.maps.alpha, size), flow)
            both = torch.cat((before, after), dim=1)
            before, after = torch.lerp(both, kept_apart(both, photos, own, solid), upper).split(3, dim=1)
        hair = skin = None
        if source.parting is not None:
            hair = moved(grown(source.parting.photo, size), flow)
            if source.parting.skin is not None:
                skin = moved(grown(source.parting.skin * (1.0 - source.parting.above), size), flow)
        # Hair over the face, which nothing is drawn under.
        self._bare: Tensor | None = None
        if drawn.gender is not None and hair is not None and source.parting is not None:
            fringe = moved(grown(source.parting.photo * source.parting.above, size), flow)
            self._bare = 1.0 - fringe * (1.0 - drawn.gender.brows.to(fringe))
        self._complexion: Complexion | None = None
        drawn_on = [GENDER] if drawn.gender is not None else []
        if edit.strength(SKIN_TONE) != 0.0 and source.parting is not None:
            self._complexion = complexion_of(source.photo, source.parting, source.maps, maps)
        if self._complexion is not None:
            drawn_on.append(SKIN_TONE)
            self._complexion = self._complexion._replace(where=moved(grown(self._complexion.where, size), flow))
            # What other attributes paint is a change of skin that is as light as this.
            before = self._complexion.own(before, self._complexion.where)
        share = _significance(after - before) * grown(region(edit, maps, hair, skin, drawn_on), size)
        if drawn.kept is not None:
            # Smiling lips that nothing parts are moved, not painted: the generator has teeth over the lip there.
            share = share * (1.0 - drawn.kept.to(share))
        if hair is not None and source.parting is not None and edit.strength(LENGTH) < 0.0 and not _dyes(edit):
            # Shorter hair is less of it: what the generator then shows of the scalp had bleached the hair that stays.
            share = share * (1.0 - hair * moved(grown(source.parting.above, size), flow))
        self._beard = None
        self._beard_tone: Tensor | None = None
        painted = share
        if source.tone is not None and edit.strength(BEARD) > 0.0:
            # Of this it says where it grows, not how it looks.
            beard = share * grown(region(LatentEdit.none.with_strength(BEARD, 1.0), maps), size)
            share = share - beard
            if drawn.grows is not None:
                beard = beard * drawn.grows.to(beard)
            self._beard = beard if drawn.lips is None else beard * (1.0 - drawn.lips.to(beard))
            if source.parting is not None and source.parting.beard is not None:
                # A grown one has its own colour; teeth between its lips are none of it.
                seen = grown(source.parting.beard, size)
                if drawn.lips is not None:
                    seen = seen * (1.0 - drawn.lips.to(seen))
                self._beard_tone = beard_tone(source.photo, seen, source.matte)
            painted = torch.maximum(share, self._beard)
        whole, self._known = source.matte_at(size)
        matte = moved(whole, flow)
        # Where the edit puts something new (a beard's rim, longer hair) the photo's matte does not know the head yet.
        alpha = grown(maps.alpha, size)
        fresh = (alpha - moved(grown(source.maps.alpha, size), flow)).clamp(min=0.0) * grown(region(edit, maps), size)
        self._locks: Tensor | None = None
        if source.tone is not None and source.parting is not None and hair is not None and grows(edit):
            apart = source.parting
            parts = moved(grown(torch.cat((apart.above, apart.bare, apart.upper), dim=1), size), flow)
            above, bare, upper = parts.split(1, dim=1)
            face = (1.0 - hair) * (1.0 - above) * torch.maximum(within(matte), (1.0 - upper) * matte)
            found = new_hair(edit, meant, share, fresh, hair, above, bare, torch.maximum(bare, face), matte)
            self._locks, share = found.locks * alpha, found.rest
            painted = torch.maximum(painted, self._locks)
        self._before, self._after, self._share, self._hair = before, after, share, hair
        self.matte = torch.maximum(matte, torch.maximum(painted, fresh) * alpha)
        # Colours are carried past the matte's edge first: the flow may then pull those in, never the background.

    def __call__(self, photo: Tensor) -> Tensor:
        """The photo (1, 3, S, S) edited, its colours carried past the edited head."""
        side = photo.shape[-1]
        inner = functional.interpolate(self._known, size=side, mode="bilinear", align_corners=False)
        here = moved(extended(photo, inner), None if self._flow is None else grown(self._flow, side))
        before, after, share = (grown(one, side) for one in (self._before, self._after, self._share))
        if self._complexion is not None:
            here = with_complexion(here, self._complexion, self._drawn.lips)
        # Wrinkles first: what the edit paints lies on skin as it then is.
        if self._skin is not None:
            here = with_wrinkles(here, self._skin, self._age, self._drawn.creases)
        hair = None if self._hair is None else grown(self._hair, side)
        edited = _repainted(here, before, after, share, hair)
        if self._locks is not None and hair is not None and self._tone is not None:
            # In the tone, and the light, of the hair that they hang from; far from any, in the tone of all of it.
            sure = ((hair - SURE) / (1.0 - SURE)).clamp(min=0.0) * (1.0 - grown(self._locks, side))
            whole = self._tone[:, None, None]
            colours = (sure * (edited + 1.0) * 0.5 + FAR * whole) / (sure + FAR)
            edited = bearded(edited, self._locks, surroundings(colours, sure + FAR, NEAR * side), 1.0)
        if self._beard is not None and self._tone is not None:
            tone, darker = (self._tone, DARKER) if self._beard_tone is None else (self._beard_tone, 1.0)
            edited = bearded(edited, self._beard, tone, darker)
        if self._drawn.gender is not None:
            edited = with_gender(edited, self._drawn.gender, self._gender, self._bare, self._tone)
        if self._drawn.brows is not None:
            edited = with_brows(edited, self._drawn.brows, self._brows, self._free)
        if self._drawn.mouth is not None:
            edited = with_mouth(edited, photo, self._drawn.mouth)
        return carried_out(edited, self.matte)

    def believed(self, view: SourceView) -> SourceView:
        """The view with what was drawn believed: teeth lie behind lips, where such a step is no reason for doubt.

        What the photo shows of other parts than the head has is doubted, as in the unedited view. New hair has the
        light that it was drawn in, and not that of the skin below.
        """
        if self._agreed is not None:
            view = view.doubted(self._agreed)
        drawn = [one for one in (self._beard, self._locks) if one is not None]
        if view.light is not None and drawn:
            cover = torch.stack(drawn).amax(dim=0).clamp(0.0, 1.0)
            cover = functional.interpolate(cover, size=view.light.shape[-2:], mode="area")
            view = replace(view, light=1.0 + (view.light - 1.0) * (1.0 - cover))
        if self._drawn.mouth is None:
            return view
        inside = self._drawn.mouth.inside.to(view.weight)
        inside = functional.interpolate(inside, size=view.weight.shape[-2:], mode="area")
        return replace(view, weight=torch.maximum(view.weight, (2.0 * inside).clamp(max=1.0)))


def _forehead(hair: Tensor, brows: Tensor) -> Tensor:
    """Where no hair hangs into the forehead just above the brows (1, 1, S, S), 0..1.

    Brows themselves look like hair; what tells bangs is that there is hair a little above them, too.
    """
    size = hair.shape[-1]
    rise = max(1, size // 20)
    above = functional.pad(hair, (0, 0, rise, 0))[:, :, :size]
    hung = functional.avg_pool2d(above * (1.0 - brows.to(hair)), 9, 1, 4)
    return (1.0 - 2.5 * functional.max_pool2d(hung, 9, 1, 4)).clamp(0.0, 1.0)


def _dyes(edit: LatentEdit) -> bool:
    """Whether an edit gives hair another colour."""
    return any(edit.strength(name) != 0.0 for name in DYES)


def grown(picture: Tensor, size: int) -> Tensor:
    """Bilinear enlargement. A flow is in unit coordinates: its values stay."""
    return functional.interpolate(picture, size=(size, size), mode="bilinear", align_corners=False)


def _solid_colours(maps: VolumeMaps, size: int) -> Tensor:
    """What the field paints (1, 3, size, size), carried past its outline, where a picture fades into the backdrop."""
    solid = (maps.alpha > 0.5).to(maps.rgb.dtype)
    return grown(extended(maps.rgb / maps.alpha.clamp(min=1e-3), solid), size)


def _repainted(photo: Tensor, before: Tensor, after: Tensor, share: Tensor, hair: Tensor | None = None) -> Tensor:
    """The photo with what the generator painted anew.

    Generator and photo never quite agree on a skin or a head of hair. Their difference, taken from a fair cheek to put
    a beard on it, leaves a purple cast. So brightness is carried on: what gets darker is multiplied by the ratio of
    the generator's brightnesses, what gets lighter is raised by their difference, but a patch not far above the new one
    (teeth on teeth stay teeth). Colour is the new thing's own, the more of it is new. Hair that is lightened keeps its
    contrast: black strands raised alike would be fog.

    Shape:
        photo, before, after (1, 3, S, S) in [-1, 1]; share (1, 1, S, S) of the change that is meant; hair (1, 1, S, S),
        0..1.
    """
    here, old, new = ((picture + 1.0) * 0.5 for picture in (photo, before, after))
    bright_here, bright_old, bright_new = (luma(picture).clamp(min=0.02) for picture in (here, old, new))
    around = grown(functional.interpolate(bright_here, size=AROUND, mode="area"), photo.shape[-1])
    surplus = (around - bright_old).clamp(0.0, SURPLUS)
    raised = bright_here + torch.minimum(bright_new - bright_old, (bright_new + surplus - around).clamp(min=0.0))
    if hair is not None:
        gain = (1.0 + (raised - bright_here).clamp(min=0.0) / around.clamp(min=0.02)).clamp(max=LIVELIER)
        raised = (raised + hair * (gain - 1.0) * (bright_here - around)).clamp(min=0.02)
    bright = torch.where(bright_new < bright_old, bright_here * bright_new / bright_old, raised)
    own = here / bright_here - old / bright_old
    changed = bright * (new / bright_new + own * (1.0 - share))
    return (photo + 2.0 * share * (changed - here)).clamp(-1.0, 1.0)


def _significance(change: Tensor) -> Tensor:
    """How far the change of each pixel is meant, 0..1: (1, 1, 256, 256)."""
    amount = change.abs().amax(dim=1, keepdim=True)
    return ((amount - CHANGE_NONE) / (CHANGE_FULL - CHANGE_NONE)).clamp(0.0, 1.0)


def moved(picture: Tensor, flow: Tensor | None) -> Tensor:
    """The picture as the flow's target sees it: pixel p shows what the picture has at p + flow.

    Shape:
        picture (1, C, S, S), flow (1, 2, S, S) in unit picture coordinates, or None for no movement.
    """
    if flow is None:
        return picture
    size = picture.shape[-1]
    steps = (torch.arange(size, device=picture.device) + 0.5) / size
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    grid = (torch.stack((u, v), dim=-1)[None] + flow.permute(0, 2, 3, 1)) * 2.0 - 1.0
    return functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
