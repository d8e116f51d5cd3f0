"""The whole differentiable path with the local branch: photo and latents → picture of any view (E3DGE, section 3.4).

The caller brings the samples (evenly spaced for the released networks, around the surface for cameo-256) and the
camera; this class brings E1, E_ADA, fusion, modulation and decoder together. Inference and training share it. What
only depends on the photo and the edit is in :class:`Reference` and is computed once for all views.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.aligner import ResidualAligner
from core.models.configuration import ModelConfig
from core.models.decoder import Noise
from core.models.fusion import HybridFusion
from core.models.generator import Generator, GeometryPass
from core.models.local import LocalEncoder, TextureModulation, lookup
from core.models.volume import RaySamples, VolumeOutput, project

__all__ = ["HybridOutput", "HybridRenderer", "LocalFeatures", "Query", "Reference"]


class Reference(NamedTuple):
    """What a photo (and an edit) gives to every view.

    Shape:
        styles (B, rows, style_dim), decoder_styles (B, rows_d, D): with means and edits; residual (B, 3, S, S): photo
        minus its unedited render; aligned (B, 3, S, S): the residual as E1 saw it; features (B, C, S/4, S/4), absent
        with 2D alignment only; projection (B, 3, 4) of the photo's camera; thumb (B, 3, s, s): render at the photo's
        camera, edited.
    """

    styles: Tensor
    decoder_styles: Tensor
    residual: Tensor
    aligned: Tensor
    features: Tensor | None
    projection: Tensor
    thumb: Tensor


class Query(NamedTuple):
    """A view before texture.

    Shape:
        geometry; projection (B, 3, 4); thumb (B, 3, s, s); aligned (B, 3, S, S): residual aligned with this view;
        flow (B, 2, S, S) or None: unit crop coordinates; features (B, C, S/4, S/4) of this view;
        visible (B, R, 1): is the ray's surface point in the photo.
    """

    geometry: GeometryPass
    projection: Tensor
    thumb: Tensor
    aligned: Tensor
    flow: Tensor | None
    features: Tensor
    visible: Tensor


class LocalFeatures(NamedTuple):
    """Local features at points, in the order they are made.

    Shape:
        f2d (B, N, C), visible (B, N, 1), f3d (B, N, C) (both None with 2D alignment only), fused (B, N, C).
    """

    f2d: Tensor
    visible: Tensor | None
    f3d: Tensor | None
    fused: Tensor


class HybridOutput(NamedTuple):
    """A finished view.

    Shape:
        picture (B, out, S, S) unclamped; volume: integrals with the modulated texture; query.
    """

    picture: Tensor
    volume: VolumeOutput
    query: Query


class HybridRenderer(nn.Module):
    """Generator and local branch as one function.

    Args:
        generator: Field and decoder.
        local: E1.
        modulation: What E1's features do to the field.
        aligner: E_ADA.
        fusion: Of 2D and 3D alignment; None is the variant with 2D alignment only.
        ray_chunk: Rays at a time in the field; bounds memory, changes nothing else.
    """

    def __init__(
        self,
        generator: Generator,
        local: LocalEncoder,
        modulation: TextureModulation,
        aligner: ResidualAligner,
        fusion: HybridFusion | None,
        ray_chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.ray_chunk = ray_chunk
        self.generator = generator
        self.local = local
        self.modulation = modulation
        self.aligner = aligner
        self.fusion = fusion

    @classmethod
    def build(cls, config: ModelConfig, ray_chunk: int | None = None) -> HybridRenderer:
        """New networks of a family."""
        return cls(
            Generator(config.generator),
            LocalEncoder(config.local),
            TextureModulation(config.local, config.generator.field.width),
            ResidualAligner(config.aligner),
            HybridFusion(config.local.channels, quiet=config.quiet_fusion) if config.fusion else None,
            ray_chunk,
        )

    def geometry(self, styles: Tensor, samples: RaySamples) -> GeometryPass:
        """The field's geometry at samples. Shape: styles (B, rows, style_dim)."""
        return self.generator.renderer.geometry(styles, samples, self.ray_chunk)

    def thumb(self, geometry: GeometryPass, styles: Tensor) -> Tensor:
        """The field's own picture, without the local branch. Shape: returns (B, 3, s, s) in [-1, 1]."""
        plain = self.generator.renderer.appearance(geometry, styles, ray_chunk=self.ray_chunk)
        return _square(plain.rgb)

    def depth_map(self, geometry: GeometryPass) -> Tensor:
        """Depth picture; what no sample hits lies at the far plane. Shape: returns (B, 1, s, s)."""
        depth = geometry.depth + (1 - geometry.alpha) * self.generator.config.volume.far
        return _square(depth[..., None])

    def encode_reference(
        self,
        photo: Tensor,
        styles: Tensor,
        decoder_styles: Tensor,
        geometry: GeometryPass,
        projection: Tensor,
        edited: tuple[Tensor, Tensor, GeometryPass] | None = None,
    ) -> Reference:
        """What the photo says beyond its latents.

        Args:
            photo: Aligned picture.
            styles: Field latents with means.
            decoder_styles: Decoder latents with means.
            geometry: From :meth:`geometry` with these latents at the photo's camera.
            projection: Of the photo's camera.
            edited: Edited latents of field and decoder, and their geometry at the photo's camera.

        Shape: photo (B, 3, S, S) in [-1, 1], styles (B, rows, style_dim), decoder_styles (B, rows_d, D),
            projection (B, 3, 4).
        """
        thumb = self.thumb(geometry, styles)
        residual = aligned = photo - _enlarged(thumb, photo)
        if edited is not None:
            styles, decoder_styles, geometry = edited
            thumb = self.thumb(geometry, styles)
            aligned = self.aligner(torch.cat([residual, _enlarged(thumb, photo)], dim=1))[:, :3]
        features = None
        if self.fusion is not None:
            features = self.local(aligned, _enlarged(self.depth_map(geometry), photo))
        return Reference(styles, decoder_styles, residual, aligned, features, projection, thumb)

    def prepare_query(
        self,
        reference: Reference,
        geometry: GeometryPass,
        projection: Tensor,
        visible: Tensor | None = None,
    ) -> Query:
        """Align the photo's residual with a view and encode it there.

        Args:
            reference: From :meth:`encode_reference`.
            geometry: From :meth:`geometry` with the reference's latents, or another state's for a quirk.
            projection: Of the view's camera.
            visible: Which rays the photo saw; default: those whose surface point lies inside the photo's frame, which
                is all that the released networks test.

        Shape: projection (B, 3, 4), visible (B, R, 1).
        """
        thumb = self.thumb(geometry, reference.styles)
        answer = self.aligner(torch.cat([reference.residual, _enlarged(thumb, reference.residual)], dim=1))
        aligned = answer[:, :3]
        features = self.local(aligned, _enlarged(self.depth_map(geometry), aligned))
        if visible is None:
            visible = inside(project(geometry.xyz, reference.projection)[0])
        flow = answer[:, 3:] if answer.shape[1] > 3 else None
        return Query(geometry, projection, thumb, aligned, flow, features, visible)

    def local_features(self, reference: Reference, query: Query, points: Tensor, visible: Tensor) -> LocalFeatures:
        """Local features at world points.

        Shape: points (B, N, 3), visible (B, N, 1).
        """
        f2d = lookup(query.features, project(points, query.projection)[0])
        if self.fusion is None or reference.features is None:
            return LocalFeatures(f2d, None, None, f2d)
        f3d = lookup(reference.features, project(points, reference.projection)[0])
        return LocalFeatures(f2d, visible, f3d, self.fusion(f2d, visible, f3d))

    def finish(
        self,
        reference: Reference,
        query: Query,
        *,
        noise: Noise = True,
        guide: Tensor | None = None,
        resolution: int | None = None,
    ) -> HybridOutput:
        """Texture and decode a prepared view; the decoder may stop at a resolution.

        Shape: guide (B, Gc, S, S).
        """
        count = query.geometry.sdf.shape[2]

        def modulate(points: Tensor, rays: slice) -> tuple[Tensor, Tensor]:
            visible = query.visible[:, rays].repeat_interleave(count, dim=1)
            fused = self.local_features(reference, query, points, visible).fused
            alpha, delta = self.modulation(fused, points)
            return alpha, delta

        volume = self.generator.renderer.appearance(query.geometry, reference.styles, modulate, self.ray_chunk)
        features = _square(volume.feature)
        picture = self.generator.decoder(
            features, reference.decoder_styles, noise=noise, guide=guide, resolution=resolution
        )
        return HybridOutput(picture, volume, query)

    def render_query(
        self,
        reference: Reference,
        geometry: GeometryPass,
        projection: Tensor,
        *,
        visible: Tensor | None = None,
        noise: Noise = True,
        guide: Tensor | None = None,
    ) -> HybridOutput:
        """A view of the reference; see :meth:`prepare_query` and :meth:`finish`."""
        query = self.prepare_query(reference, geometry, projection, visible)
        return self.finish(reference, query, noise=noise, guide=guide)

    def forward(
        self,
        photo: Tensor,
        latents: tuple[Tensor, Tensor],
        reference_view: tuple[RaySamples, Tensor],
        query_view: tuple[RaySamples, Tensor],
        *,
        guide: Tensor | None = None,
    ) -> HybridOutput:
        """Photo, latents, two cameras → picture: what training calls.

        Shape: photo (B, 3, S, S); latents (B, rows, style_dim) and (B, rows_d, D); each view: samples, projection (B,
        3, 4).
        """
        styles, decoder_styles = latents
        seen = self.geometry(styles, reference_view[0])
        reference = self.encode_reference(photo, styles, decoder_styles, seen, reference_view[1])
        geometry = self.geometry(styles, query_view[0])
        return self.render_query(reference, geometry, query_view[1], guide=guide)


def inside(uv: Tensor) -> Tensor:
    """1 where picture coordinates lie inside the picture, else 0. Shape: uv (B, N, 2); returns (B, N, 1)."""
    return (uv.abs() <= 1).all(dim=-1, keepdim=True).to(uv.dtype)


def _square(values: Tensor) -> Tensor:
    """Rays → picture. Shape: values (B, s·s, C); returns (B, C, s, s)."""
    side = round(values.shape[1] ** 0.5)
    return values.transpose(1, 2).reshape(values.shape[0], values.shape[2], side, side)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour resize, as the released networks were trained with."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")
