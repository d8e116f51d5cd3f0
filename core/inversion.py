"""The feed-forward way from an aligned face to a head: read it, cut the photo again, and what that makes.

Only arrangement and conversion live here: the reading is in ``core.reading``, the networks in ``core.models``, the
pictures in ``core.rendering``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from core.alignment import AlignedFace
from core.camera import Camera, CameraLimits
from core.job import Job
from core.models.networks import Networks
from core.photo import Photo
from core.reading import deformed, is_cut_off, read_face, touches_the_edge
from core.refinement.clothes import undressed
from core.refinement.delta import Refinement
from core.refinement.wanted_outline import AROUND, Around
from core.rendering.deformation import Deformation
from core.rendering.hands import Pause, both, resting
from core.rendering.source import SourceHead, source_head
from core.tensors import alpha_tensor, picture_tensor

logger = logging.getLogger(__name__)

# dlib's own threshold: faces nearer than this are the same person.
SAME_PERSON = 0.6
# Mean absolute difference (in [-1, 1], over the head) above which a reconstruction does not show this photo.
SAME_PICTURE = 0.2


@dataclass(frozen=True, eq=False)
class Inversion:
    """All that was found in one photo. Immutable, compared by identity, opaque to a front end but for its first fields.

    Shape:
        reconstruction (256, 256, 3) uint8, the head seen by ``camera`` over the backdrop; styles (rows, style_dim) and
        decoder_styles (rows_d, D) float32.
    """

    aligned: AlignedFace
    """The face, cut so that its crop is the picture of ``camera``."""
    camera: Camera
    styles: NDArray[np.float32]
    decoder_styles: NDArray[np.float32]
    weights: str
    """Name of the weights whose latents these are."""
    warnings: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    """``mae`` and ``identity_distance`` of the reconstruction; see ``core.evaluation`` for the whole list."""
    reconstruction: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long ``align`` and ``encode`` took."""
    refinement: Refinement | None = None
    """Tuned weights, when the head was refined."""
    deformation: NDArray[np.float32] | None = None
    """How the head differs from that of its latents (G, G, G, 3); see ``core.rendering.deformation``."""

    def __post_init__(self) -> None:
        for name in ("metrics", "seconds"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name in ("styles", "decoder_styles", "reconstruction"):
            getattr(self, name).flags.writeable = False
        if self.deformation is not None:
            self.deformation.flags.writeable = False


def invert(
    networks: Networks, photo: Photo, aligned: AlignedFace, limits: CameraLimits, weights: str, job: Job
) -> Inversion:
    """Find latents and camera of an aligned face.

    Args:
        networks: The model.
        photo: The photo the face was cut from; it is cut again.
        aligned: The face in its FFHQ crop.
        limits: What the model was trained for; the camera stays within them.
        weights: Name of the model.
        job: Where to report.
    """
    job.report(0.0, "reading the face")
    aligned = undressed(networks, aligned, lambda: job.report(0.1, "reading the face"))
    fit = read_face(networks, aligned, lambda: job.report(0.3, "reading the face"))

    def pause() -> None:
        job.report(0.7, "cutting out the head")

    pause()
    around = None
    if touches_the_edge(aligned, fit):
        around = Around(*aligned.around(photo, fit.reading.framing, AROUND, pause))
    if is_cut_off(networks, aligned, fit):
        # The first cut ends within the head: the deformation looks at the second.
        recut = undressed(networks, aligned.reframed(photo, fit.reading.framing, job.part(0.7, 0.8)), pause)
        reading = deformed(networks, aligned, fit, pause, recut, around)
    else:
        # Cut again beside the fit of the deformation, which looks at the first cut. Only this thread may pause.
        reading, recut = both(
            lambda: deformed(networks, aligned, fit, pause, None, around),
            lambda: aligned.reframed(photo, fit.reading.framing),
            pause,
        )
        recut = undressed(networks, recut, pause)
    job.report(1.0, "face read")
    return Inversion(
        recut,
        reading.camera.clamped(limits),
        reading.styles.float().cpu().numpy().copy(),
        reading.decoder_styles.float().cpu().numpy().copy(),
        weights,
        deformation=reading.deformation,
    )


@torch.inference_mode()
def photo_tier(networks: Networks, inversion: Inversion, pause: Pause = resting) -> SourceHead:
    """The tensors that all pictures of an inversion start from; they are made anew whenever they are needed."""
    device = networks.device
    aligned = inversion.aligned
    matte = alpha_tensor(aligned.matte1024, device)
    large = picture_tensor(aligned.crop1024, device)
    pause()
    before = None
    if networks.untuned is not None and inversion.refinement is not None:
        origin = inversion.refinement.origin.styles
        if np.array_equal(origin[:-1], inversion.styles[:-1]):
            before = torch.tensor(origin, device=device)[None]
    return source_head(
        networks,
        picture_tensor(aligned.crop256, device),
        large,
        matte,
        torch.tensor(inversion.styles, device=device)[None],
        torch.tensor(inversion.decoder_styles, device=device)[None],
        torch.tensor([[inversion.camera.yaw, inversion.camera.pitch]], device=device, dtype=torch.float32),
        pause,
        None if inversion.deformation is None else Deformation(torch.tensor(inversion.deformation, device=device)),
        None if aligned.landmarks is None else torch.tensor(aligned.landmarks, device=device, dtype=torch.float32),
        before,
    )


def stranger_warnings(metrics: Mapping[str, float]) -> tuple[str, ...]:
    """What to say, loudly, when the reconstruction does not look like the photo."""
    warnings = []
    distance, mae = metrics.get("identity_distance", 0.0), metrics.get("mae", 0.0)
    if distance > SAME_PERSON:
        warnings.append(
            f"The head does not look like this person: identity distance {distance:.2f}, and the same person stays "
            f"below {SAME_PERSON:.1f}. Try a sharper, more frontal photo."
        )
    if mae > SAME_PICTURE:
        warnings.append(
            f"The reconstruction is far from the photo: mean difference {mae:.2f}, usually below {SAME_PICTURE:.1f}. "
            "Try a photo with even light and an uncovered face."
        )
    return tuple(warnings)


__all__ = ["SAME_PERSON", "SAME_PICTURE", "Inversion", "invert", "photo_tier", "stranger_warnings"]
