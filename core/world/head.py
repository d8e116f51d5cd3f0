"""The base head: phenotypes, local changes and facial actions to vertices, and the frame they are put in.

The evaluation equals anny's own (a test compares them); the framing puts every head where the aligner puts a face.
"""

from __future__ import annotations

from functools import lru_cache
from math import tan

import numpy as np

from core.world.assets import AGE_ANCHORS, RACES, Pack

HALF_FOV = 6.0 * np.pi / 180.0
EYE_DEPTH = 0.058  # z of the eye corners in the world: centres the head with its hair on the origin
# MakeHuman base mesh vertices under the aligner's eye and mouth corners (MediaPipe 263, 362, 33, 133, 291, 61), found
# by running the detector on renders and made symmetric; the head's left first, outer before inner
EYE_CORNERS = ((6806, 6853), (22, 69))
MOUTH_CORNERS = (10404, 3736)


def macro_coefficients(phenotypes: dict[str, float]) -> np.ndarray:
    """Coefficients of the macro shapes (30,), multilinear as in anny.

    Order: [race, gender, age] at middle weight (18), then [gender, age, weight 0 | 1] (12).
    """
    gender = phenotypes["gender"]
    gender_share = np.array([1 - gender, gender])
    age_share = np.array([np.interp(phenotypes["age"], AGE_ANCHORS, row) for row in np.eye(len(AGE_ANCHORS))])
    races = np.array([phenotypes[name] for name in RACES])
    race_share = races / races.sum()
    weight = phenotypes["weight"]
    weight_share = np.array([max(0.0, 1 - 2 * weight), max(0.0, 2 * weight - 1)])
    figure = gender_share[:, None] * age_share
    first = race_share[:, None, None] * figure
    second = figure[..., None] * weight_share
    return np.concatenate([first.reshape(-1), second.reshape(-1)])


def local_coefficients(pack: Pack, changes: dict[str, float]) -> np.ndarray:
    """Coefficients of the local shapes (2L,): positive and negative target of each change."""
    values = np.array([changes.get(name, 0.0) for name in pack.local_labels])
    return np.stack([np.maximum(values, 0), np.maximum(-values, 0)], 1).reshape(-1)


def evaluate(
    pack: Pack, phenotypes: dict[str, float], changes: dict[str, float], actions: dict[str, float]
) -> np.ndarray:
    """Vertices (V, 3) float32 in decimetres, y up, z forward.

    Args:
        pack: the pack.
        phenotypes: gender, age in 1/3..1, weight, african, asian, caucasian.
        changes: local change -> -1..1.
        actions: facial action -> 0..1.
    """
    shape = np.concatenate([macro_coefficients(phenotypes), local_coefficients(pack, changes)]).astype(np.float32)
    moved = shape @ pack.basis[: len(shape)]
    return act(pack, pack.template + moved.reshape(-1, 3), actions)


def act(pack: Pack, vertices: np.ndarray, actions: dict[str, float]) -> np.ndarray:
    """Add facial actions (name -> 0..1) to a head's vertices (V, 3)."""
    start = len(pack.basis) - len(pack.action_labels)
    rows = [start + pack.action_labels.index(name) for name in actions]
    amounts = np.array(list(actions.values()), np.float32)
    return vertices + (amounts @ pack.basis[rows]).reshape(-1, 3) if rows else vertices.copy()


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3) float32."""
    corner = vertices[triangles]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    flat = triangles.reshape(-1)
    total = np.stack([np.bincount(flat, np.repeat(face[:, axis], 3), len(vertices)) for axis in range(3)], 1)
    return (total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)).astype(np.float32)


@lru_cache(maxsize=4)
def _pack_index(pack: Pack) -> dict[int, int]:
    return {int(base): k for k, base in enumerate(pack.arrays["index"])}


def pack_vertices(pack: Pack, base: np.ndarray | range | list[int] | tuple[int, ...]) -> np.ndarray:
    """MakeHuman base mesh indices -> the pack's own indices."""
    index = _pack_index(pack)
    return np.array([index[int(b)] for b in np.ravel(base)])


def eye_centres(pack: Pack, vertices: np.ndarray) -> np.ndarray:
    """Centres (2, 3) and radii of the eyeballs: the head's left eye first (x > 0)."""
    left = vertices[pack_vertices(pack, range(14598, 14670))]
    right = vertices[pack_vertices(pack, range(14670, 14742))]
    return np.stack([np.append(eye.mean(0), (eye[:, 0].max() - eye[:, 0].min()) / 2) for eye in (left, right)])


def framing(pack: Pack, vertices: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and origin that put a head's own frontal FFHQ quad on the canonical frame: world = scale * (v - origin).

    The quad (eye and mouth corners e, m): half-size max(2 |e2e|, 1.8 |e2m|), centre e + 0.1 e2m; canonical = centred,
    half-size 1 in image coordinates of the camera at distance 1 with a half-angle of 6 degrees.
    Solved for the perspective image by fixed-point iteration.

    Args:
        pack: the pack.
        vertices: (V, 3) the NEUTRAL head in decimetres: expression must not move the frame.
    """
    corners = vertices[pack_vertices(pack, [*EYE_CORNERS[0], *EYE_CORNERS[1], *MOUTH_CORNERS])].astype(np.float64)
    eyes = corners[:4].mean(0)
    scale, origin = 0.0842, np.array([0.0, eyes[1], eyes[2]])
    for _ in range(12):
        world = scale * (corners - origin)
        flat = world[:, :2] / (1.0 - world[:, 2:]) / tan(HALF_FOV)
        left, right, mouth = flat[:2].mean(0), flat[2:4].mean(0), flat[4:].mean(0)
        e, m = (left + right) / 2, mouth
        half = max(2.0 * np.linalg.norm(left - right), 1.8 * np.linalg.norm(m - e))
        centre = e + 0.1 * (m - e)
        origin = origin + np.array([centre[0], centre[1], 0.0]) * tan(HALF_FOV) / scale
        scale = float(scale / half)
        origin[2] = eyes[2] - EYE_DEPTH / scale
    return float(scale), origin
