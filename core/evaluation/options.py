"""What the commands of evaluation share: their options, where results go, how a run is shown and stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import CameoError, Cancelled
from core.job import Job
from core.terminal import EXIT_FAILED, EXIT_INTERRUPTED, complain, interruptible, progress, refuse, say

if TYPE_CHECKING:
    from core.evaluation.people import People
    from core.evaluation.perceptual import Perceptual

app = typer.Typer(no_args_is_help=True, help="Measure a model.")

Split = StrEnum("Split", ["all", "validation"])

PhotosArgument = Annotated[Path, typer.Argument(help="Folder with photos.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many photos.")]
SplitOption = Annotated[Split, typer.Option("--split", help="All photos, or those kept from training for validation.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Few and small: to see that it runs, in CI.")]
VggOption = Annotated[
    Path | None, typer.Option("--vgg", help="VGG16's convolutions (npz) [default: where install-eval puts them].")
]
PackOption = Annotated[Path | None, typer.Option("--pack", help="The world's pack [default: runs/world/pack.npz].")]

PeopleOption = Annotated[int, typer.Option("--people", min=1, help="How many people of the world.")]


RESULTS = Path("runs") / "evaluation"
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for tables and sheets.")]


def _remarks(perceptual: Perceptual | None) -> list[str]:
    from core.evaluation.perceptual import ABSENT

    return [] if perceptual is not None else [ABSENT]


@contextmanager
def _running(label: str, out: Path, as_json: bool) -> Iterator[Job]:
    """A job with a bar and Ctrl-C; its errors end the command with a sentence."""
    with interruptible() as interruption, progress(label, shown=not as_json) as show:
        job = interruption.job = Job("Evaluating", on_report=show)
        try:
            yield job
        except Cancelled:
            complain(f"Interrupted; the same command goes on from {out}.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except CameoError as error:
            refuse(error, EXIT_FAILED)


def _show(summary: dict[str, Any], table: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    say(json.dumps(summary, ensure_ascii=False) if as_json else table(summary))


def _perceptual(named: Path | None) -> Perceptual | None:
    """VGG16 if it is at hand; a file that was named must be there."""
    from core.evaluation.perceptual import ABSENT, Perceptual, vgg_file

    path = vgg_file(named)
    if path is None:
        if named is not None:
            refuse(CameoError(f"There is no file {named}.", hint="Leave out --vgg, or name VGG16's convolutions."))
        complain(ABSENT)
        return None
    return Perceptual(path)


def _people(pack: Path | None, stream: int = 0, *, needed: bool = False) -> People | None:
    """The world if it can be drawn here; without it a suite that can do so goes on and says what is left out."""
    try:
        from core.evaluation.people import PACK, People

        return People(pack or PACK, stream)
    except (CameoError, ImportError) as error:
        problem = (
            error
            if isinstance(error, CameoError)
            else CameoError("The package moderngl is not there, so no people can be drawn.", hint="Run `make install`.")
        )
        if needed or pack is not None:
            refuse(problem, EXIT_FAILED)
        complain(f"{problem.message} {problem.hint} What needs them is left out.")
        return None
