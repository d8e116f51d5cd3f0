"""Does a slider do what it says, that and nothing else, and on whom? Judged by networks that never saw Cameo.

Every photo is edited with every attribute at several strengths and seen from its own camera. Three questions: does the
own score move the right way (success), is it still the same person (identity to the unedited head), and what else
moved (leakage). From the same pictures follow the strengths at which identity or picture breaks, so that a slider's
range is measured, not guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from core.edit import Attribute, LatentEdit
from core.engine import Engine
from core.errors import CameoError
from core.evaluation.edit_tables import summarise, table
from core.evaluation.perceptual import Perceptual
from core.evaluation.scorers import FaceBox, Networks, colour_scores, landmark_scores, landmarks_of
from core.evaluation.sheets import CELL, Pixels, tiled, write_pages
from core.evaluation.tables import Kept, Row, write_report
from core.export import write_picture
from core.frame import Frame, RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo

if TYPE_CHECKING:
    from core.evaluation.probes import Probes

logger = logging.getLogger(__name__)

UNEDITED = "unedited"


@dataclass(frozen=True)
class Settings:
    """What is tried; part of every row's stamp."""

    strengths: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    """Tried to both sides, as far as a slider goes; 1.0 must be among them."""
    detector: str = "mediapipe"


@dataclass(frozen=True, eq=False)
class Judges:
    """Who scores; what is absent leaves its columns empty."""

    networks: Networks | None
    perceptual: Perceptual | None = None
    probes: Probes | None = None

    @property
    def marks(self) -> dict[str, Any]:
        """What of them belongs into a row's stamp."""
        explained = None if self.probes is None else {k: round(v, 6) for k, v in self.probes.explained.items()}
        return {"networks": self.networks is not None, "probes": explained}

    def __call__(self, pixels: Pixels, box: FaceBox) -> tuple[dict[str, float], bool]:
        """All scores of a head of 256 px, and whether a face is found in it at all.

        Landmark scores are left out when it is not; the networks look where the unedited face was.
        """
        found: dict[str, float] = {}
        if self.networks is not None:
            found |= self.networks(pixels, box)
        if self.probes is not None and self.perceptual is not None:
            found |= {f"world {name}": value for name, value in self.probes(self.perceptual, pixels).items()}
        landmarks = landmarks_of(pixels)
        if landmarks is not None:
            found |= landmark_scores(landmarks) | colour_scores(pixels, landmarks)
        return found, landmarks is not None


def trials(attributes: Sequence[Attribute], strengths: Sequence[float]) -> list[tuple[str, float]]:
    """(attribute, strength) of every edit that is tried, within the sliders' ranges."""
    return [
        (attribute.name, sign * strength)
        for attribute in attributes
        for strength in sorted(strengths)
        for sign in (-1.0, 1.0)
        if attribute.low <= sign * strength <= attribute.high
    ]


def evaluate(
    opener: Callable[[], Engine],
    photos: Sequence[Path],
    out: Path,
    stamp: str,
    settings: Settings,
    judges: Judges,
    job: Job,
    notes: Sequence[str] = (),
    truth: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Edit photos and write ``table.md``, ``table.json``, ``sheet.png`` … and one file a photo into ``out``.

    Args:
        opener: Opens the engine; always needed, for the list of attributes.
        photos: The photos.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: What is tried.
        judges: Who scores.
        job: Where to report.
        notes: Remarks for the table.
        truth: What true changes of the world move, attribute -> score -> mean change; see
            ``core.evaluation.truth_of_edits``.

    Returns:
        The summary; see ``core.evaluation.edit_tables``.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    engine = opener()
    kept = Kept(out / "photos", {"weights": stamp, **asdict(settings), **judges.marks})
    rows: dict[str, Row] = {}
    for number, path in enumerate(photos):
        done, after = 0.97 * number / len(photos), 0.97 * (number + 1) / len(photos)
        job.report(done, path.name)
        row = kept.get(path.name)
        if row is None or ("error" not in row and not kept.path(path.name, ".strip.png").is_file()):
            row = _one(engine, path, kept, settings, judges, job.part(done, after))
            kept.put(path.name, row)
        rows[path.name] = row
    summary = summarise(rows, stamp, engine.attributes, settings.strengths, judges.probes, truth)
    summary["settings"], summary["notes"] = asdict(settings), [*notes]
    write_report(out, summary, table(summary))
    good = [path for path in photos if "error" not in rows[path.name]]
    shown = ["photo", UNEDITED, *(f"{n} {s:+g}" for n, s in trials(engine.attributes, (1.0,)))]
    write_pages([(path.stem, kept.path(path.name, ".strip.png")) for path in good], shown, out)
    job.report(1.0, "done")
    return summary


def _one(engine: Engine, path: Path, kept: Kept, settings: Settings, judges: Judges, job: Job) -> Row:
    """All scores of one photo under every edit, and its strip of pictures on disk."""
    try:
        inversion = engine.invert(Photo.load(path), job.part(0.0, 0.1), 0, settings.detector)
        box = _face_box(inversion)
        plain = _seen(engine, inversion, LatentEdit.none)
        same = engine.judge.embed(plain.pixels, plain.alpha > 127)
        row: Row = {UNEDITED: _scored(judges, plain, box)}
        tried = trials(engine.attributes, settings.strengths)
        pictures = {UNEDITED: plain.pixels}
        for number, (name, strength) in enumerate(tried):
            job.report(0.1 + 0.9 * number / len(tried), f"{path.name}: {name} {strength:+g}")
            frame = _seen(engine, inversion, LatentEdit.none.with_strength(name, strength))
            distance = float(np.linalg.norm(same - engine.judge.embed(frame.pixels, frame.alpha > 127)))
            key = f"{name} {strength:+g}"
            row[key] = {**_scored(judges, frame, box), "identity": distance}
            if abs(strength) == 1.0:
                pictures[key] = frame.pixels
    except CameoError as error:
        if job.cancelled:
            raise
        return {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
    write_picture(tiled([inversion.aligned.crop256, *pictures.values()]), kept.path(path.name, ".strip.png"))
    return row


def _face_box(inversion: Inversion) -> FaceBox:
    landmarks = inversion.aligned.landmarks
    if landmarks is None:
        raise CameoError("There are no landmarks to judge by.", hint="Use --detector mediapipe.")
    return FaceBox.around(landmarks * CELL, CELL)


def _seen(engine: Engine, inversion: Inversion, edit: LatentEdit) -> Frame:
    return engine.render(RenderRequest(inversion, edit, inversion.camera, CELL))


def _scored(judges: Judges, frame: Frame, box: FaceBox) -> dict[str, Any]:
    scores, found = judges(frame.pixels, box)
    return {"scores": scores, "face": found, "whole": whole(frame.alpha)}


def whole(alpha: Pixels) -> float:
    """Share of the head's pixels that hang together, 1 for a head in one piece; 0 for none. alpha (S, S) uint8."""
    labelled, count = ndimage.label(alpha > 127)
    if count == 0:
        return 0.0
    sizes = np.bincount(labelled.ravel())[1:]
    return float(sizes.max() / sizes.sum())
