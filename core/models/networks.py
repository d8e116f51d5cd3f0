"""All networks of one weights entry, together: what inversion, rendering and meshing are given.

A value, not a module: nothing here runs. Optional parts are None where a family or an early training stage has none;
the code that uses them then leaves that step out. Refuses to know files, photos and cameras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.aligner import ResidualAligner
from core.models.auricles import AuricleFrames
from core.models.configuration import ModelConfig
from core.models.encoder import Encoder
from core.models.fusion import HybridFusion
from core.models.generator import Generator
from core.models.landmarks import LandmarkRegressor
from core.models.local import LocalEncoder, TextureModulation
from core.models.parsing import HeadParser
from core.models.reader import SIZE as READER_SIZE
from core.models.reader import Reader
from core.models.spectacles import SpectaclesDetector
from core.models.spread import latent_spread

__all__ = ["Direction", "Networks"]


@dataclass(frozen=True, eq=False)
class Direction:
    """What one unit of an attribute's strength adds to the latents.

    Shape:
        renderer (rows, style_dim), decoder (rows_d, D).
    """

    renderer: Tensor
    decoder: Tensor


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks, mean latents and attribute directions of one model.

    Shape:
        renderer_mean (rows, style_dim), decoder_mean (rows_d, D): what E0's offsets are added to; renderer_scale
        (rows or 1, style_dim), decoder_scale (rows_d or 1, D): what they are multiplied by before (1 for the released
        networks, the latents' standard deviations for cameo-256); landmark_indices (L,) int64, MediaPipe's number of
        each landmark.
    """

    config: ModelConfig
    generator: Generator
    encoder: Encoder
    renderer_mean: Tensor
    decoder_mean: Tensor
    renderer_scale: Tensor
    decoder_scale: Tensor
    local: LocalEncoder | None = None
    modulation: TextureModulation | None = None
    fusion: HybridFusion | None = None
    aligner: ResidualAligner | None = None
    directions: Mapping[str, Direction] = field(default_factory=dict)
    landmarks: LandmarkRegressor | None = None
    landmark_indices: Tensor | None = None
    reader: Reader | None = None
    parser: HeadParser | None = None
    auricles: AuricleFrames | None = None
    spectacles: SpectaclesDetector | None = None
    tuned: float = 0.0
    """How far the generator was tuned to one photo, 0..1: so much of that photo's tones it says itself."""
    untuned: Generator | None = None
    """The generator before that, if its geometry is the same: it knows what an edit does to colours."""

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Part name -> module, of the parts there are."""
        named = {
            "generator": self.generator,
            "encoder": self.encoder,
            "local": self.local,
            "modulation": self.modulation,
            "fusion": self.fusion,
            "aligner": self.aligner,
            "landmarks": self.landmarks,
            "reader": self.reader,
            "parser": self.parser,
            "auricles": self.auricles,
            "spectacles": self.spectacles,
        }
        return {name: module for name, module in named.items() if module is not None}

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """E0 with its means and scales: latents, and pose and framing where E0 tells them.

        Shape:
            picture (B, in_channels, 256, 256); returns (B, rows, style_dim), (B, rows_d, D) and (B, 6) or None.
        """
        found = self.encoder(picture)
        styles = found.styles * self.renderer_scale + self.renderer_mean
        if self.config.shared_geometry:
            # The field only ever saw one latent for all its geometry layers. Rows of their own leave what it knows and
            # grow walls before the face (measured on portraits); their mean stays within it.
            shared = styles[:, :-1].mean(dim=1, keepdim=True).expand(-1, styles.shape[1] - 1, -1)
            styles = torch.cat((shared, styles[:, -1:]), dim=1)
        return styles, found.decoder_styles * self.decoder_scale + self.decoder_mean, found.pose

    def read(self, canonical: Tensor, angles: Tensor) -> tuple[Tensor, Tensor] | None:
        """The reader's latents of pictures whose camera is known; None for families without one.

        Shape:
            canonical (B, 4, S, S), S >= 64: colours in [-1, 1] times matte, and matte; angles (B, 2); returns
            (B, rows, style_dim) and (B, rows_d, D).
        """
        if self.reader is None:
            return None
        small = functional.interpolate(canonical, size=READER_SIZE, mode="area")
        geometry, colour = self.reader.latents(self.reader(small, angles))
        rows = self.config.renderer_rows
        styles = torch.cat((geometry[:, None].expand(-1, rows - 1, -1), colour[:, None]), dim=1)
        return styles, self.generator.decoder_styles(colour)

    @cached_property
    def latent_spread(self) -> Tensor:
        """What heads differ by in w (style_dim, style_dim), counted when it is first asked for."""
        return latent_spread(self.generator)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.renderer_mean.device

    def ready(self, device: torch.device) -> Networks:
        """The same networks on a device, for inference: evaluating, without gradients."""
        for module in self.modules.values():
            module.to(device).eval().requires_grad_(False)
        # What its convolutions want, and would otherwise make of ten million weights in every call.
        for network in (self.encoder, self.aligner, self.parser):
            if network is not None:
                network.to(memory_format=torch.channels_last)
        return replace(
            self,
            renderer_mean=self.renderer_mean.to(device),
            decoder_mean=self.decoder_mean.to(device),
            renderer_scale=self.renderer_scale.to(device),
            decoder_scale=self.decoder_scale.to(device),
            directions={
                name: Direction(direction.renderer.to(device), direction.decoder.to(device))
                for name, direction in self.directions.items()
            },
        )

    @classmethod
    def random(cls, config: ModelConfig, seed: int, attributes: tuple[str, ...] = ()) -> Networks:
        """Untrained networks: for tests, and the start of training. The caller's random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = Generator(config.generator)
            width = config.generator.field.width
            rows, dim = config.renderer_rows, config.generator.field.style_dim
            decoder_rows, decoder_dim = config.decoder_rows, config.generator.decoder.style_dim
            return cls(
                config,
                generator,
                Encoder(config.encoder),
                torch.zeros(rows, dim),
                torch.zeros(decoder_rows, decoder_dim),
                torch.ones(1, dim),
                torch.ones(1, decoder_dim),
                LocalEncoder(config.local),
                TextureModulation(config.local, width),
                HybridFusion(config.local.channels, quiet=config.quiet_fusion) if config.fusion else None,
                ResidualAligner(config.aligner),
                {
                    name: Direction(0.1 * torch.randn(rows, dim), 0.1 * torch.randn(decoder_rows, decoder_dim))
                    for name in attributes
                },
            )
