"""The plain quadrature of a ray with only those of its samples evaluated that carry weight, and a bound on the rest.

Samples that are left out keep their place in the quadrature: their distance is read off the envelope, and their weight
goes to the nearest sample of the ray that was evaluated. A photon that walks down the ray stops at a sample with the
probability that is its weight; it can only end somewhere else than on the plain ray if it stops, on one of the two, at
a sample that was left out. Therefore colour and features change by no more than the weight that those can carry times
the range of their values; in fact by much less, because neighbours look alike. Upper bounds of those weights come from
the envelope before, and again with the exact distances after evaluation. Rays whose bound exceeds the tolerance, and
rays on which the envelope was caught wrong, are evaluated in full: the plain ray.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.job import Job
from core.models.volume import RaySamples
from core.released.envelope import Envelope
from core.released.frozen_field import CHUNK, FrozenField

__all__ = ["GuidedPass", "guided_pass", "optical_depth", "painted"]

# Share of the tolerance that a ray may spend before its samples are evaluated.
SPENT = 0.9


class GuidedPass(NamedTuple):
    """Geometry of a picture at the samples that were evaluated; any number of appearances can be put on it.

    Shape:
        ray, place (K,) where each sample sits; points (K, 3); view (K, 3); hidden (K, W); weights (K,); depth (R,);
        xyz (R, 3); left_out (R,) upper bound of the weight that was left out; fallen (R,) bool: evaluated in full.
    """

    ray: Tensor
    place: Tensor
    points: Tensor
    view: Tensor
    hidden: Tensor
    weights: Tensor
    depth: Tensor
    xyz: Tensor
    left_out: Tensor
    fallen: Tensor


def optical_depth(sdf: Tensor, deltas: Tensor, beta: float) -> Tensor:
    """Density times length, as in ``core.models.volume.ray_weights``. Shape: sdf and deltas (R, S)."""
    return torch.sigmoid(sdf / -beta).mul_(1.0 / beta).mul_(deltas)


def guided_pass(
    field: FrozenField, envelope: Envelope, samples: RaySamples, beta: float, tolerance: float, job: Job
) -> GuidedPass:
    """Choose samples, evaluate them, bound the rest, and evaluate in full where the bound is too large.

    Args:
        field: The head.
        envelope: Its own.
        samples: Of one picture, plain, with an endless last interval (a forced background).
        beta: Width of the density's sigmoid.
        tolerance: Largest weight that a ray may leave out; above 0.
        job: Where to report; every chunk is a yield point.
    """
    points, deltas = samples.points[0], samples.deltas[0]
    sdf, error = envelope.estimate(points)
    found = _Found(field, points, torch.zeros_like(sdf, dtype=torch.bool), [], [])
    caught = torch.zeros_like(sdf[:, 0], dtype=torch.bool)
    fallen = caught.clone()
    left_out = torch.zeros_like(sdf[:, 0])
    # First what matters if the envelope's guess is right; then what might matter still; then all.
    for attempt in range(3):
        if attempt == 0:
            wanted = _chosen(_weights(sdf, deltas, beta), SPENT * tolerance)
        else:
            least = optical_depth(sdf + error, deltas, beta)
            most = optical_depth(sdf - error, deltas, beta)
            bounds = torch.where(found.known, 0.0, _largest_weights(least, most))
            left_out = bounds.sum(dim=1)
            short = left_out > tolerance
            if attempt == 1:
                wanted = _chosen(bounds, SPENT * tolerance) & short[:, None]
            else:
                fallen = short | caught
                wanted = fallen[:, None].expand_as(sdf)
        ray, place, exact = found.ask(wanted, job)
        if len(ray):
            caught[ray[(exact - sdf[ray, place]).abs() > error[ray, place]]] = True
            sdf[ray, place] = exact
            error[ray, place] = 0.0
    left_out = torch.where(found.known.all(dim=1), 0.0, left_out)
    ray, place, hidden = found.everything()
    weights = _weights(sdf, deltas, beta)
    depth = (weights * samples.t[0]).sum(dim=1)
    xyz = torch.einsum("rs,rsc->rc", weights, points)
    kept = torch.zeros_like(weights).scatter_add_(1, _nearest(found.known), weights)[ray, place]
    view = samples.view[0, ray]
    return GuidedPass(ray, place, points[ray, place], view, hidden, kept, depth, xyz, left_out, fallen)


@dataclass
class _Found:
    """What was asked so far.

    Shape:
        points (R, S, 3); known (R, S) bool; keys: places of the answers, in order of asking; hidden: the answers.
    """

    field: FrozenField
    points: Tensor
    known: Tensor
    keys: list[Tensor]
    hidden: list[Tensor]

    def ask(self, wanted: Tensor, job: Job) -> tuple[Tensor, Tensor, Tensor]:
        """Ask the field where it was not asked before: ray, place and distance of what is new, (K,) each."""
        ray, place = (wanted & ~self.known).nonzero(as_tuple=True)
        points = self.points[ray, place]
        hidden = self.field.hidden(points, job)
        self.known[ray, place] = True
        self.keys.append(ray * self.known.shape[1] + place)
        self.hidden.append(hidden)
        return ray, place, self.field.sdf_from(hidden, points)

    def everything(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ray, place and answer of all that was asked, in the order of the rays."""
        order = torch.argsort(torch.cat(self.keys))
        ray, place = self.known.nonzero(as_tuple=True)
        return ray, place, torch.cat(self.hidden)[order]


def _largest_weights(least: Tensor, most: Tensor) -> Tensor:
    """Upper bounds of the weights from bounds of the optical depths; the last sample takes what is left."""
    passed = _passed(least)
    bound = -torch.expm1(-most) * passed
    bound[:, -1] = passed[:, -1]
    return bound


def _passed(optical: Tensor) -> Tensor:
    """Share of photons that reach each sample. The endless last interval must not enter the sum: it has no digits."""
    before = functional.pad(optical[:, :-1], (1, 0)).cumsum(dim=1)
    return torch.exp(-before)


def _chosen(bounds: Tensor, allowed: float) -> Tensor:
    """All but the lightest samples of each ray, as long as those together stay within what is allowed."""
    ordered, order = bounds.sort(dim=1)
    keep = ordered.cumsum(dim=1) > allowed
    return torch.zeros_like(keep).scatter_(1, order, keep)


def _weights(sdf: Tensor, deltas: Tensor, beta: float) -> Tensor:
    """Weights as in ``core.models.volume.ray_weights`` under a forced background. Shape: (R, S)."""
    optical = optical_depth(sdf, deltas, beta)
    passed = _passed(optical)
    weights = -torch.expm1(-optical) * passed
    weights[:, -1] = 1.0 - weights[:, :-1].sum(dim=1)
    return weights


def _nearest(chosen: Tensor) -> Tensor:
    """For every sample, the chosen one of its ray that is nearest; the one before where two are. Shape: (R, S)."""
    count = chosen.shape[1]
    place = torch.arange(count, device=chosen.device)
    before = torch.where(chosen, place, -count).cummax(dim=1).values
    after = torch.where(chosen, place, 2 * count).flip(1).cummin(dim=1).values.flip(1)
    return torch.where(place - before <= after - place, before, after)


def painted(
    one: GuidedPass,
    field: FrozenField,
    job: Job,
    modulate: Callable[[slice], tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, Tensor]:
    """Integrated colour (R, 3) in [-1, 1] and feature (R, W).

    Args:
        one: The geometry.
        field: The head it was made of.
        job: Where to report; every chunk is a yield point.
        modulate: From a slice of the samples to (α, δ), or none.
    """
    rays = len(one.depth)
    rgb = one.xyz.new_zeros(rays, 3)
    feature = one.xyz.new_zeros(rays, field.width)
    for start in range(0, len(one.ray), CHUNK):
        job.report(start / len(one.ray), "painting the head")
        part = slice(start, start + CHUNK)
        texture = None if modulate is None else modulate(part)
        values, raw = field.appearance(one.hidden[part], one.view[part], texture)
        weight = one.weights[part, None]
        rgb.index_add_(0, one.ray[part], weight * (2.0 * raw.sigmoid() - 1.0))
        feature.index_add_(0, one.ray[part], weight * values)
    return rgb, feature
