"""From scores of edited heads to what one wants to know of a slider: success, identity, leakage, limits.

Pure numbers in, numbers and Markdown out; knows neither pictures nor networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.edit import Attribute
from core.evaluation.tables import Row, Spread, cell, grid, share, spread

if TYPE_CHECKING:
    from core.evaluation.probes import Probes

# Which score judges an attribute, the most independent first, and which way it goes for plus. A corner of the mouth
# is no smile, but where no network is at hand it goes the same way.
JUDGES: dict[str, tuple[str, ...]] = {
    "Smile": ("happy", "corner_lift", "world Smile"),
    "Mouth open": ("lip_gap", "world Mouth open"),
    "Eyes open": ("eye_opening", "world Eyes open"),
    "Brows": ("world Brows",),
    "Age": ("age", "world Age"),
    "Gender": ("male", "world Gender"),
    "Weight": ("jaw_width", "world Weight"),
    "Skin tone": ("cheek_darkness", "world Skin tone"),
    "Hair length": ("world Hair length",),
    "Hair colour": ("world Hair colour",),
    "Bangs": ("world Bangs",),
    "Beard": ("world Beard",),
    "Eyeglasses": ("world Eyeglasses",),
}
IDENTITY_LIMIT = 0.6
"""Beyond this an edited head is another person."""
LARGEST_STRAY = 0.004
"""Share of the head's pixels that may come off by an edit; more is seen as something that floats beside the head."""
HOLDS = 0.9
"""Share of photos that must stand a strength for it to be within the limits."""
MOVES = 0.1
"""Standard deviations of people below which an attribute does not move its own score."""
ENOUGH = 8
"""Photos from which on their own spread is the unit of networks and landmarks; below it a usual spread stands in."""
# What one standard deviation of a score is among people, where too few photos say so (60 portraits of photos-train).
USUAL = {"happy": 10.0, "age": 9.0, "male": 2.6, "corner_lift": 0.05, "lip_gap": 0.06, "eye_opening": 0.025,
         "jaw_width": 0.1, "cheek_darkness": 0.08}  # fmt: skip


def summarise(
    rows: Mapping[str, Row],
    stamp: str,
    attributes: Sequence[Attribute],
    strengths: Sequence[float],
    probes: Probes | None,
    truth: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Everything the table says.

    Args:
        rows: Photo -> its row: ``unedited`` and every ``NAME STRENGTH`` with ``scores``, ``face``, ``whole`` and, of
            edits, ``identity``.
        stamp: Name and hash of the weights.
        attributes: What was edited.
        strengths: What was tried to both sides.
        probes: Where "world" scores come from.
        truth: What true changes of the world move, attribute -> score -> mean change.
    """
    good = [row for row in rows.values() if "error" not in row]
    units = _units(good, probes)
    names = [attribute.name for attribute in attributes]
    judged = {name: next((judge for judge in JUDGES.get(name, ()) if judge in units), None) for name in names}
    return {
        "suite": "edits",
        "weights": stamp,
        "photos": len(rows),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
        "judges": judged,
        "units": units,
        "explained": {} if probes is None else probes.explained,
        "success": {
            f"{name} {sign:+g}": _success(good, name, sign)
            for name in names
            for sign in (-1.0, 1.0)
            if any(f"{name} {sign:+g}" in row for row in good)
        },
        "leakage": {name: _leakage(good, name, judged, units) for name in names},
        "truth": {
            name: {other: _in_units(changes, judge, units) for other, judge in judged.items()}
            for name, changes in (truth or {}).items()
            if name in judged
        },
        "limits": {attribute.name: _limits(good, attribute, strengths) for attribute in attributes},
    }


def _units(rows: Sequence[Row], probes: Probes | None) -> dict[str, float]:
    """What counts as one of each score: its spread among unedited people."""
    found: dict[str, float] = {}
    for score in sorted({name for row in rows for name in row["unedited"]["scores"]}):
        values = [row["unedited"]["scores"][score] for row in rows if score in row["unedited"]["scores"]]
        usual = USUAL.get(score)
        if probes is not None and score.startswith("world "):
            # They know changes, not levels: their unit is the label's own.
            found[score] = probes.spread[score.removeprefix("world ")]
            continue
        found[score] = usual if len(values) < ENOUGH and usual else float(np.std(values)) or usual or 1.0
    return found


def _change(row: Row, key: str, score: str) -> float | None:
    before, after = row["unedited"]["scores"].get(score), row.get(key, {}).get("scores", {}).get(score)
    return None if before is None or after is None else float(after - before)


def _success(rows: Sequence[Row], name: str, sign: float) -> dict[str, Any]:
    """Shares of photos whose score moved the right way, by every judge of an attribute; and identity."""
    key = f"{name} {sign:+g}"
    by_judge: dict[str, Any] = {}
    for judge in JUDGES.get(name, ()):
        changes = [change for row in rows if (change := _change(row, key, judge)) is not None]
        if changes:
            moved = share(change * sign > 0.0 for change in changes)
            by_judge[judge] = {"share": moved, "change": spread(changes)}
    edits = [row[key] for row in rows if key in row]
    return {
        "judges": by_judge,
        "identity": spread(edit["identity"] for edit in edits),
        "same_person": share(edit["identity"] < IDENTITY_LIMIT for edit in edits),
    }


def _leakage(
    rows: Sequence[Row], name: str, judged: Mapping[str, str | None], units: Mapping[str, float]
) -> dict[str, float | None]:
    """Mean change of every attribute's score by one unit of this one, in standard deviations of people."""
    key = f"{name} +1"

    def moved(score: str | None) -> float | None:
        changes = [] if score is None else [c for row in rows if (c := _change(row, key, score)) is not None]
        return float(np.mean(changes)) / units[str(score)] if changes else None

    return {other: moved(score) for other, score in judged.items()}


def _in_units(changes: Mapping[str, float], score: str | None, units: Mapping[str, float]) -> float | None:
    return changes[score] / units[score] if score is not None and score in changes else None


def _limits(rows: Sequence[Row], attribute: Attribute, strengths: Sequence[float]) -> dict[str, Any]:
    """How far to either side nine of ten photos stay the same person, and a head in one piece with a face."""
    found: dict[str, Any] = {}
    for side, sign in (("low", -1.0), ("high", 1.0)):
        end = attribute.low if sign < 0 else attribute.high
        reached, reason = 0.0, "the slider ends" if max(strengths) >= abs(end) else "nothing stronger was tried"
        for strength in sorted(strengths):
            key = f"{attribute.name} {sign * strength:+g}"
            edits = [row[key] for row in rows if key in row]
            if not edits:
                break
            strays = [row["unedited"]["whole"] - row[key]["whole"] for row in rows if key in row]
            person = float(np.mean([edit["identity"] < IDENTITY_LIMIT for edit in edits]))
            picture = float(np.mean([e["face"] and s <= LARGEST_STRAY for e, s in zip(edits, strays, strict=True)]))
            if min(person, picture) < HOLDS:
                reason = f"{'identity' if person < HOLDS else 'picture'} at {sign * strength:+g}"
                break
            reached = strength
        found[side] = {"limit": sign * reached if reached else 0.0, "slider": end, "ends": reason}
    return found


def table(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    worked = summary["photos"] - len(summary["failed"])
    names = list(summary["judges"])
    lines = [
        f"{summary['weights']}: edits of {worked} of {summary['photos']} photos, seen from the photo's own camera.",
        "",
        "A judge's change is in its own unit (happy, male: log odds; age: years; landmarks: eye distances; world: the "
        "label's).",
        "",
        *grid(
            ("edit", "judge", "right way", "change", "identity to the unedited", f"below {IDENTITY_LIMIT}"),
            [line for edit, value in summary["success"].items() for line in _success_lines(edit, value)],
        ),
        "",
        "Leakage: what +1 of a row moves in the score of a column, in standard deviations of people; in brackets "
        "relative to the own, where that moves at all.",
        "",
        *grid(
            ("+1 of", *(f"{name} ({summary['judges'][name] or 'no judge'})" for name in names)),
            [
                (name, *(_leak(row[other], row[name], own_cell=other == name) for other in names))
                for name, row in summary["leakage"].items()
            ],
        ),
        "",
        *_truth_lines(summary),
        f"Limits: the strongest edit that at least {HOLDS:.0%} of the photos stand.",
        "",
        *grid(
            ("attribute", "lowest", "because", "highest", "because"),
            [
                (name, *(text for side in ("low", "high") for text in (f"{v[side]['limit']:+g}", v[side]["ends"])))
                for name, v in summary["limits"].items()
            ],
        ),
    ]
    if summary["explained"]:
        told = ", ".join(f"{name} {value:.2f}" for name, value in summary["explained"].items())
        lines += ["", f"R² of the world's judges on changes of people they were not fitted on: {told}."]
    remarks = [*summary.get("notes", ()), *(f"{name}: {e['message']}" for name, e in summary["failed"].items())]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in remarks)]).rstrip()


def _truth_lines(summary: Mapping[str, Any]) -> list[str]:
    """The same of true changes, where the world drew them."""
    truth: Mapping[str, Mapping[str, float | None]] = summary.get("truth", {})
    if not truth:
        return []
    names = list(summary["judges"])
    return [
        "The same judges on true changes of the world's people, everything else of them held: what an ideal slider "
        "would seem to bring along.",
        "",
        *grid(
            ("true change of", *names),
            [(name, *(_leak(row[o], row[name], own_cell=o == name) for o in names)) for name, row in truth.items()],
        ),
        "",
    ]


def _success_lines(edit: str, value: Mapping[str, Any]) -> list[tuple[str, ...]]:
    identity, same = cell(value["identity"], 2), _percent(value["same_person"])
    if not value["judges"]:
        return [(edit, "none", "–", "–", identity, same)]
    return [
        (edit, judge, _percent(found["share"]), cell(found["change"]), identity, same)
        for judge, found in value["judges"].items()
    ]


def _percent(value: Spread | None) -> str:
    return "–" if value is None else f"{100 * value['mean']:.0f} % of {int(value['n'])}"


def _leak(value: float | None, own: float | None, *, own_cell: bool) -> str:
    if value is None:
        return "–"
    if own_cell:
        return f"**{value:+.2f}**"
    return f"{value:+.2f}" if own is None or abs(own) < MOVES else f"{value:+.2f} ({abs(value / own):.0%})"


__all__ = ["IDENTITY_LIMIT", "JUDGES", "summarise", "table"]
