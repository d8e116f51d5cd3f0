"""The two tiers above a frame: what a photo shows of a head (once a photo), and the head under one edit (once an edit).

Geometry moves with an edit, so the photo's colours must move with it: E_ADA's flow says where in the photo the edited
view's pixels come from. What the edit reveals or changes (teeth, wrinkles, a beard) is the generator's difference
between the edited and the moved unedited render, added where it is significant. An empty edit takes none of these
steps: it *is* the photo tier, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.edit import LatentEdit
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.deformation import Deformation
from core.rendering.flow import GRID, landmark_flow
from core.rendering.folded import FoldedField
from core.rendering.hands import Pause, both, resting
from core.rendering.hybrid import aligned_residual, enlarged, local_depth, reference_features
from core.rendering.integrals import HeadPass, integrate_geometry
from core.rendering.painter import Painter
from core.rendering.regions import region
from core.rendering.search import located
from core.rendering.shape import HeadShape, draft_shape, head_shape
from core.rendering.solids import strays
from core.rendering.surfaces import Crossings, SurfaceMap, refined_surface
from core.rendering.tones import CELLS, tone_volume
from core.visibility import GUIDE_SIZE, SourceView, carried_out, extended, look_up, source_geometry, source_view

# Side of the source surface that colours are tested against: that of training's surface maps.
SOURCE_SURFACE = 128
# Side of a draft's source view, and of the grid at which its flow is worked out.
DRAFT_VIEW, DRAFT_GRID = 128, 48
# Largest difference over the channels of two thumbnails (in [-1, 1]) below which an edit left the pixel as it was, and
# above which its new appearance is taken in full: the numbers that the hybrid stage was trained with.
CHANGE_NONE, CHANGE_FULL = 0.08, 0.24
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
        return (1.0 - self.tuned) * tone_volume(points[0], colour[0] - own[0], trust[0, :, None])

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
    seen = _seen(networks, shape, angles)
    pause()
    maps, surface = seen.maps, _source_surface(shape, angles, seen)
    pause()
    # The networks saw heads on mid-grey, premultiplied by their matte.
    small_matte = functional.interpolate(matte, size=photo.shape[-2:], mode="area")
    residual = photo * small_matte - enlarged(maps.rgb)
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
    )


def _seen(networks: Networks, shape: HeadShape, angles: Tensor, *, draft: bool = False) -> Seen:
    """The thumbnail from the source camera."""
    found = located(shape, angles, draft=draft)
    field = shape.field.light
    geometry = integrate_geometry(networks.generator, field, angles, found, fallback=not draft)
    return Seen(found, geometry, geometry.appearance(networks.generator, field))


def _source_surface(shape: HeadShape, angles: Tensor, seen: Seen, *, draft: bool = False) -> SurfaceMap:
    """The fine surface from the source camera."""
    if draft:
        return refined_surface(shape.light, angles, seen.found, SOURCE_SURFACE, steps=0)
    return refined_surface(shape.light, angles, seen.found, SOURCE_SURFACE, estimate=shape.distance)


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
    seen = _seen(networks, shape, source.angles, draft=draft)
    maps = seen.maps
    pause()
    # A draft's surface is what was traced: it is made beside the rest below.
    surface = None if draft else _source_surface(shape, source.angles, seen)
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

    matte_found: Future[Tensor] = Future()

    def coloured() -> tuple[_Colours, Tensor]:
        try:
            colours = _Colours(source, edit, maps, moves(), size)
            matte_found.set_result(colours.matte)
        except BaseException as error:
            matte_found.set_exception(error)
            raise
        return colours, colours(functional.interpolate(source.photo, size=size, mode="area") if draft else source.photo)

    def shaped() -> tuple[Painter, tuple[Tensor, Tensor, Tensor]]:
        painter = Painter(networks.generator.decoder, decoder_styles)
        found = surface or _source_surface(shape, source.angles, seen, draft=True)
        return painter, source_geometry(found.depth, found.hit, matte_found.result(), source.angles)

    (colours, photo), (painter, known) = both(coloured, shaped, pause)
    shown = SourceView(photo, *known, source.angles)
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
    )


class _Colours:
    """The photo as it would show the edited head, at any resolution.

    Args:
        source: The photo tier.
        edit: What is changed.
        maps: The edited head from the photo's camera.
        flow: Where the edit moves the photo, or None.
        size: Side at which changes are compared.
    """

    matte: Tensor
    """Of the edited head (1, 1, size, size)."""

    def __init__(self, source: SourceHead, edit: LatentEdit, maps: VolumeMaps, flow: Tensor | None, size: int) -> None:
        self._flow = flow
        self._before, self._after = _moved(_solid_colours(source.maps, size), flow), _solid_colours(maps, size)
        self._share = _significance(self._after - self._before) * _grown(region(edit, maps), size)
        matte = _moved(functional.interpolate(source.matte, size=(size, size), mode="area"), flow)
        # Where the edit puts something new (a beard's rim, longer hair) the photo's matte does not know the head yet.
        alpha = _grown(maps.alpha, size)
        fresh = (alpha - _moved(_grown(source.maps.alpha, size), flow)).clamp(min=0.0)
        self.matte = torch.maximum(matte, torch.maximum(self._share, fresh) * alpha)
        # Colours are carried past the matte's edge first: the flow may then pull those in, never the background.
        self._known = functional.interpolate((source.matte > 0.5).to(matte.dtype), size=(size, size), mode="area")

    def __call__(self, photo: Tensor) -> Tensor:
        """The photo (1, 3, S, S) edited, its colours carried past the edited head."""
        side = photo.shape[-1]
        inner = functional.interpolate(self._known, size=side, mode="bilinear", align_corners=False)
        moved = _moved(extended(photo, inner), None if self._flow is None else _grown(self._flow, side))
        before, after, share = (_grown(one, side) for one in (self._before, self._after, self._share))
        return carried_out(_repainted(moved, before, after, share), self.matte)


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
