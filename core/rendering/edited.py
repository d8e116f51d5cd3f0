"""The two tiers above a frame: what a photo shows of a head (once a photo), and the head under one edit (once an edit).

Geometry moves with an edit, so the photo's colours must move with it: E_ADA's flow says where in the photo the edited
view's pixels come from. What the edit reveals or changes (teeth, wrinkles, a beard) is the generator's difference
between the edited and the moved unedited render, added where it is significant. An empty edit takes none of these
steps: it *is* the photo tier, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.edit import LatentEdit
from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.beard import ATTRIBUTE as BEARD
from core.rendering.beard import bearded, hair_tone
from core.rendering.deformation import Deformation
from core.rendering.eyewear import ATTRIBUTE as EYEWEAR
from core.rendering.eyewear import Eyewear, eyewear_on
from core.rendering.flow import GRID, landmark_flow
from core.rendering.folded import FoldedField
from core.rendering.hair import Parting, kept_apart, parted, tones_of
from core.rendering.hands import Pause, alone, both, resting
from core.rendering.hybrid import aligned_residual, enlarged, local_depth, reference_features
from core.rendering.integrals import HeadPass, integrate_geometry
from core.rendering.mouth import ATTRIBUTE as MOUTH
from core.rendering.mouth import Opening, lips, opening, with_mouth
from core.rendering.painter import Painter
from core.rendering.regions import region
from core.rendering.search import located
from core.rendering.shape import HeadShape, draft_shape, head_shape
from core.rendering.solids import strays
from core.rendering.surfaces import Crossings, SurfaceMap, refined_surface
from core.rendering.tones import CELLS, tone_volume
from core.visibility import GUIDE_SIZE, SourceView, extended, look_up, project, source_view

# Side of the source surface that colours are tested against: that of training's surface maps.
SOURCE_SURFACE = 128
# Side of a draft's source view, and of the grid at which its flow is worked out.
DRAFT_VIEW, DRAFT_GRID = 128, 48
# Largest difference over the channels of two thumbnails (in [-1, 1]) below which an edit left the pixel as it was, and
# above which its new appearance is taken in full: the numbers that the hybrid stage was trained with.
CHANGE_NONE, CHANGE_FULL = 0.08, 0.24
# What is said about hair at the back counts as much as this share of a point that the photo sees; the back begins here
# (z, world units), and hair is known from this share of the photo's head on.
BEHIND, BACK, SOME_HAIR = 0.5, -0.02, 0.02
# A patch that an edit lightens may outshine what the generator paints there by what it did before, but by no more than
# this much; patches a side.
SURPLUS, AROUND = 0.15, 64


@dataclass(frozen=True, eq=False)
class SourceHead:
    """Photo tier: the photo, the latents found for it, and what the head looks like from the photo's camera.

    Shape:
        photo (1, 3, 256, 256) and photo_large (1, 3, S, S) in [-1, 1]; matte (1, 1, S, S); styles (1, rows, style_dim);
        decoder_styles (1, rows_d, D); angles (1, 2); maps at 64 px as integrated;
        residual (1, 3, 256, 256); resting_flow (1, 2, 256, 256): what E_ADA sees move when nothing is edited, which is
        its error.
    """

    photo: Tensor
    photo_large: Tensor
    matte: Tensor
    styles: Tensor
    decoder_styles: Tensor
    angles: Tensor
    maps: VolumeMaps
    surface: SurfaceMap
    view: SourceView
    residual: Tensor
    resting_flow: Tensor | None
    shape: HeadShape
    strays: Tensor | None
    """Where solids float beside the head; see ``core.rendering.solids``."""
    deformation: Deformation | None = None
    """How the head differs from the one of its latents."""
    parting: Parting | None = None
    """What of photo and generator is hair, where the model knows its landmarks."""
    tone: Tensor | None = None
    """The colour of somebody's hair (3,) in [0, 1], likewise."""
    behind: tuple[Tensor, Tensor] | None = None
    """Points (N, 3) of hair at the back of the head, and by how much it is off the photo's there (N, 3)."""


class Seen(NamedTuple):
    """A head from one camera, before the local branch."""

    found: Crossings
    geometry: HeadPass
    maps: VolumeMaps


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

    @cached_property
    def view_large(self) -> SourceView:
        """The source view with the photo at full resolution."""
        return self._make_large()

    @cached_property
    def tones(self) -> Tensor:
        """How far the field's colours are off, everywhere (1, 3, C, C, C); nowhere on a head that was tuned."""
        if self.tuned >= 1.0:
            return self.source.photo.new_zeros(1, 3, CELLS, CELLS, CELLS)
        maps = self._maps
        solid = maps.alpha.clamp(min=1e-3)
        points = (maps.xyz / solid).flatten(2).transpose(1, 2)
        colour, trust = look_up(self.view, points, target=self.source.angles)
        own = (maps.rgb / solid).flatten(2).transpose(1, 2)
        trust = trust * (maps.alpha.flatten(1) > 0.9)
        known = [points[0], colour[0] - own[0], trust[0, :, None]]
        if self.source.behind is not None:
            place, off = self.source.behind
            known = [
                torch.cat(pair) for pair in zip(known, (place, off, BEHIND * torch.ones_like(off[:, :1])), strict=True)
            ]
        return (1.0 - self.tuned) * tone_volume(*known)

    @cached_property
    def features(self) -> Tensor | None:
        """E1's features of the photo's view (1, C, 64, 64), or None without a local branch."""
        return self._make_features()

    def view_for(self, size: int) -> SourceView:
        """The source view whose photo is fine enough for a picture of this side."""
        return self.view if size <= self.view.photo.shape[-1] else self.view_large


def source_head(
    networks: Networks,
    photo: Tensor,
    photo_large: Tensor,
    matte: Tensor,
    styles: Tensor,
    decoder_styles: Tensor,
    angles: Tensor,
    pause: Pause = resting,
    deformation: Deformation | None = None,
) -> SourceHead:
    """Render the head from the photo's camera and prepare the photo for look-ups; pauses between stages.

    Shape:
        As in :class:`SourceHead`.
    """
    field = networks.generator.field
    with_strays = FoldedField(field, styles, deformation).light

    def distances(points: Tensor) -> Tensor:
        pause()
        return with_strays.sdf(points[None])[0, :, 0]

    stray = strays(distances, networks.device)
    pause()
    shape = head_shape(field, styles, stray, pause, deformation)
    seen, surface = _source_render(networks, shape, angles, pause=pause)
    maps = seen.maps
    pause()
    # The networks saw heads on mid-grey, premultiplied by their matte.
    small_matte = functional.interpolate(matte, size=photo.shape[-2:], mode="area")
    residual = photo * small_matte - enlarged(maps.rgb)
    parting = None if networks.landmarks is None else _parting(networks.landmarks, photo, matte, maps, styles, angles)
    tone = None if parting is None else hair_tone(photo, parting.photo * parting.above, matte, parting.brows)
    pause()
    return SourceHead(
        photo,
        photo_large,
        matte,
        styles,
        decoder_styles,
        angles,
        maps,
        surface,
        source_view(photo, surface.depth, surface.hit, matte, angles),
        residual,
        None if networks.landmarks is not None else aligned_residual(networks, residual, maps.rgb)[1],
        shape,
        stray,
        deformation,
        parting,
        tone,
        None if parting is None or tone is None else _behind(networks, shape, angles, parting, tone, matte, pause),
    )


def _behind(
    networks: Networks,
    shape: HeadShape,
    angles: Tensor,
    parting: Parting,
    tone: Tensor,
    matte: Tensor,
    pause: Pause,
) -> tuple[Tensor, Tensor] | None:
    """Hair that no photo shows has the colour of the hair that it does show; see :class:`SourceHead`."""
    head = functional.interpolate(matte, size=parting.photo.shape[-2:], mode="area")
    if parting.palette is None or (parting.photo * parting.above * head).sum() < SOME_HAIR * head.sum():
        return None
    away = angles * angles.new_tensor((1.0, 0.0)) + angles.new_tensor((math.pi, 0.0))
    field = shape.field.light
    found = located(shape, away, draft=True)
    pause()
    maps = integrate_geometry(networks.generator, field, away, found, fallback=False)
    seen = maps.appearance(networks.generator, field)
    solid = seen.alpha.clamp(min=1e-3)
    own, points = ((one / solid).flatten(2)[0].T for one in (seen.rgb, seen.xyz))
    hair = parting.palette.certain(tones_of(own.T[None, :, :, None])[0, :, :, 0].T) > 0.0
    hair = hair & (seen.alpha.flatten() > 0.9) & (points[:, 2] < BACK)
    if not hair.any():
        return None
    off = 2.0 * tone - 1.0 - own[hair].mean(dim=0)
    return points[hair], off.expand(int(hair.sum()), 3)


def _parting(
    regressor: LandmarkRegressor, photo: Tensor, matte: Tensor, maps: VolumeMaps, styles: Tensor, angles: Tensor
) -> Parting:
    landmarks = regressor(styles[:, :-1].mean(dim=1))
    own = maps.rgb / maps.alpha.clamp(min=1e-3)
    return parted(photo, matte, own, maps.alpha, landmarks[0], project(landmarks, angles)[0][0])


def _source_render(
    networks: Networks, shape: HeadShape, angles: Tensor, *, draft: bool = False, pause: Pause = resting
) -> tuple[Seen, SurfaceMap]:
    """Thumbnail and fine surface from the source camera."""
    found = located(shape, angles, draft=draft)
    field = shape.field.light
    geometry = integrate_geometry(networks.generator, field, angles, found, fallback=not draft)
    seen = Seen(found, geometry, geometry.appearance(networks.generator, field))
    pause()
    if draft:
        return seen, refined_surface(shape.light, angles, found, SOURCE_SURFACE, steps=0)
    return seen, refined_surface(shape.light, angles, found, SOURCE_SURFACE, estimate=shape.distance)


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
        whole = source.surface
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
            lambda: source_view(source.photo_large, whole.depth, whole.hit, source.matte, source.angles),
            lambda: reference_features(networks, source.residual, local_depth(source.maps)),
            networks.tuned,
        )
    styles, decoder_styles = edited_latents(networks, source, edit)
    field, size = networks.generator.field, DRAFT_VIEW if draft else GUIDE_SIZE
    if draft:
        shape = draft_shape(field, styles, source.shape, source.strays)
    else:
        shape = head_shape(field, styles, source.strays, pause, source.deformation)
    pause()
    seen, surface = _source_render(networks, shape, source.angles, draft=draft, pause=pause)
    maps = seen.maps
    pause()

    def moves() -> Tensor | None:
        if networks.landmarks is None:
            flow = aligned_residual(networks, source.residual, maps.rgb)[1]
            flow = None if flow is None else _grown(flow, size)
        else:
            geometry, moved_geometry = (latent[:, :-1].mean(dim=1) for latent in (source.styles, styles))
            grid = DRAFT_GRID if draft else GRID
            flow = landmark_flow(networks.landmarks, geometry, moved_geometry, source.angles, size, grid)
        if flow is not None and source.resting_flow is not None:
            # The smaller the edit, the smaller the movement: a slider that leaves 0 must not make the picture jump.
            flow = flow - _grown(source.resting_flow, size)
        return flow

    flow, painter = both(moves, lambda: Painter(networks.generator.decoder, decoder_styles))
    with alone():
        view = _view_maker(source, edit, maps, surface, flow, size, *_mouth(networks, source, edit, styles, size))
        shown = view(functional.interpolate(source.photo, size=size, mode="area") if draft else source.photo)
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
        (lambda: shown) if draft else lambda: view(source.photo_large),
        lambda: reference_features(
            networks, aligned_residual(networks, source.residual, maps.rgb)[0], local_depth(maps)
        ),
        networks.tuned,
    )


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


def _mouth(
    networks: Networks, source: SourceHead, edit: LatentEdit, styles: Tensor, size: int
) -> tuple[Opening | None, Tensor | None]:
    """The mouth that an edit opens and, for a beard, where its lips are, in the photo's view."""
    opens, grows = edit.strength(MOUTH) > 0.0, edit.strength(BEARD) > 0.0
    if networks.landmarks is None or networks.landmark_indices is None or not (opens or grows):
        return None, None
    states = [networks.landmarks(latent[:, :-1].mean(dim=1)) for latent in (source.styles, styles)]
    old, new = ((project(one, source.angles)[0][0].double().cpu().numpy() + 1.0) / 2.0 for one in states)
    numbers = networks.landmark_indices.cpu().numpy()
    mouth = opening(old, new, numbers, size) if opens else None
    return mouth, lips(new, numbers, size) if grows else None


def _view_maker(
    source: SourceHead,
    edit: LatentEdit,
    maps: VolumeMaps,
    surface: SurfaceMap,
    flow: Tensor | None,
    size: int,
    mouth: Opening | None = None,
    mouth_edge: Tensor | None = None,
) -> Callable[[Tensor], SourceView]:
    """What makes the source view of the edited head from the photo (1, 3, S, S) at any resolution.

    Args:
        source: The photo tier.
        edit: What is changed.
        maps: The edited head from the photo's camera.
        surface: The same, finer.
        flow: Where the edit moves the photo, or None.
        size: Side at which changes are compared.
        mouth: What it opens.
        mouth_edge: Where its lips are and no beard grows (1, 1, size, size), 0..1.
    """
    before, after = _moved(_solid_colours(source.maps, size), flow), _solid_colours(maps, size)
    if source.parting is not None:
        photos, own, upper = _moved(_grown(torch.cat(source.parting[:3], dim=1), size), flow).split(1, dim=1)
        apart = kept_apart(torch.cat((before, after), dim=1), photos, own)
        before, after = (torch.cat((before, after), dim=1) * (1.0 - upper) + apart * upper).split(3, dim=1)
    share = _significance(after - before) * _grown(region(edit, maps), size)
    beard = None
    if source.tone is not None and edit.strength(BEARD) > 0.0:
        # Of this it says where it grows, not how it looks.
        beard = share * _grown(region(LatentEdit.none.with_strength(BEARD, 1.0), maps), size)
        share = share - beard
        if mouth_edge is not None:
            beard = beard * (1.0 - mouth_edge.to(beard))
    matte = _moved(functional.interpolate(source.matte, size=(size, size), mode="area"), flow)
    # Where the edit puts something new (a beard's rim, longer hair) the photo's matte does not know the head yet.
    alpha = _grown(maps.alpha, size)
    fresh = (alpha - _moved(_grown(source.maps.alpha, size), flow)).clamp(min=0.0)
    painted = share if beard is None else torch.maximum(share, beard)
    matte = torch.maximum(matte, torch.maximum(painted, fresh) * alpha)

    # Colours are carried past the matte's edge first: the flow may then pull those in, never the background.
    known = functional.interpolate((source.matte > 0.5).to(matte.dtype), size=(size, size), mode="area")

    def view(photo: Tensor) -> SourceView:
        side = photo.shape[-1]
        inner = functional.interpolate(known, size=side, mode="bilinear", align_corners=False)
        moved = _moved(extended(photo, inner), None if flow is None else _grown(flow, side))
        edited = _repainted(moved, _grown(before, side), _grown(after, side), _grown(share, side))
        if beard is not None and source.tone is not None:
            edited = bearded(edited, beard, source.tone)
        if mouth is not None:
            edited = with_mouth(edited, photo, mouth)
        shown = source_view(edited, surface.depth, surface.hit, matte, source.angles)
        if mouth is None:
            return shown
        # Teeth lie behind lips: elsewhere such a step is a reason for doubt, here it was drawn.
        drawn = functional.interpolate(mouth.inside.to(shown.weight), size=shown.weight.shape[-2:], mode="area")
        return replace(shown, weight=torch.maximum(shown.weight, (2.0 * drawn).clamp(max=1.0)))

    return view


def _grown(picture: Tensor, size: int) -> Tensor:
    """Bilinear enlargement. A flow is in unit coordinates: its values stay."""
    return functional.interpolate(picture, size=(size, size), mode="bilinear", align_corners=False)


def _solid_colours(maps: VolumeMaps, size: int) -> Tensor:
    """What the field paints (1, 3, size, size), carried past its outline, where a picture fades into the backdrop."""
    solid = (maps.alpha > 0.5).to(maps.rgb.dtype)
    return _grown(extended(maps.rgb / maps.alpha.clamp(min=1e-3), solid), size)


def _repainted(photo: Tensor, before: Tensor, after: Tensor, share: Tensor) -> Tensor:
    """The photo with what the generator painted anew.

    Generator and photo never quite agree on a skin or a head of hair. Their difference, taken from a fair cheek to put
    a beard on it, leaves a purple cast. So brightness is carried on: what gets darker is multiplied by the ratio of
    the generator's brightnesses, what gets lighter is raised by their difference, but a patch not far above the new one
    (teeth on teeth stay teeth). Colour is the new thing's own, the more of it is new.

    Shape:
        photo, before, after (1, 3, S, S) in [-1, 1]; share (1, 1, S, S) of the change that is meant.
    """
    here, old, new = ((picture + 1.0) * 0.5 for picture in (photo, before, after))
    bright_here, bright_old, bright_new = (_brightness(picture).clamp(min=0.02) for picture in (here, old, new))
    around = _grown(functional.interpolate(bright_here, size=AROUND, mode="area"), photo.shape[-1])
    surplus = (around - bright_old).clamp(0.0, SURPLUS)
    raised = bright_here + torch.minimum(bright_new - bright_old, (bright_new + surplus - around).clamp(min=0.0))
    bright = torch.where(bright_new < bright_old, bright_here * bright_new / bright_old, raised)
    own = here / bright_here - old / bright_old
    changed = bright * (new / bright_new + own * (1.0 - share))
    return (photo + 2.0 * share * (changed - here)).clamp(-1.0, 1.0)


def _brightness(picture: Tensor) -> Tensor:
    """Rec. 601's luma (1, 1, S, S) of a picture (1, 3, S, S)."""
    return (picture * picture.new_tensor((0.299, 0.587, 0.114))[:, None, None]).sum(dim=1, keepdim=True)


def _significance(change: Tensor) -> Tensor:
    """How far the change of each pixel is meant, 0..1: (1, 1, 256, 256)."""
    amount = change.abs().amax(dim=1, keepdim=True)
    return ((amount - CHANGE_NONE) / (CHANGE_FULL - CHANGE_NONE)).clamp(0.0, 1.0)


def _moved(picture: Tensor, flow: Tensor | None) -> Tensor:
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
