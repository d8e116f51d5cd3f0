"""Colours of a mesh without a seam where the photo ends: the generator's are bent to meet it.

What photo and generator differ by is known where the photo saw the surface. From there the difference is carried along
the surface, fading over a centimetre or two, and more readily between vertices of one colour than from skin into hair:
the screened Poisson equation on the mesh's edges, as in gradient-domain blending (Pérez et al. 2003, "Poisson image
editing"; on meshes Lempitsky and Ivanov 2007). Single vertices that the photo missed between others that it saw take
their neighbours' tone. Pure numbers; refuses to know networks and cameras.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from core.job import Job

__all__ = ["seamless"]

Array = NDArray[np.float32]

# Distance along the surface over which a difference fades to a third (world units; a head's radius is about 0.1).
FADE = 0.012
# How much more a vertex holds to what the photo says of it than to its neighbours.
HOLD = 30.0
# Belief from which on a vertex is the photo's.
SURE = 0.99
# Difference of the generator's colours at which two neighbours hardly speak to one another, and what is left of it.
ALIKE, LEAST = 0.2, 0.02
# Residual, relative to the right side, at which the solution is good enough for bytes; and most steps to it.
ENOUGH, STEPS = 0.01, 60


def seamless(seen: Array, belief: Array, own: Array, vertices: Array, faces: NDArray[np.int32], job: Job) -> Array:
    """Blend what the photo saw of a mesh with what the generator says.

    Args:
        seen: The photo's colours times ``belief``.
        belief: How far they may be believed, in [0, 1].
        own: The generator's.
        vertices: Positions.
        faces: Triangles.
        job: Where to report; live frames may be rendered inside.

    Shape:
        seen and own (V, 3) in [-1, 1], belief (V, 1), vertices (V, 3), faces (F, 3); returns (V, 3).

    Raises:
        Cancelled: Somebody asked to stop.
    """
    known = np.clip(belief, 0.0, 1.0)
    plain = seen + (1.0 - known) * own
    if not len(faces) or not (known > 0.0).any():
        return plain
    job.report(0.0, "closing seams")
    # Two triangles share an edge, each of which says half of its weight.
    first, second = faces.reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    length = float(np.linalg.norm(vertices[first] - vertices[second], axis=1).mean())
    apart = np.square(own[first] - own[second]).sum(axis=1)
    weight = 0.5 * np.maximum(np.exp(-apart / ALIKE**2), LEAST).astype(np.float32)
    count = len(vertices)
    links: csr_array = coo_array(
        (np.concatenate((weight, weight)), (np.concatenate((first, second)), np.concatenate((second, first)))),
        shape=(count, count),
    ).tocsr()
    # A difference that fades as exp(-x / FADE) along edges of that length.
    screen = np.float32((length / FADE) ** 2)
    diagonal = links.sum(axis=1)[:, None].astype(np.float32) + HOLD * known + screen
    difference = seen - known * own  # times the belief: what is not believed is not divided by it
    # What is believed wholly is no unknown.
    sure = known[:, 0] > SURE
    asked = (~sure).nonzero()[0]
    rows = links[asked]
    right = HOLD * difference[asked] + rows @ np.where(sure[:, None], difference, np.float32(0.0))
    plain[asked] += (1.0 - known[asked]) * _solved(rows[:, asked], diagonal[asked], right, job)
    return plain


def _solved(links: csr_array, diagonal: Array, right: Array, job: Job) -> Array:
    """Conjugate gradients for (diagonal - links) x = right, all columns at once, preconditioned by the diagonal.

    Shape:
        links (V, V), diagonal (V, 1), right (V, C); returns (V, C).
    """
    x = right / diagonal
    residual = right - (diagonal * x - links @ x)
    small = ENOUGH * np.linalg.norm(right, axis=0) + 1e-12
    step = residual / diagonal
    energy = (residual * step).sum(axis=0)
    for number in range(STEPS):
        if (np.linalg.norm(residual, axis=0) < small).all():
            break
        job.report(number / STEPS, "closing seams")
        ahead = diagonal * step - links @ step
        share = energy / np.maximum((step * ahead).sum(axis=0), 1e-20)
        x = x + share * step
        residual = residual - share * ahead
        scaled = residual / diagonal
        fresh = (residual * scaled).sum(axis=0)
        step = scaled + fresh / np.maximum(energy, 1e-20) * step
        energy = fresh
    found: Array = x.astype(np.float32)
    return found
