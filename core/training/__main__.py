"""``python -m core.training STAGE …``: one step of training (the same as ``python -m core train STAGE``).

Stages train; ``directions`` measures the attribute directions of a trained field; ``bundle`` makes weights of a
run folder.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

import torch

from core.errors import CameoError
from core.job import Job
from core.models.bundle import read_networks
from core.models.configuration import CAMEO_256, TOY_256
from core.training.bundle import (
    RENEWABLE,
    STEP_LABELS,
    answer_anew,
    collect,
    publish,
    publish_auricles,
    publish_directions,
    publish_parser,
    publish_spectacles,
    renewed,
    teach,
    train_landmarks,
    trained_generator,
)
from core.training.data import RealPortraits
from core.training.directions import SAMPLES, find_directions
from core.training.portrait_heads import PortraitHeads, read_portraits
from core.training.stages import STAGES, run_stage
from core.training.workshop import StageOptions
from core.weights import Registry

TOLD = 0.05  # smaller shares of a step are not worth a line
MODELS = {model.name: model for model in (CAMEO_256, TOY_256)}


def parser() -> argparse.ArgumentParser:
    """The options of every stage, of directions and of bundle."""
    parser = argparse.ArgumentParser(prog="python -m core train", description="Train cameo-256, one stage a command.")
    commands = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--run", type=Path, default=Path("runs/cameo"), help="run folder (default %(default)s)")
    common.add_argument("--model", choices=sorted(MODELS), default=CAMEO_256.name, help="default %(default)s")
    common.add_argument("--landmarks", type=Path, default=StageOptions.landmarks, help="the world's landmark vertices")
    for stage in STAGES:
        _stage_options(commands.add_parser(stage, parents=[common], help=f"train {stage}; goes on where it stopped"))
    samples = argparse.ArgumentParser(add_help=False)
    samples.add_argument("--samples", type=int, default=SAMPLES, help="labelled heads for directions (%(default)s)")
    directions = commands.add_parser(
        "directions", parents=[common, samples], help="how well the attribute directions separate"
    )
    directions.add_argument("--weights", metavar="NAME", help="of these weights instead, and write theirs anew")
    directions.add_argument("--out", type=Path, default=Path("weights"), help="their folder (default %(default)s)")
    lesson = commands.add_parser("teach", parents=[common], help="give a yes-or-no label an offset of its own in w")
    lesson.add_argument("label", choices=sorted(STEP_LABELS))
    marks = commands.add_parser("landmarks", parents=[common], help="fit the landmark network on many heads")
    marks.add_argument("--data", type=Path, default=Path("runs/world/landmarks"), help="(default %(default)s)")
    marks.add_argument("--steps", type=int, default=6000, help="of Adam (default %(default)s)")
    answers = commands.add_parser("answers", parents=[common], help="the reader's last layer, in closed form")
    answers.add_argument(
        "--snapshots", type=Path, default=StageOptions.snapshots, help="what it is found from (default %(default)s)"
    )
    answers.add_argument("--portraits", type=Path, help="what core.alignment.prepare made; read once a run folder")
    answers.add_argument("--weights", metavar="NAME", help="that portraits are read with (default: the model's)")
    ears = commands.add_parser("ears", parents=[common], help="where heads of these weights have their ears")
    ears.add_argument("--weights", metavar="NAME", default=CAMEO_256.name, help="default %(default)s")
    ears.add_argument("--pack", type=Path, default=Path("runs/world/pack.npz"), help="the world's meshes (%(default)s)")
    ears.add_argument("--heads", type=int, default=12_000, help="that are looked at (default %(default)s)")
    ears.add_argument("--out", type=Path, default=Path("weights"), help="weights folder (default %(default)s)")
    glasses = commands.add_parser("spectacles", parents=[common], help="which edges around the eyes are glasses")
    glasses.add_argument("--weights", metavar="NAME", default=CAMEO_256.name, help="default %(default)s")
    glasses.add_argument(
        "--portraits",
        type=Path,
        default=Path("runs/portraits.npz"),
        help="what core.alignment.prepare made (%(default)s)",
    )
    glasses.add_argument("--out", type=Path, default=Path("weights"), help="weights folder (default %(default)s)")
    bundle = commands.add_parser("bundle", parents=[common, samples], help="make weights of the run folder")
    bundle.add_argument("--out", type=Path, default=Path("weights"), help="weights folder (default %(default)s)")
    bundle.add_argument("--name", help="name of the entry (default: the model's)")
    bundle.add_argument(
        "--only",
        choices=RENEWABLE,
        help="of the entry that is there renew this alone; all else stays",
    )
    bundle.add_argument("--share", type=float, default=1.0, help="of a practised field; the rest is the old one (1)")
    return parser


def _stage_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("--world", type=Path, default=Path("runs/world/shards"), help="world shards (%(default)s)")
    stage.add_argument("--minutes", type=float, default=20.0, help="budget over all resumed parts (%(default)s)")
    stage.add_argument("--steps", type=int, help="budget in steps, in place of minutes")
    stage.add_argument("--portraits", type=Path, help="folder of photos, or what core.alignment.prepare made of it")
    stage.add_argument("--vgg", type=Path, help="VGG16 convolutions (npz) for the perceptual losses")
    stage.add_argument(
        "--snapshots", type=Path, default=StageOptions.snapshots, help="for the reader (default %(default)s)"
    )
    stage.add_argument("--glances", type=Path, default=StageOptions.glances, help="for practice (default %(default)s)")
    stage.add_argument("--device", default=StageOptions.device, help="default %(default)s")
    stage.add_argument("--heads", type=int, help="use at most this many heads")
    stage.add_argument("--batch", type=int, help="pictures a step")
    stage.add_argument("--learning-rate", type=float)
    stage.add_argument("--max-steps", type=int, help="stop there, wherever the budget is")
    stage.add_argument("--accumulate", type=int, help="batches whose gradients are averaged before each step (1)")
    stage.add_argument("--seed", type=int, default=0)
    stage.add_argument("--settled", action="store_true", help="losses that join late are there from the start")
    stage.add_argument(
        "--without", nargs="+", default=(), metavar="LOSS", help="losses of E0 that are left out: rows of the ablation"
    )
    stage.add_argument("--eager", dest="compiled", action="store_false", help="do not compile")


def main(arguments: list[str] | None = None) -> int:
    """Run one step; returns the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("core").setLevel(logging.INFO)  # also under a command line that shows warnings only
    options.model = MODELS[options.model]
    try:
        _run(options)
    except CameoError as error:
        print(f"{error} {error.hint}".rstrip(), file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.stage in STAGES:
        values = vars(options)
        values["without"] = tuple(values["without"])
        run_stage(values.pop("stage"), StageOptions(**values), Job.quiet())
    elif options.stage == "teach":
        offset = teach(options.run, options.label, model=options.model)
        print(f"{options.label}: an offset of norm {float(offset.norm()):.2f}")
    elif options.stage == "landmarks":
        off, mean = train_landmarks(options.run, options.data, model=options.model, steps=options.steps)
        print(f"landmarks of unseen heads: {1000 * off:.2f} thousandths off, the mean head's {1000 * mean:.2f}")
    elif options.stage == "answers":
        heads = _portrait_heads(options) if options.portraits else None
        answer_anew(options.run, options.snapshots, Job.quiet(), model=options.model, portraits=heads)
    elif options.stage == "directions":
        _directions(options)
    elif options.stage == "ears":
        networks = read_networks(Registry(options.out).locate(options.weights).values())
        off = publish_auricles(networks, options.out, options.pack, options.heads, options.weights)
        print(f"ears of unseen heads: {1000 * off:.2f} thousandths off")
    elif options.stage == "spectacles":
        networks = read_networks(Registry(options.out).locate(options.weights).values())
        trial = publish_spectacles(networks, options.out, options.portraits, options.weights)
        print(
            f"glasses: found on {100 * trial.found:.0f} %, wrongly on {trial.wrong}; pairs in order {trial.ordered:.4f}"
        )
    elif options.only:
        name = options.name or options.model.name
        networks = read_networks(Registry(options.out).locate(name).values())
        renew = publish_parser if options.only == "parser" else publish
        print(renew(renewed(networks, options.run, options.only, options.share), options.out, name))
    else:
        networks = collect(options.run, options.landmarks, model=options.model, samples=options.samples)
        print(publish(networks, options.out, options.name or options.model.name))


def _portrait_heads(options: argparse.Namespace) -> PortraitHeads:
    path = options.run / "portrait_heads.npz"
    if not path.exists():
        networks = read_networks(Registry().locate(options.weights or options.model.name).values())
        portraits = RealPortraits.load(options.portraits, torch.device("cpu"))
        read_portraits(networks.ready(torch.device("cpu")), portraits, Job.quiet()).write(path)
    return PortraitHeads.load(path)


def _directions(options: argparse.Namespace) -> None:
    networks = None
    if options.weights:
        networks = read_networks(Registry(options.out).locate(options.weights).values())
    generator = trained_generator(options.run, options.model) if networks is None else networks.generator
    everything = find_directions(generator, options.samples)
    for name, found in everything.items():
        leaks = ", ".join(f"{other} {value:+.2f}" for other, value in found.leakage.items() if abs(value) > TOLD)
        others = leaks.replace(f"{name} +1.00", "itself")
        print(f"{name}: accuracy {found.accuracy[0]:.3f} and {found.accuracy[1]:.3f}; one step moves {others}")
    if networks is not None:
        networks = replace(networks, directions={name: found.direction for name, found in everything.items()})
        print(publish_directions(networks, options.out, options.weights))


if __name__ == "__main__":
    raise SystemExit(main())
