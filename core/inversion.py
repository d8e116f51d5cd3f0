"""The feed-forward way from an aligned face to latents: align, encode, reframe, encode again.

E0 sees an FFHQ crop, whose place and size depend on where a detector puts eyes and mouth. It therefore also says how
the canonical camera's picture lies in that crop (scale, roll, shift); the photo is cut again so that the crop *is*
that picture, and then its pixels project onto the head without any fitting. Only arrangement and conversion live here:
the networks are in ``core.models``, the pictures in ``core.rendering``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.alignment import AlignedFace, Framing
from core.alignment.values import Array, apply_affine, invert_affine
from core.camera import Camera, CameraLimits
from core.job import Job
from core.models.networks import Networks
from core.photo import Photo
from core.refinement.contour import fit_contour
from core.refinement.delta import Refinement
from core.refinement.landmarks import polish
from core.refinement.silhouette import fit_silhouette, outline_error
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.hands import Pause, both, resting, stepping
from core.rendering.precision import has_fast_bfloat16, packed
from core.rendering.shape import DRAFT_RESOLUTION, DRAFT_SAFETY
from core.rendering.solids import largest_share, measured
from core.rendering.source import SourceHead, source_head
from core.tensors import alpha_tensor, picture_tensor

logger = logging.getLogger(__name__)

# How often E0 reads the face again in the frame that it asked for; landmarks then do better than a third look would.
FRAMINGS = 1
# Log scale, roll [rad], dx, dy [crop widths] beyond which a framing is a mistake: FFHQ crops are never that far off.
FRAMING_REACH = np.array([0.4, 0.6, 0.2, 0.2])
# The reader's head is taken as long as it misses the matte's outline by no more than this many times what E0's misses.
READER_MAY_MISS = 1.1
# A head of which less hangs together is in pieces: the mesh would be two.
WHOLE = 0.965
# Latents that no head has make a surface that leaves its own landmarks; heads of photos stay within 0.0012.
SWOLLEN = 0.0025
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


def encoder_input(picture: Tensor, matte: Tensor, channels: int = 4) -> Tensor:
    """What E0 reads: colours on mid-grey, and alpha when it has a channel for it.

    Shape:
        picture (B, 3, S, S) in [-1, 1], matte (B, 1, S, S); returns (B, channels, 256, 256).
    """
    if channels == 3:
        return functional.interpolate(picture, size=256, mode="area")
    both = torch.cat((picture * matte, matte), dim=1)
    return functional.interpolate(both, size=256, mode="area")


def reframed(picture: Tensor, framing: Array) -> Tensor:
    """The canonical camera's picture of a crop, by bilinear sampling; edges repeat.

    Shape:
        picture (1, C, S, S); framing (2, 3) from ``Framing.matrix``: unit picture to unit crop coordinates.
    """
    size = picture.shape[-1]
    steps = (torch.arange(size, device=picture.device, dtype=picture.dtype) + 0.5) / size
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    affine = torch.from_numpy(framing).to(picture)
    places = torch.stack((u, v, torch.ones_like(u)), dim=-1) @ affine.T
    return functional.grid_sample(picture, places[None] * 2.0 - 1.0, padding_mode="border", align_corners=False)


def compose(outer: Framing, inner: Framing) -> Framing:
    """The framing that follows ``inner`` first and then ``outer``."""
    matrix = outer.matrix()
    centre = matrix[:, :2] @ (inner.matrix() @ np.array([0.5, 0.5, 1.0])) + matrix[:, 2]
    return Framing(
        outer.log_scale + inner.log_scale,
        outer.roll + inner.roll,
        float(centre[0] - 0.5),
        float(centre[1] - 0.5),
    )


class Reading(NamedTuple):
    """What the encoder, and the landmarks after it, say about a crop.

    Shape:
        styles (rows, style_dim), decoder_styles (rows_d, D); framing: where the canonical camera's picture lies in it.
    """

    styles: Tensor
    decoder_styles: Tensor
    framing: Framing
    camera: Camera
    deformation: NDArray[np.float32] | None = None
    """The head's own deformation, where landmarks and a matte tell one."""


@torch.inference_mode()
def read_face(networks: Networks, aligned: AlignedFace, pause: Pause = resting) -> Fit:
    """Latents, framing and camera of a face in its FFHQ crop: E0 on ever better crops, then landmarks and outline.

    Args:
        networks: The model.
        aligned: The face.
        pause: Called between steps.

    Returns:
        The better of two heads, fitted; E0's as it is where the detector found no landmarks.
    """
    device, channels = networks.device, networks.config.encoder.in_channels
    picture = torch.cat((picture_tensor(aligned.crop256, device), alpha_tensor(aligned.matte256, device)), dim=1)
    last = Framing()

    def seen() -> Tensor:
        canonical = reframed(picture, last.matrix())
        return packed(encoder_input(canonical[:, :3], canonical[:, 3:], channels))

    # What it says is polished afterwards; bfloat16 is right to a two-hundredth of it.
    with stepping(networks.encoder, pause), torch.autocast(device.type, torch.bfloat16, has_fast_bfloat16(device)):
        for _ in range(FRAMINGS):
            placed = networks.encoder.pose(seen())
            if placed is None:
                break
            last = compose(last, _sane(placed[0, 2:].float()))
        read = networks.encode(seen())
    styles, decoder_styles = read[0].float(), read[1].float()
    if read[2] is None:
        return Fit(Reading(styles[0], decoder_styles[0], last, aligned.camera))
    found = read[2][0].float()
    framing = compose(last, _sane(found[2:]))
    landmarks = _landmarks_in(networks, aligned, last)
    if networks.landmarks is None or landmarks is None:
        return Fit(Reading(styles[0], decoder_styles[0], framing, Camera(float(found[0]), float(found[1]))))
    first = _placed(networks, aligned, picture, styles, decoder_styles, found, last, pause)

    def by_the_reader() -> Fit | None:
        read = networks.read(encoder_input(first.canonical[:, :3], first.canonical[:, 3:]), first.pose[None, :2])
        if read is None:
            return None
        # Place and pose are known now; the reader says anew what head it is.
        start = torch.cat((first.pose[:2], torch.zeros_like(first.pose[2:])))
        placed = _placed(networks, aligned, picture, *read, start, first.framing, pause)
        return _outlined(networks, aligned, placed, pause)

    # E0's outline is only wanted to judge the reader's: it is fitted beside it. Only this thread may pause.
    other, own = both(by_the_reader, lambda: _outlined(networks, aligned, first), pause)
    if other is None:
        return own
    return better_fit(own, other, lambda fit: _in_one_piece(networks, fit, pause))


def better_fit(own: Fit, other: Fit, wholeness: Callable[[Fit], float]) -> Fit:
    """Which of two fitted heads is shown: the reader's, unless it is swollen, misses the outline or is in pieces.

    Args:
        own: E0's.
        other: The reader's.
        wholeness: Share of a head's surface that hangs together, 0..1; slow, so asked only where it decides.
    """
    logger.debug("outline: %.4f by E0, %.4f by the reader", own.outline, other.outline)
    sound = other.swelling < SWOLLEN and other.outline <= own.outline * READER_MAY_MISS
    chosen, spare = (other, own) if sound else (own, other)
    if spare.swelling < SWOLLEN and wholeness(chosen) < WHOLE <= wholeness(spare):
        logger.debug("the head that was chosen is in pieces, the other one is whole")
        return spare
    return chosen


def _in_one_piece(networks: Networks, fit: Fit, pause: Pause) -> float:
    """How much of a head's surface hangs together, 0..1: ponytails float behind some."""
    field = FoldedField(networks.generator.field, fit.reading.styles[None]).light

    def distances(points: Tensor) -> Tensor:
        pause()
        return field.sdf(points[None])[0, :, 0]

    return largest_share(measured(distances, DRAFT_RESOLUTION, networks.device, Job.quiet(), DRAFT_SAFETY))


class _Placed(NamedTuple):
    """A head fitted to landmarks.

    Shape:
        styles (1, rows, style_dim), decoder_styles (1, rows_d, D), canonical (1, 4, 256, 256), pose (6,) as polished.
    """

    styles: Tensor
    decoder_styles: Tensor
    canonical: Tensor
    pose: Tensor
    framing: Framing


class Fit(NamedTuple):
    """A head as it was read, and what its deformation is fitted from, where landmarks and a matte tell."""

    reading: Reading
    placed: _Placed | None = None
    """Where it was before the outline was fitted; None where nothing could be fitted."""
    outline: float = 0.0
    """Share of the matte's sure pixels that the head misses or covers wrongly."""
    swelling: float = 0.0
    """Mean distance between the surface and where its landmarks should lie on it (world units)."""


def _placed(
    networks: Networks,
    aligned: AlignedFace,
    picture: Tensor,
    styles: Tensor,
    decoder_styles: Tensor,
    pose: Tensor,
    framing: Framing,
    pause: Pause = resting,
) -> _Placed:
    """Polish latents, pose and framing by the landmarks.

    Args:
        networks: With landmarks.
        aligned: The face, with landmarks.
        picture: Its crop and matte (1, 4, 256, 256).
        styles: Where the latents start (1, rows, style_dim).
        decoder_styles: Left as they are (1, rows_d, D).
        pose: Where pose and framing start (6,), in the crop of ``framing``.
        framing: That crop.
        pause: Called between steps.
    """
    landmarks = _landmarks_in(networks, aligned, framing)
    assert networks.landmarks is not None
    assert landmarks is not None
    polished = polish(networks.landmarks, styles, pose, landmarks, pause)
    logger.debug("landmarks: %.4f before, %.4f after the polish", polished.before, polished.after)
    styles = styles.clone()
    styles[:, :-1] += polished.step
    framing = compose(framing, _sane(polished.pose[2:]))
    return _Placed(styles, decoder_styles, reframed(picture, framing.matrix()), polished.pose, framing)


def _outlined(networks: Networks, aligned: AlignedFace, placed: _Placed, pause: Pause = resting) -> Fit:
    """Polish the outline by the matte, and judge the head."""
    landmarks = _landmarks_in(networks, aligned, placed.framing)
    assert networks.landmarks is not None
    assert landmarks is not None
    styles, angles, matte = placed.styles.clone(), placed.pose[None, :2], placed.canonical[:, 3:]
    wrong = swelling = 0.0
    if networks.config.shared_geometry:
        styles[:, :-1] += fit_silhouette(networks, styles, angles, matte, landmarks, pause)
        if networks.reader is not None:
            pause()
            wrong = outline_error(networks, styles, angles, matte, landmarks, pause)
            swelling = float(networks.generator.field.sdf(networks.landmarks(styles[:, 0]), styles).abs().mean())
    camera = Camera(float(placed.pose[0]), float(placed.pose[1]))
    return Fit(Reading(styles[0], placed.decoder_styles[0], placed.framing, camera), placed, wrong, swelling)


@torch.inference_mode()
def _deformed(networks: Networks, aligned: AlignedFace, fit: Fit, pause: Pause) -> Reading:
    """The reading with the deformation that brings the head's outline onto the matte's."""
    reading, landmarks = fit.reading, _landmarks_in(networks, aligned, fit.reading.framing)
    if fit.placed is None or landmarks is None:
        return reading
    angles, matte = fit.placed.pose[None, :2], fit.placed.canonical[:, 3:]
    found = fit_contour(networks, reading.styles[None], angles, matte, landmarks, pause)
    return reading._replace(deformation=found)


def _sane(framing: Tensor) -> Framing:
    """A framing from E0's numbers, kept within what FFHQ crops can be off."""
    numbers = np.clip(framing.double().cpu().numpy(), -FRAMING_REACH, FRAMING_REACH)
    return Framing(*(float(number) for number in numbers))


def _landmarks_in(networks: Networks, aligned: AlignedFace, framing: Framing) -> Tensor | None:
    """The detector's landmarks (L, 2), in the model's order, in the crop that a framing cuts out; None if unknown."""
    if aligned.landmarks is None or networks.landmark_indices is None:
        return None
    points = apply_affine(invert_affine(framing.matrix()), aligned.landmarks)
    return torch.from_numpy(points).to(networks.device, torch.float32)[networks.landmark_indices]


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
    fit = read_face(networks, aligned, lambda: job.report(0.3, "reading the face"))

    def pause() -> None:
        job.report(0.7, "cutting out the head")

    pause()
    # Cut again beside the fit of the deformation, which looks at the first cut. Only this thread may pause.
    reading, recut = both(
        lambda: _deformed(networks, aligned, fit, pause), lambda: aligned.reframed(photo, fit.reading.framing), pause
    )
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


__all__ = [
    "SAME_PERSON",
    "SAME_PICTURE",
    "Fit",
    "Inversion",
    "better_fit",
    "invert",
    "photo_tier",
    "read_face",
    "stranger_warnings",
]
