"""Comparing computed arrays with stored ones, at the tolerances that the README beside the goldens states."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from tests.golden.inputs import Arrays

EXACT = r"trajectory_|depth_mesh_nv_nf|depth_mesh_faces|E1_feat_shape"
TIGHT = (  # mapping, cameras, E0, pose, ops, discriminators, ArcFace, metrics
    r"w_|mean_w|cam_|locations?$|E0_|vd_|a_pred|[ac]_w_|image_|ops_|modconv_|D\d+_|arcface|id_loss|metric_"
)
FLIPPED = 3  # pixels of a mask


def tolerance(name: str) -> float:
    """Largest allowed error of an array, relative to its largest value."""
    if re.match(EXACT, name):
        return 0.0
    return 1e-5 if re.match(TIGHT, name) else 5e-4


def error(computed: NDArray[np.generic], stored: NDArray[np.generic]) -> float:
    """max|computed − stored| / max|stored|."""
    distance = np.abs(computed.astype(np.float64) - stored.astype(np.float64)).max()
    return float(distance / max(np.abs(stored).max(), 1e-30))


def complaint(name: str, computed: NDArray[np.generic], stored: NDArray[np.generic]) -> str | None:
    """What is wrong with an array, or nothing."""
    if computed.shape != stored.shape:
        return f"{name}: shape {computed.shape}, stored {stored.shape}"
    if "_mask" in name:
        flipped = int((computed != stored).sum())
        return f"{name}: {flipped} pixels flipped" if flipped > FLIPPED else None
    if name.startswith("id_loss"):
        # One minus a cosine near one: stored in float32 it has too few digits for 1e-5, the cosine itself has enough.
        computed, stored = 1 - computed.astype(np.float64), 1 - stored.astype(np.float64)
    found = error(computed, stored)
    allowed = tolerance(name)
    return None if found <= allowed else f"{name}: error {found:.2e}, allowed {allowed:.0e}"


def mesh_complaint(computed: Arrays, stored: Arrays) -> str | None:
    """Vertices and faces as sets: another version of marching cubes may order them differently."""
    ours, theirs = computed["mesh_vertices"].astype(float), stored["mesh_vertices"].astype(float)
    if ours.shape != theirs.shape or computed["mesh_faces"].shape != stored["mesh_faces"].shape:
        return f"mesh: {ours.shape[0]} vertices, stored {theirs.shape[0]}"
    distance, partner = cKDTree(theirs).query(ours)
    if distance.max() > tolerance("mesh_vertices") * np.abs(theirs).max():
        return f"mesh_vertices: {distance.max():.2e} away"
    if len(set(partner.tolist())) != len(theirs):
        return "mesh_vertices: two of ours lie at one of theirs"
    mapped = np.sort(partner[computed["mesh_faces"]], axis=1)
    return None if _rows(mapped) == _rows(np.sort(stored["mesh_faces"], axis=1)) else "mesh_faces differ"


def _rows(faces: NDArray[np.generic]) -> list[tuple[int, ...]]:
    return sorted(map(tuple, faces.tolist()))


def complaints(made: Iterable[tuple[str, Tensor]], stored: Arrays, given: Iterable[str]) -> list[str]:
    """Everything that is wrong with a run; every stored array must have been made or given.

    Args:
        made: Name and value of computed arrays.
        stored: Arrays of the folder.
        given: Names that are inputs.
    """
    found: list[str] = []
    mesh: Arrays = {}
    seen: set[str] = set()
    for name, value in made:
        seen.add(name)
        if name not in stored:
            found.append(f"{name}: not stored")
        elif name in ("mesh_vertices", "mesh_faces"):
            mesh[name] = value.numpy()
        elif problem := complaint(name, value.numpy(), stored[name]):
            found.append(problem)
    if mesh and (problem := mesh_complaint(mesh, stored)):
        found.append(problem)
    return found + [f"{name}: never computed" for name in sorted(set(stored) - seen - set(given))]
