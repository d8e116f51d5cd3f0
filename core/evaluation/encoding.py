"""What the encoder says by itself: shape, pose and latents of people of the world that no training saw.

The program does more with a photo than encode it: its landmarks, its outline and the reader mend what E0 says, and hide
what a loss of E0's training is worth. Here E0 gets one picture, and what it answers is held against what the world
knows: how far true points of the surface lie from its surface, how that is turned there, where the camera stands.
Beside it stand the same figures of the generator with the latents that belong to the person, which an encoder betters
only where it learned distances and not latents alone, and of the mean head, which a useful one betters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.camera import Camera
from core.evaluation.people import People
from core.evaluation.shape import MM_PER_UNIT
from core.evaluation.tables import Kept, Row, Spread, cell, grid, spreads, write_report
from core.job import Job
from core.models.networks import Networks
from core.tensor_camera import rays

__all__ = ["STREAM", "Truth", "evaluate", "surface_errors", "table", "truth_of"]

STREAM = 6
"""People of this suite only."""
AROUND = (-0.6, 0.0, 0.6)
"""Yaws of the views whose surface counts [rad]."""
POINTS = 4096
"""Points of the surface that are asked for, a person."""
FIGURES = ("surface", "turned")
WHO = {"encoder": "encoder", "own": "the generator with the person's own latents", "mean": "the mean head"}


class Truth(NamedTuple):
    """A person's surface. Shape: points (N, 3) world, normals (N, 3) unit, outwards."""

    points: Tensor
    normals: Tensor


def truth_of(people: People, index: int) -> Truth:
    """Points of a person's surface that views from three sides see, at random among them."""
    person = people.person(index)
    points, normals = [], []
    for yaw in AROUND:
        seen = people.view(person, Camera(yaw))
        depth = torch.from_numpy(seen.depth.astype(np.float32)).flatten()
        there = depth > 0.0
        origin, directions = rays(torch.tensor([[yaw, 0.0]]), seen.depth.shape[0])
        points.append((origin + directions[0] * depth[:, None])[there])
        normals.append(torch.from_numpy(seen.normal.astype(np.float32)).reshape(-1, 3)[there])
    chosen = np.random.default_rng(index).permutation(sum(map(len, points)))[:POINTS]
    return Truth(torch.cat(points)[chosen], functional.normalize(torch.cat(normals)[chosen], dim=-1))


@torch.no_grad()
def surface_errors(networks: Networks, styles: Tensor, truth: Truth) -> Row:
    """How far true points lie from the surface of some latents [mm], and how far that is turned there [degrees].

    Distances are the field's own: it was trained to tell them near its surface.

    Shape:
        styles (1, rows, style_dim).
    """
    distance, gradient = networks.generator.field.sdf_with_gradient(truth.points[None], styles)
    cosine = (functional.normalize(gradient[0], dim=-1) * truth.normals).sum(dim=-1).clamp(-1.0, 1.0)
    return {
        "surface": float(distance.abs().mean()) * MM_PER_UNIT,
        "turned": float(torch.rad2deg(cosine.acos()).mean()),
    }


def evaluate(networks: Networks, people: People, out: Path, stamp: str, heads: int, job: Job) -> dict[str, Any]:
    """Encode people and write ``table.md``, ``table.json`` and one file a person into ``out``.

    Args:
        networks: Ready for inference, on the CPU.
        people: The world, on the stream ``STREAM``.
        out: Where results go.
        stamp: Name and hash of the weights.
        heads: How many people.
        job: Where to report.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    kept = Kept(out / "heads", {"weights": stamp, "people": people.mark})
    rows: list[Row] = []
    for index in range(heads):
        job.report(index / heads, f"person {index + 1} of {heads}")
        key = f"person_{index:04d}"
        row = kept.get(key)
        if row is None:
            row = _one(networks, people, index)
            kept.put(key, row)
        rows.append(row)
    figures: Mapping[str, Mapping[str, Spread]] = {who: spreads([row[who] for row in rows], FIGURES) for who in WHO}
    summary = {
        "suite": "encoder",
        "weights": stamp,
        "heads": heads,
        "figures": figures,
        "off": spreads([row["off"] for row in rows], ("yaw", "pitch", "latent")),
    }
    write_report(out, summary, table(summary))
    job.report(1.0, "done")
    return summary


@torch.no_grad()
def _one(networks: Networks, people: People, index: int) -> Row:
    camera = people.cameras(index, 1)[0]
    straight = torch.from_numpy(people.view(people.person(index), camera).colour.astype(np.float32) / 255.0)
    colour, alpha = straight.permute(2, 0, 1)[None].split((3, 1), dim=1)
    styles, _, pose = networks.encode(torch.cat(((2.0 * colour - 1.0) * alpha, alpha), dim=1))
    own = networks.generator.styles(networks.generator.mapping(torch.from_numpy(people.code(index))[None]))
    truth = truth_of(people, index)
    found = {"encoder": styles, "own": own, "mean": networks.renderer_mean[None]}
    row: Row = {who: surface_errors(networks, latents, truth) for who, latents in found.items()}
    apart = (styles - own)[:, :-1].mean(dim=1) / networks.renderer_scale[:1]
    row["off"] = {"latent": float(apart.square().mean().sqrt())}
    if pose is not None:
        turned = (pose[0, :2] - torch.tensor([camera.yaw, camera.pitch])).abs()
        row["off"] |= {"yaw": math.degrees(float(turned[0])), "pitch": math.degrees(float(turned[1]))}
    return row


def table(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    figures, off = summary["figures"], summary["off"]
    lines = [
        f"{summary['weights']}: one picture each of {summary['heads']} people of the world, encoded and nothing else; "
        "mean ± std over people.",
        "",
        *grid(
            ("latents", "surface off by [mm]", "turned by [°]"),
            [(label, *(cell(figures[who].get(name), 2) for name in FIGURES)) for who, label in WHO.items()],
        ),
        "",
        f"The camera is off by {cell(off.get('yaw'), 1)} degrees of yaw and {cell(off.get('pitch'), 1)} of pitch, "
        f"geometry's latent by {cell(off.get('latent'), 2)} of its deviation (root mean square).",
    ]
    return "\n".join(lines)
