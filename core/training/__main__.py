"""``python -m core.training STAGE …``: one training stage (the same as ``python -m core train STAGE``)."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from core.job import Job
from core.training.stages import STAGES, StageOptions, run_stage


def parser() -> argparse.ArgumentParser:
    """The options of every stage."""
    parser = argparse.ArgumentParser(prog="python -m core train", description="Train one stage of cameo-256.")
    parser.add_argument("stage", choices=sorted(STAGES))
    parser.add_argument("--world", type=Path, default=Path("runs/world/shards"), help="folder of world shards")
    parser.add_argument("--run", type=Path, default=Path("runs/cameo"), help="run folder; a run there is resumed")
    parser.add_argument("--minutes", type=float, default=20.0, help="budget over all resumed parts")
    parser.add_argument("--portraits", type=Path, help="aligned portraits (python -m core.alignment.prepare)")
    parser.add_argument("--vgg", type=Path, help="VGG16 convolutions (npz) for the perceptual losses")
    parser.add_argument("--device", default=StageOptions.device)
    parser.add_argument("--heads", type=int, help="use at most this many heads")
    parser.add_argument("--batch", type=int, help="pictures a step")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--eager", dest="compiled", action="store_false", help="do not compile")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = vars(parser().parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    stage = options.pop("stage")
    run_stage(stage, StageOptions(**options), Job.quiet())


if __name__ == "__main__":
    main()
