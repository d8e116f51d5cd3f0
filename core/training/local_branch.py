"""The local branch in training: E1, E_ADA, fusion and modulation over a frozen field (specification, Section 3.8).

The same steps as :mod:`core.rendering` takes for the product, here with gradients, for batches, and at guided samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.aligner import ResidualAligner
from core.models.configuration import ModelConfig
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.guided import surface_samples
from core.models.local import LocalEncoder, TextureModulation, lookup
from core.models.volume import composite, ray_weights
from core.training.precision import mixed_precision
from core.training.renders import THUMB
from core.training.views import pixel_grid, project, rays
from core.training.warps import PICTURE, up, warped


class Parts(nn.Module):
    """The networks of the local branch. Attribute names are those of the weight files."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.local = LocalEncoder(config.local)
        self.aligner = ResidualAligner(config.aligner)
        self.fusion = HybridFusion(config.local.channels, quiet=config.quiet_fusion)
        self.modulation = TextureModulation(config.local, config.generator.field.width)


@dataclasses.dataclass(frozen=True, eq=False)
class Pass:
    """A geometry pass of the field at ray samples.

    Shape:
        hidden (N, R, S, W); weights (N, R, S); samples (N, R, S, 3); thumb (N, 3, 64, 64); depth, alpha (N, 1, 64, 64).
    """

    hidden: Tensor
    weights: Tensor
    samples: Tensor
    thumb: Tensor
    depth: Tensor
    alpha: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """What the photo's view gives.

    Shape:
        local_map (N, C, 64, 64): F_L; residual (N, 3, 256, 256); carried (N, 4, 256, 256): the photo carried along to
        the edited state, RGB in [-1, 1] on grey, and matte.
    """

    local_map: Tensor
    residual: Tensor
    carried: Tensor


class LocalBranch:
    """The branch's forward passes.

    Args:
        generator: The generator, frozen.
        parts: The networks of the branch.
        sdf: Signed distance of (points, styles); compiled or not.
    """

    def __init__(self, generator: Generator, parts: Parts, sdf: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.generator, self.parts, self._sdf = generator, parts, sdf

    def geometry(self, styles: Tensor, camera: Tensor, fine: int = 6) -> Pass:
        """Geometry pass at guided samples of a 64 px view."""
        n = len(camera)
        field = self.generator.field
        with torch.no_grad():
            origin, direction = rays(camera, pixel_grid(THUMB, camera.device).expand(n, -1, -1))
            t, deltas = surface_samples(lambda x: self._sdf(x, styles), origin, direction, steps=12, fine=fine)
            samples = origin[:, None, None] + direction[:, :, None] * t[..., None]
            flat = samples.flatten(1, 2)
            h = field.hidden(flat, styles)
            sdf = field.sdf_from(h, flat).unflatten(1, t.shape[1:])
            weights, alpha = ray_weights(sdf, deltas, self.generator.renderer.sigmoid_beta, force_background=False)
            _, rgb = field.appearance(h, styles)
            thumb = composite(weights, 2 * torch.sigmoid(rgb.unflatten(1, t.shape[1:])) - 1)
            depth = (weights * t).sum(-1) + (1 - alpha) * 1.12
        shape = (n, 1, THUMB, THUMB)
        return Pass(
            h.unflatten(1, t.shape[1:]),
            weights,
            samples,
            # Contiguous: what the transposition leaves counts as channels last, which crashes on a CPU (precision.py).
            thumb.transpose(1, 2).contiguous().reshape(n, 3, THUMB, THUMB),
            depth.reshape(shape),
            alpha.reshape(shape),
        )

    def query(self, seen: Reference, styles: Tensor, source: Tensor, camera: Tensor) -> tuple[Tensor, Pass, Tensor]:
        """Hybrid features of a query view (specification, Section 3.8, steps 1-6).

        Args:
            seen: The reference view.
            styles: Latents to render (N, rows, 256).
            source: Reference cameras (N, 3).
            camera: Query cameras (N, 3).

        Returns:
            Feature map (N, W, 64, 64), the geometry pass, and E_ADA's residual for the query view.
        """
        q = self.geometry(styles, camera)
        n, r, s = q.weights.shape
        points = q.samples.flatten(1, 2)
        uv, _ = project(source, points)
        with mixed_precision(styles.device):
            aligned = self.parts.aligner(torch.cat([seen.residual, up(q.thumb)], 1))[:, :3].float()
        # E1 reads raw depths, whose differences drown in bfloat16.
        map2d = self.parts.local(aligned, up(q.depth))
        with mixed_precision(styles.device):
            f3d = lookup(seen.local_map, uv)
            f2d = map2d.flatten(2).transpose(1, 2)[:, :, None].expand(-1, -1, s, -1).flatten(1, 2)
            surface = (q.samples * q.weights[..., None]).sum(2) / q.weights.sum(2, keepdim=True).clamp(min=1e-3)
            inside = (project(source, surface)[0].abs() <= 1).all(-1)[:, :, None].expand(-1, -1, s)
            fused = self.parts.fusion(f2d, inside.flatten(1)[..., None].float(), f3d)
            alpha, delta = self.parts.modulation(fused, points)
            feature, _ = self.generator.field.appearance(
                q.hidden.flatten(1, 2), styles, modulation=(alpha.float(), delta.float())
            )
        feature = composite(q.weights, feature.unflatten(1, (r, s)).float())
        return feature.transpose(1, 2).reshape(n, -1, THUMB, THUMB), q, aligned.float()

    def reference(self, photo: Tensor, styles: Tensor, edited: Tensor, source: Tensor) -> Reference:
        """Encode the reference view (Section 3.8): F_L, residual, and the photo carried along to the edited state.

        Args:
            photo: Straight colours (N, 4, 256, 256): RGB in [-1, 1] on grey, matte.
            styles: Latents of the photo.
            edited: Latents to show; equal to ``styles`` where nothing is edited.
            source: Cameras (N, 3).
        """
        r, e = self.geometry(styles, source), self.geometry(edited, source)
        change = (edited - styles).abs().amax((1, 2)) > 1e-6
        mask = change.float().view(-1, 1, 1, 1)
        residual = photo[:, :3] - up(r.thumb)
        with mixed_precision(styles.device):
            moved = self.parts.aligner(torch.cat([residual, up(e.thumb)], 1)).float()
        flow = moved[:, 3:5] * mask
        aligned = residual * (1 - mask) + moved[:, :3] * mask
        local_map = self.parts.local(aligned, up(e.depth))
        carried = warped(torch.cat([photo, up(r.thumb)], 1), flow)
        difference = F.interpolate(e.thumb, size=PICTURE, mode="bilinear") - carried[:, 4:7]
        share = ((difference.abs().amax(1, keepdim=True) - 0.08) / 0.16).clamp(0, 1) * mask
        colours = (carried[:, :3] + difference * share).clamp(-1, 1)
        matte = torch.maximum(carried[:, 3:4], F.interpolate(e.alpha, size=PICTURE, mode="bilinear") * share)
        return Reference(local_map, residual, torch.cat([colours, matte], 1))
