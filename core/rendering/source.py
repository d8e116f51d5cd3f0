"""Photo tier of a head: the photo, the latents found for it, and what the head looks like from the photo's camera.

Made once a photo; every edit and every camera stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.field import Field
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.additions import Addition
from core.rendering.arch import Arch, arch_of, lips_part
from core.rendering.auricles import EarPlaces, ears_of
from core.rendering.behind import BACK, Behind, behind_of, look_around, shows_little
from core.rendering.border import Border, border_of
from core.rendering.curtain import Curtain, curtain_of
from core.rendering.deformation import Deformation
from core.rendering.ears import misplaced
from core.rendering.evenly import even_light
from core.rendering.eyewear import Eyewear
from core.rendering.flow import anchored
from core.rendering.folded import FoldedField
from core.rendering.grain import Grain, grain_of
from core.rendering.hair import Parting, parted, parts_of
from core.rendering.hair_tone import hair_tone
from core.rendering.hands import Pause, resting
from core.rendering.hybrid import aligned_residual, enlarged
from core.rendering.patterns import Pattern
from core.rendering.rims import rims_of
from core.rendering.scalp import Scalp, photo_scalp
from core.rendering.seen import Seen, seen_from, source_surface
from core.rendering.shape import HeadShape, head_shape
from core.rendering.skin_light import SkinLight, skin_light
from core.rendering.strays import strays
from core.rendering.surfaces import SurfaceMap
from core.rendering.temples import photo_temples
from core.rendering.tresses import Tresses, contrast_of, tresses_on
from core.tensor_camera import project
from core.visibility import SourceView, source_view

# Hair that hangs on shoulders is lower than that, on more pixels than so many.
SHOULDERS, FEW = -0.065, 12
# Share of hair that settles what a pixel is.
SURELY = 0.7


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
    seen: Seen
    """The head from the photo's camera."""
    strays: Tensor | None
    """Where solids float beside the head; see ``core.rendering.strays``."""
    deformation: Deformation | None = None
    """How the head differs from the one of its latents."""
    parting: Parting | None = None
    """What of photo and generator is hair, where the model has a parser and knows its landmarks."""
    tone: Tensor | None = None
    """The colour of somebody's hair (3,) in [0, 1], likewise."""
    behind: Behind | None = None
    """Back and sides of the head, where the photo shows hair."""
    tresses: Tresses | None = None
    """Strands for hair that no photo saw, likewise."""
    marks: Tensor | None = None
    """Where a detector saw the face's landmarks in the photo, by MediaPipe's numbers (468, 2), unit coordinates."""
    grain: Grain | None = None
    """The grain of its skin, for what no photo saw, where the model has a parser."""
    arch: Arch | None = None
    """The wall of teeth between its lips, where the photo has them apart."""
    curtain: Curtain | None = None
    """Hair of the photo that the latents do not have."""
    border: Border | None = None
    """The border between hair and skin that no photo saw, where the photo shows hair."""
    plain: Plain | None = None
    """What the generator has before it was tuned to the photo, where it was."""
    ears: EarPlaces | None = None
    """Those that show, where the model knows ears."""
    skin_light: SkinLight | None = None
    """How light its skin is, where the model has a parser."""
    scalp: Scalp | None = None
    """How far hair of the latents stands before what the photo shows bare."""
    temples: Eyewear | None = None
    """What no photo shows of the glasses in it."""
    _mattes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)
    _undeformed: tuple[Field, FoldedField] | None = field(default=None, repr=False)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """What shades the parts that no photo saw."""
        return tuple(one for one in (self.tresses, self.grain) if one is not None)

    def undeformed(self, field: Field) -> FoldedField:
        """The unedited head's field before its deformation; made once, and every step of a slider asks."""
        if self._undeformed is None or self._undeformed[0] is not field:
            object.__setattr__(self, "_undeformed", (field, FoldedField(field, self.styles)))
        assert self._undeformed is not None
        return self._undeformed[1]

    def matte_at(self, size: int) -> tuple[Tensor, Tensor]:
        """The matte at a side, and the share of each pixel that is surely head, (1, 1, size, size) both; made once.

        The matte has a million pixels, and every step of a slider asks.
        """
        if size not in self._mattes:
            sure = (self.matte > 0.5).to(self.matte.dtype)
            small, known = (functional.interpolate(one, size=(size, size), mode="area") for one in (self.matte, sure))
            self._mattes[size] = small, known
        return self._mattes[size]


class Plain(NamedTuple):
    """A refined head as it was: latent rows (1, rows, style_dim), maps from the photo's camera, and their parting.

    What an edit does to colours a tuned generator hardly knows: it was tuned in one state of the head.
    """

    styles: Tensor
    maps: VolumeMaps
    parting: Parting | None


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
    marks: Tensor | None = None,
    before: Tensor | None = None,
) -> SourceHead:
    """Render the head from the photo's camera and prepare the photo for look-ups; pauses between stages.

    Args:
        networks: The model.
        photo: The small crop.
        photo_large: The large one.
        matte: The head in it.
        styles: The head's latent rows.
        decoder_styles: The decoder's.
        angles: The photo's camera.
        pause: Called between stages.
        deformation: The head's own.
        marks: Where a detector saw its landmarks.
        before: A refined head's latent rows before that; its geometry is the same.

    Shape:
        As in :class:`SourceHead`; before as styles.
    """
    field = networks.generator.field
    with_strays = FoldedField(field, styles, deformation).light

    def distances(points: Tensor) -> Tensor:
        pause()
        return with_strays.sdf(points[None])[0, :, 0]

    stray = strays(distances, networks.device)
    pause()
    arch = None if marks is None else _arch(networks, with_strays, styles, angles, marks)
    parsed, scalp = None, None
    if networks.landmarks is not None and networks.parser is not None:
        parsed = parts_of(networks.parser, photo, matte, pause, mirrored=True)
        scalp = photo_scalp(networks, parsed, matte, styles, deformation, angles, pause)

    def looked(stray: Tensor | None, *additions: Addition | None) -> tuple[HeadShape, Seen, SurfaceMap, Parting | None]:
        shape = head_shape(field, styles, stray, pause, deformation, tuple(one for one in additions if one is not None))
        seen = seen_from(networks, shape, angles, pause=pause)
        pause()
        surface = source_surface(shape, angles, seen)
        pause()
        parting = None
        if parsed is not None:
            parting = _parting(networks, parsed, photo, matte, seen.maps, styles, angles, pause)
        pause()
        return shape, seen, surface, parting

    shape, seen, surface, parting = looked(stray, scalp, arch)
    curtain = None
    if parting is not None:
        curtain = curtain_of(parting.photo, parting.above, matte, surface.depth, surface.hit, angles)
        if curtain is not None:
            stray = None if stray is None else curtain.spared(stray)
            shape, seen, surface, parting = looked(stray, scalp, arch, curtain)
            assert parting is not None
            held = curtain.holds(surface.points[0].flatten(1).T).to(photo).reshape(surface.hit.shape)
            held = functional.interpolate(held, size=parting.own.shape[-2:], mode="area")
            parting = parting._replace(own=torch.maximum(parting.own, held))
    maps = seen.maps
    if parting is not None and marks is not None:
        undeformed = surface.points if deformation is None else _before(deformation, surface.points)
        parting = parting._replace(ears=misplaced(surface, undeformed, marks, parting.photo, matte))
    pause()
    # The networks saw heads on mid-grey, premultiplied by their matte.
    small_matte = functional.interpolate(matte, size=photo.shape[-2:], mode="area")
    residual = photo * small_matte - enlarged(maps.rgb)
    pause()
    told = None
    if parting is not None:
        above, hanging = parting.photo * parting.above, parting.photo * (1.0 - parting.bare)
        told = hair_tone(photo, above, matte, parting.brows, parting.bare, hanging)
    pause()
    view = source_view(photo, surface.depth, surface.hit, matte, angles)
    if parting is not None and parting.skin is not None:
        painted = maps.rgb / maps.alpha.clamp(min=1e-3)
        view = replace(view, light=even_light(view, photo, parting.skin, matte, painted))
        pause()
    behind, tresses, border, light = None, None, None, None
    if parting is not None and told is not None:  # both or neither
        density = maps.alpha.clamp(min=1e-3)
        own = maps.rgb / density
        light = skin_light(photo, own, maps.alpha, parting.bare, parting.skin, surface.points, view)
        rims = None
        if told.seen:
            rims = rims_of(surface.points, surface.hit, parting.photo * (1.0 - parting.bare), matte)
        little = shows_little(parting, matte)
        if networks.parser is not None and not (little and rims is None):
            looks = look_around(networks, networks.parser, shape, angles, pause)
            behind = behind_of(looks, parting, told.usual, light, own, curtain, rims, view, little=little)
            pause()
        tresses = _tresses(surface, parting, behind, photo, matte)
        pause()
        # A shaven head that shines has some hair to the parser, which does not say how hair looks.
        if behind is not None and told.seen and not little:
            border = border_of(behind.looks, behind.tone, light, surface, view, parting, tresses)
            pause()
    grain = None
    if parting is not None:
        skin_there = parting.bare * (1.0 - parting.photo)
        grain = grain_of(photo_large, skin_there, None if tresses is None else tresses.volume)
        pause()
    plain = None
    if before is not None and networks.untuned is not None:
        folded = FoldedField(networks.untuned.field, before, deformation, shape.field.additions).light
        was = seen.geometry.appearance(networks.untuned, folded)
        pause()
        plain = Plain(before, was, parting)
        if parting is not None and parsed is not None:
            own = _parting(networks, parsed, photo, matte, was, before, angles, pause).own
            plain = plain._replace(parting=parting._replace(own=own))
        pause()
    ears = None
    if networks.auricles is not None:
        ears = ears_of(networks.auricles, field, styles, deformation, None if tresses is None else tresses.volume)
        if ears is not None and parting is not None:
            bowls = ears.bowls(surface, parting.photo.shape[-1])
            parting = parting._replace(ears=bowls if parting.ears is None else torch.maximum(parting.ears, bowls))
        pause()
    temples = None
    if marks is not None:
        temples = photo_temples(networks, photo, photo_large, marks, styles, surface, shape, view, ears)
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
        view if parting is None else view.doubted(parting.agreed),
        residual,
        None if networks.landmarks is not None else aligned_residual(networks, residual, maps.rgb)[1],
        shape,
        seen,
        stray,
        deformation,
        parting,
        None if told is None else told.shade,
        behind,
        tresses,
        marks,
        grain,
        arch,
        curtain,
        border,
        plain,
        ears,
        light,
        scalp,
        temples,
    )


def _arch(networks: Networks, light: FoldedField, styles: Tensor, angles: Tensor, marks: Tensor) -> Arch | None:
    """The wall of teeth, where the photo's lips are apart."""
    if networks.landmarks is None or networks.landmark_indices is None:
        return None
    numbers = networks.landmark_indices
    seen = marks[numbers]
    if not lips_part(seen.double().cpu().numpy(), numbers.cpu().numpy()):
        return None
    places = networks.landmarks(styles[:, :-1].mean(dim=1))
    return arch_of(light.sdf, angles, anchored(places, seen, angles)[0], numbers.cpu().numpy())


def _before(deformation: Deformation, points: Tensor) -> Tensor:
    """Places of the undeformed head. Shape: (1, 3, s, s); returns the same."""
    return deformation.source(points.movedim(1, -1)).movedim(-1, 1)


def _tresses(
    surface: SurfaceMap, parting: Parting, behind: Behind | None, photo: Tensor, matte: Tensor
) -> Tresses | None:
    """Where the photo has hair in front, and the generator behind; see ``core.rendering.tresses``."""
    if behind is None:
        return None
    side = parting.photo.shape[-1]
    head = functional.interpolate(matte, size=(side, side), mode="area")
    sure = parting.photo * (1.0 - parting.bare)
    points, hit = (functional.interpolate(one, size=(side, side)) for one in (surface.points, surface.hit))
    flat, solid = points.flatten(2)[0].T, (hit * head).flatten() > 0.9
    hair = torch.cat((flat[solid & (sure.flatten() > SURELY)], behind.hair))
    bare = torch.cat((flat[solid & (sure.flatten() < 1.0 - SURELY)], behind.bare))
    # Hair that ends above the shoulders in front does so behind.
    if (hair[hair[:, 2] > BACK, 1] < SHOULDERS).sum() < FEW:
        low = hair[:, 1] < SHOULDERS
        hair, bare = hair[~low], torch.cat((bare, hair[low]))
    return tresses_on(hair, bare, contrast_of(photo, sure * parting.above))


def _parting(
    networks: Networks,
    parsed: Tensor,
    photo: Tensor,
    matte: Tensor,
    maps: VolumeMaps,
    styles: Tensor,
    angles: Tensor,
    pause: Pause,
) -> Parting:
    assert networks.landmarks is not None
    assert networks.parser is not None
    landmarks = networks.landmarks(styles[:, :-1].mean(dim=1))
    own = maps.rgb / maps.alpha.clamp(min=1e-3)
    places = project(landmarks, angles)[0][0]
    return parted(networks.parser, parsed, photo, matte, own, maps.alpha, landmarks[0], places, pause)
