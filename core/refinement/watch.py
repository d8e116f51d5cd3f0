"""Honest stopping: what a refinement wins at the photo, and what it breaks elsewhere, while it runs.

Every measurement draws the head by the generator's own colours: at the photo's camera (difference and identity), at
yaw ±0.35 from there (identity of the view nobody photographed) and, when the shape may move, depth and normals at
±0.35 and ±0.6 against the head it began with. The best step is the one with the smallest ``cost``; the knee is passed
when nothing has become better for a while.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.models.generator import Generator
from core.refinement.losses import masked, ssim_map
from core.refinement.passes import Body, Drawn, Prepared, draw, prepare
from core.refinement.relief import seen_from
from core.rendering.frames import to_pixels
from core.rendering.shape import HeadShape
from core.surface_maps import normals_of
from core.tensor_camera import project, unproject
from core.tensors import picture_pixels, picture_tensor

SIDE_YAW = 0.35
DRIFT_YAWS = (-0.6, -0.35, 0.35, 0.6)
DRIFT_LIMIT = 0.05
"""Mean depth change of unseen parts, in head sizes, that is still the same head."""
SLACK = 0.01
"""Rise of the identity distance at the photo that is still noise."""
PATIENCE, GAIN = 3, 0.005
"""Stop after this many measurements in a row whose cost fell by less than this."""

SAME_SURFACE = 0.002
"""Depth [world units] within which two views see one point."""

Embed = Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.float64]]


@dataclass(frozen=True)
class Point:
    """One measurement. Distances of identity are Euclidean, below 0.6 the same person."""

    step: int
    mae: float
    """Mean absolute difference over the head, colours in [-1, 1]."""
    ssim: float
    identity_distance: float
    novel_identity: float
    """Mean identity distance of the views at yaw ±0.35 to the photo."""
    shape_drift: float = 0.0
    """Mean depth change where the photo did not see, in head sizes."""
    normal_drift: float = 0.0
    """Mean turn of the normals there [rad]."""
    psnr: float = 0.0
    """Of the head at the photo [dB], colours in [0, 1]."""
    reprojection: float = 0.0
    """Mean difference of the photo to what the sides show of it, carried back by their own depth; colours in [-1, 1].
    It takes the place of HFGI3D's IBRNet (specification §3.3)."""

    def row(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def cost(point: Point, start: Point) -> float:
    """What the best step minimises: error at the photo and identity from the sides, each relative to the start.

    Harm counts in full: drift beyond its limit, and an identity at the photo that became worse than noise.
    """
    gained = 0.5 * point.mae / max(start.mae, 1e-6)
    gained += 0.5 * point.novel_identity / max(start.novel_identity, 1e-6) if start.novel_identity else 0.0
    broken = max(0.0, point.shape_drift / DRIFT_LIMIT - 1.0)
    estranged = max(0.0, point.identity_distance - start.identity_distance - SLACK)
    return gained + broken + 2.0 * estranged


def past_the_knee(costs: list[float]) -> bool:
    """Whether the last ``PATIENCE`` measurements brought next to nothing."""
    if len(costs) <= PATIENCE:
        return False
    return min(costs[-PATIENCE:]) > min(costs[:-PATIENCE]) - GAIN


def compared(
    photo: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    shown: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    embed: Embed | None,
    breathe: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Figures of a head against its photo, on the bytes that a person sees.

    Args:
        photo: The photo.
        inside: The head in it; nothing else counts.
        shown: Pixels over the backdrop and alpha from the photo's camera, then from the sides.
        embed: Identity of pixels within a mask; without it distances are 0.
        breathe: Called between steps.

    Returns:
        ``mae``, ``ssim``, ``identity_distance`` and ``novel_identity``, the mean of the sides.

    Shape:
        photo (S, S, 3), inside (S, S), pixels (S, S, 3), alpha (S, S).
    """
    mask = torch.from_numpy(inside)[None, None].float()
    first, second = (picture_tensor(pixels) * mask for pixels in (shown[0][0], photo))
    figures = {
        "mae": float(masked((first - second).abs(), mask)),
        "ssim": float(masked(ssim_map(first, second), mask)),
        "identity_distance": 0.0,
        "novel_identity": 0.0,
    }
    if embed is not None:
        breathe()
        same = embed(photo, inside)
        breathe()
        figures["identity_distance"] = float(np.linalg.norm(same - embed(shown[0][0], inside)))
        away = []
        for pixels, alpha in shown[1:]:
            breathe()
            away.append(float(np.linalg.norm(same - embed(pixels, alpha > 127))))
        figures["novel_identity"] = sum(away) / len(away) if away else 0.0
    return figures


def _nothing() -> None:
    """Nobody waits."""


class Watch:
    """Measures one head during its refinement.

    Args:
        generator: As it was before.
        styles: As they were before.
        angles: The photo's camera.
        photo: In [-1, 1].
        matte: Of the head.
        body: What the head has beside its latents.
        embed: Identity of pixels (256, 256, 3) uint8 within a mask; None leaves identities at 0.
        breathe: Called between two pictures; may raise ``Cancelled``.

    Shape:
        styles (1, rows, style_dim), angles (1, 2), photo (1, 3, S, S), matte (1, 1, S, S).
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        angles: Tensor,
        photo: Tensor,
        matte: Tensor,
        body: Body,
        embed: Embed | None,
        breathe: Callable[[], None] = _nothing,
    ) -> None:
        self._breathe = breathe
        self._embed, self._angles, self._now = embed, angles.clone(), angles.clone()
        self.body = body
        """What the head has beside its latents now; whoever changes it says so by ``shape_moved``."""
        self._photo_and_matte = torch.cat((photo, matte), dim=1)
        self._photo, self._inside = picture_pixels(photo), (matte[0, 0] > 0.5).cpu().numpy()
        self._views: dict[float, Prepared] = {}
        self._shape: HeadShape | None = None
        self._start: dict[float, Prepared] = {}
        self._drifted = (0.0, 0.0)
        self.pictures: tuple[NDArray[np.uint8], ...] = ()
        """What was measured last: from the photo's camera, then from the sides."""
        for yaw in (0.0, *DRIFT_YAWS):
            breathe()
            self._start[yaw] = prepare(generator, styles, self._turned(yaw), body, frozen=False, pause=breathe)
        # The photo's own surface decides what it saw; half a head is as wide as its relief.
        own = self._start[0.0].surface
        self._buffer = torch.where(own.hit > 0.5, own.depth, torch.full_like(own.depth, math.inf))[0, 0]
        points = own.points.flatten(2)[0, :, own.hit.flatten() > 0.5]
        self.head_size = float((points[1].amax() - points[1].amin()).clamp(min=1e-3)) if points.numel() else 0.2

    def _turned(self, yaw: float) -> Tensor:
        return self._angles + self._angles.new_tensor([[yaw, 0.0]])

    @torch.no_grad()
    def measure(
        self,
        generator: Generator,
        styles: Tensor,
        decoder: Tensor,
        step: int,
        *,
        shape_moved: bool,
        angles: Tensor | None = None,
    ) -> Point:
        """Draw and compare.

        Args:
            generator: As it is now.
            styles: As they are now.
            decoder: As they are now.
            step: Which one it is.
            shape_moved: Whether the surface may have changed since the last measurement.
            angles: The photo's camera as it is believed now; as it was in the beginning if absent. Drift is always
                seen from where it was.

        Shape:
            styles (1, rows, style_dim), decoder (1, rows_d, D), angles (1, 2).
        """
        if angles is not None and not torch.equal(angles, self._now):
            self._now = angles.clone()
            self._views.clear()
        if shape_moved:
            self._views.clear()
            self._shape = None
            self._drifted = self._drift(generator, styles)
        drawn: dict[float, Drawn] = {}
        for yaw in (0.0, -SIDE_YAW, SIDE_YAW) if self._embed is not None else (0.0,):
            self._breathe()
            if yaw not in self._views:
                if self._shape is None:
                    self._shape = self.body.shape(generator.field, styles, self._breathe)
                place = self._now + self._now.new_tensor([[yaw, 0.0]])
                self._views[yaw] = prepare(
                    generator, styles, place, self.body, frozen=True, shape=self._shape, pause=self._breathe
                )
            drawn[yaw] = draw(generator, styles, decoder, self._views[yaw], self._breathe)
        self._breathe()
        shown = [to_pixels(d.picture[0].clamp(-1.0, 1.0), d.alpha[0]) for d in drawn.values()]
        figures = compared(self._photo, self._inside, shown, self._embed, self._breathe)
        self.pictures = tuple(pixels for pixels, _ in shown)
        self._breathe()
        return Point(
            step,
            figures["mae"],
            figures["ssim"],
            figures["identity_distance"],
            figures["novel_identity"],
            *self._drifted,
            self._psnr(shown[0][0]),
            self._reprojection(drawn),
        )

    def _psnr(self, pixels: NDArray[np.uint8]) -> float:
        error = (pixels.astype(np.float64) - self._photo)[self._inside] / 255.0
        return -10.0 * math.log10(max(float(np.square(error).mean()), 1e-10)) if error.size else 0.0

    def _reprojection(self, drawn: Mapping[float, Drawn]) -> float:
        """What the sides show of the photo's surface against the photo itself, by the surfaces of now."""
        own = self._views[0.0].surface
        buffer = torch.where(own.hit > 0.5, own.depth, torch.full_like(own.depth, math.inf))[0, 0]
        differences = []
        for yaw, picture in drawn.items():
            if yaw == 0.0:
                continue
            surface = self._views[yaw].surface
            hit = surface.hit.flatten() > 0.5
            points = surface.points.flatten(2)[0].T[hit]
            side = surface.hit.shape[-1]
            colours = functional.interpolate(picture.picture.clamp(-1.0, 1.0), size=(side, side), mode="area")
            uv, _ = project(points[None], self._now)
            shown = functional.grid_sample(self._photo_and_matte, uv[None], align_corners=False)[0, :, 0].T
            seen = seen_from(points, self._now, buffer, tolerance=SAME_SURFACE) & (shown[:, 3] > 0.99)
            differences.append((colours.flatten(2)[0].T[hit] - shown[:, :3]).abs()[seen].mean(dim=1))
        together = torch.cat(differences) if differences else torch.zeros(0)
        return float(together.mean()) if len(together) else 0.0

    def _drift(self, generator: Generator, styles: Tensor) -> tuple[float, float]:
        depths, turns = [], []
        for yaw in DRIFT_YAWS:
            self._breathe()
            before = self._start[yaw].surface
            turned = self._turned(yaw)
            after = prepare(generator, styles, turned, self.body, frozen=False, pause=self._breathe).surface
            points = before.points.flatten(2)[0].T
            hidden = ~seen_from(points, self._angles, self._buffer, tolerance=0.004)
            common = (before.hit > 0.5).flatten() & (after.hit > 0.5).flatten() & hidden
            if not common.any():
                continue
            depths.append((after.depth - before.depth).abs().flatten()[common])
            first, second = (normals_of(unproject(m.depth, self._turned(yaw))) for m in (before, after))
            turns.append((first * second).sum(dim=1).flatten()[common].clamp(-1.0, 1.0).acos())
        if not depths:
            return 0.0, 0.0
        return float(torch.cat(depths).mean()) / self.head_size, float(torch.cat(turns).mean())
