"""A run folder becomes weights: averaged networks and latent statistics in one file, directions in another."""

from __future__ import annotations

import copy
import dataclasses
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from core.camera import CameraLimits
from core.job import Job
from core.models.bundle import write_directions, write_networks, write_part
from core.models.configuration import CAMEO_256, ModelConfig
from core.models.encoder import Encoder
from core.models.generator import Generator
from core.models.networks import Direction, Networks
from core.models.parsing import HeadParser
from core.models.parsing import widened as widened_parser
from core.models.reader import GATHERED, Reader
from core.rendering.edited import DRAWN_ON
from core.training.answers import answered, widened
from core.training.auricles import auricle_frames
from core.training.data import load_landmarks
from core.training.directions import IDLE, SAMPLES, find_directions
from core.training.latents import Latents, fit_landmarks, landmark_misfit, latent_statistics
from core.training.local_branch import Parts
from core.training.mapping import step_of, teach_step, without_offset
from core.training.portrait_heads import PortraitHeads
from core.training.reader_task import ReaderTaskConfig
from core.training.snapshots import Snapshots
from core.training.spectacles import Trial, spectacles_of
from core.training.trainer import load_averaged
from core.training.workshop import (
    FIELD_STAGES,
    LANDMARKS,
    OFFSET,
    STATISTICS,
    landmark_indices,
    read_landmarks,
    read_reader,
)
from core.weights import InputContract, Registry
from core.world.assets import load_pack
from core.world.identity import EYEGLASSES, GLASSES_FROM, phi

logger = logging.getLogger(__name__)

LICENCE = "Apache-2.0"
ORIGIN = (
    "Cameo: trained from nothing by core.training on core.world and public-domain portraits; see docs/model-card.md"
)
STEP_LABELS = {"Eyeglasses": (EYEGLASSES, GLASSES_FROM)}
"""Labels that are there or not: their coordinate of z and where it decides."""
RENEWABLE = ("encoder", "hybrid", "landmarks", "practice", "reader", "parser")
"""Stages whose network can be taken into weights by itself."""
PARSER, AURICLES, SPECTACLES = "parser.safetensors", "auricles.safetensors", "spectacles.safetensors"
"""Files of parser, ears and glasses in an entry: they stand on little else, and the other 36 MB stay as they are."""
LIMITS = CameraLimits(1.25, -0.5, 0.5)
"""Cameras that the decoder met in training."""


def trained_generator(run: Path, model: ModelConfig) -> Generator:
    """The generator of a run folder, with the decoder of the last stage that trained it; on the CPU, frozen."""
    generator = Generator(model.generator)
    for stage in FIELD_STAGES:
        if stage == FIELD_STAGES[0] or (run / f"{stage}.pt").exists():
            load_averaged(run / f"{stage}.pt", {"generator": generator})
    for stage in ("decoder", "hybrid"):
        if (run / f"{stage}.pt").exists():
            load_averaged(run / f"{stage}.pt", {"decoder": generator.decoder})
    return generator.requires_grad_(False).eval()


def collect(run: Path, landmarks: Path, *, model: ModelConfig = CAMEO_256, samples: int = SAMPLES) -> Networks:
    """The networks of a run folder, with whatever stages it holds (field and encoder at least).

    Args:
        run: The run folder.
        landmarks: The table of landmark vertices.
        model: The family of sizes.
        samples: Labelled samples for the directions.
    """
    generator, encoder = trained_generator(run, model), Encoder(model.encoder)
    load_averaged(run / "encoder.pt", {"encoder": encoder})
    parts = None
    if (run / "hybrid.pt").exists():
        parts = Parts(model)
        load_averaged(run / "hybrid.pt", {"parts": parts})
    reader = _reader(run, model) if (run / "reader.pt").exists() else None
    parser = _parser(run) if (run / "parser.pt").exists() else None
    indices = landmark_indices(landmarks)
    regressor = read_landmarks(run, model, len(indices))
    if (run / STATISTICS).exists():  # E0's answers are in units of what the mapping was when E0 was trained
        statistics = Latents(**torch.load(run / STATISTICS, weights_only=True))  # noqa: TID251 - tensors only
    else:
        statistics = latent_statistics(generator)
    rows = model.generator.field.rows
    return Networks(
        model,
        generator,
        encoder,
        statistics.w_mean.expand(rows, -1).clone(),
        statistics.s_mean.clone(),
        statistics.w_std[None].clone(),
        statistics.s_std.clone(),
        None if parts is None else parts.local,
        None if parts is None else parts.modulation,
        None if parts is None else parts.fusion,
        None if parts is None else parts.aligner,
        {name: found.direction for name, found in find_directions(generator, samples).items()},
        regressor,
        torch.tensor(indices),
        reader,
        parser,
    )


def _parser(run: Path) -> HeadParser:
    parser = HeadParser()
    load_averaged(run / "parser.pt", {"parser": parser})
    return parser


def _reader(run: Path, model: ModelConfig) -> Reader:
    reader = read_reader(run, model)
    if (run / OFFSET).exists():
        offset = torch.load(run / OFFSET, weights_only=True)  # noqa: TID251 - one tensor
        without_offset(reader, offset, 1 - phi(GLASSES_FROM))
    return reader


def renewed(networks: Networks, run: Path, stage: str, share: float = 1.0) -> Networks:
    """The same weights, with the network of one stage as a run folder has it.

    For a stage on which nothing else has to be trained: E0 that went on in its units, the reader, the parser, the
    landmark network, or a field that practised under the same mapping. The hybrid stage brings the decoder that learned
    along with it.

    Args:
        networks: What stays.
        run: Where the stage was trained.
        stage: One of RENEWABLE.
        share: How far from the field that was there to the practised one, 0 to 1. Fields that began as one can be mixed
            (Wortsman et al. 2022); the mixture keeps more of what the old one did with latents that practice never met.
    """
    if stage == "encoder":
        encoder = Encoder(networks.config.encoder)
        load_averaged(run / "encoder.pt", {"encoder": encoder})
        return dataclasses.replace(networks, encoder=encoder)
    if stage == "hybrid":
        parts, generator = Parts(networks.config), copy.deepcopy(networks.generator)
        load_averaged(run / "hybrid.pt", {"parts": parts, "decoder": generator.decoder})
        return dataclasses.replace(
            networks,
            generator=generator,
            local=parts.local,
            modulation=parts.modulation,
            fusion=parts.fusion,
            aligner=parts.aligner,
        )
    if stage == "practice":
        practised, generator = copy.deepcopy(networks.generator), copy.deepcopy(networks.generator)
        load_averaged(run / "practice.pt", {"generator": practised})
        there = practised.field.state_dict()
        mixed = {name: value.lerp(there[name], share) for name, value in generator.field.state_dict().items()}
        generator.field.load_state_dict(mixed)
        return dataclasses.replace(networks, generator=generator)
    if stage == "landmarks":
        assert networks.landmark_indices is not None
        regressor = read_landmarks(run, networks.config, len(networks.landmark_indices))
        return dataclasses.replace(networks, landmarks=regressor)
    if stage == "parser":
        return dataclasses.replace(networks, parser=_parser(run))
    return dataclasses.replace(networks, reader=_reader(run, networks.config))


def publish(networks: Networks, folder: Path, name: str = "cameo-256") -> Path:
    """Writes the weights below a weights folder and enters them in its manifest; returns the networks' file."""
    path = folder / name / "model.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_networks(dataclasses.replace(networks, directions={}, parser=None, auricles=None, spectacles=None), path)
    if networks.parser is not None:
        write_part("parser", networks.parser, networks.config.name, folder / name / PARSER)
    if networks.auricles is not None:
        write_part("auricles", networks.auricles, networks.config.name, folder / name / AURICLES)
    if networks.spectacles is not None:
        write_part("spectacles", networks.spectacles, networks.config.name, folder / name / SPECTACLES)
    publish_directions(networks, folder, name)
    logger.info("wrote %s, %.1f MB", path, path.stat().st_size / 1e6)
    return path


def publish_parser(networks: Networks, folder: Path, name: str = "cameo-256") -> Path:
    """Writes the parser of an entry and enters it in the manifest, all else stays as it is; returns its file.

    Raises:
        ValueError: There is none.
    """
    if networks.parser is None:
        raise ValueError("these networks have no parser")
    path = folder / name / PARSER
    write_part("parser", networks.parser, networks.config.name, path)
    _enter(networks, folder, name)
    return path


def publish_auricles(networks: Networks, folder: Path, pack: Path, heads: int, name: str = "cameo-256") -> float:
    """Finds where an entry's heads have their ears, writes it and enters it in the manifest; all else stays as it is.

    Args:
        networks: The entry's.
        folder: The weights folder.
        pack: The world's meshes.
        heads: How many heads of the world are looked at.
        name: Of the entry.

    Returns:
        How far points of ears of unseen heads are off (world units).
    """
    found, misfit = auricle_frames(networks.generator, load_pack(pack), heads, Job.quiet())
    write_part("auricles", found, networks.config.name, folder / name / AURICLES)
    _enter(networks, folder, name)
    return misfit


def publish_spectacles(networks: Networks, folder: Path, portraits: Path, name: str = "cameo-256") -> Trial:
    """Finds how an entry tells glasses, writes it and enters it in the manifest; all else stays as it is.

    Args:
        networks: The entry's.
        folder: The weights folder.
        portraits: What ``core.alignment.prepare`` made of photos-train; those of its validation part are left out.
        name: Of the entry.

    Returns:
        How it does on portraits that it has not seen.
    """
    detector, trial = spectacles_of(portraits)
    write_part("spectacles", detector, networks.config.name, folder / name / SPECTACLES)
    _enter(networks, folder, name)
    return trial


def publish_directions(networks: Networks, folder: Path, name: str = "cameo-256") -> Path:
    """Writes the directions beside the networks of an entry and enters both in the manifest; returns their file.

    Directions depend on mapping and field alone, and change more often: thirty megabytes of networks stay as they are.
    """
    path = folder / name / "directions.safetensors"
    write_directions(_shown(networks), networks.config.name, path)
    _enter(networks, folder, name)
    return path


def _shown(networks: Networks) -> dict[str, Direction]:
    return {known: direction for known, direction in networks.directions.items() if known not in IDLE}


def _enter(networks: Networks, folder: Path, name: str) -> None:
    """Enters the files of an entry in the manifest, those that are there."""
    files = {
        "model": "model.safetensors",
        "directions": "directions.safetensors",
        "parser": PARSER,
        "auricles": AURICLES,
        "spectacles": SPECTACLES,
    }
    drawn = DRAWN_ON if networks.landmark_indices is not None else ()
    Registry(folder).add(
        name,
        {role: f"{name}/{file}" for role, file in files.items() if (folder / name / file).exists()},
        purpose="head",
        licence=LICENCE,
        origin=ORIGIN,
        contract=InputContract(networks.config.encoder.size, LIMITS, (*_shown(networks), *drawn)),
    )


def train_landmarks(
    run: Path, heads: Path, *, model: ModelConfig = CAMEO_256, steps: int = 6000
) -> tuple[float, float]:
    """Fits the landmark network of a run folder on many heads; what is there is replaced.

    Args:
        run: The run folder, with a field.
        heads: Folder of ``python -m core.world landmarks``.
        model: The family of sizes.
        steps: Of Adam.

    Returns:
        How far landmarks of heads that took no part are off, and how far the mean head's are (world units).
    """
    generator = trained_generator(run, model)
    z, landmarks = load_landmarks(heads)
    apart = max(1, len(z) // 50)
    torch.manual_seed(0)
    regressor = fit_landmarks(generator, z[apart:], landmarks[apart:], steps=steps)
    torch.save(regressor.state_dict(), run / LANDMARKS)
    mean = (landmarks[:apart] - landmarks[apart:].mean(0)).norm(dim=-1).mean()
    return landmark_misfit(generator, regressor, z[:apart], landmarks[:apart]), float(mean)


def teach(run: Path, label: str, *, model: ModelConfig = CAMEO_256) -> Tensor:
    """Gives a yes-or-no label an offset in w, in the field's state of a run folder; see ``core.training.mapping``.

    Returns:
        The offset (style_dim,), which is left beside the states.
    """
    coordinate, threshold = STEP_LABELS[label]
    generator = Generator(model.generator)
    load_averaged(run / "field.pt", {"generator": generator})
    generator.requires_grad_(False)
    if not (run / STATISTICS).exists():
        torch.save(dataclasses.asdict(latent_statistics(generator)), run / STATISTICS)
    offset = teach_step(generator, coordinate, threshold)
    weights = {"generator": generator.state_dict()}
    torch.save({"task": "field", "step": 0, "spent": 0.0, "live": weights, "averaged": weights}, run / "field.pt")
    torch.save(offset, run / OFFSET)
    return offset


def answer_anew(
    run: Path, snapshots: Path, job: Job, *, model: ModelConfig = CAMEO_256, portraits: PortraitHeads | None = None
) -> None:
    """Gives the reader of a run folder a wider last layer, in closed form; it begins again at step 0.

    Args:
        run: With ``field.pt`` and ``reader.pt``, which is replaced.
        snapshots: Pictures of heads, of ``python -m core.world snapshots``.
        job: Reports and cancels.
        model: Whose.
        portraits: What portraits were fitted with, to be learnt from as well.
    """
    generator, data = trained_generator(run, model), Snapshots.load(snapshots)
    reader = read_reader(run, model)
    usual = reader.gather[0].out_features
    reader = widened(reader) if usual == GATHERED else reader
    with torch.no_grad():
        w = torch.cat([generator.mapping(z) for z in data.z.split(4096)])
    answered(reader, data, w, ReaderTaskConfig(), job, portraits)
    weights = {"reader": reader.state_dict()}
    torch.save({"task": "reader", "step": 0, "spent": 0.0, "live": weights, "averaged": weights}, run / "reader.pt")


def restore(networks: Networks, run: Path) -> None:
    """Writes the states of the stages that weights came from, so that training can go on.

    They begin at step 0 with their whole budget before them and fresh optimiser moments; numbers have the weights' half
    precision. Stages that are in the folder already are overwritten.
    """
    run.mkdir(parents=True, exist_ok=True)
    decoder = networks.generator.decoder
    stages: dict[str, dict[str, nn.Module]] = {
        "field": {"generator": networks.generator},
        "decoder": {"decoder": decoder},
        "encoder": {"encoder": networks.encoder},
    }
    if networks.reader is not None:
        stages["reader"] = {"reader": networks.reader}
    if networks.parser is not None:
        stages["parser"] = {"parser": widened_parser(networks.parser)}
    if networks.fusion is not None:
        parts = Parts(networks.config)
        for name, part in parts.named_children():
            part.load_state_dict(getattr(networks, name).state_dict())
        stages["hybrid"] = {"parts": parts, "decoder": decoder}
    for stage, modules in stages.items():
        weights = {part: module.state_dict() for part, module in modules.items()}
        state = {"task": stage, "step": 0, "spent": 0.0, "live": weights, "averaged": weights}
        torch.save(state, run / f"{stage}.pt")
    statistics = Latents(
        networks.renderer_mean[0], networks.renderer_scale[0], networks.decoder_mean, networks.decoder_scale
    )
    torch.save(dataclasses.asdict(statistics), run / STATISTICS)
    for coordinate, threshold in STEP_LABELS.values():
        if coordinate < networks.config.generator.z_dim:
            offset = step_of(networks.generator, coordinate, threshold)
            # A mapping that was taught nothing is nearly straight there: no step to speak of.
            if float(offset.norm()) > float(networks.renderer_scale.mean()):
                torch.save(offset, run / OFFSET)
    if networks.landmarks is not None:
        torch.save(networks.landmarks.state_dict(), run / LANDMARKS)
