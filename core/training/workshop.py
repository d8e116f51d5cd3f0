"""What builders of stages work with: options, data, and the networks that earlier stages left in a run folder."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from core.alignment.prepare import prepare_folder
from core.models.configuration import CAMEO_256, ModelConfig
from core.models.discriminator import ImageDiscriminator
from core.models.generator import Generator
from core.models.identity import IDENTITY_WEIGHTS, IdentityEmbedding
from core.models.landmarks import LandmarkRegressor
from core.models.reader import Reader, reader_like
from core.training.data import DataMissing, RealPortraits, WorldHeads
from core.training.latents import Latents, latent_statistics
from core.training.losses import PerceptualDistance
from core.training.processes import processes
from core.training.renders import DENSITY_BETA
from core.training.trainer import averaged_state, load_averaged
from core.weights import Registry

logger = logging.getLogger(__name__)


OFFSET = "offset.pt"
"""What ``train teach`` added to the mapping."""
STATISTICS = "latents.pt"
"""Means and deviations of the latents that E0's answers are in units of."""
LANDMARKS = "landmarks.pt"
"""The landmark network: parameters alone."""
FIELD_STAGES = ("field", "lesson", "practice")
"""Stages that leave a generator, the later one in place of the earlier."""
DISCRIMINATOR_CHANNELS = {4: 128, 8: 128, 16: 128, 32: 128, 64: 96, 128: 64, 256: 32}


@dataclasses.dataclass(frozen=True)
class StageOptions:
    """What every stage takes from the command line."""

    world: Path
    """Folder of world shards."""
    run: Path
    """Run folder: states, logs and sheets."""
    minutes: float = 20.0
    steps: int | None = None
    """Budget in steps in place of minutes."""
    portraits: Path | None = None
    """A folder of photos, or what ``python -m core.alignment.prepare`` made of one; optional."""
    landmarks: Path = Path("resources/landmark_vertices.json")
    vgg: Path | None = None
    """VGG16 convolutions as npz; without it the perceptual losses are left out."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    heads: int | None = None
    """At most this many heads."""
    learning_rate: float | None = None
    batch: int | None = None
    """Pictures a step; the stage's own default when absent."""
    compiled: bool = True
    snapshots: Path = Path("runs/world/snapshots")
    """Small pictures of many heads, for the reader."""
    glances: Path = Path("runs/world/glances")
    """Two quick looks at many heads, for practice."""
    seed: int = 0
    max_steps: int | None = None
    accumulate: int | None = None
    settled: bool = False
    """Losses that join late are there from the start: for networks that were trained before."""
    without: tuple[str, ...] = ()
    """Losses of E0 that are left out, by the names of their weights: rows of the ablation."""
    model: ModelConfig = CAMEO_256


@dataclasses.dataclass(frozen=True, eq=False)
class Workshop:
    """What a stage builder works with."""

    options: StageOptions
    device: torch.device
    given: WorldHeads | None = None

    @cached_property
    def data(self) -> WorldHeads:
        """The world's heads; read when a stage asks for them."""
        if self.given is not None:
            return self.given
        return WorldHeads.load(self.options.world, self.device, limit=self.options.heads)

    def generator(self, *stages: str, before: str | None = None) -> Generator:
        """The generator with the weights that the named stages left (field first).

        Args:
            stages: Names; ``field`` stands for all that leave one.
            before: A stage of a field: what it and later ones left is not taken.
        """
        torch.manual_seed(self.options.seed)
        generator = Generator(self.options.model.generator)
        if "field" in stages:
            fields = FIELD_STAGES[: None if before is None else FIELD_STAGES.index(before)]
            stages = (*fields, *(stage for stage in stages if stage != "field"))
        with torch.no_grad():
            generator.renderer.sigmoid_beta.fill_(DENSITY_BETA)
        generator.renderer.sigmoid_beta.requires_grad_(False)
        for stage in stages:
            path = self.options.run / f"{stage}.pt"
            if stage == "field" or path.exists():
                parts: Mapping[str, nn.Module] = {"decoder": generator.decoder}
                load_averaged(path, {"generator": generator} if stage in FIELD_STAGES else parts)
        return generator.to(self.device)

    def perceptual(self) -> PerceptualDistance | None:
        """The perceptual distance, when its weights are at hand."""
        return PerceptualDistance(self.options.vgg).to(self.device) if self.options.vgg else None

    def identity(self) -> IdentityEmbedding | None:
        """The face embedding, when it is at hand."""
        registry = Registry()
        if not any(one.name == IDENTITY_WEIGHTS for one in registry.list()):
            return None
        return IdentityEmbedding.from_tensors(load_file(registry.locate(IDENTITY_WEIGHTS)["network"])).to(self.device)

    def units(self, generator: Generator) -> Latents:
        """What E0's answers are in units of: the statistics it was trained with, or the generator's."""
        path = self.options.run / STATISTICS
        if not path.exists():
            return latent_statistics(generator)
        stored = torch.load(path, weights_only=True)  # noqa: TID251 - tensors only
        return Latents(**{name: value.to(self.device) for name, value in stored.items()})

    def landmark_indices(self) -> list[int]:
        """MediaPipe indices of the world's landmarks, in their order."""
        return landmark_indices(self.options.landmarks)

    def portraits(self) -> RealPortraits | None:
        """Real portraits without the validation split; a folder of photos is aligned first, once a run folder.

        Raises:
            DataMissing: No face was found in any photo of the folder.
        """
        path = self.options.portraits
        if path is None:
            return None
        if path.is_dir():
            folder, path = path, self.options.run / "portraits.npz"
            if processes().first and not path.exists():
                found = prepare_folder(folder, path)
                for photo in found:
                    if photo.failure:
                        logger.info("left out %s: %s", photo.name, photo.failure)
                if not path.exists():
                    raise DataMissing(f"No face was found in {folder}.", hint="Give a folder of portrait photos.")
            processes().wait()
        return RealPortraits.load(path, self.device)

    def discriminator(self) -> ImageDiscriminator:
        """A fresh discriminator of the decoder's pictures; states do not keep it."""
        size = self.options.model.generator.decoder.image_size
        return ImageDiscriminator(size, DISCRIMINATOR_CHANNELS).to(self.device)

    def batch(self, usual: int) -> int:
        """Pictures a step: the command line's, or the stage's own."""
        return self.options.batch or usual


def landmark_indices(path: Path) -> list[int]:
    """MediaPipe indices of the world's landmark vertices, in the order of ``WorldHeads.landmarks``."""
    table = json.loads(path.read_text())
    return [int(entry["mediapipe"]) for entry in table["landmarks"]]


def read_reader(run: Path, model: ModelConfig) -> Reader:
    """The reader of a run folder as it was trained; on the CPU. Raises TrainingFailed if there is none."""
    state = averaged_state(run / "reader.pt")["reader"]
    reader = reader_like(state, model.generator.field.style_dim)
    reader.load_state_dict(state)
    return reader


def read_landmarks(run: Path, model: ModelConfig, count: int) -> LandmarkRegressor:
    """The landmark network of a run folder, of so many landmarks; on the CPU, frozen."""
    regressor = LandmarkRegressor(model.generator.field.style_dim, count)
    regressor.load_state_dict(torch.load(run / LANDMARKS, weights_only=True))  # noqa: TID251 - tensors only
    return regressor.requires_grad_(False).eval()
