"""The paper's protocol for novel views: people of whom every view is known, one frame in, all others as truth.

E3DGE (Lan et al. 2023, section 4.2) takes 500 synthetic people and StyleSDF's ellipse of 250 cameras around each; one
frame is the photo, its pose is predicted, the others' are known. Ours come from the world, on a random stream that
training never draws from, go through the whole program from detection on, and are compared on the same grey. Over the
head only: means go over the union of both heads, so that a silhouette in the wrong place counts.

The paper's photos are the generator's own pictures, so its encoder never has to find the frame; ours are found by a
detector first. So there are figures named ``orbit`` beside: as a person turns the head, by the known angles from where
the program believes the photo was taken, with the truth cut out of its picture as the program cut the photo. What is
left there is the head's own error, without that of its pose and frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.camera import HALF_FOV, Camera, ellipsoid_path
from core.edit import LatentEdit
from core.engine import Engine
from core.errors import CameoError
from core.evaluation import metrics
from core.evaluation.likeness import PHOTO_HALF_FOV, PHOTO_SIZE, SIZE, as_tensor, greyed, over
from core.evaluation.perceptual import Perceptual
from core.evaluation.reprojection import SIDE, DepthView, colour_at_side, inconsistency, nearest_at_side, of_frames
from core.evaluation.sheets import COLUMNS, Pixels, tiled, write_pages
from core.evaluation.tables import Kept, Row, Spread, figure_lines, spreads, write_report
from core.export import write_picture
from core.frame import Frame, RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo

if TYPE_CHECKING:
    from core.evaluation.people import People, Person

logger = logging.getLogger(__name__)

SEED = 42
GREY = 127.5
FIGURES = (
    *("mae", "mae_whole", "ssim", "ssim_e3dge", "ssim_e3dge_whole", "psnr", "perceptual", "identity_distance"),
    *("mae_orbit", "ssim_orbit", "ssim_e3dge_orbit"),
    *("reprojection", "reprojection_truth", "source_mae", "source_identity", "yaw_error", "pitch_error", "scale_error"),
)
SHOWN = ("photo", "source", *(f"{what} {number}" for number in range(1, 6) for what in ("truth", "ours")))


@dataclass(frozen=True)
class Settings:
    """How many people and cameras; part of every row's stamp."""

    people: int = 40
    frames: int = 24
    detector: str = "mediapipe"
    refine: str = ""
    """Method by which each head is refined for its one frame before it is judged; none if empty."""
    layer: str = "picture"
    """Which of the program's layers is judged, one of ``core.frame.LAYERS``."""

    @classmethod
    def paper(cls, detector: str = "mediapipe") -> Settings:
        """E3DGE's numbers: some 45 hours on two cores."""
        return cls(500, 250, detector)

    @classmethod
    def quick(cls, detector: str = "mediapipe") -> Settings:
        """The same steps in seconds."""
        return cls(1, 4, detector)


def evaluate(
    opener: Callable[[], Engine],
    people: People,
    out: Path,
    stamp: str,
    settings: Settings,
    job: Job,
    *,
    perceptual: Perceptual | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Reconstruct people and write ``table.md``, ``table.json``, ``sheet.png`` … and one file a person into ``out``.

    Args:
        opener: Opens the engine when it is first needed.
        people: Who draws the truth.
        out: Where results go.
        stamp: Name and hash of the weights.
        settings: How many of what.
        job: Where to report.
        perceptual: VGG16, or None to leave that distance out.
        notes: Remarks for the table.

    Returns:
        The summary: per figure mean, std and n, over all views of all people.

    Raises:
        Cancelled: Somebody asked to stop; the rows so far are kept.
    """
    marks = {"weights": stamp, "world": people.mark, "frames": settings.frames, "detector": settings.detector}
    if settings.refine:
        marks["refine"] = settings.refine
    if settings.layer != Settings.layer:
        marks["layer"] = settings.layer
    kept = Kept(out / "people", {**marks, "perceptual": perceptual is not None})
    rows: dict[str, Row] = {}
    for index in range(settings.people):
        key = f"person_{index:04d}"
        done, after = 0.98 * index / settings.people, 0.98 * (index + 1) / settings.people
        job.report(done, key)
        row = kept.get(key)
        if row is None or ("error" not in row and not kept.path(key, ".strip.png").is_file()):
            try:
                part = job.part(done, after)
                person = people.person(index)
                row, cells = novel_views(opener(), people, person, settings, perceptual, part, settings.layer)
                write_picture(tiled(cells), kept.path(key, ".strip.png"))
            except CameoError as error:
                if job.cancelled:
                    raise
                row = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
            kept.put(key, row)
        rows[key] = row
    summary = summarise(rows, stamp, settings)
    summary["notes"] = [*notes]
    write_report(out, summary, table(summary))
    good = [key for key in rows if "error" not in rows[key]]
    captions = [f"{key}  mae {np.mean(rows[key]['mae']):.3f}  yaw off {rows[key]['yaw_error'][0]:.1f}" for key in good]
    strips = [(caption, kept.path(key, ".strip.png")) for caption, key in zip(captions, good, strict=True)]
    write_pages(strips, SHOWN, out)
    job.report(1.0, "done")
    return summary


def novel_views(
    engine: Engine,
    people: People,
    person: Person,
    settings: Settings,
    perceptual: Perceptual | None,
    job: Job,
    layer: str = "picture",
) -> tuple[Row, list[Pixels]]:
    """Figures of one person, lists over the views, and the cells of a strip.

    Args:
        engine: The model.
        people: Who draws.
        person: Of whom.
        settings: How many cameras.
        perceptual: VGG16 or None.
        job: Where to report.
        layer: Which of the program's layers is judged.

    Raises:
        CameoError: The person's photo cannot be used.
        Cancelled: Somebody asked to stop.
    """
    cameras = ellipsoid_path(settings.frames + 1)[:-1]  # the last camera of the ellipse is the first
    source = int(np.random.default_rng((SEED, person.index)).integers(len(cameras)))
    photo = people.photo(person, cameras[source])
    inversion = engine.invert(Photo.from_pixels(photo), job.part(0.0, 0.05), 0, settings.detector)
    if settings.refine:
        inversion = engine.refine(inversion, settings.refine, job.part(0.05, 0.1))
    row: Row = {name: [] for name in FIGURES}
    row["source"] = source
    row["yaw_error"] = [degrees(abs(inversion.camera.yaw - cameras[source].yaw))]
    row["pitch_error"] = [degrees(abs(inversion.camera.pitch - cameras[source].pitch))]
    row["scale_error"] = [100.0 * abs(_scale(inversion.aligned.to_crop))]
    own = _view(engine, inversion, cameras[source], layer)
    truth, alpha, _ = _truth(people, person, cameras[source])
    row["source_mae"] = [_compare(truth, alpha, own)["mae"]]
    row["source_identity"] = [_identity(engine, truth, alpha, own)]
    ours = of_frames(own, _view(engine, inversion, cameras[source], "depth", SIDE), cameras[source])
    theirs = _depth_view(people, person, cameras[source])
    small = cv2.resize(photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    cells: list[Pixels] = [np.asarray(small, np.uint8), own.pixels]
    others = [number for number in range(len(cameras)) if number != source]
    shown = {others[round(k)] for k in np.linspace(0, len(others) - 1, min((2 * COLUMNS - 2) // 2, len(others)))}
    for number in others:
        job.report(0.1 + 0.9 * number / len(cameras), f"view {number + 1} of {len(cameras)}")
        camera = cameras[number]
        truth, alpha, depth = _truth(people, person, camera)
        frame = _view(engine, inversion, camera, layer)
        for name, value in _compare(truth, alpha, frame).items():
            row[name].append(value)
        cut = _framed(people, person, camera, inversion.aligned.to_crop)
        orbited = inversion.camera.orbited(camera.yaw - cameras[source].yaw, camera.pitch - cameras[source].pitch)
        framed = _compare(over(cut, GREY), cut[..., 3], _view(engine, inversion, orbited, layer))
        for name in ("mae", "ssim", "ssim_e3dge"):
            row[f"{name}_orbit"].append(framed[name])
        if perceptual is not None:
            grey = [as_tensor(picture) for picture in (truth, _on_grey(frame))]
            row["perceptual"].append(perceptual(grey[0], grey[1]))
        row["identity_distance"].append(_identity(engine, truth, alpha, frame))
        seen = of_frames(frame, _view(engine, inversion, camera, "depth", SIDE), camera)
        real = DepthView(colour_at_side(truth), nearest_at_side(depth), camera)
        for name, pair in (("reprojection", (seen, ours)), ("reprojection_truth", (real, theirs))):
            difference = inconsistency(*pair)
            if difference is not None:
                row[name].append(difference)
        if number in shown:
            cells += [truth, frame.pixels]
    return row, cells


def summarise(rows: dict[str, Row], stamp: str, settings: Settings) -> dict[str, Any]:
    """Mean ± std of every figure over all views of all people."""
    good = [row for row in rows.values() if "error" not in row]
    return {
        "suite": "trajectories",
        "weights": stamp,
        "settings": asdict(settings),
        "people": len(rows),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
        "figures": spreads(good, FIGURES),
        "notes": [],
    }


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    settings = summary["settings"]
    worked = summary["people"] - len(summary["failed"])
    figures: dict[str, Spread] = summary["figures"]
    how = f", refined by {settings['refine']}" if settings.get("refine") else ""
    if settings.get("layer", Settings.layer) != Settings.layer:
        how += ", by the generator's own colours"
    lines = [
        f"{summary['weights']}{how}: "
        f"{worked} of {summary['people']} people of the world, {settings['frames']} cameras on "
        "StyleSDF's ellipse, one frame in, all others as truth; errors of the pose in degrees, "
        "of the scale in percent.",
        "",
        *figure_lines(figures),
    ]
    remarks = [*summary["notes"], *(f"{name}: {e['message']}" for name, e in summary["failed"].items())]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in remarks)]).rstrip()


def _view(engine: Engine, inversion: Inversion, camera: Camera, layer: str, size: int = SIZE) -> Frame:
    return engine.render(RenderRequest(inversion, LatentEdit.none, camera, size, layer))


def _truth(people: People, person: Person, camera: Camera) -> tuple[Pixels, Pixels, Any]:
    """Picture on grey (S, S, 3), alpha (S, S) and depth (S / 2, S / 2) of the real head."""
    buffers = people.view(person, camera, SIZE)
    return over(buffers.colour, GREY), buffers.colour[..., 3], buffers.depth


def _framed(people: People, person: Person, camera: Camera, to_crop: NDArray[np.float64]) -> Pixels:
    """The real head, cut out of its picture as the program cut the photo: (S, S, 4)."""
    colour = people.wide(person, camera).astype(np.float32)
    alpha = colour[..., 3:] / 255.0
    premultiplied = np.concatenate((colour[..., :3] * alpha, colour[..., 3:]), axis=2)
    # Pixel centres lie at half pixels on both sides; cv2 counts from the first centre.
    to_pixels = SIZE * to_crop
    to_pixels[:, 2] += 0.5 * to_pixels[:, :2].sum(axis=1) - 0.5
    cut = cv2.warpAffine(premultiplied, to_pixels, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    straight = cut[..., :3] / np.maximum(cut[..., 3:] / 255.0, 1.0 / 255.0)
    return np.clip(np.rint(np.concatenate((straight, cut[..., 3:]), axis=2)), 0, 255).astype(np.uint8)


def _scale(to_crop: NDArray[np.float64]) -> float:
    """Logarithm of how much larger than the canonical camera's picture the cut makes the head; 0 is right."""
    true = np.tan(PHOTO_HALF_FOV) / np.tan(HALF_FOV) / PHOTO_SIZE
    return float(np.log(np.hypot(to_crop[0, 0], to_crop[1, 0]) / true))


def _depth_view(people: People, person: Person, camera: Camera) -> DepthView:
    truth, _, depth = _truth(people, person, camera)
    return DepthView(colour_at_side(truth), nearest_at_side(depth), camera)


def _on_grey(frame: Frame) -> Pixels:
    return over(frame.cutout(), GREY)


def _compare(truth: Pixels, alpha: Pixels, frame: Frame) -> dict[str, float]:
    """Differences over the union of both heads, and over all pixels, both on grey."""
    mask = torch.from_numpy((alpha > 127) | (frame.alpha > 127))[None, None]
    first, second = as_tensor(truth), as_tensor(_on_grey(frame))
    first_head, second_head = greyed(first, mask), greyed(second, mask)
    return {
        "mae": metrics.mae(first_head, second_head, mask),
        "mae_whole": metrics.mae(first, second),
        "ssim": metrics.ssim(first_head, second_head, mask),
        "ssim_e3dge": metrics.ssim_e3dge(first_head, second_head, mask),
        "ssim_e3dge_whole": metrics.ssim_e3dge(first, second),
        "psnr": metrics.psnr(first_head, second_head, mask),
    }


def _identity(engine: Engine, truth: Pixels, alpha: Pixels, frame: Frame) -> float:
    real = engine.judge.embed(truth, alpha > 127)
    return float(np.linalg.norm(real - engine.judge.embed(_on_grey(frame), frame.alpha > 127)))
