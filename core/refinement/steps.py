"""What one step of a refinement compares: the photo, or a pseudo-view, with the generator's own picture of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from core.job import Job
from core.models.field import Field
from core.models.generator import Generator
from core.models.networks import Networks
from core.refinement.ellipse import camera_ellipse, wide_cameras
from core.refinement.losses import masked, shape_drift, shape_points, structure
from core.refinement.methods import SHAPE_ONLY, Method, Stage
from core.refinement.passes import Body, Drawn, Prepared, draw, prepare
from core.refinement.pseudo_views import blend, soft_mask, warp
from core.refinement.relief import Relief, relief_of
from core.refinement.rim import lowest_of, outline_loss, surface_around
from core.refinement.variables import Latents
from core.rendering.edited import EditedHead
from core.rendering.frames import angles_of, render_layer
from core.rendering.hands import Pause, resting
from core.rendering.source import SourceHead
from core.rendering.surfaces import crossings, refined_surface

RELIEF = 256
"""Side of the depth map that the photo's relief is made of."""
AT_ONCE = 8192
"""Points that are asked for at a stretch."""
HELD_POINTS = 2048
SIDES = "seeing the photo from other sides"
LOCALITY_STEP = 30.0
"""α of PTI's locality regulariser: how far from the pivot the generator must stay as it was."""
LOCALITY_PSI = 0.5
CAMERA_SPREAD = (0.3, 0.15)
"""Standard deviations of yaw and pitch [rad] of the cameras at which locality is asked (StyleSDF's training)."""


@dataclass(frozen=True, eq=False)
class Target:
    """A picture to be met.

    Shape:
        picture (1, 3, S, S) straight colours in [-1, 1]; matte (1, 1, S, S); small (1, 3, 64, 64) premultiplied.
    """

    picture: Tensor
    matte: Tensor
    small: Tensor

    @property
    def thumb(self) -> tuple[Tensor, Tensor]:
        """Straight colours (1, 3, 64, 64) and how much of each of their pixels is head (1, 1, 64, 64)."""
        matte = functional.interpolate(self.matte, size=self.small.shape[-2:], mode="area")
        return (self.small / matte.clamp(min=1e-3)).clamp(-1.0, 1.0), matte

    @classmethod
    def of(cls, picture: Tensor, matte: Tensor) -> Target:
        """With its small version."""
        small = functional.interpolate(picture * matte, size=(64, 64), mode="area")
        return cls(picture, matte, small)

    @classmethod
    def of_photo(cls, source: SourceHead, size: int) -> Target:
        """The photo itself at a size."""
        picture, matte = (
            functional.interpolate(part.clone(), size=(size, size), mode="area")
            for part in (source.photo, source.matte)
        )
        return cls.of(picture, matte)


@dataclass(frozen=True, eq=False)
class View:
    """A camera (1, 2) and what it should see."""

    angles: Tensor
    target: Target


@dataclass(frozen=True, eq=False)
class Held:
    """The shape as it was when a stage began.

    Shape:
        styles (1, rows, style_dim), surface (N, 3) seen from all around.
    """

    field: Field
    styles: Tensor
    surface: Tensor
    body: Body
    lowest: float
    """Picture height of the photo below which its matte does not say where the head ends."""

    @classmethod
    def of(
        cls,
        networks: Networks,
        generator: Generator,
        styles: Tensor,
        angles: Tensor,
        body: Body,
        breathe: Callable[[], None] = lambda: None,
    ) -> Held:
        """The shape of now; ``breathe`` is called between two views of it.

        Shape:
            styles (1, rows, style_dim), angles (1, 2).
        """
        styles = styles.detach().clone()
        ready = prepare(generator, styles, angles, body, frozen=False)
        surface = surface_around(generator, styles, ready, body, breathe)
        lowest = lowest_of(networks, styles, angles)
        return cls(copy.deepcopy(generator.field).requires_grad_(False), styles, surface, body, lowest)


def loss_of(
    stage: Stage,
    networks: Networks,
    generator: Generator,
    rows: tuple[Tensor, Tensor],
    latents: Latents,
    view: View,
    ready: Prepared,
    camera: Tensor | None,
    random: torch.Generator,
    held: Held | None = None,
    pause: Pause = resting,
) -> Tensor:
    """The weighted sum of a stage's losses at one view.

    The picture is judged where the surface is: what the matte shows beside it, colours cannot reach.
    """
    if camera is not None:
        ready = replace(ready, angles=view.angles + camera)
    target, total = view.target, rows[0].new_zeros(())
    drawn = draw(generator, *rows, ready, pause) if stage.draws else None
    pause()
    weight = target.matte * ready.hit
    for name, share in stage.losses.items():
        if name in SHAPE_ONLY or drawn is None:
            part = _shape_part(name, generator, rows, latents, view, ready, held, random)
        else:
            pause()
            part = _part(name, networks, generator, rows, drawn, target, weight, random)
        total = total + share * part
    return total


def _shape_part(
    name: str,
    generator: Generator,
    rows: tuple[Tensor, Tensor],
    latents: Latents,
    view: View,
    ready: Prepared,
    held: Held | None,
    random: torch.Generator,
) -> Tensor:
    if name == "offset":
        return latents.length()
    assert held is not None
    if name == "outline":
        body = held.body
        sdf = body.sdf(generator.field, rows[0])
        matte, hit = view.target.matte, ready.surface.hit
        return outline_loss(generator.field, sdf, rows[0], view.angles, hit, matte, held.lowest, random, body.source)
    return _shape(held, generator, rows, random)


def _part(
    name: str,
    networks: Networks,
    generator: Generator,
    rows: tuple[Tensor, Tensor],
    drawn: Drawn,
    target: Target,
    weight: Tensor,
    random: torch.Generator,
) -> Tensor:
    if name == "squared":
        return masked((drawn.picture - target.picture).square(), weight)
    if name == "pixels":
        return masked((drawn.picture - target.picture).abs(), weight)
    if name == "structure":
        return structure(drawn.picture, target.picture, weight)
    if name == "thumb":
        small = functional.interpolate(target.matte, size=(64, 64), mode="area")
        colour = masked((drawn.maps.rgb - target.small).abs(), small)
        return colour + (drawn.maps.alpha - small).abs().mean()
    if name == "matte":
        return (drawn.logit.sigmoid() - target.matte).abs().mean()
    if name == "locality":
        return _locality(networks, generator, rows, random)
    raise ValueError(f"unknown loss {name!r}")


def _shape(held: Held, generator: Generator, rows: tuple[Tensor, Tensor], random: torch.Generator) -> Tensor:
    """L_geo against the field as it was when the stage began."""
    chosen = torch.randint(len(held.surface), (HELD_POINTS,), generator=random).to(held.surface.device)
    points = shape_points(held.surface[chosen], generator.field.config.scene_radius, random)
    with torch.no_grad():
        before, gradient = held.field.sdf_with_gradient(points, held.styles)
    as_it_was = (before, functional.normalize(gradient, dim=-1))
    return shape_drift(generator.field, as_it_was, points, HELD_POINTS, rows[0])


def _locality(networks: Networks, generator: Generator, rows: tuple[Tensor, Tensor], random: torch.Generator) -> Tensor:
    """PTI's regulariser at a random camera: near the pivot the tuned generator draws what the loaded one draws (§1.2).

    The step α is taken along a random latent's direction and bounded by the way to it: cameo-256's latents are shorter
    than StyleGAN2's, and α = 30 would lead out of what the field knows.
    """
    base = networks.generator
    device = rows[0].device
    with torch.no_grad():
        z = torch.randn(1, base.config.z_dim, generator=random).to(device)
        w = base.mapping(z)
        means = (networks.renderer_mean, networks.decoder_mean)
        away = (
            means[0] + LOCALITY_PSI * (base.styles(w) - means[0]) - rows[0],
            means[1] + LOCALITY_PSI * (base.decoder_styles(w) - means[1]) - rows[1],
        )
        length = torch.sqrt(sum((part.square().sum() for part in away), start=rows[0].new_zeros(())))
        moved = tuple(
            row + part * (LOCALITY_STEP / length).clamp(max=1.0) for row, part in zip(rows, away, strict=True)
        )
        angles = torch.randn(1, 2, generator=random).to(device) * torch.tensor([CAMERA_SPREAD], device=device)
        ready = prepare(base, moved[0], angles, frozen=False)
        before = draw(base, moved[0], moved[1], ready)
        weight = before.alpha
    after = draw(generator, moved[0], moved[1], ready)
    squared = masked((after.picture - before.picture).square(), weight)
    return squared + structure(after.picture, before.picture, weight)


def pseudo_targets(
    networks: Networks,
    head: EditedHead,
    generator: Generator,
    rows: tuple[Tensor, Tensor],
    method: Method,
    fill: EditedHead | None,
    body: Body,
    job: Job,
) -> tuple[list[View], float]:
    """The pseudo-views of a method and the mean share of the head that the photo fills in them.

    Args:
        networks: As loaded.
        head: The unedited head.
        generator: As tuned so far; its surface carries the photo, and without ``fill`` it paints what is hidden.
        rows: Latents as tuned so far.
        method: Number of views, where they lie, erosion.
        fill: The unrefined head whose product picture fills what the photo did not see, or None.
        body: What the head has beside its latents.
        job: Where to report; a fraction of 0 leaves its progress as it is.
    """
    breathe = partial(job.report, 0.0, SIDES)
    with torch.no_grad():
        styles, decoder = (row.detach() for row in rows)
        source = head.source
        relief = _photo_relief(generator, styles, source, body, breathe)
        yaw, pitch = (float(angle) for angle in source.angles[0])
        centre = (yaw, pitch) if method.centred else (0.0, 0.0)
        views, shares = [], []
        size = generator.config.decoder.image_size
        photo = source.view.photo.clone()
        if fill is not None:
            # Strands and grain are drawn on a refined head as on any other: learnt as well, they would be there twice.
            fill = replace(fill, source=replace(fill.source, tresses=None, grain=None))
        for camera in (*camera_ellipse(method.views, centre), *wide_cameras(method.wide, centre)):
            job.report(0.0, SIDES)
            angles = angles_of(camera, styles.device)
            if fill is None:
                ready = prepare(generator, styles, angles, body, frozen=False, pause=breathe)
                drawn = draw(generator, styles, decoder, ready, breathe)
                picture, alpha = drawn.picture.clamp(-1.0, 1.0), drawn.alpha
            else:
                colours, cover = render_layer(networks, fill, camera, size, "picture", pause=breathe)
                picture, alpha = colours[None].clone(), cover[None].clone()
            job.report(0.0, SIDES)
            carried = warp(relief, photo, source.angles.clone(), angles, size, pause=breathe)
            breathe()
            mask = soft_mask(carried, method.border)
            breathe()
            shares.append(float((mask * alpha).sum() / alpha.sum().clamp(min=1.0)))
            views.append(View(angles, Target.of(blend(carried.picture, picture, mask), alpha)))
    return views, sum(shares) / max(1, len(shares))


def _photo_relief(generator: Generator, styles: Tensor, source: SourceHead, body: Body, pause: Pause) -> Relief:
    """The surface that the photo shows, where its matte is solid."""
    angles = source.angles.clone()
    plain = body.sdf(generator.field, styles)

    def sdf(points: Tensor) -> Tensor:
        found = []
        for part in torch.split(points, AT_ONCE, dim=1):
            pause()
            found.append(plain(part))
        return torch.cat(found, dim=1) if found else plain(points)

    surface = refined_surface(sdf, angles, crossings(sdf, angles), RELIEF)
    matte = functional.interpolate(source.matte.clone(), size=(RELIEF, RELIEF), mode="area")
    return relief_of(surface.depth, (surface.hit > 0.5) & (matte > 0.5), angles)
