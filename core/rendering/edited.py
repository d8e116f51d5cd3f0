"""The two tiers above a frame: what a photo shows of a head (once a photo), and the head under one edit (once an edit).

Geometry moves with an edit, so the photo's colours must move with it: E_ADA's flow says where in the photo the edited
view's pixels come from. What the edit reveals or changes (teeth, wrinkles, a beard) is the generator's difference
between the edited and the moved unedited render, added where it is significant. An empty edit takes none of these
steps: it *is* the photo tier, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import Camera
from core.edit import LatentEdit
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.additions import Addition
from core.rendering.arch import arch_of
from core.rendering.auricles import Auricles, EarPlaces, ears_under
from core.rendering.beard import ATTRIBUTE as BEARD
from core.rendering.behind import Behind
from core.rendering.border import Border
from core.rendering.brows import ATTRIBUTE as BROWS
from core.rendering.drawing import drawn_by
from core.rendering.eyewear import ATTRIBUTE as EYEWEAR
from core.rendering.eyewear import Eyewear, eyewear_on
from core.rendering.flow import GRID, anchored, landmark_flow
from core.rendering.folded import Beyond, FoldedField
from core.rendering.hair_tone import natural, toned
from core.rendering.hands import Pause, both, resting
from core.rendering.hybrid import aligned_residual, local_depth, reference_features
from core.rendering.lids import ATTRIBUTE as LIDS
from core.rendering.lids import with_lids
from core.rendering.locks import BANGS, LENGTH
from core.rendering.painter import Painter
from core.rendering.reach import reach_of
from core.rendering.regions import DYES
from core.rendering.repaint import Drawn, EditedColours, grown
from core.rendering.restraint import allowed, of_the_mouth, with_lids_kept, with_lips_kept, with_mouth_kept
from core.rendering.seen import Seen, seen_from, source_surface
from core.rendering.shape import HeadShape, draft_shape, head_shape
from core.rendering.source import SourceHead
from core.rendering.temples import elsewhere
from core.rendering.tones import CELLS
from core.rendering.toning import told_tones
from core.visibility import GUIDE_SIZE, SourceView, carried_out, source_geometry

# Attributes that need no direction: landmarks say what to do with the photo.
DRAWN_ON = (LIDS, BROWS)
# Side of a draft's source view, and of the grid at which its flow is worked out.
DRAFT_VIEW, DRAFT_GRID = 128, 48
# Points of hair behind that are asked what an edit does to them: tones have cells of a centimetre.
TELLING = 600
# Share from which on a pixel is surely what it is.
SURELY = 0.8
# Attributes that move the border between hair and skin: after a whole step it may be anywhere beyond where it was.
MOVING = (LENGTH, BANGS, BEARD)


@dataclass(frozen=True, eq=False)
class EditedHead:
    """Edit tier: latents and source views of a head in the state that an edit asks for.

    What small pictures do without (the large photo, E1's features) is only made when it is asked for.
    """

    source: SourceHead
    edit: LatentEdit
    styles: Tensor
    decoder_styles: Tensor
    shape: HeadShape
    view: SourceView
    painter: Painter
    seen: Seen | None
    """A draft from the photo's camera: where most sliders are moved, and then it need not be looked at twice."""
    _maps: VolumeMaps
    _make_large: Callable[[], SourceView]
    _make_features: Callable[[], Tensor | None]
    tuned: float = 0.0
    """How far the generator was tuned to this photo, 0..1: so much of its tones it says itself."""
    eyewear: Eyewear | None = None
    """Glasses that are put on the head."""
    ears: EarPlaces | None = None
    """Its ears that show."""

    def worn(self, camera: Camera) -> tuple[Eyewear, ...]:
        """Glasses that a camera sees and the photo does not show there."""
        temples = self.source.temples
        if temples is not None:
            share = elsewhere(camera, self.source.angles)
            temples = replace(temples, strength=share * temples.strength) if share > 0.0 else None
        return tuple(one for one in (temples, self.eyewear) if one is not None)

    def natural(self, maps: VolumeMaps) -> VolumeMaps:
        """Maps of this state without the blue that a tuned generator makes of hair that an edit dyes."""
        return _natural(self.source, self.edit, self.tuned, maps)

    def natural_colours(self, colours: Tensor) -> Tensor:
        """The same of the field's own colours of places (N, 3), in [-1, 1]."""
        tone = _dyed_by(self.source, self.edit, self.tuned)
        if tone is None:
            return colours
        return natural(colours.T[None, :, :, None], colours.new_ones(1, 1, 1, 1), tone)[0, :, :, 0].T

    @cached_property
    def view_large(self) -> SourceView:
        """The source view with the photo at full resolution."""
        return self._make_large()

    @cached_property
    def tones(self) -> Tensor:
        """How far the field's colours are off, everywhere (1, 3, C, C, C).

        A tuned head says its photo's tones itself, but hardly what an edit makes of them: that is what is off then.
        """
        source, behind = self.source, self.source.behind
        alone = self.edit.is_empty or source.plain is None
        if self.tuned >= 1.0 and alone:
            return source.photo.new_zeros(1, 3, CELLS, CELLS, CELLS)
        unedited = behind
        if behind is not None and not self.edit.is_empty:
            unedited = behind.fewer(TELLING)  # of the same points, or an edit of nothing would change something
            behind = unedited._replace(off=self._off(unedited))
        uncovered = max(0.0, 1.0 - sum(max(0.0, self.edit.strength(name)) for name in (LENGTH, BEARD)))
        told = told_tones(source, self.view, self._maps, behind, uncovered)
        if self.tuned <= 0.0 or alone:
            return (1.0 - self.tuned) * told
        return told - self.tuned * told_tones(source, source.view, source.maps, unedited, 1.0)

    @cached_property
    def border(self) -> Border | None:
        """Where hair ends, in the tones of this state."""
        border, parting = self.source.border, self.source.parting
        if border is None or parting is None or self.edit.is_empty:
            return border
        grown = max(-1.0, min(1.0, sum(self.edit.strength(name) for name in MOVING)))
        return border.under(self._changed(parting.bare * (1.0 - parting.photo)), self._dyed(), grown)

    @cached_property
    def auricles(self) -> Auricles | None:
        """Its ears that show, in the tones of this state."""
        if self.ears is None:
            return None
        return Auricles.of(self.ears, lambda points: self.natural_colours(self._own_colours(points)), self.tones)

    def _own_colours(self, points: Tensor) -> Tensor:
        """The field's own (N, 3), in [-1, 1], at places of the head (N, 3)."""
        field = self.shape.field.light
        _, raw = field.appearance(field.hidden(points))
        return 2.0 * torch.sigmoid(raw) - 1.0

    def _off(self, behind: Behind) -> Tensor:
        """By how much hair behind is off what the generator has there now (N, 3): it is dyed as the photo's is."""
        own = self._own_colours(behind.hair)
        return toned(own, behind.tone + self._dyed(), behind.painted[:, 0] > 0.0)

    def _dyed(self) -> Tensor:
        """By how much the edit has changed the photo's hair (3,)."""
        parting = self.source.parting
        if parting is None or not any(self.edit.strength(name) for name in DYES):
            return self.source.photo.new_zeros(3)
        return self._changed(parting.photo)

    def _changed(self, part: Tensor) -> Tensor:
        """By how much the edit has changed a part of the photo (3,): its median, which is neither shine nor shade.

        Shape:
            part (1, 1, s, s), 0..1.
        """
        photo, size = self.source.photo, part.shape[-1]
        head, _ = self.source.matte_at(size)
        chosen = (part * head).flatten() > SURELY
        if not chosen.any():
            return photo.new_zeros(3)
        small = (functional.interpolate(one, size=size, mode="area") for one in (photo, self.view.photo))
        before, after = (one.flatten(2)[0][:, chosen].median(dim=1).values for one in small)
        return after - before

    @cached_property
    def features(self) -> Tensor | None:
        """E1's features of the photo's view (1, C, 64, 64), or None without a local branch."""
        return self._make_features()

    def view_for(self, size: int) -> SourceView:
        """The source view whose photo is fine enough for a picture of this side."""
        return self.view if size <= self.view.photo.shape[-1] else self.view_large


def edited_latents(networks: Networks, source: SourceHead, edit: LatentEdit) -> tuple[Tensor, Tensor]:
    """Latents moved along the directions of an edit; attributes that the model does not know change nothing.

    Shape:
        Returns (1, rows, style_dim) and (1, rows_d, D).
    """
    styles, decoder_styles = source.styles, source.decoder_styles
    for name, strength in edit.items():
        direction = networks.directions.get(name)
        if direction is not None:
            styles = styles + strength * direction.renderer
            decoder_styles = decoder_styles + strength * direction.decoder
    return styles, decoder_styles


def edited_head(
    networks: Networks, source: SourceHead, edit: LatentEdit, *, draft: bool = False, pause: Pause = resting
) -> EditedHead:
    """The head under an edit, ready for any camera.

    Args:
        networks: The model.
        source: The photo tier.
        edit: What to change.
        draft: Prepare no more than small pictures need, as while a hand moves a slider.
        pause: Called between stages.
    """
    if edit.strength(EYEWEAR) > 0.0 and networks.landmarks is not None:
        bare = edited_head(networks, source, edit.with_strength(EYEWEAR, 0.0), draft=draft, pause=pause)
        return replace(bare, edit=edit, eyewear=_glasses(networks, bare, edit.strength(EYEWEAR)))
    if edit.is_empty:
        return EditedHead(
            source,
            edit,
            source.styles,
            source.decoder_styles,
            source.shape,
            source.view,
            Painter(networks.generator.decoder, source.decoder_styles),
            None,
            source.maps,
            lambda: source.view.with_photo(carried_out(source.photo_large, source.matte)),
            lambda: reference_features(networks, source.residual, local_depth(source.maps)),
            networks.tuned,
            ears=source.ears,
        )
    styles, decoder_styles = edited_latents(networks, source, edit)
    states = _landmark_states(networks, source, edit, styles)
    field, size, cut = networks.generator.field, DRAFT_VIEW if draft else GUIDE_SIZE, edit.strength(LENGTH) < 0.0
    # Dyes, and what is drawn on the photo, leave the head's shape as it is.
    of_ears = styles
    moves_shape = not torch.equal(styles[:, :-1], source.styles[:, :-1])
    if not moves_shape:
        shape = source.shape.recoloured(field, styles)
    else:
        additions, reaches = _additions(networks, source, edit, styles, states), reach_of(edit)
        # Undeformed and without additions: both are the edited head's own.
        beyond = None if reaches is None else Beyond(source.undeformed(field), reaches, source.shape.distance)
        of_ears = styles if beyond is None or beyond.has_ears else source.styles
        if draft:
            shape = draft_shape(field, styles, source.shape, source.strays, additions, beyond)
        else:
            shape = head_shape(field, styles, source.strays, pause, source.deformation, additions, beyond)
    pause()
    again = None if moves_shape else source.seen.recoloured(networks, shape)
    seen = again or seen_from(networks, shape, source.angles, draft=draft, pause=pause)
    maps = _natural(source, edit, networks.tuned, seen.maps)
    before, after = source, maps
    if source.plain is not None and networks.untuned is not None:
        plain = source.plain.styles + (styles - source.styles)
        folded = FoldedField(networks.untuned.field, plain, source.deformation, shape.field.additions).light
        before = replace(source, maps=source.plain.maps, parting=source.plain.parting)
        after = seen.geometry.appearance(networks.untuned, folded)
    pause()
    # A draft's surface is what was traced: it is made beside the rest below.
    surface = source.surface if not moves_shape else None if draft else source_surface(shape, source.angles, seen)

    def moves() -> Tensor | None:
        if states is None:
            flow = aligned_residual(networks, source.residual, maps.rgb)[1]
            flow = None if flow is None else grown(flow, size)
        else:
            flow = landmark_flow(*states, source.angles, size, DRAFT_GRID if draft else GRID)
        if flow is not None and source.resting_flow is not None:
            # The smaller the edit, the smaller the movement: a slider that leaves 0 must not make the picture jump.
            flow = flow - grown(source.resting_flow, size)
        return flow

    matte_found: Future[Tensor] = Future()

    def coloured() -> tuple[EditedColours, Tensor]:
        try:
            numbers = None if networks.landmark_indices is None else networks.landmark_indices.cpu().numpy()
            drawn = Drawn() if states is None or numbers is None else drawn_by(edit, source, numbers, states, size)
            colours = EditedColours(before, edit, after, moves(), size, drawn)
            matte_found.set_result(colours.matte)
        except BaseException as error:
            matte_found.set_exception(error)
            raise
        return colours, colours(functional.interpolate(source.photo, size=size, mode="area") if draft else source.photo)

    def shaped() -> tuple[Painter, tuple[Tensor, Tensor, Tensor, Tensor]]:
        painter = Painter(networks.generator.decoder, decoder_styles)
        found = surface or source_surface(shape, source.angles, seen, draft=True)
        return painter, source_geometry(found.depth, found.hit, matte_found.result(), source.angles)

    (colours, photo), (painter, known) = both(coloured, shaped, pause)
    depth, weight, normals, within = known
    shown = SourceView(photo, depth, weight, normals, source.angles, within=within, light=source.view.light)
    shown = colours.believed(shown)
    pause()
    return EditedHead(
        source,
        edit,
        styles,
        decoder_styles,
        shape,
        shown,
        painter,
        seen if draft else None,
        maps,
        (lambda: shown) if draft else lambda: shown.with_photo(colours(source.photo_large)),
        lambda: reference_features(
            networks, aligned_residual(networks, source.residual, maps.rgb)[0], local_depth(maps)
        ),
        networks.tuned,
        ears=ears_under(source.ears, networks.auricles, field, source.styles, of_ears, source.deformation, cut=cut),
    )


def _natural(source: SourceHead, edit: LatentEdit, tuned: float, maps: VolumeMaps) -> VolumeMaps:
    tone = _dyed_by(source, edit, tuned)
    return maps if tone is None else maps._replace(rgb=natural(maps.rgb, maps.alpha, tone))


def _dyed_by(source: SourceHead, edit: LatentEdit, tuned: float) -> Tensor | None:
    """The tone of the photo's hair where a tuned generator dyes it."""
    return source.tone if tuned > 0.0 and any(edit.strength(name) for name in DYES) else None


def _glasses(networks: Networks, head: EditedHead, strength: float) -> Eyewear | None:
    """Glasses on the landmarks of a head in its state, or None where landmarks have no names."""
    if networks.landmarks is None or networks.landmark_indices is None:
        return None
    places = networks.landmarks(head.styles[:, :-1].mean(dim=1))[0]
    if head.source.deformation is not None:
        places = head.source.deformation.placed_back(places)
    named = zip(networks.landmark_indices.tolist(), places.double().cpu().numpy(), strict=True)

    def distance(points: NDArray[np.float64]) -> NDArray[np.float32]:
        return head.shape.distance(torch.from_numpy(points).to(places)).float().cpu().numpy()

    return eyewear_on(dict(named), distance, strength)


def _landmark_states(
    networks: Networks, source: SourceHead, edit: LatentEdit, styles: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Landmarks of the head before and after an edit, (1, L, 3) each; None where the model has none."""
    if networks.landmarks is None:
        return None
    parts = (edited_latents(networks, source, part)[0] for part in (allowed(edit), of_the_mouth(edit)))
    latents = torch.cat([latent[:, :-1].mean(dim=1) for latent in (source.styles, styles, *parts)])
    found = networks.landmarks(latents)
    if source.marks is not None and networks.landmark_indices is not None:
        found = anchored(found, source.marks[networks.landmark_indices], source.angles)
    old, new, meant, mouth = found.split(1)
    if networks.landmark_indices is not None:
        numbers = networks.landmark_indices
        new = with_mouth_kept(old, new, mouth, numbers)
        new = with_lips_kept(old, with_lids_kept(old, new, numbers), meant, numbers)
        new = with_lids(new, numbers, edit.strength(LIDS))
    return old, new


def _additions(
    networks: Networks,
    source: SourceHead,
    edit: LatentEdit,
    styles: Tensor,
    states: tuple[Tensor, Tensor] | None,
) -> tuple[Addition, ...]:
    """What the head has beyond its field, in the edited state: teeth between the new lips, hair as long as it is."""
    arch, curtain = None, source.curtain
    if states is not None and networks.landmark_indices is not None and source.marks is not None:
        light = FoldedField(networks.generator.field, styles, source.deformation).light
        arch = arch_of(light.sdf, source.angles, states[1][0], networks.landmark_indices.cpu().numpy())
    if curtain is not None:
        curtain = curtain.shorter(edit.strength(LENGTH))
    scalp = source.scalp
    if scalp is not None:
        scalp = scalp.longer(max(edit.strength(name) for name in (LENGTH, BANGS)))
    return tuple(one for one in (scalp, arch, curtain) if one is not None)
