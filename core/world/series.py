"""Series of files of many heads: made by worker processes, one file at a time; finished files are kept."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.job import Job

Task = tuple[str, int, int]
"""A file, its first head, and how many it holds."""


@dataclass(frozen=True)
class Series:
    """How one kind of file is made."""

    name: str
    """What their names begin with."""
    each: int
    """Heads a file; the last may hold fewer."""
    start: Callable[[str], None]
    """Called once in each process, with the pack's path."""
    work: Callable[[Task], int]
    """Writes one file and returns how many heads it holds."""

    def generate(self, out: Path, first: int, count: int, workers: int, pack: Path, job: Job) -> None:
        """Write what is missing of heads first .. first + count - 1.

        Args:
            out: Where the files go.
            first: Index of the first head, a multiple of ``each``.
            count: How many heads.
            workers: Processes.
            pack: The pack file.
            job: Progress and cancel.
        """
        out.mkdir(parents=True, exist_ok=True)
        tasks: list[Task] = []
        for start in range(first, first + count, self.each):
            path = out / f"{self.name}_{start:07d}.npz"
            if not path.exists():
                tasks.append((str(path), start, min(self.each, first + count - start)))
        if not tasks:
            return
        done, total = 0, sum(task[2] for task in tasks)
        with multiprocessing.get_context("spawn").Pool(min(workers, len(tasks)), self.start, (str(pack),)) as pool:
            for written in pool.imap_unordered(self.work, tasks):
                done += written
                job.report(done / total, f"{done} of {total} heads")
