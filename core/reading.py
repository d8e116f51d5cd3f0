"""What a face in its crop is read as: E0 on ever better crops, then landmarks, outline, and the better of two heads.

E0 sees an FFHQ crop, whose place and size depend on where a detector puts eyes and mouth. It therefore also says how
the canonical camera's picture lies in that crop (scale, roll, shift); the photo is cut again so that the crop *is*
that picture, and then its pixels project onto the head without any fitting. Refuses to know photos beyond their crop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.alignment import AlignedFace, Framing
from core.alignment.values import Array, apply_affine, invert_affine, within
from core.camera import Camera
from core.job import Job
from core.models.networks import Networks
from core.refinement.contour import fit_contour
from core.refinement.haircut import cut
from core.refinement.landmarks import polish
from core.refinement.resemblance import Judge, Resemblance
from core.refinement.silhouette import fit_silhouette
from core.refinement.wanted_outline import Around
from core.rendering.folded import FoldedField
from core.rendering.hands import Pause, both, resting, stepping
from core.rendering.precision import has_fast_bfloat16, packed
from core.rendering.shape import DRAFT_RESOLUTION, DRAFT_SAFETY
from core.rendering.solids import largest_share, measured
from core.tensors import alpha_tensor, picture_tensor

__all__ = ["Fit", "Reading", "better_fit", "compose", "deformed", "is_cut_off", "read_face", "touches_the_edge"]

logger = logging.getLogger(__name__)

# Rows of 256 at the upper edge of a picture: a head there goes on beyond it.
TOP = 4
# How often E0 reads the face again in the frame that it asked for; landmarks then do better than a third look would.
FRAMINGS = 1
# Log scale, roll [rad], dx, dy [crop widths] beyond which a framing is a mistake: FFHQ crops are never that far off.
FRAMING_REACH = np.array([0.4, 0.6, 0.2, 0.2])
# The reader's head is taken as long as it is wrong about the photo by no more than so much beyond what E0's is.
READER_MAY_MISS = 0.025
# A head of which less hangs together is in pieces: the mesh would be two.
WHOLE = 0.965
# Latents that no head has make a surface that leaves its own landmarks; heads of photos stay within 0.0012.
SWOLLEN = 0.0025


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
    """The canonical camera's picture of a crop, by bilinear sampling; edges repeat (``_known`` says where not).

    Shape:
        picture (1, C, S, S); framing (2, 3) from ``Framing.matrix``: unit picture to unit crop coordinates.
    """
    size = picture.shape[-1]
    places = torch.from_numpy(_places(size, framing)).to(picture)
    return functional.grid_sample(picture, places[None] * 2.0 - 1.0, padding_mode="border", align_corners=False)


def _places(size: int, framing: Array) -> Array:
    """Unit crop coordinates (size, size, 2) of the canonical picture's pixels."""
    steps = (np.arange(size) + 0.5) / size
    v, u = np.meshgrid(steps, steps, indexing="ij")
    return apply_affine(framing, np.stack((u, v), axis=-1).reshape(-1, 2)).reshape(size, size, 2)


def _known(aligned: AlignedFace, framing: Framing, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the canonical camera's picture lies within the crop, and where within the photo, (size, size) each."""
    places = _places(size, framing.matrix())
    in_crop: NDArray[np.bool_] = np.all((places > 0.0) & (places < 1.0), axis=-1)
    return in_crop, within(places, aligned.to_photo, aligned.photo_size)


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
    picture = _picture(aligned, device)
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

    # E0's head is fitted beside the reader's. Only this thread may pause.
    other, own = both(by_the_reader, lambda: _outlined(networks, aligned, first), pause)
    if other is None:
        return own
    return better_fit(own, other, lambda fit: _in_one_piece(networks, fit, pause))


def better_fit(own: Fit, other: Fit, wholeness: Callable[[Fit], float]) -> Fit:
    """Which of two fitted heads is shown: the reader's, unless it is swollen, unlike the photo or in pieces.

    Args:
        own: E0's.
        other: The reader's.
        wholeness: Share of a head's surface that hangs together, 0..1; slow, so asked only where it decides.
    """
    logger.debug("wrong: %s by E0, %s by the reader", own.resemblance, other.resemblance)
    sound = other.swelling < SWOLLEN and other.resemblance.wrong <= own.resemblance.wrong + READER_MAY_MISS
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
    resemblance: Resemblance = Resemblance(0.0)
    """What the head gets wrong of the photo."""
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
    polished = polish(networks.landmarks, networks.latent_spread, styles, pose, landmarks, pause)
    logger.debug("landmarks: %.4f before, %.4f after the polish", polished.before, polished.after)
    styles = styles.clone()
    styles[:, :-1] += polished.step
    framing = compose(framing, _sane(polished.pose[2:]))
    return _Placed(styles, decoder_styles, reframed(picture, framing.matrix()), polished.pose, framing)


def _outlined(networks: Networks, aligned: AlignedFace, placed: _Placed, pause: Pause = resting) -> Fit:
    """Choose a haircut, polish the outline by the matte, and judge the head."""
    landmarks = _landmarks_in(networks, aligned, placed.framing)
    assert networks.landmarks is not None
    assert landmarks is not None
    styles, angles = placed.styles.clone(), placed.pose[None, :2]
    matte = placed.canonical[:, 3:]
    # Beyond crop and photo nothing is known: neither clear nor solid.
    in_crop, in_photo = _known(aligned, placed.framing, matte.shape[-1])
    matte = torch.where(torch.from_numpy(in_crop & in_photo).to(matte.device), matte, 0.5)
    alike, swelling = Resemblance(0.0), 0.0
    if networks.config.shared_geometry:
        judge = Judge(networks, angles, placed.canonical[:, :3], matte, landmarks, pause)
        styles = cut(networks, judge, styles, pause)
        styles[:, :-1] += fit_silhouette(networks, styles, angles, matte, landmarks, pause)
        if networks.reader is not None:
            pause()
            alike = judge(styles, pause)
            swelling = float(networks.generator.field.sdf(networks.landmarks(styles[:, 0]), styles).abs().mean())
    camera = Camera(float(placed.pose[0]), float(placed.pose[1]))
    return Fit(Reading(styles[0], placed.decoder_styles[0], placed.framing, camera), placed, alike, swelling)


def is_cut_off(networks: Networks, aligned: AlignedFace, fit: Fit) -> bool:
    """Whether the crop ends within the head, above its chin, where photo and canonical camera's picture go on.

    Of turned heads and wide hair it does. The edge is repeated there, which is no outline to be fitted to.
    """
    landmarks = _landmarks_in(networks, aligned, fit.reading.framing)
    if fit.placed is None or landmarks is None:
        return False
    solid = fit.placed.canonical[0, 3].cpu().numpy() > 0.5
    in_crop, in_photo = _known(aligned, fit.placed.framing, len(solid))
    above = round(float(landmarks[:, 1].max()) * len(solid))
    return bool((solid & ~in_crop & in_photo)[: max(above, 0)].any())


def touches_the_edge(aligned: AlignedFace, fit: Fit) -> bool:
    """Whether the head reaches beyond the upper edge of the canonical camera's picture, where the photo goes on."""
    if fit.placed is None:
        return False
    top = fit.placed.canonical[0, 3, :TOP].cpu().numpy() > 0.5
    _, in_photo = _known(aligned, fit.placed.framing, fit.placed.canonical.shape[-1])
    return bool((top & in_photo[:TOP]).any())


@torch.inference_mode()
def deformed(
    networks: Networks,
    aligned: AlignedFace,
    fit: Fit,
    pause: Pause,
    recut: AlignedFace | None = None,
    around: Around | None = None,
) -> Reading:
    """The reading with the deformation that brings the head's outline onto the matte's.

    Args:
        networks: The model.
        aligned: The face in its FFHQ crop.
        fit: What was read.
        pause: Called between steps.
        recut: The face cut again by the reading's framing, where the first crop is cut off.
        around: What the photo shows beyond the canonical camera's picture.
    """
    reading, landmarks = fit.reading, _landmarks_in(networks, aligned, fit.reading.framing)
    if fit.placed is None or landmarks is None:
        return reading
    angles, canonical = fit.placed.pose[None, :2], fit.placed.canonical
    in_crop, in_photo = _known(aligned, fit.placed.framing, canonical.shape[-1])
    known = in_photo & in_crop
    if recut is not None:
        canonical, known = _picture(recut, networks.device), in_photo
    photo, matte = canonical[:, :3], canonical[:, 3:]
    found = fit_contour(
        networks, reading.styles[None], angles, matte, landmarks, pause, photo=photo, known=known, around=around
    )
    return reading._replace(deformation=found)


def _picture(aligned: AlignedFace, device: torch.device) -> Tensor:
    """A crop and its matte (1, 4, 256, 256)."""
    return torch.cat((picture_tensor(aligned.crop256, device), alpha_tensor(aligned.matte256, device)), dim=1)


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
