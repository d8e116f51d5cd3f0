"""The stages of cameo-256 by name: which data, networks and task each needs, and what it leaves behind.

field → (encoder, decoder) → hybrid → directions; field → lesson → reader; field → practice; parser, with the field's
pictures if there is one. Each is resumable, reads what earlier stages left in the run folder and leaves a state there;
:mod:`core.training.bundle` turns a run folder into weights.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable

import torch

from core.job import Job
from core.models.encoder import Encoder
from core.models.parsing import HeadParser
from core.models.reader import Reader
from core.models.spread import latent_spread
from core.training.decoder_task import DecoderTask, DecoderTaskConfig
from core.training.encoder_task import EncoderTask, EncoderTaskConfig
from core.training.field_task import FieldTask, FieldTaskConfig
from core.training.glances import Glances
from core.training.hybrid_task import HybridTask, HybridTaskConfig
from core.training.latents import fit_landmarks, latent_statistics
from core.training.lesson_task import LessonTask, LessonTaskConfig
from core.training.local_branch import Parts
from core.training.parser_task import ParserTask, ParserTaskConfig
from core.training.parsing_data import ParsedHeads, mean_landmarks, painted_heads, parse_portraits
from core.training.practice_task import PracticeTask, PracticeTaskConfig
from core.training.precision import layout
from core.training.processes import processes
from core.training.reader_task import ReaderTask, ReaderTaskConfig
from core.training.snapshots import Snapshots, settle
from core.training.trainer import Task, TrainerConfig, TrainingFailed, load_averaged, train
from core.training.workshop import LANDMARKS, OFFSET, STATISTICS, StageOptions, Workshop, read_landmarks, read_reader

logger = logging.getLogger(__name__)


PAINTED = 600
"""Pictures of the generator's own that the parser learns from, where there is a field: half a second each."""


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
        reader = read_reader(shop.options.run, shop.options.model)
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
        latents = latent_statistics(generator, 4000).w_mean, latent_spread(generator)
        settled = settle(regressor, latents, real.colour, real.matte, real.landmarks[:, indices], real.angles)
    config = ReaderTaskConfig(pictures=shop.batch(ReaderTaskConfig.pictures))
    data = Snapshots.load(shop.options.snapshots)
    # Its width is that of the state it goes on from.
    known = (shop.options.run / "reader.pt").exists()
    fresh = Reader(shop.options.model.generator.field.style_dim)
    reader = read_reader(shop.options.run, shop.options.model) if known else fresh
    return ReaderTask(generator, reader, regressor, data, settled, config)


def _parser(shop: Workshop) -> Task:
    torch.manual_seed(shop.options.seed)
    config = ParserTaskConfig(pictures=shop.batch(ParserTaskConfig.pictures))
    real, parsed = shop.portraits(), None
    if real is not None:
        mean = torch.from_numpy(mean_landmarks(shop.options.world))
        parsed = parse_portraits(real, shop.options.landmarks, mean)
    numbers = [int(entry["mediapipe"]) for entry in json.loads(shop.options.landmarks.read_text())["landmarks"]]
    data, own = ParsedHeads.load(shop.options.world, limit=shop.options.heads, numbers=numbers), None
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
