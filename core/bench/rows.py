"""Rows of the benchmark: what was measured, and what it must reach.

A row is a flat dictionary that goes into the JSON as it is: ``name``, ``fast_ms``, and whatever belongs to it. What it
must reach stands in it as ``must``, so that a table needs no second list. Knows nothing of torch, so that the window's
half may use it too.
"""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Row", "broken", "machine", "row", "table", "written"]

Row = dict[str, Any]

_COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


def row(name: str, fast_ms: float | None, must: Mapping[str, tuple[str, float]] | None = None, **more: object) -> Row:
    """A row.

    Args:
        name: What was measured.
        fast_ms: Milliseconds of the program's own way; None where a row is not about time.
        must: Key of the row -> ("<=", "==" or ">=", bound).
        more: Everything else, such as slow_ms, ratio, psnr_db, peak_rss_mb.
    """
    return {"name": name, "fast_ms": fast_ms, **more, "must": {key: list(bound) for key, bound in (must or {}).items()}}


def broken(one: Row) -> list[str]:
    """The bounds that a row breaks, as sentences; a bound on something that was not measured is broken."""
    sentences = []
    for key, (sign, bound) in one["must"].items():
        value = one.get(key)
        if value is None or not _COMPARE[sign](value, bound):
            sentences.append(f"{key} {_short(value)} is not {sign} {_short(bound)}")
    return sentences


def table(rows: Iterable[Row]) -> str:
    """The rows as text, one a line: whether the bounds hold, the name, the numbers, the bounds."""
    lines = []
    for one in rows:
        sentences = broken(one)
        bounds = ", ".join(f"{key} {sign} {_short(bound)}" for key, (sign, bound) in one["must"].items())
        facts = ", ".join(
            f"{key} {_short(value)}"
            for key, value in one.items()
            if key not in ("name", "must", "note") and value is not None
        )
        state = "BROKEN" if sentences else "ok    " if bounds else "      "
        lines.append(f"{state} {one['name']:26s} {facts}" + (f"   [{bounds}]" if bounds else ""))
    return "\n".join(lines)


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def machine() -> dict[str, object]:
    """What the numbers were taken on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name and which of the instructions that matter here it has."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return platform.processor() or platform.machine()
    text = listing.read_text(encoding="utf-8", errors="replace")
    facts = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()]
    return " ".join([facts.get("model name", platform.machine()), *flags])


def written(rows: list[Row], threads: int, path: Path) -> None:
    """The JSON file: rows, machine, threads."""
    document = {"rows": rows, "machine": machine(), "threads": threads}
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)
