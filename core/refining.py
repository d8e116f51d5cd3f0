"""A refinement from the engine's side: from one inversion to another, with its report.

:mod:`core.refinement` optimises; here the result is measured as a person sees it, given only as far as the photo's own
colours do not suffer, and made into a value. Knows tiers and judge, no files and no window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.camera import Camera, CameraLimits
from core.edit import LatentEdit
from core.errors import CameoError
from core.frame import Frame, RenderRequest
from core.inversion import Inversion, photo_tier
from core.job import Job
from core.judge import Judge
from core.refinement.delta import Refinement, scaled
from core.refinement.methods import method_of
from core.refinement.refiner import Refiner, report_of
from core.refinement.watch import SIDE_YAW, compared
from core.refinement.waypoint import Waypoint
from core.rendering.edited import edited_head
from core.rendering.hands import Pause
from core.tiers import Tiers

__all__ = ["RECONSTRUCTION_SIZE", "Refining"]

RECONSTRUCTION_SIZE = 256
# Shares of a refinement that are tried until the picture with the photo's own colours is not worse than before, and
# what counts as worse there: mean absolute difference in [-1, 1], and identity distance.
SHARES = (1.0, 0.6, 0.3, 0.0)
WORSE_MAE, WORSE_IDENTITY = 0.002, 0.02
NOTHING_GAINED = (
    "Refining gained nothing that could be kept: with the photo's own colours the head would be less like it."
)


class Refining:
    """Refines heads.

    Args:
        tiers: Heads as far as they are made.
        judge: Compares pictures.
        limits: Cameras the model was trained for.
        render: Draws a picture.
    """

    def __init__(
        self, tiers: Tiers, judge: Judge, limits: CameraLimits, render: Callable[[RenderRequest, Pause], Frame]
    ) -> None:
        self._tiers, self._judge, self._limits, self._render = tiers, judge, limits, render

    def refine(self, inversion: Inversion, method: str, job: Job, passes: int | None = None) -> Inversion:
        """Optimise a head for its photo; everything else then works on the refined inversion as on any other.

        Args:
            inversion: What to start from; a refined one starts again from where it began.
            method: One of ``core.refinement.methods.METHODS``; after a polish as ``method_of`` says.
            job: Where to report.
            passes: At most so many guided passes; the method's schedule is shortened in proportion.

        Raises:
            CameoError: There is no such method, or these weights cannot be refined.
            Cancelled: Somebody asked to stop; nothing has changed. Who asks the job to finish instead gets what is
                there.
        """
        plan = method_of(method)
        if self._tiers.networks.config.generator.decoder.guide_channels == 0:
            raise CameoError(f"The weights {inversion.weights} cannot be refined.", hint="Use cameo-256.")
        plan = plan if passes is None else plan.limited(passes)
        start = inversion if inversion.refinement is None else inversion.refinement.origin
        job.report(0.0, "looking at the head")
        before = self.own_figures(start, job)
        embed = None if self._judge.embedding is None else self._judge.embed
        found = Refiner(self._tiers.networks, self._tiers.head(start, LatentEdit.none), embed).run(
            plan, job.part(0.02, 0.96)
        )
        for share in SHARES:
            job.report(0.97, "looking at the refined head")
            refined = self._shared_out(start, found.found, share, job)
            worse = refined.metrics.get("mae", 0.0) > start.metrics.get("mae", 0.0) + WORSE_MAE
            distances = [one.metrics.get("identity_distance", 0.0) for one in (refined, start)]
            if not worse and distances[0] <= distances[1] + WORSE_IDENTITY:
                break
        assert refined.refinement is not None
        report = report_of(found, before, self.own_figures(refined, job))
        report |= {"share": share, "delta_bytes": refined.refinement.delta.bytes}
        if share == 0.0:
            report["rolled_back"] = True
            refined = dataclasses.replace(refined, warnings=(*refined.warnings, NOTHING_GAINED))
        job.report(1.0, "head refined")
        return _reported(refined, report, found.waypoints)

    def pick(self, inversion: Inversion, step: int, job: Job) -> Inversion:
        """Another point of a refinement's curve, as it was measured there; a person has seen what it costs.

        Args:
            inversion: A refined one.
            step: One of its report's ``points``.
            job: Where to report.

        Raises:
            CameoError: There is no such point.
            Cancelled: Somebody asked to stop.
        """
        refinement = inversion.refinement
        if refinement is None or step not in refinement.waypoints:
            raise CameoError(f"Step {step} of the refinement was not kept.", hint="Choose another point of the curve.")
        job.report(0.1, "going to another step")
        refined = self._shared_out(refinement.origin, refinement.waypoints[step], 1.0, job)
        assert refined.refinement is not None
        chosen = next(point for point in refinement.report["curve"] if point["step"] == step)
        report = dict(refinement.report) | {
            "after": self.own_figures(refined, job),
            "kept_step": step,
            "rolled_back": step < refinement.report["steps"],
            "shape_drift": chosen["shape_drift"],
            "share": 1.0,
            "delta_bytes": refined.refinement.delta.bytes,
        }
        job.report(1.0, "head refined")
        return _reported(refined, report, refinement.waypoints)

    def own_figures(self, inversion: Inversion, job: Job | None = None) -> dict[str, float]:
        """How close the head comes to its photo by the generator's own colours.

        Args:
            inversion: Which head.
            job: Where to yield between two pictures.

        Returns:
            ``mae``, ``ssim``, ``identity_distance``, and ``novel_identity`` at yaw ±0.35 from the photo's camera.
        """
        camera, frames = inversion.camera, []
        job = job or Job.quiet()
        look = partial(job.report, 0.0, job.stage)
        for turn in (0.0, -SIDE_YAW, SIDE_YAW):
            look()
            view = Camera(camera.yaw + turn, camera.pitch)
            request = RenderRequest(inversion, LatentEdit.none, view, RECONSTRUCTION_SIZE, "generator")
            frames.append(self._render(request, look))
        shown = [(frame.pixels, frame.alpha) for frame in frames]
        aligned = inversion.aligned
        inside = aligned.matte256 > 0.5
        return compared(
            aligned.crop256, inside, shown, None if self._judge.embedding is None else self._judge.embed, look
        )

    def _shared_out(self, start: Inversion, found: Waypoint, share: float, job: Job) -> Inversion:
        """The inversion with a share of what a refinement found: θ₀ + λ(θ − θ₀), and the latents likewise."""
        latents = [
            (old + share * (new.cpu().numpy() - old)).astype(np.float32)
            for old, new in ((start.styles, found.styles), (start.decoder_styles, found.decoder_styles))
        ]
        delta = scaled(found.delta, share)
        refined = dataclasses.replace(
            start,
            styles=latents[0],
            decoder_styles=latents[1],
            camera=_between(start.camera, found.camera, share).clamped(self._limits),
            reconstruction=start.reconstruction.copy(),
            refinement=Refinement(delta, {}, start),
            deformation=_moved(start.deformation, found.deformation, share),
        )
        look = partial(job.report, 0.97, "looking at the refined head")
        look()
        networks = self._tiers.networks_of(refined, look)
        look()
        source = photo_tier(networks, refined, look)
        look()
        with torch.inference_mode():
            head = edited_head(networks, source, LatentEdit.none)
        look()
        picture, _ = self._tiers.picture(networks, head, refined.camera, RECONSTRUCTION_SIZE, "picture", look)
        look()
        metrics = self._judge.likeness(start.aligned, picture, look)
        return dataclasses.replace(refined, reconstruction=picture, metrics=metrics)


def _moved(
    old: NDArray[np.float32] | None, new: NDArray[np.float32] | None, share: float
) -> NDArray[np.float32] | None:
    """A deformation so far on the way from one to another; the one itself where no other was fitted."""
    if new is None or share == 0.0:
        return old
    begin = np.zeros_like(new) if old is None else old
    return (begin + share * (new - begin)).astype(np.float32)


def _between(old: Camera, new: Camera, share: float) -> Camera:
    """A camera so far on the way from one to another; the one itself at 0."""
    if share == 0.0:
        return old
    turn, rise = new.yaw - old.yaw, new.pitch - old.pitch
    return dataclasses.replace(old, yaw=old.yaw + share * turn, pitch=old.pitch + share * rise)


def _reported(refined: Inversion, report: Mapping[str, Any], waypoints: Mapping[int, Waypoint]) -> Inversion:
    """The same head, with its refinement's report."""
    assert refined.refinement is not None
    whole = dataclasses.replace(refined.refinement, report=report, waypoints=waypoints)
    return dataclasses.replace(refined, refinement=whole)
