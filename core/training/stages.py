"""The stages of cameo-256 by name: which data, networks and task each needs, and what it leaves behind.

field → (encoder, decoder) → hybrid → directions; field → lesson → reader; field → practice; parser, with the field's
pictures if there is one. Each is resumable, reads what earlier stages left in the run folder and leaves a state there;
:mod:`core.training.bundle` turns a run folder into weights.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from core.alignment.prepare import prepare_folder
from core.job import Job
from core.models.configuration import CAMEO_256, ModelConfig
from core.models.discriminator import ImageDiscriminator
from core.models.encoder import Encoder
from core.models.generator import Generator
from core.models.identity import IDENTITY_WEIGHTS, IdentityEmbedding
from core.models.landmarks import LandmarkRegressor
from core.models.parsing import HeadParser
from core.models.reader import Reader
from core.training.data import DataMissing, RealPortraits, WorldHeads
from core.training.decoder_task import DecoderTask, DecoderTaskConfig
from core.training.encoder_task import EncoderTask, EncoderTaskConfig
from core.training.field_task import FieldTask, FieldTaskConfig
from core.training.glances import Glances
from core.training.hybrid_task import HybridTask, HybridTaskConfig
from core.training.latents import Latents, fit_landmarks, latent_statistics
from core.training.lesson_task import LessonTask, LessonTaskConfig
from core.training.local_branch import Parts
from core.training.losses import PerceptualDistance
from core.training.parser_task import ParserTask, ParserTaskConfig
from core.training.parsing_data import ParsedHeads, mean_landmarks, painted_heads, parse_portraits
from core.training.practice_task import PracticeTask, PracticeTaskConfig
from core.training.precision import layout
from core.training.processes import processes
from core.training.reader_task import ReaderTask, ReaderTaskConfig
from core.training.renders import DENSITY_BETA
from core.training.snapshots import Snapshots, settle
from core.training.trainer import Task, TrainerConfig, TrainingFailed, load_averaged, train
from core.weights import Registry

logger = logging.getLogger(__name__)


PAINTED = 600
"""Pictures of the generator's own that the parser learns from, where there is a field: half a second each."""
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


def read_landmarks(run: Path, model: ModelConfig, count: int) -> LandmarkRegressor:
    """The landmark network of a run folder, of so many landmarks; on the CPU, frozen."""
    regressor = LandmarkRegressor(model.generator.field.style_dim, count)
    regressor.load_state_dict(torch.load(run / LANDMARKS, weights_only=True))  # noqa: TID251 - tensors only
    return regressor.requires_grad_(False).eval()


def _field(shop: Workshop) -> Task:
    config = FieldTaskConfig(heads=shop.batch(FieldTaskConfig.heads))
    return FieldTask(shop.generator(), shop.data, config, compiled=shop.options.compiled)


def _encoder(shop: Workshop) -> Task:
    generator, run = shop.generator("field", "decoder"), shop.options.run
    if (run / "encoder.pt").exists():
        # E0 goes on: its answers stay in the units they are in, and the reader stands on the same landmarks.
        regressor = read_landmarks(run, shop.options.model, len(shop.landmark_indices())).to(shop.device)
        latents = shop.units(generator)
    else:
        steps = min(
            2000 if shop.device.type == "cuda" else 600, 100 * (shop.options.max_steps or shop.options.steps or 20)
        )
        z = torch.cat((shop.data.z, shop.data.z_edit))
        points = torch.cat((shop.data.landmarks, shop.data.landmarks_edit))
        regressor, latents = fit_landmarks(generator, z, points, steps=steps), latent_statistics(generator)
        if processes().first:
            torch.save(regressor.state_dict(), run / LANDMARKS)
            torch.save(dataclasses.asdict(latents), run / STATISTICS)
    encoder = Encoder(shop.options.model.encoder).to(shop.device)
    config = EncoderTaskConfig(pictures=shop.batch(EncoderTaskConfig.pictures))
    if shop.device.type == "cpu":
        config = dataclasses.replace(config, **ON_A_PROCESSOR, portraits=max(1, config.pictures // 4))
    if shop.options.settled:
        config = dataclasses.replace(config, portraits_from=-1.0, rendered_from=-1.0)
    config = config.without(shop.options.without)
    return EncoderTask(
        generator,
        encoder.to(memory_format=layout(shop.device)),
        regressor,
        shop.data,
        shop.portraits(),
        config,
        landmark_indices=shop.landmark_indices(),
        latents=latents,
        perceptual=shop.perceptual(),
        identity=shop.identity(),
        finished=(run / "decoder.pt").exists(),
        compiled=shop.options.compiled,
    )


def _decoder(shop: Workshop) -> Task:
    return DecoderTask(
        shop.generator("field"),
        shop.discriminator(),
        shop.data,
        DecoderTaskConfig(pictures=shop.batch(DecoderTaskConfig.pictures)),
        perceptual=shop.perceptual(),
        compiled=shop.options.compiled,
    )


def _hybrid(shop: Workshop) -> Task:
    generator = shop.generator("field", "decoder")
    encoder = Encoder(shop.options.model.encoder)
    load_averaged(shop.options.run / "encoder.pt", {"encoder": encoder})
    pictures = shop.batch(HybridTaskConfig.pictures)
    return HybridTask(
        generator,
        encoder.to(shop.device),
        Parts(shop.options.model).to(shop.device),
        shop.discriminator(),
        shop.data,
        shop.portraits(),
        HybridTaskConfig(pictures=pictures, portraits=max(1, pictures // 2), flows=max(1, pictures // 2)),
        latents=shop.units(generator),
        perceptual=shop.perceptual(),
        compiled=shop.options.compiled,
    )


def _lesson(shop: Workshop) -> Task:
    torch.manual_seed(shop.options.seed)
    generator = shop.generator("field", before="lesson")
    path = shop.options.run / OFFSET
    if not path.exists():
        raise TrainingFailed(
            f"There is no {path}.", hint="What is the lesson about? Run `python -m core train teach` first."
        )
    offset = torch.load(path, weights_only=True)  # noqa: TID251 - one tensor
    config = LessonTaskConfig(heads=shop.batch(LessonTaskConfig.heads))
    return LessonTask(generator, shop.data, config, offset=offset, compiled=shop.options.compiled)


def _practice(shop: Workshop) -> Task:
    torch.manual_seed(shop.options.seed)
    generator = shop.generator("field", before="practice")
    data = Glances.load(shop.options.glances, shop.device, limit=shop.options.heads)
    reader = None
    if (shop.options.run / "reader.pt").exists():
        reader = Reader(shop.options.model.generator.field.style_dim)
        load_averaged(shop.options.run / "reader.pt", {"reader": reader})
    regressor = None
    if (shop.options.run / LANDMARKS).exists():
        regressor = read_landmarks(shop.options.run, shop.options.model, data.landmarks.shape[1])
    if reader is None or regressor is None:
        logger.info("practice without %s", "a reader: codes alone" if reader is None else f"{LANDMARKS}: no polish")
    config = PracticeTaskConfig(heads=shop.batch(PracticeTaskConfig.heads))
    return PracticeTask(generator, reader, data, config, regressor=regressor, compiled=shop.options.compiled)


def _reader(shop: Workshop) -> Task:
    generator, indices = shop.generator("field"), shop.landmark_indices()
    regressor = read_landmarks(shop.options.run, shop.options.model, len(indices))
    real, settled = shop.portraits(), None
    if real is not None:
        w_mean = latent_statistics(generator, 4000).w_mean
        settled = settle(regressor, real.colour, real.matte, real.landmarks[:, indices], real.angles, w_mean)
    config = ReaderTaskConfig(pictures=shop.batch(ReaderTaskConfig.pictures))
    data = Snapshots.load(shop.options.snapshots)
    return ReaderTask(generator, Reader(shop.options.model.generator.field.style_dim), regressor, data, settled, config)


def _parser(shop: Workshop) -> Task:
    torch.manual_seed(shop.options.seed)
    config = ParserTaskConfig(pictures=shop.batch(ParserTaskConfig.pictures))
    real, parsed = shop.portraits(), None
    if real is not None:
        mean = torch.from_numpy(mean_landmarks(shop.options.world))
        parsed = parse_portraits(real, shop.options.landmarks, mean)
    data, own = ParsedHeads.load(shop.options.world, limit=shop.options.heads), None
    painted = shop.options.run / "painted.npz"
    if painted.exists():
        own = ParsedHeads.read(painted)
    elif (shop.options.run / "field.pt").exists():
        own = painted_heads(shop.generator("field").eval(), shop.options.world, min(PAINTED, len(data)))
        own.write(painted)
    return ParserTask(HeadParser(), data, parsed, config, own)


STAGES: dict[str, Callable[[Workshop], Task]] = {
    "field": _field,
    "encoder": _encoder,
    "decoder": _decoder,
    "hybrid": _hybrid,
    "lesson": _lesson,
    "practice": _practice,
    "reader": _reader,
    "parser": _parser,
}
ON_A_PROCESSOR = {
    "points": 192, "normal_points": 48, "free_points": 96, "rendered": 1, "large": 1, "rendered_every": 3
}  # fmt: skip
"""E0's sizes where a step is dear: fewer points a picture, more pictures."""
RATES = {
    "field": 6e-4,
    "encoder": 8e-4,
    "decoder": 1e-3,
    "hybrid": 4e-4,
    "lesson": 2e-4,
    "practice": 3e-4,
    "reader": 1.5e-3,
    "parser": 2e-3,
}
"""Adam's learning rate of each stage before decay."""


def run_stage(stage: str, options: StageOptions, job: Job) -> None:
    """Trains one stage for its budget, resuming what the run folder holds."""
    device = torch.device(options.device)
    if options.without and stage != "encoder":
        raise TrainingFailed(
            f"Losses of the stage {stage} cannot be left out.", hint="--without is for the encoder's ablation."
        )
    if device.type == "cuda":
        if processes().count > 1:
            device = torch.device("cuda", processes().local)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    if options.compiled:
        # Few shapes, with and without gradients, of one function: more than the default keeps.
        torch._dynamo.config.cache_size_limit = 32
    options.run.mkdir(parents=True, exist_ok=True)
    job.report(0.0, "loading data")
    shop = Workshop(options, device)
    torch.manual_seed(options.seed)
    task = STAGES[stage](shop)
    for module in task.modules.values():
        module.to(device)
    train(
        task,
        TrainerConfig(
            folder=options.run,
            minutes=options.minutes,
            steps=options.steps,
            learning_rate=options.learning_rate or RATES[stage],
            seed=options.seed,
            max_steps=options.max_steps,
            accumulate=options.accumulate or 1,
            log_every=100 if device.type == "cuda" else 10,
        ),
        job,
    )
