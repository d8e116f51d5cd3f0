"""Hybrid alignment in three tiers: once a photo, once an edit, once a camera (E3DGE, section 3.4).

The fast twin of ``core.models.hybrid``, which is the whole path in one. What a camera pays is its own view: guided
samples, the photo's residual aligned with it, its local features, one painting on the same samples (the distance never
sees the local branch, so activations and weights of the first pass serve the last), and the decoder. A tolerance of 0
takes the plain path, bit for bit. Refuses to know files and widgets; values go in and come out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.job import Job
from core.models.decoder import Decoder
from core.models.hybrid import HybridRenderer, Reference, inside
from core.models.local import Hourglass, LocalEncoder, bicubically_doubled, lookup
from core.models.volume import RaySamples, look_at_origin, project, projection_matrix
from core.released.envelope import Envelope, measured_envelope
from core.released.frozen_decoder import FrozenDecoder
from core.released.frozen_field import FrozenField
from core.released.guided import GuidedPass, guided_pass, painted
from core.rendering.precision import packed

__all__ = ["Accuracy", "EditTier", "PhotoTier", "Picture", "Released"]

# Widths of the density at which a sample outside carries no weight any more: sigmoid(-10) is 5e-5.
REACH = 10.0


@dataclass(frozen=True)
class Accuracy:
    """What may be lost.

    Args:
        tolerance: Largest weight that a ray may leave out; 0 is the plain path, bit for bit.
        low_field: Layers of the field in bfloat16.
        low_pictures: Convolutions (decoder, E_ADA, E1) and what is looked up in their maps in bfloat16.
    """

    tolerance: float = 0.17
    low_field: bool = True
    low_pictures: bool = True


@dataclass(frozen=True, eq=False)
class State:
    """A head under one latent: all that rays ask of it."""

    field: FrozenField
    envelope: Envelope


@dataclass(frozen=True, eq=False)
class PhotoTier:
    """Once a photo.

    Shape:
        photo (1, 3, S, S) in [-1, 1]; styles, decoder_styles: latents found for it; angles (1, 2) of its camera;
        residual (1, 3, S, S): the photo minus its unedited render; depth (1, 1, s, s) of that render.
    """

    photo: Tensor
    styles: Tensor
    decoder_styles: Tensor
    angles: Tensor
    residual: Tensor
    depth: Tensor
    state: State | None
    plain: Reference | None = None


@dataclass(frozen=True, eq=False)
class EditTier:
    """Once an edit: latents, E1's features of the photo's view, the frozen networks.

    Shape:
        features (1, C, S/4, S/4) or None with 2D alignment only.
    """

    source: PhotoTier
    styles: Tensor
    decoder_styles: Tensor
    features: Tensor | None
    state: State | None
    make_decoder: Callable[[int | None], FrozenDecoder]
    plain: Reference | None = None

    @cached_property
    def _decoders(self) -> dict[int | None, FrozenDecoder]:
        return {}

    def decoder(self, resolution: int | None) -> FrozenDecoder:
        """The decoder up to a block, made when it is first asked for."""
        if resolution not in self._decoders:
            self._decoders[resolution] = self.make_decoder(resolution)
        return self._decoders[resolution]


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished view, and what was left out of it.

    Shape:
        picture (1, 3, S, S) unclamped; thumb (1, 3, s, s); fallen: share of rays that were evaluated in full;
        left_out: largest weight that a ray left out; samples: evaluated a ray.
    """

    picture: Tensor
    thumb: Tensor
    fallen: float
    left_out: float
    samples: float


class Released:
    """The networks of the released family, ready for pictures.

    Args:
        network: The plain ones, evaluating.
        accuracy: What may be lost.
    """

    def __init__(self, network: HybridRenderer, accuracy: Accuracy = Accuracy()) -> None:
        self.network = network
        self.accuracy = accuracy
        self.volume = network.generator.config.volume
        low = accuracy.low_pictures
        self._aligner = _lowered(network.aligner, low)
        self._local = _LoweredLocal(network.local, low)
        self._fusion = None if network.fusion is None else _lowered(network.fusion, low)
        self._modulation = _lowered(network.modulation, low)
        self._dtype = torch.bfloat16 if low else torch.float32

    @property
    def beta(self) -> float:
        """Width of the density's sigmoid."""
        return float(self.network.generator.renderer.sigmoid_beta)

    @property
    def is_plain(self) -> bool:
        """Whether nothing may be lost."""
        return self.accuracy.tolerance <= 0.0

    # ------------------------------------------------------------------------------------------------------ tiers

    def photo_tier(self, photo: Tensor, styles: Tensor, decoder_styles: Tensor, angles: Tensor, job: Job) -> PhotoTier:
        """Render the head as the photo shows it, and keep what the latents missed.

        Shape: photo (1, 3, S, S), styles (1, rows, style_dim), decoder_styles (1, rows_d, D), angles (1, 2).
        """
        with torch.inference_mode():
            samples = self.samples(angles)
            if self.is_plain:
                geometry = self.network.geometry(styles, samples)
                thumb = self.network.thumb(geometry, styles)
                depth = self.network.depth_map(geometry)
                state = None
            else:
                state = self.state(styles, job.part(0.0, 0.6))
                one, rgb, _ = self.look(state, samples, job.part(0.6, 1.0))
                thumb, depth = _square(rgb), _square(one.depth[:, None])
            return PhotoTier(photo, styles, decoder_styles, angles, photo - _enlarged(thumb, photo), depth, state)

    def edit_tier(self, source: PhotoTier, moved: tuple[Tensor, Tensor] | None, job: Job) -> EditTier:
        """The head under an edit, ready for any camera.

        Args:
            source: The photo.
            moved: Edited latents of field and decoder; None is no edit at all.
            job: Where to report.
        """
        with torch.inference_mode():
            styles, decoder_styles = moved or (source.styles, source.decoder_styles)

            def make_decoder(resolution: int | None) -> FrozenDecoder:
                decoder: Decoder = self.network.generator.decoder
                low = self.accuracy.low_pictures
                return FrozenDecoder(decoder, decoder_styles, low=low, resolution=resolution)

            if self.is_plain:
                plain = self._plain_reference(source, moved)
                return EditTier(source, styles, decoder_styles, plain.features, None, make_decoder, plain)
            state, aligned, depth = source.state, source.residual, source.depth
            if moved is not None:
                state = self.state(styles, job.part(0.0, 0.5))
                one, rgb, _ = self.look(state, self.samples(source.angles), job.part(0.5, 0.8))
                depth = _square(one.depth[:, None])
                aligned = self._aligned(source.residual, _square(rgb))
            features = None
            if self._fusion is not None:
                job.report(0.9, "reading the photo")
                features = self._local(aligned, _enlarged(depth, aligned))
            return EditTier(source, styles, decoder_styles, features, state, make_decoder)

    def picture(self, head: EditTier, angles: Tensor, job: Job, resolution: int | None = None) -> Picture:
        """One view.

        Args:
            head: The edit tier.
            angles: The camera, (1, 2).
            job: Where to report.
            resolution: Stop the decoder after this block.
        """
        with torch.inference_mode():
            if head.plain is not None:
                return self._plain_picture(head, head.plain, angles, resolution)
            assert head.state is not None
            one, rgb, _ = self.look(head.state, self.samples(angles), job.part(0.0, 0.3))
            thumb = _square(rgb)
            aligned = self._aligned(head.source.residual, thumb)
            job.report(0.4, "reading the photo")
            features = self._local(aligned, _enlarged(_square(one.depth[:, None]), aligned))
            job.report(0.5, "reading the photo")
            modulate = self._modulate(head, one, angles, features)
            _, feature = painted(one, head.state.field, job.part(0.5, 0.7), modulate)
            picture = head.decoder(resolution)(_square(feature), job.part(0.7, 1.0))
            rays = len(one.depth)
            return Picture(
                picture, thumb, float(one.fallen.float().mean()), float(one.left_out.max()), len(one.ray) / rays
            )

    # ------------------------------------------------------------------------------------------------------ parts

    def samples(self, angles: Tensor) -> RaySamples:
        """The plain samples of a camera."""
        return self.network.generator.renderer.plain_samples(look_at_origin(angles[:, 0], angles[:, 1]))

    def state(self, styles: Tensor, job: Job) -> State:
        """Freeze the field for a latent and measure where its surface can be."""
        field = FrozenField(self.network.generator.field, styles, low=self.accuracy.low_field)
        return State(field, measured_envelope(field.sdf, REACH * self.beta, styles.device, job))

    def look(self, state: State, samples: RaySamples, job: Job) -> tuple[GuidedPass, Tensor, Tensor]:
        """Geometry of a view with its own colours (R, 3) and features (R, W)."""
        one = guided_pass(state.field, state.envelope, samples, self.beta, self.accuracy.tolerance, job.part(0.0, 0.8))
        rgb, feature = painted(one, state.field, job.part(0.8, 1.0))
        return one, rgb, feature

    def _projection(self, angles: Tensor) -> Tensor:
        return projection_matrix(look_at_origin(angles[:, 0], angles[:, 1]), self.volume.half_fov)

    def _aligned(self, residual: Tensor, thumb: Tensor) -> Tensor:
        both = torch.cat([residual, _enlarged(thumb, residual)], dim=1).to(self._dtype)
        found: Tensor = self._aligner(packed(both))
        return found[:, :3].float()

    def _modulate(
        self, head: EditTier, one: GuidedPass, angles: Tensor, features: Tensor
    ) -> Callable[[slice], tuple[Tensor, Tensor]]:
        """From some of the samples to what the local branch does to them."""
        projection, reference = self._projection(angles), self._projection(head.source.angles)
        visible = inside(project(one.xyz[None], reference)[0])[0]

        # All samples of a ray lie in one pixel of the new view: its features are looked up once a ray.
        aligned = lookup(features, project(one.xyz[None], projection)[0])[0].to(self._dtype)

        def modulate(part: slice) -> tuple[Tensor, Tensor]:
            points, ray = one.points[part], one.ray[part]
            fused = aligned[ray]
            if head.features is not None and self._fusion is not None:
                carried = lookup(head.features, project(points[None], reference)[0])[0]
                fused = self._fusion(fused, visible[ray], carried.to(self._dtype))
            alpha, delta = self._modulation(fused, points)
            return alpha, delta

        return modulate

    def _plain_reference(self, source: PhotoTier, moved: tuple[Tensor, Tensor] | None) -> Reference:
        samples, projection = self.samples(source.angles), self._projection(source.angles)
        seen = self.network.geometry(source.styles, samples)
        edited = None if moved is None else (*moved, self.network.geometry(moved[0], samples))
        return self.network.encode_reference(
            source.photo, source.styles, source.decoder_styles, seen, projection, edited
        )

    def _plain_picture(self, head: EditTier, plain: Reference, angles: Tensor, resolution: int | None) -> Picture:
        geometry = self.network.geometry(head.styles, self.samples(angles))
        query = self.network.prepare_query(plain, geometry, self._projection(angles))
        output = self.network.finish(plain, query, resolution=resolution)
        count = geometry.sdf.shape[2]
        return Picture(output.picture, query.thumb, 1.0, 0.0, float(count))


class _LoweredLocal:
    """E1 in bfloat16, but for the stem that normalises a depth which is all but constant."""

    def __init__(self, local: LocalEncoder, low: bool) -> None:
        self._local = local
        self._filter = _lowered(local.image_filter, low)
        self._residual = _lowered(local.residual_conv, low)
        for module in self._filter.modules():
            if isinstance(module, Hourglass):
                module.doubled = _doubled
        self._dtype = torch.bfloat16 if low else torch.float32

    def __call__(self, residual: Tensor, depth: Tensor) -> Tensor:
        colour = self._residual(packed(residual.to(self._dtype)))
        stems = torch.cat([colour, self._local.depth_conv(depth).to(self._dtype)], dim=1)
        found: Tensor = self._filter(packed(stems))
        return found.float()


def _doubled(x: Tensor) -> Tensor:
    """The hourglasses' bicubic doubling as two products: PyTorch's own takes five times as long in this layout."""
    height, width = x.shape[-2:]
    rows, columns = _taps(height, x.dtype), _taps(width, x.dtype)
    tall = rows @ x.permute(0, 2, 3, 1).reshape(len(x), height, -1)
    whole = columns @ tall.reshape(-1, width, x.shape[1])
    return whole.reshape(len(x), 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


@cache
def _taps(side: int, dtype: torch.dtype) -> Tensor:
    """Shape: (2 side, side): what each enlarged pixel takes of the small ones."""
    steps = bicubically_doubled(torch.eye(side).reshape(side, 1, 1, side).expand(-1, -1, side, -1))
    return steps[:, 0, 0].T.contiguous().to(dtype)


def _lowered(module: nn.Module, low: bool) -> nn.Module:
    """A copy of a network with other numbers and its channels side by side; the network itself stays as it is."""
    twin = copy.deepcopy(module).to(memory_format=torch.channels_last)
    return twin.bfloat16() if low else twin


def _square(values: Tensor) -> Tensor:
    """Rays → picture, channels side by side. Shape: values (s·s, C); returns (1, C, s, s)."""
    side = round(len(values) ** 0.5)
    return values.reshape(1, side, side, -1).permute(0, 3, 1, 2)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="nearest")
