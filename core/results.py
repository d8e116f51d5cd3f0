"""The folder of one photo's results: what is ours in it, and how new results take the place of old ones.

All files are made in a hidden folder beside the target and moved over at the end, the report last, so that a folder
with a report is complete. What an earlier report names is ours and is replaced; anything else is somebody's and is
never touched. Needs no torch, so that a bad photo can be reported at once.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import CameoError, ExportFailed

logger = logging.getLogger(__name__)

REPORT = "report.json"


def folder_names(photos: Sequence[Path]) -> list[str]:
    """A folder name for each photo: its stem; the extension is appended when the stem is taken, then a number."""
    taken: set[str] = set()
    names = []
    for photo in photos:
        tries = [photo.stem or photo.name, photo.name, *(f"{photo.name}-{number}" for number in range(2, 10_000))]
        # File systems may not tell upper from lower case.
        name = next(name for name in tries if name.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def report_failure(device: str, weights: str, error: CameoError, folder: Path) -> dict[str, Any]:
    """The report of a photo that failed, written where its results would have been, if that is possible.

    Earlier results of ours are taken away: beside this report they would be mistaken for results of this run.
    """
    report: dict[str, Any] = {
        "weights": weights,
        "device": device,
        "warnings": [],
        "files": {},
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint},
    }
    try:
        refuse_foreign(folder, [])
        with workshop(folder) as place:
            move_results(place, folder, report)
    except ExportFailed as reason:
        logger.info("no report for %s: %s", folder, reason)
    return report


def _own_files(folder: Path) -> set[str]:
    """Names in the folder that an earlier report of ours lays claim to; empty without such a report."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    if not isinstance(report, dict) or not {"weights", "device", "files"} <= report.keys():
        return set()
    files = report["files"]
    names = [name for name in files.values() if isinstance(name, str)] if isinstance(files, dict) else []
    return {name for name in names if Path(name).name == name} | {REPORT}


def refuse_foreign(folder: Path, names: Sequence[str]) -> None:
    """Raise ExportFailed if writing these names would replace something that is not ours."""
    if folder.exists() and not folder.is_dir():
        raise ExportFailed(f"{folder} is in the way: it is not a folder.", hint="Choose another folder with --out.")
    own = _own_files(folder)
    for name in (*names, REPORT):
        if name not in own and (folder / name).exists():
            raise ExportFailed(
                f"{folder / name} exists and was not made by an earlier run.",
                hint="Move it away, or choose another folder with --out.",
            )


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the target; it is gone afterwards, whatever happens."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    except OSError as error:
        raise ExportFailed(
            f"{folder.parent} cannot be written to: {error.strerror or error}.",
            hint="Choose another folder with --out.",
        ) from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def move_results(place: Path, folder: Path, report: dict[str, Any]) -> None:
    """Put finished files into their folder; the report goes last and says that all of them are there."""
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (place / REPORT).write_text(text, encoding="utf-8")
    old = _own_files(folder)
    new = [*report["files"].values(), REPORT]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in new:
            (place / name).replace(folder / name)
        for name in old - set(new):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise ExportFailed(
            f"{folder} could not be written: {error.strerror or error}.", hint="Choose another folder with --out."
        ) from error
