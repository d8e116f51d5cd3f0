"""A run's losses as a picture: one small panel a loss, over steps, with its running median."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

COLUMNS = 4
WINDOW = 9
"""Rows of the log whose median is drawn as a line over the single points."""


def read_log(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Values by name as (step, value), in the order of the log; a line that a crash cut off is left out."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        for name, value in row.items():
            if name not in ("step", "seconds") and math.isfinite(value):
                curves.setdefault(name, []).append((row["step"], value))
    return curves


def draw_curves(log: Path, picture: Path) -> None:
    """Draws a stage's log (``STAGE.jsonl``) as a PNG; nothing is drawn of an empty one."""
    # Slow to import, and only whoever trains needs it. No pyplot: that would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = read_log(log)
    if not curves:
        return
    rows = math.ceil(len(curves) / COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        step, value = np.array(points).T
        axes.plot(step, value, ".", markersize=3, alpha=0.35)
        half = WINDOW // 2
        smooth = [float(np.median(value[max(0, i - half) : i + half + 1])) for i in range(len(value))]
        axes.plot(step, smooth, linewidth=1.5)
        axes.set_title(f"{name}: {smooth[-1]:.4g}", fontsize=9)
        axes.tick_params(labelsize=7)
        if value.min() > 0 and value.max() > 30 * value.min():
            axes.set_yscale("log")
    partial = picture.with_suffix(".partial.png")
    figure.savefig(partial, dpi=90)
    partial.replace(picture)
