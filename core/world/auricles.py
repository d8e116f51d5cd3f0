"""Outer ears (auricles) of the base mesh: where a head has them, and what relief and shade they have.

A chart is laid on the mean head's ear: u backwards, v upwards, h outwards, in units of SIZE. Where another head's ear
lies is then an affine frame, and what an ear looks like is one picture over the chart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.ndimage import gaussian_filter

from core.world import head
from core.world.assets import Pack
from core.world.identity import scene_parameters
from core.world.scene import local_changes

__all__ = ["EarChart", "Relief", "ear_chart", "ear_frames", "ear_relief", "neutral_head"]

SIZE = 0.03  # world units a unit of the chart: about a third of an ear's height
# What MakeHuman moves as a whole when an ear goes up; and what turns away from the head when ears stand off, which is
# the auricle itself, fading where it is attached.
WHOLE, WING = "ear-trans-up", "ear-wing-incr"
BELONGS = 0.9  # share of the greatest motion from which on a vertex belongs to the ear
WINDOW = (-1.25, 0.95, -1.3, 1.313)  # of the relief: u from, to, v from, to
PIXELS = (152, 128)  # its rows and columns
FINER = 4  # times finer it is drawn, and then averaged
AROUND = 2.2  # what of the head is drawn (chart units)
SUBDIVIDED = 3  # times, by Loop's rule
BEYOND = -9.0  # depth of what no triangle covers
DIRECTIONS, REACH = 24, 18  # horizons around a pixel, and distances along each: powers of 1.35 pixels
OPEN = 0.93  # openness of flat skin
# From above, ahead and the side (u, v, h), and over how many chart units its shade is compared: coarser light is the
# field's business.
LIGHT, COARSE, STRENGTH = (-0.45, 0.55, 0.7), 0.165, 0.5
DARKEST, LIGHTEST = 0.15, 1.4  # factors
NEAR = (0.55, 0.95)  # share of the whole ear's motion over which its surroundings fade in
WING_AT = (0.02, 0.3)  # share of the wing's over which the auricle does
EARS = ("l", "r")


@dataclass(frozen=True, eq=False)
class EarChart:
    """The chart on the mean head, and the vertices by which it is found on others.

    Shape:
        vertices (2, K) pack indices, the head's left first and then their mirror images; places (K, 3) in the chart;
        centre (3,), axes (3, 3): u, v and h (rows), world units of the left ear.
    """

    vertices: np.ndarray
    places: np.ndarray
    centre: np.ndarray
    axes: np.ndarray

    def of(self, points: np.ndarray) -> np.ndarray:
        """Places in the chart (..., 3) of points (..., 3) of the mean head."""
        return (points - self.centre) @ self.axes.T / SIZE


@dataclass(frozen=True, eq=False)
class Relief:
    """What an ear looks like over the chart.

    Shape:
        All (PIXELS): shade, natural logarithm of a factor; near, 0..1, the ear and what is around it; auricle, 0..1;
        height in the chart.
    """

    shade: np.ndarray
    near: np.ndarray
    auricle: np.ndarray
    height: np.ndarray


def neutral_head(pack: Pack, z: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) of a code's head without expression, world units, in its own frame."""
    parameters = scene_parameters(z)
    vertices = head.evaluate(pack, parameters.phenotypes, local_changes(pack, parameters), {})
    scale, origin = head.framing(pack, vertices)
    return ((vertices - origin) * scale).astype(np.float32)


def ear_chart(pack: Pack) -> EarChart:
    """The chart on the mean head's left ear: h is the direction in which the ear is thinnest."""
    vertices = neutral_head(pack, np.zeros(256))
    left, right = (np.flatnonzero(_motion(pack, f"{side}-{WHOLE}") > BELONGS) for side in EARS)
    mirrored = vertices[right] * (-1.0, 1.0, 1.0)
    apart = np.linalg.norm(vertices[left][:, None] - mirrored, axis=-1)
    places = vertices[left].astype(np.float64)
    centre = places.mean(axis=0)
    outwards = np.linalg.svd(places - centre)[2][2]
    outwards *= np.sign(outwards[0])
    upwards = np.array([0.0, 1.0, 0.0]) - outwards * outwards[1]
    upwards /= np.linalg.norm(upwards)
    axes = np.stack((np.cross(upwards, outwards), upwards, outwards))
    chart = EarChart(np.stack((left, right[apart.argmin(axis=1)])), places, centre, axes)
    return EarChart(chart.vertices, chart.of(places), centre, axes)


def ear_frames(chart: EarChart, vertices: np.ndarray) -> np.ndarray:
    """Affine frames of both ears of a head (2, 4, 3): rows u, v, h and origin; the right one's of its mirror image."""
    found = np.linalg.pinv(np.concatenate((chart.places, np.ones((len(chart.places), 1))), axis=1))
    left, right = vertices[chart.vertices[0]], vertices[chart.vertices[1]] * (-1.0, 1.0, 1.0)
    return np.stack((found @ left, found @ right))


def ear_relief(pack: Pack, chart: EarChart) -> Relief:
    """Draws the mean head's left ear over the chart, smoothed by Loop subdivision, and shades it.

    Shade is openness to the sky (the mean sine of horizons, in a height field) and light from ahead and above, as far
    as it changes within an ear.
    """
    vertices = chart.of(neutral_head(pack, np.zeros(256)))
    triangles = pack.arrays["skin/vertex"][pack.arrays["skin/triangles"]]
    inside = (np.abs(vertices) < AROUND).all(axis=1)
    used, faces = np.unique(triangles[inside[triangles].all(axis=1)], return_inverse=True)
    faces = faces.reshape(-1, 3)
    values = np.stack([_motion(pack, f"{EARS[0]}-{name}")[used] for name in (WHOLE, WING)], axis=1)
    places, told = vertices[used], np.concatenate((values, values[:, :1]), axis=1)
    for _ in range(SUBDIVIDED):  # numbers at vertices are smoothed as places are
        (places, finer), (told, _) = (trimesh.remesh.subdivide_loop(one, faces, 1) for one in (places, told))
        faces = finer
    height, whole, wing = _drawn(np.asarray(places), np.asarray(told), faces)
    pixel = (WINDOW[1] - WINDOW[0]) / height.shape[1]
    down, right = np.gradient(gaussian_filter(height, 1.5), pixel)
    lit = (-right * LIGHT[0] + down * LIGHT[1] + LIGHT[2]) / np.sqrt(right**2 + down**2 + 1.0) / np.linalg.norm(LIGHT)
    lit = lit.clip(0.0, 1.0)
    light = 1.0 + STRENGTH * (lit - gaussian_filter(lit, COARSE / pixel))
    shade = (_openness(height / pixel) / OPEN).clip(0.0, 1.05) * light
    near, auricle = _smooth(whole, *NEAR), _smooth(wing, *WING_AT)
    return Relief(*(_coarser(one) for one in (np.log(shade.clip(DARKEST, LIGHTEST)), near, auricle, height)))


def _motion(pack: Pack, change: str) -> np.ndarray:
    """How far a local change moves each vertex (V,), relative to the most."""
    first = len(pack.basis) - len(pack.action_labels) - 2 * len(pack.local_labels)
    moved = np.linalg.norm(pack.basis[first + 2 * pack.local_labels.index(change)].reshape(-1, 3), axis=1)
    return moved / moved.max()


def _drawn(places: np.ndarray, values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height and two values of the outermost surface over the chart, FINER times as fine as PIXELS."""
    rows, columns = PIXELS[0] * FINER, PIXELS[1] * FINER
    u_from, u_to, v_from, v_to = WINDOW
    flat = np.stack(((places[:, 0] - u_from) / (u_to - u_from) * columns,
                     (v_to - places[:, 1]) / (v_to - v_from) * rows), axis=1)  # fmt: skip
    layers = np.concatenate((places[:, 2:], values[:, :2]), axis=1)
    found = np.zeros((rows, columns, 3))
    found[..., 0] = BEYOND
    corners, low, high = flat[faces], flat[faces].min(axis=1), flat[faces].max(axis=1)
    starts = np.maximum(np.floor(low - 0.5), 0).astype(int)
    ends = np.minimum(np.ceil(high + 0.5), (columns, rows)).astype(int)
    for face in np.flatnonzero((starts < ends).all(axis=1)):
        a, b, c = corners[face]
        area = (b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]
        if abs(area) < 1e-9:
            continue
        window = np.s_[starts[face, 1] : ends[face, 1], starts[face, 0] : ends[face, 0]]
        y, x = np.mgrid[window] + 0.5
        second = ((x - a[0]) * (c - a)[1] - (y - a[1]) * (c - a)[0]) / area
        third = ((b - a)[0] * (y - a[1]) - (b - a)[1] * (x - a[0])) / area
        weights = np.stack((1.0 - second - third, second, third), axis=-1)
        here = weights @ layers[faces[face]]
        nearer = (weights >= -1e-6).all(axis=-1) & (here[..., 0] > found[window][..., 0])
        found[window][nearer] = here[nearer]
    lowest = found[..., 0][found[..., 0] > BEYOND].min()
    return np.maximum(found[..., 0], lowest), found[..., 1], found[..., 2]


def _openness(height: np.ndarray) -> np.ndarray:
    """Mean share of the sky over a height field, both in pixels: 1 less the mean sine of its horizons."""
    rows, columns = height.shape
    down, right = np.arange(rows)[:, None], np.arange(columns)[None]
    shut = np.zeros_like(height)
    for angle in np.arange(DIRECTIONS) * (2.0 * np.pi / DIRECTIONS):
        slope = np.zeros_like(height)
        for reach in np.unique(np.round(1.35 ** np.arange(1, REACH))):
            y = np.clip(np.round(down + np.sin(angle) * reach).astype(int), 0, rows - 1)
            x = np.clip(np.round(right + np.cos(angle) * reach).astype(int), 0, columns - 1)
            slope = np.maximum(slope, (height[y, x] - height) / reach)
        shut += slope / np.sqrt(1.0 + slope**2)
    return 1.0 - shut / DIRECTIONS


def _smooth(values: np.ndarray, start: float, stop: float) -> np.ndarray:
    share = ((values - start) / (stop - start)).clip(0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _coarser(values: np.ndarray) -> np.ndarray:
    return values.reshape(PIXELS[0], FINER, PIXELS[1], FINER).mean(axis=(1, 3)).astype(np.float32)
