"""Series of files of many heads: made by worker processes, one file at a time; finished files are kept."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

from core.job import Job

Task = tuple[str, int, int]
"""A file, its first head, and how many it holds."""


def write_series(
    out: Path,
    name: str,
    heads: range,
    each: int,
    workers: int,
    start: Callable[[str], None],
    pack: Path,
    work: Callable[[Task], int],
    job: Job,
) -> None:
    """Write what is missing of a series.

    Args:
        out: Where the files go.
        name: What their names begin with.
        heads: Their indices; the first is a multiple of ``each``.
        each: Heads a file; the last may hold fewer.
        workers: Processes.
        start: Called once in each of them, with the pack's path.
        pack: The pack file.
        work: Writes one file and returns how many heads it holds.
        job: Progress and cancel.
    """
    out.mkdir(parents=True, exist_ok=True)
    tasks: list[Task] = []
    for first in heads[::each]:
        path = out / f"{name}_{first:07d}.npz"
        if not path.exists():
            tasks.append((str(path), first, min(each, heads.stop - first)))
    if not tasks:
        return
    done, total = 0, sum(task[2] for task in tasks)
    with multiprocessing.get_context("spawn").Pool(min(workers, len(tasks)), start, (str(pack),)) as pool:
        for written in pool.imap_unordered(work, tasks):
            done += written
            job.report(done / total, f"{done} of {total} heads")
