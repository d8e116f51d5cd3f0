"""The one door to everything heavy: photo to head, head to picture, mesh, video and refined head.

One thread owns an Engine. Values go in, values come out. Heavy methods report to a ``Job``, and a live frame may be
rendered inside any report: therefore no state is half-changed across one. What is kept between calls lies in
:mod:`core.tiers`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

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
from core.fused import prepare, worth_preparing
from core.inversion import Inversion, invert, photo_tier, stranger_warnings
from core.job import Job
from core.judge import Judge
from core.kernels import kernel_of, look_again, worth_building
from core.models.bundle import read_networks
from core.models.identity import IDENTITY_WEIGHTS, IdentityEmbedding
from core.models.networks import Networks
from core.photo import Photo
from core.refining import RECONSTRUCTION_SIZE, Refining
from core.rendering.edited import DRAWN_ON, edited_head
from core.rendering.folded import chains_of
from core.rendering.frames import PREVIEW
from core.rendering.hands import PATIENCE, Pause, resting
from core.surface import SurfaceMesh
from core.tensors import choose_device, is_out_of_memory
from core.tiers import Tiers
from core.weights import Registry

logger = logging.getLogger(__name__)

DEFAULT_WEIGHTS = "cameo-256"
# Side below which a picture that does not fit into memory is not tried again.
LEAST_SIZE = 64
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
        self.judge = Judge(embedding)
        self.tiers = Tiers(networks)
        self._refining = Refining(self.tiers, self.judge, limits, self.render)

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
        moved = set(networks.directions) | set(DRAWN_ON if networks.landmark_indices is not None else ())
        offered = {known_as(name) for name in entry.contract.attributes} & moved
        attributes = tuple(attribute for attribute in ATTRIBUTES if attribute.name in offered)
        logger.info("opened %s on %s", weights, place)
        return cls(networks, weights, entry.contract.limits, attributes, embedding)

    @property
    def device_name(self) -> str:
        """Where the networks are, for a person."""
        device = self.tiers.networks.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

    @property
    def wants_kernels(self) -> bool:
        """Whether layers compiled for this machine would help, are not there, and have not failed to be made before."""
        device = self.tiers.networks.device
        if device.type != "cpu":
            return worth_preparing(device)
        return any(worth_building(chain) for chain in chains_of(self.tiers.networks.generator.field))

    def take_kernels(self, job: Job | None = None) -> bool:
        """Use layers that were compiled since the engine was opened, and make heads anew with them.

        On a graphics card they are taken from the compiler's cache beside whatever else is done meanwhile.

        Args:
            job: Where to report while that takes its seconds.

        Returns:
            Whether there were any.
        """
        device, chains = self.tiers.networks.device, chains_of(self.tiers.networks.generator.field)
        if device.type != "cpu":
            found = worth_preparing(device) and _beside(lambda: prepare(device, chains), job or Job.quiet())
            if found:
                self.tiers.forget()
            return found
        before = [kernel_of(chain) is not None for chain in chains]
        look_again()
        found = [kernel_of(chain) is not None for chain in chains] != before
        if found:
            self.tiers.forget()
        return found

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
                hint="Use --face 0." if len(faces) == 1 else f"Choose a face from 0 (the largest) to {len(faces) - 1}.",
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
        found = invert(self.tiers.networks, photo, aligned, self.limits, self.weights_name, job.part(0.4, 0.7))
        seconds = {"align": aligned_at - started, "encode": time.perf_counter() - aligned_at}
        job.report(0.7, "looking at the head")
        look = partial(job.report, 0.7, "looking at the head")
        source = photo_tier(self.tiers.networks, found, look)
        look()
        with torch.inference_mode():
            head = edited_head(self.tiers.networks, source, LatentEdit.none)
        reconstruction, _ = self.tiers.picture(
            self.tiers.networks, head, found.camera, RECONSTRUCTION_SIZE, "picture", look
        )
        look()
        metrics = self.judge.likeness(found.aligned, reconstruction, look)
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
        self.tiers.sources.keep(inversion, source)
        self.tiers.heads.keep((inversion, LatentEdit.none), head)
        job.report(1.0, "head reconstructed")
        return inversion

    def refine(self, inversion: Inversion, method: str, job: Job, passes: int | None = None) -> Inversion:
        """Optimise a head for its photo; see :meth:`core.refining.Refining.refine`."""
        return self._refining.refine(inversion, method, job, passes)

    def pick(self, inversion: Inversion, step: int, job: Job) -> Inversion:
        """Another point of a refinement's curve; see :meth:`core.refining.Refining.pick`."""
        return self._refining.pick(inversion, step, job)

    def own_figures(self, inversion: Inversion, job: Job | None = None) -> dict[str, float]:
        """How close the generator's own colours come; see :meth:`core.refining.Refining.own_figures`."""
        return self._refining.own_figures(inversion, job)

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
        self.tiers.forget_heads()
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
        head = self.tiers.head(request.inversion, request.edit, draft=request.size <= PREVIEW, pause=pause)
        networks = self.tiers.networks_of(request.inversion)
        pixels, alpha = self.tiers.picture(networks, head, camera, request.size, request.layer, pause)
        elapsed_ms = 1000.0 * (time.perf_counter() - started)
        return Frame(pixels, alpha, request, elapsed_ms, camera is not request.camera)

    def mesh(self, inversion: Inversion, edit: LatentEdit, resolution: int, job: Job) -> SurfaceMesh:
        """The head's surface under an edit.

        Raises:
            CameoError: There is no surface, or the resolution is out of range.
            Cancelled: Somebody asked to stop.
        """
        job.report(0.0, "preparing the head")
        head = self.tiers.head(inversion, edit, pause=partial(job.report, 0.0, "preparing the head"))
        return meshing.extract(self.tiers.networks_of(inversion), head, resolution, job)

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


def _beside(task: Callable[[], bool], job: Job) -> bool:
    """What a long task in a thread of its own says; this thread goes on giving way meanwhile."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(task()), name="cameo-compiler", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(PATIENCE)
        job.report(0.5, "taking compiled layers")
    return bool(found) and found[0]
