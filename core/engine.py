"""The loaded networks on one device, the caches of the two upper tiers, and nothing else.

One thread owns an Engine. Values go in, values come out. Heavy methods report to a ``Job``, and a live frame may be
rendered inside any report: therefore no state is half-changed across one, which here means that the caches are only
written after their entries are complete.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from core import meshing
from core.alignment import AlignedFace, DetectedFace, align, detect_faces
from core.camera import Camera, CameraLimits
from core.edit import ATTRIBUTES, Attribute, LatentEdit, known_as
from core.errors import CameoError, FaceNotUsable, MemoryShort, WeightsMissing
from core.frame import Frame, RenderRequest
from core.inversion import Inversion, invert, photo_tier, stranger_warnings
from core.job import Job
from core.models.bundle import read_networks
from core.models.identity import IDENTITY_WEIGHTS, IdentityEmbedding
from core.models.networks import Networks
from core.photo import Photo
from core.recent import Recent
from core.refinement.delta import Refinement, scaled, tuned_networks
from core.refinement.methods import METHODS
from core.refinement.refiner import Refiner, report_of
from core.refinement.watch import SIDE_YAW, compared
from core.refinement.waypoint import Waypoint
from core.rendering.edited import EditedHead, SourceHead, edited_head
from core.rendering.frames import PREVIEW, render_layer, to_pixels
from core.rendering.hands import Pause, resting
from core.surface import SurfaceMesh
from core.tensors import choose_device, is_out_of_memory, picture_tensor
from core.weights import Registry

logger = logging.getLogger(__name__)

DEFAULT_WEIGHTS = "cameo-256"
# Entries of each tier's cache: the photo or edit at hand, and the one before (a switch back and forth costs nothing).
CACHED = 2
RECONSTRUCTION_SIZE = 256
# Side below which a picture that does not fit into memory is not tried again.
LEAST_SIZE = 64
# Shares of a refinement that are tried until the picture with the photo's own colours is not worse than before, and
# what counts as worse there: mean absolute difference in [-1, 1], and identity distance.
SHARES = (1.0, 0.6, 0.3, 0.0)
WORSE_MAE, WORSE_IDENTITY = 0.002, 0.02
# Decimals of an angle [rad] beyond which two cameras are one.
SAME_ANGLE = 9

Pixels = NDArray[np.uint8]


class Engine:
    """Everything heavy, for one thread.

    Args:
        networks: A model, on its device.
        weights_name: What it is called.
        limits: Cameras it was trained for.
        attributes: What it can edit.
        embedding: Network that compares faces.
    """

    def __init__(
        self,
        networks: Networks,
        weights_name: str,
        limits: CameraLimits,
        attributes: tuple[Attribute, ...],
        embedding: IdentityEmbedding | None = None,
    ) -> None:
        self.weights_name = weights_name
        self.limits = limits
        self.attributes = attributes
        self._networks = networks
        self._embedding = embedding
        self._tuned: Recent[Networks] = Recent(CACHED)
        self._sources: Recent[SourceHead] = Recent(CACHED)
        self._heads: Recent[EditedHead] = Recent(CACHED)
        self._drafts: Recent[EditedHead] = Recent(CACHED)

    @classmethod
    def open(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        device: str = "auto",
        threads: int | None = None,
        registry: Registry | None = None,
    ) -> Engine:
        """Load a model.

        Args:
            weights: Name of a registered model.
            device: "auto", or a torch device.
            threads: CPU threads; torch's own choice when absent.
            registry: Where weights are; the program's own folder by default.

        Raises:
            WeightsMissing, WeightsCorrupt: The weights are not there, or not what they should be.
            CameoError: The device does not exist.
        """
        registry = registry or Registry()
        entry = registry.entry(weights)
        if entry.contract is None or entry.purpose != "head":
            raise WeightsMissing(f"“{weights}” are no weights of a head model.", hint=f"Use {DEFAULT_WEIGHTS}.")
        if threads is not None:
            torch.set_num_threads(max(1, threads))
        try:
            place = choose_device(device)
            torch.zeros(1, device=place)
        except (RuntimeError, AssertionError) as error:
            raise CameoError(f"The device “{device}” cannot be used.", hint="Use --device auto or cpu.") from error
        paths = [path for path in registry.locate(weights).values() if path.suffix == ".safetensors"]
        networks = read_networks(paths).ready(place)
        helpers = registry if any(one.name == IDENTITY_WEIGHTS for one in registry.list()) else Registry()
        identity = helpers.locate(IDENTITY_WEIGHTS)["network"]
        embedding = IdentityEmbedding.from_tensors(load_file(identity)).to(place)
        offered = {known_as(name) for name in entry.contract.attributes} & set(networks.directions)
        attributes = tuple(attribute for attribute in ATTRIBUTES if attribute.name in offered)
        logger.info("opened %s on %s", weights, place)
        return cls(networks, weights, entry.contract.limits, attributes, embedding)

    @property
    def device_name(self) -> str:
        """Where the networks are, for a person."""
        device = self._networks.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

    # ------------------------------------------------------------------------------------------------- photo tier

    def detect(self, photo: Photo, job: Job, detector: str = "mediapipe") -> tuple[DetectedFace, ...]:
        """All faces of a photo, largest first.

        Raises:
            NoFaceFound: There is none.
        """
        return detect_faces(photo, job, detector)

    def align(self, photo: Photo, job: Job, face: int = 0, detector: str = "mediapipe") -> AlignedFace:
        """Find and cut out one face.

        Args:
            photo: The photo.
            job: Where to report.
            face: Which one, 0 being the largest.
            detector: "mediapipe" or "facexlib".

        Raises:
            NoFaceFound: There is none.
            FaceNotUsable: There is no such face, or it is too small or turned too far.
        """
        faces = self.detect(photo, job.part(0.0, 0.5), detector)
        if not 0 <= face < len(faces):
            count = "only one face" if len(faces) == 1 else f"only {len(faces)} faces"
            raise FaceNotUsable(
                f"There is no face {face}: the photo shows {count}.",
                hint=f"Choose a face from 0 (the largest) to {len(faces) - 1}.",
            )
        return align(photo, faces[face], len(faces), job.part(0.5, 1.0))

    def invert(self, photo: Photo, job: Job, face: int = 0, detector: str = "mediapipe") -> Inversion:
        """Reconstruct the head in a photo.

        Raises:
            NoFaceFound, FaceNotUsable: There is no face that could be used.
            Cancelled: Somebody asked to stop.
        """
        started = time.perf_counter()
        aligned = self.align(photo, job.part(0.0, 0.4), face, detector)
        aligned_at = time.perf_counter()
        found = invert(self._networks, photo, aligned, self.limits, self.weights_name, job.part(0.4, 0.7))
        seconds = {"align": aligned_at - started, "encode": time.perf_counter() - aligned_at}
        job.report(0.7, "looking at the head")
        look = partial(job.report, 0.7, "looking at the head")
        source = photo_tier(self._networks, found, look)
        look()
        with torch.inference_mode():
            head = edited_head(self._networks, source, LatentEdit.none)
        reconstruction, _ = self._picture(self._networks, head, found.camera, RECONSTRUCTION_SIZE, "picture", look)
        look()
        metrics = self.likeness(found.aligned, reconstruction)
        look()
        warnings = [*photo.warnings]
        if aligned.faces_found > 1:
            which = "the largest is used" if face == 0 else f"face {face} is used"
            warnings.append(f"The photo shows {aligned.faces_found} faces; {which}.")
        warnings.extend(stranger_warnings(metrics))
        inversion = Inversion(
            found.aligned,
            found.camera,
            found.styles.copy(),
            found.decoder_styles.copy(),
            self.weights_name,
            tuple(warnings),
            metrics,
            reconstruction,
            seconds,
            deformation=found.deformation,
        )
        self._sources.keep(inversion, source)
        self._heads.keep((inversion, LatentEdit.none), head)
        job.report(1.0, "head reconstructed")
        return inversion

    def refine(self, inversion: Inversion, method: str, job: Job, passes: int | None = None) -> Inversion:
        """Optimise a head for its photo; everything else then works on the refined inversion as on any other.

        Args:
            inversion: What to start from; a refined one starts again from where it began.
            method: One of ``core.refinement.methods.METHODS``.
            job: Where to report.
            passes: At most so many guided passes; the method's schedule is shortened in proportion.

        Raises:
            CameoError: There is no such method, or these weights cannot be refined.
            Cancelled: Somebody asked to stop; nothing has changed. Who asks the job to finish instead gets what is
                there.
        """
        plan = METHODS.get(method)
        if plan is None:
            raise CameoError(f"There is no refinement “{method}”.", hint=f"Use one of {', '.join(METHODS)}.")
        if self._networks.config.generator.decoder.guide_channels == 0:
            raise CameoError(f"The weights {self.weights_name} cannot be refined.", hint=f"Use {DEFAULT_WEIGHTS}.")
        plan = plan if passes is None else plan.limited(passes)
        start = inversion if inversion.refinement is None else inversion.refinement.origin
        job.report(0.0, "looking at the head")
        before = self.own_figures(start, job)
        embed = None if self._embedding is None else self.embed
        found = Refiner(self._networks, self._head(start, LatentEdit.none), embed).run(plan, job.part(0.02, 0.96))
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
        for turn in (0.0, -SIDE_YAW, SIDE_YAW):
            if job is not None:
                job.report(0.0, job.stage)
            view = Camera(camera.yaw + turn, camera.pitch)
            frames.append(
                self.render(RenderRequest(inversion, LatentEdit.none, view, RECONSTRUCTION_SIZE, "generator"))
            )
        shown = [(frame.pixels, frame.alpha) for frame in frames]
        aligned = inversion.aligned
        inside = aligned.matte256 > 0.5
        return compared(aligned.crop256, inside, shown, None if self._embedding is None else self.embed)

    def likeness(self, aligned: AlignedFace, pixels: Pixels) -> dict[str, float]:
        """How close a picture from the photo's camera comes to the photo: ``mae`` and ``identity_distance``.

        Both go over the head matte only; outside it both pictures are the same grey.
        """
        inside = aligned.matte256 > 0.5
        if not inside.any():
            return {}
        difference = np.abs(aligned.crop256.astype(np.float64) - pixels)[inside]
        metrics = {"mae": float(difference.mean() / 127.5)}
        if self._embedding is not None:
            first, second = self.embed(aligned.crop256, inside), self.embed(pixels, inside)
            metrics["identity_distance"] = float(np.linalg.norm(first - second))
        return metrics

    def embed(self, pixels: Pixels, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The identity embedding (128,) of a head; outside the mask it looks at grey.

        Shape:
            pixels (256, 256, 3) uint8, inside (256, 256).
        """
        if self._embedding is None:
            raise WeightsMissing("The identity network is not there.", hint="Get the program again.")
        with torch.inference_mode():
            picture = picture_tensor(pixels, self._networks.device)
            mask = torch.from_numpy(inside).to(picture.device)[None, None]
            embedding = self._embedding((torch.where(mask, picture, torch.zeros_like(picture)) + 1.0) / 2.0)
        return np.asarray(embedding[0].double().cpu().numpy())

    # ------------------------------------------------------------------------------------------------ lower tiers

    def render(self, request: RenderRequest, pause: Pause = resting) -> Frame:
        """One picture of a head; its camera is moved back into what the model was trained for.

        Args:
            request: What to draw. Small pictures are made of a draft of the edited head, whatever else is known of it:
                the same request gives the same bytes.
            pause: Called between stages. It may raise; nothing is then changed but what is complete.

        Raises:
            MemoryShort: Memory is not enough, not even for half the size; a picture of half the size says so.
        """
        try:
            return self._rendered(request, pause)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("out of memory at %d px, trying once more", request.size)
        # Only now, when nothing of the first try is held any more.
        self._drafts, self._heads = Recent(CACHED), Recent(CACHED)
        smaller = max(request.size // 2, min(request.size, LEAST_SIZE))
        try:
            frame = self._rendered(dataclasses.replace(request, size=smaller), pause)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            hint = "Close other programs, or ask for a smaller picture."
            raise MemoryShort("There is not enough memory for a picture.", hint=hint) from error
        return dataclasses.replace(frame, request=request, note=f"Memory was short: shown at {smaller} pixels.")

    def _rendered(self, request: RenderRequest, pause: Pause) -> Frame:
        started = time.perf_counter()
        camera = request.camera.clamped(self.limits)
        head = self._head(request.inversion, request.edit, draft=request.size <= PREVIEW, pause=pause)
        networks = self._networks_of(request.inversion)
        pixels, alpha = self._picture(networks, head, camera, request.size, request.layer, pause)
        elapsed_ms = 1000.0 * (time.perf_counter() - started)
        return Frame(pixels, alpha, request, elapsed_ms, camera is not request.camera)

    def mesh(self, inversion: Inversion, edit: LatentEdit, resolution: int, job: Job) -> SurfaceMesh:
        """The head's surface under an edit.

        Raises:
            CameoError: There is no surface, or the resolution is out of range.
            Cancelled: Somebody asked to stop.
        """
        job.report(0.0, "preparing the head")
        head = self._head(inversion, edit, pause=partial(job.report, 0.0, "preparing the head"))
        return meshing.extract(self._networks_of(inversion), head, resolution, job)

    def turntable(
        self, inversion: Inversion, edit: LatentEdit, path: Sequence[Camera], size: int, job: Job
    ) -> Iterator[Frame]:
        """Frames along a path, one by one; every frame is a yield point.

        A sweep comes back the way it went: a camera that was there before gives the frame that was there before.

        Raises:
            MemoryShort: Pictures of this size do not fit.
            Cancelled: Somebody asked to stop.
        """
        drawn: dict[tuple[float, float, float], Frame] = {}
        for number, camera in enumerate(path):
            job.report(number / len(path), f"frame {number + 1} of {len(path)}")
            place = (round(camera.yaw, SAME_ANGLE), round(camera.pitch, SAME_ANGLE), round(camera.half_fov, SAME_ANGLE))
            if place not in drawn:
                stage = partial(job.report, number / len(path), f"frame {number + 1} of {len(path)}")
                frame = self.render(RenderRequest(inversion, edit, camera, size), stage)
                if frame.note:  # one smaller picture among the others would be of no use
                    raise MemoryShort("There is not enough memory for this size.", hint="Choose a smaller one.")
                drawn[place] = frame
            yield drawn[place]
        job.report(1.0, "turntable ready")

    # ---------------------------------------------------------------------------------------------------- private

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
            camera=found.camera.clamped(self.limits),
            reconstruction=start.reconstruction.copy(),
            refinement=Refinement(delta, {}, start),
        )
        networks = self._networks_of(refined)
        source = photo_tier(networks, refined)
        with torch.inference_mode():
            head = edited_head(networks, source, LatentEdit.none)
        job.report(0.97, "looking at the refined head")
        picture, _ = self._picture(networks, head, refined.camera, RECONSTRUCTION_SIZE, "picture")
        return dataclasses.replace(refined, reconstruction=picture, metrics=self.likeness(start.aligned, picture))

    def _networks_of(self, inversion: Inversion) -> Networks:
        """The networks that draw an inversion: the loaded ones, or a tuned copy of its own."""
        refinement = inversion.refinement
        if refinement is None:
            return self._networks
        return self._tuned.get(refinement.delta, lambda: tuned_networks(self._networks, refinement.delta))

    def _picture(
        self,
        networks: Networks,
        head: EditedHead,
        camera: Camera,
        size: int,
        layer: str,
        pause: Pause = resting,
    ) -> tuple[Pixels, Pixels]:
        with torch.inference_mode():
            return to_pixels(*render_layer(networks, head, camera, size, layer, pause=pause))

    def _head(
        self, inversion: Inversion, edit: LatentEdit, *, draft: bool = False, pause: Pause = resting
    ) -> EditedHead:
        networks = self._networks_of(inversion)

        def make() -> EditedHead:
            source = self._source(inversion)
            with torch.inference_mode():
                return edited_head(networks, source, edit, draft=draft, pause=pause)

        # An empty edit is the photo tier as it is: there is nothing to draft.
        if draft and not edit.is_empty:
            return self._drafts.get((inversion, edit), make)
        return self._heads.get((inversion, edit), make)

    def _source(self, inversion: Inversion) -> SourceHead:
        return self._sources.get(inversion, lambda: photo_tier(self._networks_of(inversion), inversion))


def _reported(refined: Inversion, report: Mapping[str, Any], waypoints: Mapping[int, Waypoint]) -> Inversion:
    """The same head, with its refinement's report."""
    assert refined.refinement is not None
    whole = dataclasses.replace(refined.refinement, report=report, waypoints=waypoints)
    return dataclasses.replace(refined, refinement=whole)
