"""The head is moved to a likely one that fills the photo's silhouette: hair of a definite style instead of a mean.

E0, unsure about what it cannot see, answers with means: hair shrinks onto the skull, and mixtures of styles leave
pieces of ponytails in the air. The generator is only good for latents that its mapping makes from z ~ N(0, I). So the
answer is read back into z (the mapping is small: a moment of optimisation), the coordinates that mean hair come from
a fixed table, the row whose outline agrees best with the photo's matte is kept, and z is then fitted to outline
and landmarks together, held by its own prior. Nothing can leave the mapping's image, so no walls can grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.models.generator import Generator
from core.models.guided import trace_surface
from core.models.hair import HairPrior
from core.models.landmarks import LandmarkRegressor
from core.refinement.landmarks import INDEPENDENT, LATENT_SPREAD, TOLERANCE
from core.visibility import camera_frame, project

# Reading w back into z: Adam steps, rate, and the weight of z's prior against squared standard deviations of w.
READ_STEPS, READ_RATE, READ_PRIOR = 120, 0.1, 0.01
# Sides of the ray grids: for the choice among the table's rows, and for the fit and the final judgement.
CHOICE_SIDE, FIT_SIDE = 20, 28
# Joint fit: Adam steps, every how many the rays are traced anew, rate.
FIT_STEPS, TRACE_EVERY, FIT_RATE = 36, 4, 0.06
# Width of the soft silhouette (world units) and how many independent rays an outline is worth.
SOFTNESS, OUTLINE_WORTH = 0.003, 150.0
# How far the hair that E0 saw may be from the truth, in z's units: its coordinates' standard deviations, and a head's
# mean colour difference (0..1) that counts as one nat per independent ray.
SEEN_SPREAD, COLOUR_SPREAD = 0.5, 0.3
# Rays nearer than this to the outline of the head so far tell about jaw and ears below the nose, not about hair.
JAW_REACH = 0.012
# How far the fit may bend the hair that was chosen, in z's units: a style stays that style.
HAIR_SPREAD = 0.3
# Rays of the matte that pass the head by this much (world units) miss hair, and not only jaw or ears; and the share of
# them, against those that meet the head, from which on hair is chosen anew. Short hair stays below 0.07 on portraits.
MISSING_REACH, DEMAND = 0.005, 0.09
# A ray meets the head when it comes this near: grazing rays need more steps than they get (world units).
MEETING = 0.0008
# How far below the lowest landmark (the chin) the matte still counts, in unit picture coordinates; collars begin there.
CHIN_MARGIN = -0.03
# How much worse landmarks may become, in unit picture coordinates (0.2 px of 256).
LANDMARK_SLACK = 0.2 / 256
# A likely head may fill the outline this much worse than a mixture that floats in pieces.
OVERLAP_SLACK = 0.01


@dataclass(frozen=True, eq=False)
class Outline:
    """Where a photo says that there is head.

    Shape:
        matte (1, 1, S, S) 0..1 of the canonical camera's picture; landmarks (L, 2) unit coordinates of that picture, in
        the regressor's order; angles (2,) yaw and pitch of the camera; picture (1, 3, S, S) the photo, 0..1.
    """

    matte: Tensor
    picture: Tensor
    landmarks: Tensor
    angles: Tensor


@dataclass(frozen=True, eq=False)
class Haired:
    """The head that was found.

    Shape:
        latent (1, style_dim) of every geometry row; origin (1, style_dim) the mapping's latent nearest to the head
        before, so that ``latent - origin`` is what colours should follow.
    """

    latent: Tensor
    origin: Tensor
    before: float
    """Intersection over union of silhouette and matte."""
    after: float
    landmarks_before: float
    """Mean distance, in unit picture coordinates."""
    landmarks_after: float
    row: int
    """Of the table."""


@dataclass(frozen=True, eq=False)
class _Rays:
    """Rays of the photo's camera above the chin.

    Shape:
        origin (1, 3), directions (1, R, 3), wanted (R,), colour (R, 3), height (R,)
        0 at the top, 1 at the bottom of the picture.
    """

    origin: Tensor
    directions: Tensor
    wanted: Tensor
    colour: Tensor
    height: Tensor

    def only(self, keep: Tensor) -> _Rays:
        return _Rays(self.origin, self.directions[:, keep], self.wanted[keep], self.colour[keep], self.height[keep])


def _rays(outline: Outline, side: int) -> _Rays:
    """A grid of rays over the part of the picture that the matte is right about."""
    device = outline.matte.device
    steps = (torch.arange(side, device=device) + 0.5) / side
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    uv = torch.stack((u, v), dim=-1).reshape(-1, 2)
    wanted = functional.interpolate(outline.matte, size=side, mode="area").reshape(-1)
    chin = outline.landmarks[:, 1].max() + CHIN_MARGIN
    colour = functional.interpolate(outline.picture, size=side, mode="area")[0].flatten(1).T
    above = uv[:, 1] < chin
    uv, wanted, colour = uv[above], wanted[above], colour[above]
    position, rotation = camera_frame(outline.angles[None])
    tangent = math.tan(HALF_FOV)
    local = torch.stack(
        ((2 * uv[:, 0] - 1) * tangent, (1 - 2 * uv[:, 1]) * tangent, -torch.ones_like(uv[:, 0])), dim=-1
    )
    return _Rays(position, local[None] @ rotation.transpose(1, 2), wanted, colour, uv[:, 1])


def read_back(mapping: Callable[[Tensor], Tensor], latent: Tensor, scale: Tensor) -> Tensor:
    """The likeliest z whose w comes near a given one.

    Shape:
        latent (B, style_dim), scale (style_dim,) standard deviations of w; returns (B, z_dim = style_dim).
    """
    z = torch.zeros_like(latent, requires_grad=True)
    optimiser = torch.optim.Adam([z], READ_RATE)
    for step in range(READ_STEPS):
        optimiser.param_groups[0]["lr"] = READ_RATE * (1.0 - step / READ_STEPS) + 1e-3
        misfit = ((mapping(z) - latent) / scale).square().sum(dim=1)
        loss = (misfit + READ_PRIOR * z.square().sum(dim=1)).sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return z.detach()


def nearest(generator: Generator, latent: Tensor, rays: _Rays, steps: int = 10) -> tuple[Tensor, Tensor]:
    """Where rays come nearest to heads, and the distance there. Shape: latent (B, D); (B, R, 3) and (B, R)."""
    styles = generator.styles(latent)
    batch = len(latent)
    origin = rays.origin.expand(batch, -1)
    directions = rays.directions.expand(batch, -1, -1)
    t, gap = trace_surface(lambda x: generator.field.sdf(x, styles), origin, directions, steps=steps)
    return origin[:, None] + directions * t[..., None], gap


def disagreement(gap: Tensor, wanted: Tensor) -> Tensor:
    """Mean cross entropy of soft silhouette and matte. Shape: gap (..., R), wanted (R,); returns (...)."""
    logit = (-gap / SOFTNESS).clamp(-6.0, 6.0)
    return functional.binary_cross_entropy_with_logits(logit, wanted.expand_as(logit), reduction="none").mean(dim=-1)


def overlap(gap: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union of silhouette and matte. Shape: gap (..., R), wanted (R,); returns (...)."""
    hit = (gap <= MEETING).float()
    share: Tensor = torch.minimum(hit, wanted).sum(-1) / torch.maximum(hit, wanted).sum(-1).clamp(min=1e-6)
    return share


def missing(generator: Generator, latent: Tensor, outline: Outline) -> float:
    """How much hair lies outside of a head: rays of the matte that pass it by far, over those that meet it.

    Shape:
        latent (1, style_dim).
    """
    rays = _rays(outline, FIT_SIDE)
    _, gap = nearest(generator, latent, rays, 14)
    far = (gap[0] > MISSING_REACH).float() * rays.wanted
    return float(far.sum() / (gap[0] <= MEETING).float().sum().clamp(min=1.0))


def improves(found: Haired) -> bool:
    """Whether the fit may replace the head before: outline at least as good, and the landmarks where they were."""
    return (
        found.after > found.before - OVERLAP_SLACK and found.landmarks_after < found.landmarks_before + LANDMARK_SLACK
    )


def fit_hair(
    generator: Generator,
    regressor: LandmarkRegressor,
    prior: HairPrior,
    latent: Tensor,
    colour_row: Tensor,
    outline: Outline,
) -> Haired:
    """Find the likely head that fills the photo's outline and keeps its landmarks.

    Args:
        generator: Mapping and field.
        regressor: Latent to 3D landmarks.
        prior: The table of hair.
        latent: The head so far.
        colour_row: Latent of the colours that E0 saw.
        outline: Matte, landmarks and camera of the photo.

    Shape:
        latent (1, style_dim), colour_row (1, style_dim).
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        return _fit(generator, regressor, prior, latent.clone(), colour_row.clone(), outline)


def _fit(
    generator: Generator,
    regressor: LandmarkRegressor,
    prior: HairPrior,
    latent: Tensor,
    colour_row: Tensor,
    outline: Outline,
) -> Haired:
    outline = Outline(outline.matte.clone(), outline.picture.clone(), outline.landmarks.clone(), outline.angles.clone())
    scale = regressor.get_buffer("w_std")

    def away(w: Tensor) -> Tensor:
        uv, _ = project(regressor(w), outline.angles[None])
        distances: Tensor = torch.linalg.vector_norm((uv[0] + 1.0) / 2.0 - outline.landmarks, dim=-1)
        return distances

    z = read_back(generator.mapping, latent, scale)
    start, row = _choose(generator, prior, z, colour_row, outline)
    rays = _rays(outline, FIT_SIDE)
    spread = torch.full_like(start, LATENT_SPREAD)
    spread[0, prior.coordinates] = HAIR_SPREAD
    unknown = torch.zeros_like(start, requires_grad=True)
    optimiser = torch.optim.Adam([unknown], FIT_RATE)
    places, wanted = torch.zeros(1, 0, 3), rays.wanted
    for step in range(FIT_STEPS):
        optimiser.param_groups[0]["lr"] = FIT_RATE * (1.0 - step / FIT_STEPS) + 1e-3
        w = generator.mapping(start + unknown * spread)
        if step % TRACE_EVERY == 0:
            places, gap = nearest(generator, w.detach(), rays)
            # Rays deep inside or far outside of an outline that agrees with them have nothing to say.
            certain = ((gap[0] < -0.0) == (rays.wanted > 0.5)) & _quiet(gap[0], rays.wanted)
            places = places[:, ~certain]
            wanted = rays.wanted[~certain]
        d = generator.field.sdf(places, generator.styles(w))[..., 0]
        outline_loss = disagreement(d, wanted)[0] * (len(wanted) / len(rays.wanted)) * OUTLINE_WORTH
        misfit = away(w) / TOLERANCE
        data = ((1.0 + misfit.square()).sqrt() - 1.0).mean() * INDEPENDENT
        loss = outline_loss + data + 0.5 * unknown.square().sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        origin = generator.mapping(z)
        found = generator.mapping(start + unknown * spread)
        both = torch.cat((latent, found))
        _, gap = nearest(generator, both, _rays(outline, FIT_SIDE + 4), 16)
        before, after = overlap(gap, _rays(outline, FIT_SIDE + 4).wanted).tolist()
        first, second = float(away(latent).mean()), float(away(found).mean())
    return Haired(found, origin, before, after, first, second, row)


def _quiet(gap: Tensor, wanted: Tensor) -> Tensor:
    return (gap.abs() > 4 * SOFTNESS) | ((gap < 0) & (wanted > 0.99))


@torch.no_grad()
def _choose(
    generator: Generator, prior: HairPrior, z: Tensor, colour_row: Tensor, outline: Outline
) -> tuple[Tensor, int]:
    """The row of the table that explains outline and colours best, put into z.

    Colours only choose among heads of the generator here. They never move a surface.
    """
    rays = _rays(outline, CHOICE_SIDE)
    z_all = z.expand(1 + len(prior.table), -1).clone()
    z_all[1:, prior.coordinates] = prior.table
    w = generator.mapping(z_all)
    places, gap = nearest(generator, w, rays, 8)
    styles = generator.styles(w)
    styles[:, -1] = colour_row + w - w[:1]
    hidden = generator.field.hidden(places, styles)
    shown = torch.sigmoid(generator.field.appearance(hidden, styles)[1])
    inside = (gap <= 0.0) & (rays.wanted > 0.5)
    away = (shown - rays.colour).abs().mean(dim=-1)
    colour = (away * inside).sum(dim=-1) / inside.sum(dim=-1).clamp(min=1) / COLOUR_SPREAD
    telling = (rays.height < outline.landmarks[:, 1].mean()) | (gap[0].abs() > JAW_REACH)
    drawn = disagreement(gap[:, telling], rays.wanted[telling]) * telling.float().mean()
    seen = ((z_all - z)[:, prior.coordinates] / SEEN_SPREAD).square().sum(dim=-1)
    score = (drawn + colour) * OUTLINE_WORTH + 0.5 * seen
    best = int((score[1:] + prior.cost).argmin())
    return z_all[best + 1 : best + 2], best
