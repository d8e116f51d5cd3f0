"""Rows of cameo-256: a frame while the hand moves, the picture at rest, the surface with normals and colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from core import meshing
from core.bench.rows import Row, row
from core.bench.stretches import stretch_row
from core.bench.surface_twins import compared, dense_surface
from core.bench.timing import alternately, peak_rss_mb, timed
from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.evaluation.metrics import psnr
from core.inversion import photo_tier
from core.job import Job
from core.models.networks import Networks
from core.photo import Photo
from core.rendering import blocks
from core.rendering.edited import EditedHead, edited_head
from core.rendering.frames import render_layer
from core.rendering.solids import Sdf

__all__ = ["cameo_rows"]

PHOTO = Path(__file__).resolve().parents[2] / "resources" / "sample_portrait.png"
VIEW = Camera(0.35, 0.1)
EDIT = ("Smile", 0.7)
MOVING, STILL = 128, 256


def cameo_rows(networks: Networks, repeats: int, quick: bool) -> Iterator[Row]:
    """All of them, on the sample portrait under an edit."""
    engine = Engine.open()
    source = photo_tier(networks, engine.invert(Photo.load(PHOTO), Job.quiet()))
    edit = LatentEdit.none.with_strength(*EDIT)
    edit_ms, head = timed(lambda: edited_head(networks, source, edit))
    draft_ms, draft = timed(lambda: edited_head(networks, source, edit, draft=True))

    def drawn(size: int, *, plainly: bool) -> Tensor:
        with torch.inference_mode():
            # What the window shows while a hand moves: a draft of the edit.
            shown = draft if size < STILL and not plainly else head
            colours, alpha = render_layer(networks, shown, VIEW, size, "picture", plainly=plainly)
            return (colours * alpha)[None]

    still = alternately(lambda: drawn(STILL, plainly=False), lambda: drawn(STILL, plainly=True), repeats)
    moving = alternately(lambda: drawn(MOVING, plainly=False), lambda: drawn(MOVING, plainly=True), repeats)
    small = functional.interpolate(still.fast, size=MOVING, mode="area")
    yield row(
        "cameo_moving",
        moving.fast_ms,
        {} if quick else {"fast_ms": ("<=", 66.0), "psnr_db": (">=", 30.0)},
        slow_ms=moving.slow_ms,
        ratio=moving.ratio,
        psnr_db=psnr(moving.fast, small),
        twin_psnr_db=psnr(moving.fast, moving.slow),
        size_px=MOVING,
        edit_tier_ms=draft_ms,
        peak_rss_mb=peak_rss_mb(),
        note="psnr_db: against the still picture; twin_psnr_db: against the plain path of the same size",
    )
    yield row(
        "cameo_still_256",
        still.fast_ms,
        {} if quick else {"fast_ms": ("<=", 150.0)},
        slow_ms=still.slow_ms,
        ratio=still.ratio,
        psnr_db=psnr(still.fast, still.slow),
        edit_tier_ms=edit_ms,
        peak_rss_mb=peak_rss_mb(),
    )
    yield _surface(networks, head, 64 if quick else 256, repeats, quick)
    yield stretch_row(engine, quick=quick)


def _surface(networks: Networks, head: EditedHead, resolution: int, repeats: int, quick: bool) -> Row:
    """The mesh as it is exported; its twin is the bare dense surface."""
    with torch.inference_mode():
        spent = []
        for _ in range(1 if quick else min(repeats, 5)):
            fast_ms, mesh = timed(lambda: meshing.extract(networks, head, resolution, Job.quiet()))
            spent.append(fast_ms)
        peak = peak_rss_mb()
        asked = _Counted(lambda points: head.shape.field.sdf(points[None])[0, :, 0])
        surface = blocks.surface_of(asked, resolution, networks.device, Job.quiet())
        own = head.source.deformation

        def plain(points: Tensor) -> Tensor:
            asked_at = points if own is None else own.source(points)
            return networks.generator.field.sdf(asked_at[None], head.styles)[0, :, 0]

        slow_ms, dense = timed(lambda: dense_surface(plain, resolution))
    same = compared((surface.vertices, surface.faces), dense)
    fast_ms = sorted(spent)[len(spent) // 2]
    return row(
        "cameo_surface_256",
        fast_ms,
        {} if quick else {"fast_ms": ("<=", 3000.0)},
        slow_ms=slow_ms,
        ratio=slow_ms / fast_ms,
        topology_equal=same.topology_equal,
        max_vertex_error=same.max_vertex_error,
        points_share=asked.count / resolution**3,
        vertices=len(mesh.vertices),
        resolution=resolution,
        peak_rss_mb=peak,
        note="fast: with normals and colours; slow: the bare dense surface",
    )


class _Counted:
    """A distance that counts its points."""

    def __init__(self, sdf: Sdf) -> None:
        self.sdf = sdf
        self.count = 0

    def __call__(self, points: Tensor) -> Tensor:
        self.count += len(points)
        return self.sdf(points)
