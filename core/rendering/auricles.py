"""Outer ears (auricles): the field's have eight pixels of its pictures, and from the side they are what one sees first.

Where an ear lies is read off the latents (``core.models.auricles``) and laid on the field's own surface: an affine
frame, by a few Gauss-Newton steps of its points' distances. Over it lies one chart of what the world's ears look like.
On the parts that no photo saw the ear gets one tone, its own, and the shade of rim, folds and bowl. Ears under hair
lie deep within the surface, or where the parser sees hair; they are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.auricles import AuricleFrames
from core.models.field import Field
from core.rendering.deformation import Deformation
from core.rendering.surfaces import SurfaceMap
from core.rendering.tones import EXTENT, tones_at

__all__ = ["Auricles", "EarPlaces", "ears_of", "ears_under"]

# Gauss-Newton steps; beyond which distance a point counts half (world units); and what holds the frame to where the
# latents say it is, in parts of a distance.
STEPS, DOUBT, PRIOR = 3, 0.004, 0.01
# An ear that shows: its points lie so near to the surface in the mean, they had no further to go there, and so many of
# them are not hair. On fourteen photos ears that show had up to .0011 and .0029, hidden ones from .0013 and .0058 on.
MISFIT, MOVED, HAIR = 0.0015, 0.0045, 0.6
# How far from the chart's surface a place has something to do with the ear, and from where on not (chart units); and by
# how much more where it is dark: the field's bowls are shallow.
BESIDE, OFF, BOWL = 0.1, 0.2, 0.4
# How high above the chart's plane a place may be, and the shade of what is wholly a hollow.
HIGH, HOLLOW = 1.0, -0.3
# Depth of shade in red, green and blue: light that skin has passed is red.
BLOOD = (0.85, 1.0, 1.05)
# Shade from which on a point of an ear is no hollow, and tells its tone; and how many points must.
LIT, ENOUGH = -0.25, 8
# Which of their colours is the ear's: the field's are a smear of skin with shade and hair.
LIGHT = 0.85
# Coarser versions of the relief, for pictures in which it would flicker.
LEVELS = 4


class EarPlaces(NamedTuple):
    """Ears of a head that show.

    Shape:
        numbers (E,) int64: 0 the head's left, 1 its right; frames (E, 4, 3) of the undeformed head, the right one's of
        its mirror image.
    """

    model: AuricleFrames
    deformation: Deformation | None
    numbers: Tensor
    frames: Tensor

    @property
    def sides(self) -> Tensor:
        """By what to multiply places to be on the chart's side (E, 1, 3)."""
        mirrored = self.frames.new_tensor(((1.0, 1.0, 1.0), (-1.0, 1.0, 1.0)))
        return mirrored[self.numbers, None]

    def under(self, before: Tensor, after: Tensor) -> EarPlaces:
        """Where an edit of the latents moves them. Shape: latent rows before and after (1, rows, style_dim)."""
        earlier, later = (self.model(styles[:, :-1].mean(dim=1))[0, self.numbers] for styles in (before, after))
        return self._replace(frames=self.frames + (later - earlier))

    def undeformed(self) -> Tensor:
        """Points of their surfaces (E, K, 3) on the undeformed head."""
        return (self.model.points @ self.frames[:, :3] + self.frames[:, 3:]) * self.sides

    def places(self) -> Tensor:
        """The same on the head."""
        found = self.undeformed()
        return found if self.deformation is None else self.deformation.placed_back(found)

    def charted(self, points: Tensor, spacing: Tensor) -> list[Charted]:
        """What places of the head have to do with each ear.

        Args:
            points: Where (N, 3), world units.
            spacing: How far apart they stand (N,) or (1,).
        """
        pixel = (self.model.window[1] - self.model.window[0]) / self.model.relief.shape[-1]
        left, right, low, high = self.model.window
        undeformed = points if self.deformation is None else self.deformation.source(points)
        found = []
        for side, frame in zip(self.sides[:, 0], self.frames, strict=True):
            places = torch.linalg.solve(frame[:3], undeformed * side - frame[3], left=False)
            u, v, height = places.unbind(dim=-1)
            inside = (u > left) & (u < right) & (v > low) & (v < high) & (height.abs() < HIGH)
            some = inside.nonzero()[:, 0]
            apart = (spacing[some] if len(spacing) > 1 else spacing).double()
            coarse = float(apart.median() / (pixel * frame[:3].norm(dim=-1).mean())) if len(some) else 1.0
            level = min(max(0, round(math.log2(max(coarse, 1e-3)))), LEVELS - 1)
            shade, near, auricle, surface = _read(self.model, level, places[some])
            off = (height[some] - surface).abs() - BESIDE + BOWL * shade.clamp(max=0.0)
            here = 1.0 - (off / (OFF - BESIDE)).clamp(0.0, 1.0)
            found.append(Charted(some, shade, near * here, auricle * here))
        return found

    def bowls(self, surface: SurfaceMap, size: int) -> Tensor:
        """What of a picture shows the hollows of ears (1, 1, size, size), 0..1: a photo from ahead only grazes them."""
        points = functional.interpolate(surface.points, size=(size, size))[0].flatten(1).T
        found = torch.zeros_like(points[:, 0])
        spacing = points.new_tensor([2.0 * EXTENT / size])
        for some, shade, _, auricle in self.charted(points, spacing):
            found[some] = torch.maximum(found[some], auricle * (shade / HOLLOW).clamp(0.0, 1.0))
        return found.reshape(1, 1, size, size)


class Charted(NamedTuple):
    """What some places have to do with one ear.

    Shape:
        places (A,): their numbers; shade (A,), the logarithm of a factor; near, auricle (A,), 0..1: how far a place is
        around the ear, and the ear itself.
    """

    places: Tensor
    shade: Tensor
    near: Tensor
    auricle: Tensor


def ears_of(
    model: AuricleFrames, field: Field, styles: Tensor, deformation: Deformation | None, hair: Tensor | None
) -> EarPlaces | None:
    """The ears of a head that show; None if none does.

    Args:
        model: Where they lie by the latents.
        field: The networks.
        styles: The head's latent rows.
        deformation: The head's own.
        hair: How far each place of the head is hair, as ``core.rendering.tones`` lays out volumes; None without any.

    Shape:
        styles (1, rows, style_dim); hair (1, 1, C, C, C).
    """
    known = EarPlaces(model, deformation, torch.arange(2, device=styles.device), model(styles[:, :-1].mean(dim=1))[0])
    places = torch.cat((model.points, torch.ones_like(model.points[:, :1])), dim=1)
    frames, start = known.frames, known.frames
    for _ in range(STEPS):
        points = known._replace(frames=frames).undeformed()
        distance, gradient = field.sdf_with_gradient(points.reshape(1, -1, 3), styles)
        distance = distance.reshape(2, -1)
        # How a point's distance changes with the twelve numbers of its frame.
        slope = (places[None, :, :, None] * (gradient.reshape(points.shape) * known.sides)[:, :, None]).flatten(2)
        weight = (1.0 / (1.0 + (distance / DOUBT).square()))[..., None] / len(places)
        normal = slope.mT @ (weight * slope) + PRIOR * torch.eye(12, device=styles.device)
        wanted = slope.mT @ (weight * distance[..., None]) + PRIOR * (frames - start).flatten(1)[..., None]
        frames = frames - torch.linalg.solve(normal, wanted)[..., 0].unflatten(-1, (4, 3))
    found = known._replace(frames=frames)
    points = found.undeformed()
    distance = field.sdf_with_gradient(points.reshape(1, -1, 3), styles)[0].reshape(2, -1)
    moved = (points - known.undeformed()).norm(dim=-1).mean(dim=1)
    shows = (distance.abs().mean(dim=1) < MISFIT) & (moved < MOVED)
    if hair is not None:
        shows &= tones_at(hair, found.places().reshape(-1, 3)).reshape(2, -1).mean(dim=1) < HAIR
    return found._replace(numbers=found.numbers[shows], frames=frames[shows]) if bool(shows.any()) else None


def ears_under(
    found: EarPlaces | None,
    model: AuricleFrames | None,
    field: Field,
    before: Tensor,
    after: Tensor,
    deformation: Deformation | None,
    *,
    cut: bool,
) -> EarPlaces | None:
    """Ears of an edited head: those that showed, moved as the latents say; all that show now, if hair was cut.

    Args:
        found: Those that showed.
        model: Where ears lie by the latents.
        field: The networks.
        before: The head's latent rows.
        after: The edited ones.
        deformation: The head's own.
        cut: Whether the edit may have bared an ear.

    Shape:
        before, after (1, rows, style_dim).
    """
    if cut and model is not None and (found is None or len(found.numbers) < 2):
        return ears_of(model, field, after, deformation, None)
    return None if found is None else found.under(before, after)


@dataclass(frozen=True, eq=False)
class Auricles:
    """How ears of a head are drawn.

    Shape:
        tone (E, 3): the field's own in [-1, 1]; tones (1, 3, C, C, C): by how much the photo's differ.
    """

    ears: EarPlaces
    tone: Tensor
    tones: Tensor

    @classmethod
    def of(cls, ears: EarPlaces, colours: Callable[[Tensor], Tensor], tones: Tensor) -> Auricles:
        """Ears in the tones of a head.

        Args:
            ears: Where they are.
            colours: The field's own (N, 3) at places of the head (N, 3).
            tones: By how much the photo's differ.
        """
        model = ears.model
        lit = _read(model, 0, model.points)[0] > LIT
        lit = lit if int(lit.sum()) >= ENOUGH else torch.ones_like(lit)
        places = ears.places()[:, lit]
        own = colours(places.reshape(-1, 3)).reshape(places.shape)
        return cls(ears, own.quantile(LIGHT, dim=1), tones)

    def drawn(self, own: Tensor, points: Tensor, spacing: Tensor) -> Tensor:
        """Colours with ears in them.

        Args:
            own: The generator's (N, 3), in [-1, 1].
            points: Where (N, 3), world units.
            spacing: How far apart they stand (N,) or (1,).

        Shape:
            Returns (N, 3).
        """
        found, blood = own, own.new_tensor(BLOOD)
        for tone, (some, shade, near, auricle) in zip(self.tone, self.ears.charted(points, spacing), strict=True):
            if len(some):
                even = tone + tones_at(self.tones, points[some])
                flat = found[some].lerp(even, auricle[:, None])
                found = found.index_copy(0, some, (flat + 1.0) * (near * shade)[:, None].mul(blood).exp() - 1.0)
        return found

    def covered(self, points: Tensor, spacing: Tensor) -> Tensor:
        """How far places (N, 3) are drawn as ears (N,), 0..1."""
        found = torch.zeros_like(points[:, 0])
        for some, _, near, _ in self.ears.charted(points, spacing):
            found[some] = torch.maximum(found[some], near)
        return found


def _read(model: AuricleFrames, level: int, places: Tensor) -> Tensor:
    """The relief (4, N) at places of the chart (N, 3), so many times halved."""
    left, right, low, high = model.window
    u, v = (places[:, 0] - left) / (right - left), (high - places[:, 1]) / (high - low)
    relief = functional.avg_pool2d(model.relief[None], 2**level) if level else model.relief[None]
    grid = 2.0 * torch.stack((u, v), dim=-1)[None, None] - 1.0
    return functional.grid_sample(relief, grid, padding_mode="border", align_corners=False)[0, :, 0]
