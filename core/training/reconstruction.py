"""L_rec of E0: what latents draw against the picture they were read from, small by the field and large by the decoder.

E3DGE, supplement (Eq. 2-5): squared error, perceptual distance and identity, weighted 1, 0.8 and 0.1, at both
resolutions that StyleSDF draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from core.models.generator import Generator
from core.models.guided import surface_samples
from core.models.identity import IdentityEmbedding
from core.training.data import WorldHeads, shrink
from core.training.losses import PerceptualDistance
from core.training.precision import mixed_precision
from core.training.renders import THUMB, on_grey, render_samples
from core.training.views import pixel_grid, rays


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """Draws latents at the camera of a world picture and says how far from it they are.

    Attributes:
        generator: Field and decoder, frozen.
        sdf: The field's distance as (points, styles) -> (N, P, 1), compiled or not.
        data: The world.
        perceptual: VGG distance, or None (then its parts are left out).
        identity: Face embedding, or None (likewise).
        finished: Whether the decoder is a trained one; without, only the thumb is drawn.
    """

    generator: Generator
    sdf: Callable[[Tensor, Tensor], Tensor]
    data: WorldHeads
    perceptual: PerceptualDistance | None
    identity: IdentityEmbedding | None
    finished: bool

    def losses(
        self, head: Tensor, view: Tensor, styles: Tensor, decoder_styles: Tensor, large: int
    ) -> dict[str, Tensor]:
        """Parts of L_rec.

        Args:
            head: Heads of the world (N,).
            view: Which view of each was read (N,).
            styles: Latents (N, rows, style_dim) that were read from it.
            decoder_styles: The decoder's (N, rows_d, D).
            large: How many of them the decoder draws at full size as well.

        Returns:
            ``thumb``, ``perceptual`` at 64 px and ``large``, ``large_perceptual``, ``identity`` (1 - cosine) at the
            decoder's size, as far as their networks are there.
        """
        n, data = len(head), self.data
        camera = data.camera[head, view]
        target = data.picture(head, view)
        origin, direction = rays(camera, pixel_grid(THUMB, camera.device).expand(n, -1, -1))
        t, deltas = surface_samples(lambda x: self.sdf(x, styles), origin, direction, steps=10, fine=5)
        out = render_samples(self.generator, styles, origin, direction, t, deltas)
        rgb = out.rgb.transpose(1, 2).reshape(n, 3, THUMB, THUMB)
        small = shrink(target, THUMB)
        wanted = small[:, :3] * 2 - small[:, 3:]
        alpha = out.alpha.reshape(n, 1, THUMB, THUMB)
        parts = {"thumb": (rgb - wanted).abs().mean() + (alpha - small[:, 3:]).abs().mean()}
        if self.perceptual is not None:
            big = [F.interpolate(x, size=128, mode="bilinear", align_corners=False) for x in (rgb, wanted)]
            with mixed_precision(camera.device):
                parts["perceptual"] = self.perceptual(big[0], big[1])
        if self.finished and large:
            feature = out.feature.transpose(1, 2).reshape(n, -1, THUMB, THUMB)[:large]
            parts |= self._large(feature, decoder_styles[:large], target[:large])
        return parts

    def _large(self, feature: Tensor, decoder_styles: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The decoder's picture, without a photo to guide it, against the world's: both over grey."""
        with mixed_precision(feature.device):
            decoded = self.generator.decoder(feature, decoder_styles).float()
        fake = on_grey(decoded[:, :3], decoded[:, 3:4].sigmoid())  # what visibility.blend gives where no photo is
        real = target[:, :3] * 2 - target[:, 3:]
        parts = {"large": (fake - real).square().mean()}
        with mixed_precision(feature.device):
            if self.perceptual is not None:
                parts["large_perceptual"] = self.perceptual(fake, real)
            if self.identity is not None:
                mine, theirs = self.identity((fake + 1) / 2), self.identity((real + 1) / 2)
                parts["identity"] = (1 - F.cosine_similarity(mine.float(), theirs.float())).mean()
        return parts
