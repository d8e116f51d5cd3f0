"""What a camera sees of a head before the local branch has its say: its places, its maps, its fine surface."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering.hands import Pause, resting
from core.rendering.integrals import HeadPass, integrate_geometry
from core.rendering.search import located
from core.rendering.shape import HeadShape
from core.rendering.surfaces import Crossings, SurfaceMap, refined_surface

__all__ = ["Seen", "seen_from", "source_surface"]

# Side of the source surface that colours are tested against: that of training's surface maps.
SOURCE_SURFACE = 128


class Seen(NamedTuple):
    """A head from one camera, before the local branch."""

    found: Crossings
    geometry: HeadPass
    maps: VolumeMaps

    def recoloured(self, networks: Networks, shape: HeadShape) -> Seen:
        """The same places in the colours of another latent."""
        return self._replace(maps=self.geometry.appearance(networks.generator, shape.field.light))


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
