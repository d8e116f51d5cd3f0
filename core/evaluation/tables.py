"""What every suite of evaluation shares: rows that survive an interruption, and tables of mean ± std with n.

A row holds the figures of one photo, head or person. It is kept on disk as soon as it is there, under a stamp of what
made it (weights by hash, settings); a row of another stamp is never mixed in, so new weights start anew by themselves.
Refuses to know what the figures mean.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.export import write_bytes
from core.weights import Registry

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Spread = dict[str, float]


def weights_stamp(registry: Registry, weights: str) -> str:
    """Name and hash of some weights: retrained weights of the same name are other weights.

    Raises:
        WeightsMissing: There are none of that name.
    """
    digests = [file.sha256 for _, file in sorted(registry.entry(weights).files.items())]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return f"{weights}@{whole[:12]}"


class Kept:
    """Rows of one run on disk, one file a row.

    Args:
        folder: Where they are; made when the first row is kept.
        stamp: What made them; JSON values only.
    """

    def __init__(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        self.folder = folder
        self._stamp = json.loads(json.dumps(dict(stamp)))

    def path(self, key: str, suffix: str = ".json") -> Path:
        """Where a row, or a picture that belongs to it, lies."""
        return self.folder / f"{key}{suffix}"

    def get(self, key: str) -> Row | None:
        """The row of an earlier run with the same stamp, or None."""
        try:
            document = json.loads(self.path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(document, dict) or document.get("stamp") != self._stamp:
            return None
        row = document.get("row")
        return row if isinstance(row, dict) else None

    def put(self, key: str, row: Row) -> None:
        """Keep a row.

        Raises:
            ValueError: A figure is not finite.
            ExportFailed: It cannot be written.
        """
        write_json({"stamp": self._stamp, "row": row}, self.path(key))


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write JSON; not-a-numbers are refused.

    Raises:
        ValueError: A figure is not finite.
        ExportFailed: It cannot be written.
    """
    write_bytes(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode(), path)


def write_report(out: Path, summary: Mapping[str, Any], text: str, name: str = "table") -> None:
    """``table.md`` and ``table.json`` of a suite.

    Raises:
        ExportFailed: They cannot be written.
    """
    write_bytes((text.rstrip() + "\n").encode(), out / f"{name}.md")
    write_json(summary, out / f"{name}.json")


def spread(values: Iterable[float]) -> Spread | None:
    """Mean, sample standard deviation and count; None without values."""
    numbers = [float(value) for value in values]
    if not numbers:
        return None
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return {"mean": statistics.fmean(numbers), "std": deviation, "n": len(numbers)}


def spreads(rows: Iterable[Row], names: Sequence[str]) -> dict[str, Spread]:
    """Mean ± std of every figure over the rows that have it; a figure may be a number or a list of numbers."""
    found: dict[str, Spread] = {}
    listed = list(rows)
    for name in names:
        values: list[float] = []
        for row in listed:
            value = row.get(name)
            values += value if isinstance(value, list) else [] if value is None else [value]
        summary = spread(value for value in values if math.isfinite(value))
        if summary is not None:
            found[name] = summary
    return found


def share(values: Iterable[bool]) -> Spread | None:
    """Share of true values, with n; None without values. Written like a figure, its std is that of a coin."""
    numbers = [float(value) for value in values]
    if not numbers:
        return None
    mean = statistics.fmean(numbers)
    return {"mean": mean, "std": math.sqrt(mean * (1.0 - mean)), "n": len(numbers)}


def cell(value: Spread | None, decimals: int = 3) -> str:
    """``mean ± std``, or a dash."""
    return "–" if value is None else f"{value['mean']:.{decimals}f} ± {value['std']:.{decimals}f}"


def figure_lines(figures: Mapping[str, Spread], decimals: int = 3) -> list[str]:
    """A Markdown table with one figure a line."""
    return grid(
        ("figure", "mean ± std", "n"),
        [(name, cell(value, decimals), str(int(value["n"]))) for name, value in figures.items()],
    )


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Any Markdown table."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


__all__ = [
    "Kept",
    "Row",
    "Spread",
    "cell",
    "figure_lines",
    "grid",
    "share",
    "spread",
    "spreads",
    "weights_stamp",
    "write_json",
    "write_report",
]
