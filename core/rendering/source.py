"""Photo tier of a head: the photo, the latents found for it, and what the head looks like from the photo's camera.

Made once a photo; every edit and every camera stands on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from core.models.landmarks import LandmarkRegressor
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.beard import hair_tone
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.hair import Parting, parted, tones_of
from core.rendering.hands import Pause, resting
from core.rendering.hybrid import aligned_residual, enlarged
from core.rendering.integrals import HeadPass, integrate_geometry
from core.rendering.search import located
from core.rendering.shape import HeadShape, head_shape
from core.rendering.solids import strays
from core.rendering.surfaces import Crossings, SurfaceMap, refined_surface
from core.tensor_camera import project
from core.visibility import SourceView, source_view

# Side of the source surface that colours are tested against: that of training's surface maps.
SOURCE_SURFACE = 128
# The back of the head begins here (z, world units); hair is known from this share of the photo's head on.
BACK, SOME_HAIR = -0.02, 0.02


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
    seen = seen_from(networks, shape, angles, pause=pause)
    pause()
    maps, surface = seen.maps, source_surface(shape, angles, seen)
    pause()
    # The networks saw heads on mid-grey, premultiplied by their matte.
    small_matte = functional.interpolate(matte, size=photo.shape[-2:], mode="area")
    residual = photo * small_matte - enlarged(maps.rgb)
    pause()
    parting = None
    if networks.landmarks is not None:
        parting = _parting(networks.landmarks, photo, matte, maps, styles, angles, pause)
    pause()
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
    found = located(shape, away, draft=True, pause=pause)
    pause()
    maps = integrate_geometry(networks.generator, field, away, found, fallback=False)
    pause()
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
    regressor: LandmarkRegressor,
    photo: Tensor,
    matte: Tensor,
    maps: VolumeMaps,
    styles: Tensor,
    angles: Tensor,
    pause: Pause,
) -> Parting:
    landmarks = regressor(styles[:, :-1].mean(dim=1))
    own = maps.rgb / maps.alpha.clamp(min=1e-3)
    return parted(photo, matte, own, maps.alpha, landmarks[0], project(landmarks, angles)[0][0], pause)


def seen_from(
    networks: Networks, shape: HeadShape, angles: Tensor, *, draft: bool = False, pause: Pause = resting
) -> Seen:
    """The thumbnail from the source camera; pauses between stages."""
    found = located(shape, angles, draft=draft, pause=pause)
    pause()
    field = shape.field.light
    geometry = integrate_geometry(networks.generator, field, angles, found, fallback=not draft)
    pause()
    return Seen(found, geometry, geometry.appearance(networks.generator, field))


def source_surface(shape: HeadShape, angles: Tensor, seen: Seen, *, draft: bool = False) -> SurfaceMap:
    """The fine surface from the source camera."""
    if draft:
        return refined_surface(shape.light, angles, seen.found, SOURCE_SURFACE, steps=0)
    return refined_surface(shape.light, angles, seen.found, SOURCE_SURFACE, estimate=shape.distance)
