"""How a command talks to a person: sentences, exit codes, a progress bar, Ctrl-C, and options that commands share.

The one place that prints. Nothing heavy is imported before it is needed, so that a bad option or a bad photo is refused
at once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core.edit import LatentEdit
from core.errors import CameoError, InvalidEdit
from core.job import Job
from core.weights import Registry

if TYPE_CHECKING:
    from core.engine import Engine

EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED = 2, 3, 130

Detector = StrEnum("Detector", ["mediapipe", "facexlib"])

WeightsOption = Annotated[str, typer.Option("--weights", help="Name of the weights (see: weights list).")]
DetectorOption = Annotated[Detector, typer.Option("--detector", help="Who looks for faces.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads [default: all cores].")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line a photo and nothing else.")]
FolderOption = Annotated[
    Path | None, typer.Option("--weights-folder", envvar="CAMEO_WEIGHTS", help="Another folder with weights.")
]


def say(text: str) -> None:
    """A line of results."""
    typer.echo(text)


def complain(text: str) -> None:
    """A line for the person, kept out of the results."""
    typer.echo(text, err=True)


def sentence(error: CameoError) -> str:
    """What happened and what to do."""
    return f"{error.message} {error.hint}".strip()


def refuse(error: CameoError, code: int = EXIT_USAGE) -> NoReturn:
    """End the command with an error."""
    complain(f"Error: {sentence(error)}")
    raise typer.Exit(code)


class Interruption:
    """Ctrl-C asks the running job to stop at its next report; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.job: Job | None = None

    def __call__(self, number: int, frame: object) -> None:
        """What the signal calls."""
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.job is None:
            raise KeyboardInterrupt
        self.job.cancel()


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """While this lasts, Ctrl-C goes to a job."""
    interruption = Interruption()
    before = signal.signal(signal.SIGINT, interruption)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress(label: str, *, shown: bool) -> Iterator[Callable[[float, str], None] | None]:
    """A bar on a terminal; nothing in a pipe."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=1.0, stage="")
        yield lambda fraction, stage: bar.update(task, completed=fraction, stage=stage)


class Opener:
    """Opens the engine when the first good photo needs it."""

    def __init__(
        self, weights: str, device: str, threads: int | None, registry: Registry, edit: LatentEdit = LatentEdit.none
    ) -> None:
        self._arguments = (weights, device, threads, registry)
        self._edit = edit
        self.engine: Engine | None = None

    def __call__(self) -> Engine:
        """The engine.

        Raises:
            InvalidEdit: The weights do not offer the edit that was asked for.
            CameoError: The weights cannot be opened.
        """
        if self.engine is None:
            from core.engine import Engine

            engine = Engine.open(*self._arguments)
            offered = {attribute.name for attribute in engine.attributes}
            for name, _ in self._edit.items():
                if name not in offered:
                    raise InvalidEdit(
                        f"The weights {engine.weights_name} cannot edit {name}.",
                        hint=f"They can edit {', '.join(sorted(offered)) or 'nothing'}.",
                    )
            self.engine = engine
        return self.engine


def registry_of(folder: Path | None) -> Registry:
    """The registry of a folder; the program's own by default."""
    return Registry() if folder is None else Registry(folder)
