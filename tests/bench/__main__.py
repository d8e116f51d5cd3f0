"""Measures everything and merges the rows into one JSON file, at ``BENCH_OUT`` (default ``bench.json``).

The library's rows come from ``python -m core bench --json``, those of the window and of the command line from this
package; each part runs in a process of its own, one after the other, on an otherwise idle machine. ``--quick`` does
everything once and small, to see that it runs. ``--only PART`` (core, window, command_line) leaves the others out. The
exit code is 1 when a bound is broken, unless it was quick.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from core.bench.rows import Row, broken, table, written
from tests.bench import command_line, window

ROOT = Path(__file__).parents[2]


def core_rows(quick: bool) -> tuple[list[Row], int]:
    """The library's rows, and the threads that it used."""
    command = [sys.executable, "-m", "core", "bench", "--json", *(["--quick"] if quick else [])]
    result = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    document = json.loads(result.stdout)
    return document["rows"], document["threads"]


def main(arguments: list[str]) -> int:
    """Measure everything.

    Returns:
        0 when every bound holds, 1 otherwise.
    """
    if "--in-the-window" in arguments:  # the child of window.rows
        window.child(quick="--quick" in arguments)
        return 0
    quick = "--quick" in arguments
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments else None
    rows: list[Row] = []
    threads = os.cpu_count() or 1
    if only in (None, "core"):
        found, threads = core_rows(quick)
        rows += found
    if only in (None, "window"):
        rows += window.rows(quick)
    if only in (None, "command_line"):
        rows += command_line.rows()
    print(table(rows))
    written(rows, threads, Path(os.environ.get("BENCH_OUT", ROOT / "bench.json")))
    return int(not quick and any(broken(one) for one in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
