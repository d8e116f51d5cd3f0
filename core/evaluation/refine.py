"""Methods of refinement against one another on the same photos, by the generator's own colours.

As in the papers the pictures that are compared carry no pixel of the photo: the layer "generator". What a person gets
to see, the photo's own colours on the refined head, stands beside it and must not become worse. Each photo and method
is a row of its own, kept as soon as it is there, so that hours of optimisation survive an interruption. Identity is
judged by a network that no method optimised; the smile by an expression network, or by landmarks without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError
from core.evaluation.likeness import SIDE_YAW, SIZE, measure
from core.evaluation.perceptual import Perceptual
from core.evaluation.refine_tables import ENCODER, EQUAL_PTI, summarise, table
from core.evaluation.reprojection import inconsistency, nearest_at_side, of_frames
from core.evaluation.scorers import FaceBox, Networks, landmark_scores, landmarks_of
from core.evaluation.sheets import Pixels, tiled, write_pages
from core.evaluation.strips import of_strip, read_back
from core.evaluation.tables import Kept, Row, write_report
from core.evaluation.trade_off import trade_off
from core.export import write_picture
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo
from core.refinement.methods import METHODS, method_of

PHOTOS = 12
"""Photos of a folder, evenly spaced by name: always the same ones."""
COMPARED = (ENCODER, "fast", "best", EQUAL_PTI)
"""What is compared by default; the papers' full schedules take from ten minutes to over an hour a photo."""
EXTREMES = ((-SIDE_YAW, 0.0), (SIDE_YAW, 0.0), (0.0, -0.13), (0.0, 0.19))
"""Yaw and pitch from the photo's camera, HFGI3D's ellipse at its ends: from there the photo is seen again."""
SMILE = LatentEdit.none.with_strength("Smile", 1.0)
SHOWN = tuple(f"{what} {turn}" for what in ("head", "Smile +1") for turn in ("left", "front", "right"))


@dataclass(frozen=True)
class Settings:
    """What is compared; part of every row's stamp, but for the methods."""

    methods: tuple[str, ...] = COMPARED
    passes: int | None = None
    detector: str = "mediapipe"

    @classmethod
    def quick(cls, detector: str = "mediapipe") -> Settings:
        """The same steps in a minute or so."""
        return cls(COMPARED, 6, detector)


def chosen_photos(photos: Sequence[Path], count: int = PHOTOS) -> list[Path]:
    """So many of the photos, evenly spaced."""
    if len(photos) <= count:
        return list(photos)
    return [photos[number * len(photos) // count] for number in range(count)]


def evaluate(
    opener: Callable[[], Engine],
    photos: Sequence[Path],
    out: Path,
    stamp: str,
    settings: Settings,
    job: Job,
    perceptual: Perceptual | None = None,
) -> dict[str, Any]:
    """Refine photos by several methods; write ``table.md``, ``table.json``, ``curves.png`` and sheets into ``out``.

    Args:
        opener: Opens the engine when it is first needed.
        photos: The photos.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: What is compared.
        job: Where to report.
        perceptual: VGG16, or None to leave that distance out.

    Returns:
        The summary: per method mean, std and n of every figure, and how many photos reach the aims.

    Raises:
        CameoError: There is no such method.
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    for name in settings.methods:
        if name in (ENCODER, EQUAL_PTI):
            continue
        try:
            method_of(name)
        except CameoError as error:
            raise CameoError(error.message, hint=f"{error.hint} Here also {ENCODER} and {EQUAL_PTI}.") from error
    kept = Kept(out / "rows", {"weights": stamp, "passes": settings.passes, "detector": settings.detector})
    judge = Networks.load()
    rows: dict[str, dict[str, Row]] = {}
    for number, path in enumerate(photos):
        part = job.part(number / len(photos), (number + 1) / len(photos))
        part.report(0.0, path.name)
        rows[path.name] = _photo(opener, path, kept, settings, (judge, perceptual), part)
    summary = summarise(rows, stamp, settings)
    if judge is None:
        summary["notes"].append("No expression network: smiles are judged by the width of the mouth.")
    write_report(out, summary, table(summary))
    for method in settings.methods:
        strips = [
            (_caption(name, method, row[method]), kept.path(f"{name}.{method}", ".strip.png"))
            for name, row in rows.items()
            if method in row and "error" not in row[method]
        ]
        if strips:
            write_pages(strips, SHOWN, out, f"sheet_{method}")
    if order := _in_trouble(rows):
        strips = [
            (f"{why}: {_caption(name, method, rows[name][method])}", kept.path(f"{name}.{method}", ".strip.png"))
            for why, name, method in order
        ]
        write_pages(strips, SHOWN, out, "failures")
    pages = [
        (_caption(name, method, row[method]), kept.path(f"{name}.{method}", ".strip.png"))
        for name, row in rows.items()
        for method in settings.methods
        if "error" not in row[method]
    ]
    if pages:
        write_pages(pages, SHOWN, out, "sheet_compared")
    curves = {
        method: [row[method]["curve"] for row in rows.values() if "curve" in row.get(method, {})]
        for method in settings.methods
    }
    write_picture(trade_off({name: found for name, found in curves.items() if found}), out / "curves.png")
    job.report(1.0, "done")
    return summary


def _photo(
    opener: Callable[[], Engine],
    path: Path,
    kept: Kept,
    settings: Settings,
    judges: tuple[Networks | None, Perceptual | None],
    job: Job,
) -> dict[str, Row]:
    """One photo by every method; only what is not there yet is made."""
    rows: dict[str, Row] = {}
    inversion: Inversion | None = None
    for number, method in enumerate(settings.methods):
        key = f"{path.name}.{method}"
        strip = kept.path(key, ".strip.png")
        row = kept.get(key)
        if row is not None and row.get("plan", plan_of(method)) != plan_of(method):
            row = None  # the method is another one than it was
        whole = row is not None and ("error" in row or strip.is_file())
        part = job.part(number / len(settings.methods), (number + 1) / len(settings.methods))
        try:
            if row is None or not whole or not ("error" in row or _read_off(row, judges[1])):
                engine = opener()
                if inversion is None:
                    inversion = engine.invert(Photo.load(path), part.part(0.0, 0.05), 0, settings.detector)
                if row is None or not whole:
                    row = None
                    row, cells = _one(engine, inversion, method, settings.passes, judges[0], part.part(0.05, 0.95))
                    write_picture(tiled(cells), strip)
                    row["plan"] = plan_of(method)
                    kept.put(key, row)
                cells = read_back(strip, len(SHOWN))
                # A polish may have moved the camera that the strip was drawn around.
                seen = replace(inversion, camera=Camera(*row["camera"])) if "camera" in row else inversion
                row = row | of_strip(engine, seen, cells, judges[1], settings.detector, part.part(0.95, 1.0))
                kept.put(key, row)
        except (CameoError, OSError) as error:
            if job.cancelled:
                raise
            if row is None:  # what took minutes is not given up for a figure that cannot be read off it
                found = error if isinstance(error, CameoError) else CameoError(str(error), hint="Look at the folder.")
                row = {"error": {"kind": found.kind, "message": found.message, "hint": found.hint}}
                kept.put(key, row)
        rows[method] = row
    return rows


def plan_of(method: str) -> str:
    """What a method is made of, in short: rows of another plan of that name are made anew."""
    name = "pti" if method == EQUAL_PTI else method
    return "" if name == ENCODER else hashlib.sha256(repr(method_of(name)).encode()).hexdigest()[:12]


def _read_off(row: Row, perceptual: Perceptual | None) -> bool:
    """Whether a row has what its strip tells."""
    return "psnr" in row and (perceptual is None or "perceptual" in row)


def _one(
    engine: Engine, inversion: Inversion, method: str, passes: int | None, judge: Networks | None, job: Job
) -> tuple[Row, list[Pixels]]:
    """Figures of one photo and method, and the cells of its strip."""
    row: Row = {"shape_drift": 0.0, "seconds": sum(inversion.seconds.values()), "passes": 0}
    head = inversion
    if method != ENCODER:
        if method == EQUAL_PTI:
            passes = min(passes or METHODS["best"].passes, METHODS["best"].passes)
        head = engine.refine(inversion, "pti" if method == EQUAL_PTI else method, job.part(0.0, 0.9), passes)
        assert head.refinement is not None
        report = head.refinement.report
        row |= {name: report[name] for name in ("shape_drift", "seconds", "passes", "curve", "rolled_back", "share")}
        row |= {"visibility_share": report["visibility_share"], **report["after"]}
    else:
        row |= engine.own_figures(inversion)
    job.report(0.95, "measuring")
    row["camera"] = [head.camera.yaw, head.camera.pitch]
    shown = measure(engine, head)
    row |= {f"shown_{name}": shown[name] for name in ("mae", "ssim", "psnr", "identity_distance", "identity_yaw35")}
    row |= _reprojection(engine, head)
    cells = [
        _view(engine, head, edit, turn).pixels
        for edit in (LatentEdit.none, SMILE)
        for turn in (-SIDE_YAW, 0.0, SIDE_YAW)
    ]
    row |= _smile(engine, head, judge)
    return row, cells


def _view(engine: Engine, inversion: Inversion, edit: LatentEdit, turn: float, layer: str = "generator") -> Any:
    camera = inversion.camera
    return engine.render(RenderRequest(inversion, edit, Camera(camera.yaw + turn, camera.pitch), SIZE, layer))


def _reprojection(engine: Engine, head: Inversion) -> Row:
    """Mean difference of the photo to what four other views show of it, carried back by their own depth (§3.3)."""
    camera, aligned = head.camera, head.aligned
    flat = engine.render(RenderRequest(head, LatentEdit.none, camera, SIZE, "depth"))
    photo = of_frames(replace(flat, pixels=aligned.crop256), flat, camera)
    solid = nearest_at_side(aligned.matte256.astype(np.float64)) > 0.5
    photo = replace(photo, depth=np.where(solid, photo.depth, 0.0))
    found = []
    for yaw, pitch in EXTREMES:
        there = Camera(camera.yaw + yaw, camera.pitch + pitch).clamped(engine.limits)
        picture, depth = (
            engine.render(RenderRequest(head, LatentEdit.none, there, SIZE, layer)) for layer in ("generator", "depth")
        )
        difference = inconsistency(of_frames(picture, depth, there), photo)
        if difference is not None:
            found.append(difference)
    return {"reprojection": _mean(found)} if found else {}


def _smile(engine: Engine, head: Inversion, judge: Networks | None) -> Row:
    """Whether Smile +1 raises the smile, and how far it moves the identity, in the picture that a person sees."""
    before, after = (_view(engine, head, edit, 0.0, "picture") for edit in (LatentEdit.none, SMILE))
    away = engine.judge.embed(before.pixels, before.alpha > 127) - engine.judge.embed(after.pixels, after.alpha > 127)
    row: Row = {"smile_identity": float(np.linalg.norm(away))}
    landmarks = [landmarks_of(frame.pixels) for frame in (before, after)]
    if landmarks[0] is None or landmarks[1] is None:
        return row
    if judge is None:
        scores = [landmark_scores(found)["mouth_width"] for found in landmarks if found is not None]
    else:
        box = FaceBox.around(landmarks[0], SIZE)
        scores = [judge(frame.pixels, box)["happy"] for frame in (before, after)]
    return row | {"smile_raised": scores[1] > scores[0]}


def _in_trouble(rows: dict[str, dict[str, Row]], count: int = 2) -> list[tuple[str, str, str]]:
    """The worst heads of the last method that ran, by three measures: (why, photo, method), none twice."""
    found: list[tuple[str, str, str]] = []
    for figure, why in (("novel_identity", "sides"), ("mae", "photo"), ("shape_drift", "shape")):
        judged = [
            (row[method][figure], name, method)
            for name, row in rows.items()
            for method in (["best"] if "best" in row else list(row)[-1:])
            if "error" not in row[method] and figure in row[method]
        ]
        taken = {name for _, name, _ in found}
        worst = [one for one in sorted(judged, reverse=True) if one[1] not in taken][:count]
        found += [(why, name, method) for _, name, method in worst]
    return found


def _mean(values: Any) -> float:
    numbers = list(values)
    return float(sum(numbers) / len(numbers))


def _caption(photo: str, method: str, row: Row) -> str:
    return (
        f"{photo}  {method}  mae {row['mae']:.3f}  id {row['identity_distance']:.2f}/{row['novel_identity']:.2f}"
        f"  {row['seconds']:.0f} s"
    )


__all__ = ["Settings", "chosen_photos", "evaluate", "summarise", "table"]
