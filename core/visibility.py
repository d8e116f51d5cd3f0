"""What the photo saw of a surface, and what colour it saw there: the one room for rendering, texturing and training.

A surface point takes its colour from the photo's own pixels wherever the source camera could see it, from the mirrored
photo (heads are nearly symmetric about x = 0) where only its mirror image was seen, and from the generator elsewhere.
Everything here is plain batched torch, differentiable where it can be, and knows cameras only as angles
(:mod:`core.tensor_camera`, with its frames and axes): no network, no Engine, no file. Training and product call the
same functions, so what the decoder learned is what it gets (but for the limits of grazing sight, which were .15 and
.40 when cameo-256 was trained).

Pictures are in [-1, 1], confidences, mattes and alphas in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.surface_maps import DEPTH_STEP, box, closed, eroded, extended, normals_of, resized_surface, smoothstep
from core.tensor_camera import camera_frame, project, unproject

__all__ = [
    "GUIDE_CHANNELS",
    "GUIDE_SIZE",
    "SourceView",
    "believed",
    "blend",
    "carried_out",
    "guide",
    "look_up",
    "merged",
    "source_geometry",
    "source_view",
]

# Channels of the decoder's guide: colour x confidence (3), direct confidence, rendered alpha, mirrored confidence.
GUIDE_CHANNELS = 6
GUIDE_SIZE = 256
# A point this far from the source surface still counts as seen (world units; a head's radius is about 0.1, so 4 mm) ...
DEPTH_TOLERANCE = 0.004
# ... and from here on it is hidden; between the two the confidence falls smoothly.
DEPTH_HIDDEN = 0.008
# The photo may see a patch of surface foreshortened against the target view: ratio of the cosines between normal and
# rays at which it says nothing, and from where on it says all. From the photo's own camera nothing is stretched. What
# grazes is also where an ear or a strand behind the cheek's edge would land on the cheek.
GRAZING = 0.25, 0.55
# The same where no view is asked for: a mesh's colours are looked at from anywhere.
FROM_ANYWHERE = 0.15, 0.40
# Cosines between a point's own normal and the ray at which it looks away from the photo, and from where on it does not.
TURNED = -0.1, 0.15
# A target view sees no patch flatter than this: bounds the ratio at its own silhouette.
FLATTEST = 0.05
# Half the width of gaps in a surface that are rays which missed it, as a share of the picture's.
MISSED = 0.024
# Share of the picture's width: what is cut off at silhouettes and matte edges, then the length of the fade.
EDGE_CUT, EDGE_FADE = 0.006, 0.018
# Radians between two cameras from which on a view is no longer taken for the photo's own.
OWN_VIEW = 0.14
# The same from which on, and from where on wholly, it is seen in another light.
ELSEWHERE = 0.05, 0.5
# The mirrored photo is never trusted like the photo itself: faces are only nearly symmetric.
MIRROR_TRUST = 0.9


@dataclass(frozen=True, eq=False)
class SourceView:
    """A photo with the surface it shows: all that is needed to ask for the colour of a point.

    Shape:
        photo: (B, C, H, W), colours carried past the matte's edge so that no background can bleed in.
        depth: (B, 1, h, w) optical-axis depth of the surface, carried past its silhouette.
        weight: (B, 1, h, w) how far each source pixel may be believed, 0..1, feathered.
        normals: (B, 3, h, w) outward unit normals of the surface, world frame.
        angles: (B, 2) yaw and pitch of the source camera [rad].
    """

    photo: Tensor
    depth: Tensor
    weight: Tensor
    normals: Tensor
    angles: Tensor
    half_fov: float = HALF_FOV
    within: Tensor | None = None
    """(B, 1, h, w): the weight without doubts about depth, for views that are all but the photo's own."""
    light: Tensor | None = None
    """(B, 3, h, w): by what colours in [0, 1] are multiplied where they are seen from elsewhere."""

    def with_photo(self, photo: Tensor) -> SourceView:
        """The same surface under another picture of it (another resolution, or another state of colours)."""
        return replace(self, photo=photo)

    @property
    def lit(self) -> Tensor:
        """The photo as it is seen from elsewhere."""
        if self.light is None:
            return self.photo
        light = functional.interpolate(self.light, self.photo.shape[-2:], mode="bilinear", align_corners=False)
        return (self.photo + 1.0) * light - 1.0

    def doubted(self, agreed: Tensor) -> SourceView:
        """Believed less where the photo shows another part than the head has; not so from where it was taken.

        Shape:
            agreed (B, 1, any, any), 0..1.
        """
        share = functional.interpolate(agreed, size=self.weight.shape[-2:], mode="bilinear", align_corners=False)
        return replace(self, weight=self.weight * share)


# ------------------------------------------------------------------------------------------------------ source view


def source_view(
    photo: Tensor, depth: Tensor, alpha: Tensor, matte: Tensor, angles: Tensor, half_fov: float = HALF_FOV
) -> SourceView:
    """Prepare a photo and the surface found in it for look-ups; once a photo or edit, not once a frame.

    Source pixels count less where the photo and the surface may disagree: near the matte's edge, near the rendered
    silhouette and at depth contours (a nose before a cheek). Grazing angles are judged in the look-up.

    Shape:
        photo: (B, C, H, W) in [-1, 1]; depth, alpha: (B, 1, h, w) rendered from the source camera, depth along the
        optical axis, valid where alpha > 0.5; matte: (B, 1, any, any) of the head, 0..1; angles: (B, 2).
    """
    depth, weight, normals, within = source_geometry(depth, alpha, matte, angles, half_fov)
    return SourceView(carried_out(photo, matte), depth, weight, normals, angles, half_fov, within)


def source_geometry(
    depth: Tensor, alpha: Tensor, matte: Tensor, angles: Tensor, half_fov: float = HALF_FOV
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depth, weight, normals and ``within`` of a ``SourceView``: what does not depend on colours. Shapes as there."""
    size = depth.shape[-1]
    cut, fade = max(1, round(EDGE_CUT * size)), max(1, round(EDGE_FADE * size / 2))
    whole = functional.interpolate(matte, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    seen = (alpha > 0.5).to(depth.dtype)
    depth = extended(depth, seen)
    low, high = -functional.max_pool2d(-depth, 3, 1, 1), functional.max_pool2d(depth, 3, 1, 1)
    # Contours within the head (lips before teeth, nose before cheek) lose little: the depth test tells the sides apart.
    flat = box(((high - low) * (size / 128.0) < 2.0 * DEPTH_STEP).to(depth.dtype), 1)
    # Rays that graze an overhang may miss it: a few in the middle of a head are no holes in it.
    inside = eroded(closed(seen, max(1, round(MISSED * size))) * (whole > 0.5).to(depth.dtype), cut)
    # Blur, then keep the inner half of the ramp: the fade never reaches over the eroded edge.
    within = (2.0 * box(inside, fade) - 1.0).clamp(min=0.0)
    normals = box(normals_of(unproject(depth, angles, half_fov)), 1)
    return depth, within * flat, normals, within


def carried_out(photo: Tensor, matte: Tensor) -> Tensor:
    """The photo with its colours just inside the matte's edge carried outwards, so that no background can bleed in."""
    size = photo.shape[-1]
    matte = functional.interpolate(matte, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return extended(photo, eroded((matte > 0.5).to(photo.dtype), max(1, round(EDGE_CUT * size))))


def look_up(
    view: SourceView,
    points: Tensor,
    normals: Tensor | None = None,
    *,
    target: Tensor | None = None,
    mirrored: bool = False,
    elsewhere: bool = False,
) -> tuple[Tensor, Tensor]:
    """The photo's colour at surface points, and how far it may be believed.

    Args:
        view: Photo, surface and camera, as ``source_view`` prepares them.
        points: Surface points of any view.
        normals: Unit outward normals there, or None; they keep a thin part's back from taking its front's colour.
        target: Yaw and pitch of the camera that looks at the points; None: each patch is seen head-on (textures).
        mirrored: Ask for the mirror image of the points about the head's symmetry plane x = 0 instead.
        elsewhere: In the light that they have from elsewhere, whatever the target.

    Shape:
        points, normals: (B, N, 3); target: (B, 2); returns colour (B, N, C) and confidence (B, N) in [0, 1].
    """
    flip = points.new_tensor((-1.0, 1.0, 1.0) if mirrored else (1.0, 1.0, 1.0))
    points = points * flip
    uv, depth = project(points, view.angles, view.half_fov)
    grid = uv[:, :, None]
    colour = functional.grid_sample(view.photo, grid, padding_mode="border", align_corners=False)[..., 0]
    near = None if mirrored or target is None or view.within is None else _nearness(view.angles, target)
    within = view.weight if near is None or view.within is None else view.within
    known = torch.cat((view.depth, view.weight, view.normals, within), dim=1)
    surface = functional.grid_sample(known, grid, padding_mode="border", align_corners=False)[..., 0]
    miss = (depth - surface[:, 0]).abs()
    confidence = surface[:, 1] * (1.0 - smoothstep(DEPTH_TOLERANCE, DEPTH_HIDDEN, miss))
    framed = (uv.abs().amax(dim=-1) < 1.0).to(depth.dtype)
    confidence = confidence * framed
    source_position, _ = camera_frame(view.angles)
    places = points.unbind(dim=-1)
    stretch = _cosine(surface[:, 2:5].unbind(dim=1), source_position, places)
    limits = FROM_ANYWHERE
    if target is not None:
        limits = GRAZING
        target_position, _ = camera_frame(target)
        seen = _cosine(surface[:, 2:5].unbind(dim=1), target_position * flip, places)
        stretch = stretch / seen.clamp(min=FLATTEST)
    confidence = confidence * smoothstep(*limits, stretch)
    if normals is not None:
        cosine = _cosine((normals * flip).unbind(dim=-1), source_position, places)
        confidence = confidence * smoothstep(*TURNED, cosine)
    if near is not None:
        confidence = torch.lerp(confidence, surface[:, 5] * framed, near)
    if view.light is not None:
        light = functional.grid_sample(view.light, grid, padding_mode="border", align_corners=False)[..., 0]
        share = view.light.new_ones(1) if target is None or elsewhere else _elsewhere(view.angles, target)[:, None]
        colour = (colour + 1.0) * (1.0 + (light - 1.0) * share) - 1.0
    return colour.transpose(1, 2), confidence


def _nearness(source: Tensor, target: Tensor) -> Tensor:
    """How much a view is the photo's own (B, 1): there each pixel shows what the photo shows, whatever lies where.

    Without it, loose geometry before a forehead punches holes into the picture that the photo could fill.
    """
    return 1.0 - smoothstep(0.0, OWN_VIEW, _between(source, target))


def _elsewhere(source: Tensor, target: Tensor) -> Tensor:
    """How far a view is not the photo's own (B, 1)."""
    return smoothstep(*ELSEWHERE, _between(source, target))


def _between(source: Tensor, target: Tensor) -> Tensor:
    """How far two cameras are turned from one another (B, 1) [rad]."""
    return torch.linalg.vector_norm(target - source, dim=-1, keepdim=True)


def _cosine(normals: tuple[Tensor, ...], position: Tensor, places: tuple[Tensor, ...]) -> Tensor:
    """Cosine between normals and the directions to a camera.

    Component by component: norms of rows of three took a third of a look-up.

    Shape:
        normals and places (B, N) three times; position (B, 3); returns (B, N).
    """
    x, y, z = (position[:, axis, None] - place for axis, place in enumerate(places))
    along = normals[0] * x + normals[1] * y + normals[2] * z
    return along / (x * x + y * y + z * z).sqrt().clamp(min=1e-12)


def merged(
    view: SourceView, points: Tensor, normals: Tensor | None = None, target: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Direct look-up over mirrored look-up: colour x confidence, and the two confidences.

    With c and m the direct and mirrored confidence the colour is ``direct·c + mirrored·(1 − c)·m``; its confidence is
    therefore ``c + (1 − c)·m``. Arguments as in ``look_up``.

    Shape:
        points, normals: (B, N, 3); returns premultiplied colour (B, N, C), direct (B, N), mirrored (B, N).
    """
    colour, direct = look_up(view, points, normals, target=target)
    other, mirror = look_up(view, points, normals, target=target, mirrored=True)
    mirror = mirror * MIRROR_TRUST
    premultiplied = colour * direct[..., None] + other * ((1.0 - direct) * mirror)[..., None]
    return premultiplied, direct, mirror


def guide(
    view: SourceView,
    points: Tensor,
    alpha: Tensor,
    normals: Tensor | None = None,
    size: int = GUIDE_SIZE,
    *,
    target: Tensor | None = None,
) -> Tensor:
    """The decoder's guide for a target view: what the photo knows of each of its pixels.

    Channels: 0–2 photo colour x confidence (direct over mirrored), 3 direct confidence, 4 rendered alpha,
    5 mirrored confidence. Confidences are 0 outside the rendered head.

    Shape:
        points: (B, 3, h, h) world points of the target view's pixels, valid where alpha > 0.5;
        alpha: (B, 1, any, any); normals: (B, 3, h, h) or None; target: (B, 2) yaw and pitch of the target view (give it
        whenever it is known: near the photo's own view it keeps grazing cheeks and jaws); returns (B, 6, size, size).
    """
    batch = len(points)
    coverage = functional.interpolate(alpha, size=points.shape[-2:], mode="bilinear", align_corners=False)
    dense = resized_surface(points, coverage, size)
    flat_normals = None
    if normals is not None:
        resized = functional.interpolate(normals, size=(size, size), mode="bilinear", align_corners=False)
        flat_normals = functional.normalize(resized, dim=1, eps=1e-12).flatten(2).transpose(1, 2)
    alpha = functional.interpolate(alpha, size=(size, size), mode="bilinear", align_corners=False).clamp(0.0, 1.0)
    on_head = (alpha > 0.02).flatten(1)  # (B, size * size)
    # Of a single picture only the head is looked up; pictures of a batch have heads of different sizes.
    shown = on_head[0].nonzero()[:, 0] if batch == 1 else torch.arange(size * size, device=points.device)
    flat = dense.flatten(2).transpose(1, 2)[:, shown]
    colour, direct, mirror = merged(view, flat, None if flat_normals is None else flat_normals[:, shown], target)
    found = torch.cat((colour, direct[..., None], mirror[..., None]), dim=-1) * on_head[:, shown, None]
    channels = found.new_zeros(batch, size * size, found.shape[-1]).index_copy(1, shown, found)
    channels = channels.transpose(1, 2).reshape(batch, 5, size, size)
    return torch.cat((channels[:, :4], alpha, channels[:, 4:]), dim=1)


def blend(guide: Tensor, decoded: Tensor) -> tuple[Tensor, Tensor]:
    """Picture and alpha of a decoder with a guide: the photo where both sight and decoder trust it.

    ``picture = t·photo + (1 − t)·rgb`` with ``t = sigmoid(trust)·(c + (1 − c)·m)``.

    Shape:
        guide: (B, 6, S, S); decoded: (B, 5, S, S) rgb, alpha logit, trust logit; returns picture (B, 3, S, S) in
        [-1, 1] (unclamped) and alpha (B, 1, S, S).
    """
    # The guide's colour is already multiplied by its confidence, so no division can blow up where it is 0.
    picture = decoded[:, 4:5].sigmoid() * guide[:, :3] + (1.0 - believed(guide, decoded)) * decoded[:, :3]
    return picture, decoded[:, 3:4].sigmoid()


def believed(guide: Tensor, decoded: Tensor) -> Tensor:
    """The share t of the photo in a blended picture; arguments as in ``blend``, returns (B, 1, S, S) in [0, 1]."""
    direct, mirror = guide[:, 3:4], guide[:, 5:6]
    return decoded[:, 4:5].sigmoid() * (direct + (1.0 - direct) * mirror)
