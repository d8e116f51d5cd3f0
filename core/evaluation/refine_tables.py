"""What a comparison of refinements came to: per method the mean of every figure, the aims, and both as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.evaluation.tables import Row, Spread, cell, grid, share, spreads

if TYPE_CHECKING:
    from core.evaluation.refine import Settings

__all__ = ["ENCODER", "EQUAL_PTI", "aims", "summarise", "table"]

ENCODER, EQUAL_PTI = "encoder", "pti-equal"
"""Before any refinement; and PTI with as many passes as ``best`` took."""
FIGURES = (
    *("mae", "ssim", "psnr", "perceptual", "identity_distance", "novel_identity"),
    *("reprojection", "pose", "shape_drift", "seconds", "passes"),
)
ENDS = ("mae", "ssim", "psnr", "identity_distance", "novel_identity", "reprojection", "shape_drift")
"""Of the last point of a curve: what a method came to before the program looked at it."""
SHOWN_FIGURES = ("shown_mae", "shown_ssim", "shown_psnr", "shown_identity_distance", "shown_identity_yaw35")
NOISE = 0.01
"""Rise of the identity distance at the photo that does not count."""


def summarise(rows: dict[str, dict[str, Row]], stamp: str, settings: Settings) -> dict[str, Any]:
    """Figures per method over the photos that worked, and the aims."""
    methods: dict[str, Any] = {}
    for method in settings.methods:
        good = [row[method] for row in rows.values() if "error" not in row[method]]
        methods[method] = {
            "figures": spreads(good, (*FIGURES, *SHOWN_FIGURES, "smile_identity")),
            "smile_raised": share(row["smile_raised"] for row in good if "smile_raised" in row),
            "ends": spreads([row["curve"][-1] for row in good if row.get("curve")], ENDS),
            "taken_back": sum(row.get("share", 1.0) < 1.0 for row in good),
        }
    failed = {
        f"{photo} {method}": row["error"]
        for photo, found in rows.items()
        for method, row in found.items()
        if "error" in row
    }
    return {
        "suite": "refine",
        "weights": stamp,
        "settings": asdict(settings),
        "photos": len(rows),
        "failed": failed,
        "methods": methods,
        "aims": aims(rows),
        "notes": [],
    }


def aims(rows: dict[str, dict[str, Row]]) -> dict[str, Any]:
    """How the refinements stand against what they should reach, as numbers; what was not run is left out."""

    def pairs(one: str, other: str) -> list[tuple[Row, Row]]:
        both = [(row.get(one, {"error": 1}), row.get(other, {"error": 1})) for row in rows.values()]
        return [(a, b) for a, b in both if "error" not in a and "error" not in b]

    found: dict[str, Any] = {}
    ours = {method for row in rows.values() for method in row if method.split("+")[-1] in ("fast", "best")}
    for method in sorted(ours, key=lambda name: (name.split("+")[-1] == "best", name)):
        if couples := pairs(ENCODER, method):
            found |= {
                f"{method}: mae / before": _mean(b["mae"] / a["mae"] for a, b in couples),
                f"{method}: mae": _mean(b["mae"] for _, b in couples),
                f"{method}: photos whose identity rose by over {NOISE}": sum(
                    b["identity_distance"] > a["identity_distance"] + NOISE for a, b in couples
                ),
                f"{method}: novel identity / before": _mean(
                    b["novel_identity"] / a["novel_identity"] for a, b in couples
                ),
                f"{method}: shape drift": _mean(b["shape_drift"] for _, b in couples),
                f"{method}: shown mae, change": _mean(b["shown_mae"] - a["shown_mae"] for a, b in couples),
            }
    if couples := pairs("best", EQUAL_PTI):
        found["best: share of photos ahead of PTI at equal passes in novel identity"] = _mean(
            float(a["novel_identity"] < b["novel_identity"]) for a, b in couples
        )
        if raw := [(a, b["curve"][-1]) for a, b in couples if b.get("curve")]:
            found["best: the same, nothing of PTI taken back"] = _mean(
                float(a["novel_identity"] < b["novel_identity"]) for a, b in raw
            )
    return found


def _mean(values: Any) -> float:
    numbers = list(values)
    return float(sum(numbers) / len(numbers))


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown; ± is the standard deviation, brackets the 95 % confidence interval of the mean."""
    methods: dict[str, Any] = summary["methods"]

    def row(method: str, names: Sequence[str]) -> list[str]:
        figures: dict[str, Spread] = methods[method]["figures"]
        return [method, *(_interval(figures.get(name)) for name in names)]

    smiles = [
        [name, cell(found["smile_raised"]), _interval(found["figures"].get("smile_identity"))]
        for name, found in methods.items()
    ]
    lines = [
        f"{summary['weights']}: {summary['photos']} photos. By the generator's own colours, over the head:",
        "",
        *grid(("method", *FIGURES), [row(method, FIGURES) for method in methods]),
        "",
        "At the end of each schedule, before steps that made the shown picture worse were taken back:",
        "",
        *grid(
            ("method", *ENDS, "photos taken back"),
            [
                [name, *(cell(found["ends"].get(one)) for one in ENDS), str(found["taken_back"])]
                for name, found in methods.items()
                if found["ends"]
            ],
        ),
        "",
        "With the photo's own colours, as a person sees it:",
        "",
        *grid(
            ("method", "mae", "ssim", "psnr", "identity", "identity ±.35"),
            [row(method, SHOWN_FIGURES) for method in methods],
        ),
        "",
        *grid(("method", "Smile +1 raises the smile", "identity moved by it"), smiles),
        "",
        *grid(("aim", "found"), [(name, f"{value:.3f}") for name, value in summary["aims"].items()]),
    ]
    remarks = [*summary["notes"], *(f"{name}: {e['message']}" for name, e in summary["failed"].items())]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in remarks)]).rstrip()


def _interval(value: Spread | None) -> str:
    if value is None:
        return "–"
    half = 1.96 * value["std"] / math.sqrt(value["n"])
    return f"{cell(value)} [{value['mean'] - half:.3f}, {value['mean'] + half:.3f}]"
