"""What each part of the model is worth: novel views of people of the world, with one part left out at a time.

The rows of E3DGE's Tables 3 and 4 that are a choice at inference are made of one and the same weights. Rows that are a
choice of training (without a loss, without novel views) need weights of their own; those are named with ``--also`` and
measured by the same protocol. A part that was trained along and is then taken away is missed more than one that was
never there: read the first kind of row as "what it does", not "what could be had without it". With projected colour the
photo's pixels leave the local branch little to say; the paper's own comparison is the one without.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.engine import Engine
from core.errors import CameoError
from core.evaluation.perceptual import Perceptual
from core.evaluation.tables import Kept, Row, cell, grid, spreads, write_report
from core.evaluation.trajectories import FIGURES, novel_views
from core.evaluation.trajectories import Settings as Views
from core.job import Job
from core.models.networks import Networks

if TYPE_CHECKING:
    from core.evaluation.people import People

SHOWN = ("source_mae", "mae", "mae_orbit", "ssim_orbit", "perceptual", "identity_distance", "reprojection")
CERTAIN = 20.0  # a logit: the sigmoid is 1


@dataclass(frozen=True)
class Variant:
    """One row: a change of the networks, and the layer that is judged."""

    label: str
    change: Callable[[Networks], Networks]
    layer: str = "picture"


class OneSided(nn.Module):
    """A fusion that sees only the photo's own features (3D alignment alone)."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, aligned: Tensor, visible: Tensor, reference: Tensor) -> Tensor:
        """Shapes as in ``core.models.fusion``."""
        found: Tensor = self.fusion(torch.zeros_like(aligned), visible, reference)
        return found


def without_local(networks: Networks) -> Networks:
    """Latents and projected colour alone: no E1, no E_ADA, no modulation."""
    return replace(networks, local=None, modulation=None, fusion=None)


def aligned_only(networks: Networks) -> Networks:
    """2D alignment alone: the features of the query view as E_ADA aligns them, without the photo's own."""
    return replace(networks, fusion=None)


def projected_only(networks: Networks) -> Networks:
    """3D alignment alone: the photo's own features, without the aligned ones."""
    fusion = networks.fusion
    return networks if fusion is None else replace(networks, fusion=OneSided(fusion).eval())  # type: ignore[arg-type]


def ruled(networks: Networks) -> Networks:
    """The photo, direct or mirrored, wherever it was seen; the decoder has no say in it."""
    generator = copy.deepcopy(networks.generator)

    def trusting(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        del module, inputs
        return torch.cat((output[:, :4], torch.full_like(output[:, 4:5], CERTAIN), output[:, 5:]), dim=1)

    generator.decoder.register_forward_hook(trusting)
    return replace(networks, generator=generator)


VARIANTS: dict[str, Variant] = {
    "hybrid": Variant("all parts", lambda networks: networks),
    "2d-only": Variant("2D alignment alone", aligned_only),
    "3d-only": Variant("3D alignment alone", projected_only),
    "no-local": Variant("without local features", without_local),
    "no-projection": Variant("without projected colour", lambda networks: networks, "generator"),
    "2d-only-own": Variant("2D alignment alone, without projected colour", aligned_only, "generator"),
    "3d-only-own": Variant("3D alignment alone, without projected colour", projected_only, "generator"),
    "no-local-own": Variant("without local features and projected colour", without_local, "generator"),
    "mirrored-rule": Variant("mirrored rule in place of learned filling", ruled),
}


@dataclass(frozen=True)
class Settings:
    """How many people and cameras; part of every row's stamp."""

    people: int = 12
    frames: int = 8
    detector: str = "mediapipe"

    @classmethod
    def quick(cls, detector: str = "mediapipe") -> Settings:
        """The same steps in seconds."""
        return cls(1, 3, detector)


def varied(engine: Engine, variant: Variant) -> Engine:
    """Another engine with the same networks but for the variant's change."""
    networks = variant.change(engine.tiers.networks)
    return Engine(networks, engine.weights_name, engine.limits, engine.attributes, engine.judge.embedding)


def evaluate(
    openers: dict[str, tuple[str, Callable[[], Engine]]],
    people: People,
    out: Path,
    settings: Settings,
    job: Job,
    *,
    perceptual: Perceptual | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure every variant and write ``table.md`` and ``table.json`` and one file a person and row into ``out``.

    Args:
        openers: Weights -> stamp and what opens them; the first is varied, each other is a row of its own.
        people: Who draws the truth.
        out: Where results go.
        settings: How many of what.
        job: Where to report.
        perceptual: VGG16, or None to leave that distance out.
        notes: Remarks for the table.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    (own, (stamp, opener)), *others = openers.items()
    plan = [(name, stamp, opener, variant) for name, variant in VARIANTS.items()]
    plan += [
        (name, mark, opens, Variant(f"weights {name}", VARIANTS["hybrid"].change)) for name, (mark, opens) in others
    ]
    views = Views(settings.people, settings.frames, settings.detector)
    table_rows: dict[str, Any] = {}
    for number, (name, mark, opens, variant) in enumerate(plan):
        part = job.part(number / len(plan), (number + 1) / len(plan))
        marks = {"weights": mark, **asdict(views), "people": people.mark, "perceptual": perceptual is not None}
        kept = Kept(out / name, marks)
        rows = _rows(opens, variant, people, views, kept, perceptual, part)
        good = [row for row in rows if "error" not in row]
        table_rows[name] = {"label": variant.label, "people": len(good), "figures": spreads(good, FIGURES)}
    summary = {
        "suite": "ablation",
        "weights": stamp,
        "settings": asdict(settings),
        "rows": table_rows,
        "notes": [*notes],
        "varied": own,
    }
    write_report(out, summary, table(summary))
    job.report(1.0, "done")
    return summary


def _rows(
    opener: Callable[[], Engine],
    variant: Variant,
    people: People,
    views: Views,
    kept: Kept,
    perceptual: Perceptual | None,
    job: Job,
) -> list[Row]:
    rows: list[Row] = []
    engine: Engine | None = None
    for index in range(views.people):
        job.report(index / views.people, f"{variant.label}, person {index + 1} of {views.people}")
        key = f"person_{index:04d}"
        row = kept.get(key)
        if row is None:
            engine = engine or varied(opener(), variant)
            part = job.part(index / views.people, (index + 1) / views.people)
            try:
                row, _ = novel_views(engine, people, people.person(index), views, perceptual, part, variant.layer)
            except CameoError as error:
                if job.cancelled:
                    raise
                row = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
            kept.put(key, row)
        rows.append(row)
    return rows


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    settings = summary["settings"]
    lines = [
        f"{summary['weights']}: {settings['people']} people of the world, {settings['frames']} cameras each, one frame "
        "in.",
        "",
        *grid(
            ("row", *SHOWN, "people"),
            [
                (row["label"], *(cell(row["figures"].get(name)) for name in SHOWN), str(row["people"]))
                for row in summary["rows"].values()
            ],
        ),
    ]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in summary["notes"])]).rstrip()
