"""Glasses as an object of their own: thin rims, clear lenses and temples, drawn into a picture of the head.

The field cannot hold a rim: it is thinner than a pixel of its pictures, and becomes a grey band on the skin. So the
attribute *Eyeglasses* moves no latents where a model knows its landmarks; a frame is put on them in three dimensions,
stands before the face from every side, and is hidden by hair and ears by their depth. Meshes get it as tubes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import HALF_FOV
from core.tensor_camera import project

__all__ = ["ATTRIBUTE", "Eyewear", "eyewear_on"]

ATTRIBUTE = "Eyeglasses"

Array = NDArray[np.float64]

# MediaPipe's corners of the eyes (outer, inner), right then left; the ridge between the eyes; upper edges of the brows.
EYES = ((33, 133), (263, 362))
RIDGE = (168, 6)
# Measures of a frame in distances of the eyes' centres: half width and half height of a lens, how far its centre lies
# farther out and lower than the eye's, and how round it is (2 is an ellipse).
HALF_WIDTH, HALF_HEIGHT, OUTWARD, LOWER, ROUND = 0.43, 0.31, 0.03, 0.07, 2.7
# How much nearer than the ridge of the nose the lenses stand (world units), how they bend back, how they lean.
STAND_OFF, WRAP, LEAN = 0.0015, 0.17, 0.13
# Half the thickness of a rim (world units: a head's radius is about 0.1) and of a temple.
RIM, TEMPLE = 0.0011, 0.001
# Where temples end (z), how they drop there, and how much they may spread on the way.
EAR, DROP, SPREAD = -0.006, 0.009, (0.06, 0.3)
# A rim this much behind the surface is still seen: surfaces of thin skin are known no better.
HIDDEN = 0.0015
# Points along a path, and subpixels a pixel.
POINTS, SUBPIXELS = 96, 4
# Colours in [-1, 1]: acetate, its sheen; how much of the light a lens takes and adds, and a rim's shade on the skin.
DARK, SHEEN = (-0.86, -0.88, -0.88), (-0.35, -0.38, -0.38)
LENS, SHADE = 0.05, 0.28


@dataclass(frozen=True, eq=False)
class Eyewear:
    """A pair of glasses in the head's frame.

    Shape:
        rims: two closed paths (n, 3); arms: open paths (m, 3) of bridge and temples. World units.
    """

    rims: tuple[Array, ...]
    arms: tuple[Array, ...]
    strength: float
    """How much of it is there, 0..1."""
    dark: tuple[float, float, float] = DARK
    sheen: tuple[float, float, float] = SHEEN
    """Its colours in [-1, 1]."""
    arm: float = TEMPLE
    """Half the thickness of bridge and temples (world units)."""

    def worn(
        self, picture: Tensor, alpha: Tensor, depth: Tensor, hit: Tensor, angles: Tensor, half_fov: float = HALF_FOV
    ) -> tuple[Tensor, Tensor]:
        """The picture of a head with its glasses.

        Shape:
            picture (1, 3, S, S) in [-1, 1]; alpha (1, 1, S, S); depth and hit (1, 1, s, s) of the surface along the
            optical axis; angles (1, 2); returns picture and alpha.
        """
        size, device = picture.shape[-1], picture.device
        fine = size * SUBPIXELS
        thick = 0.5 * fine / math.tan(half_fov)
        rims, sheen, lenses = (np.zeros((fine, fine), np.uint8) for _ in range(3))
        for path, radius, closed in self._paths():
            places, seen = _seen(path, depth, hit, angles, half_fov)
            pixels = np.round(((places + 1.0) * 0.5 * fine - 0.5) * 8).astype(np.int32)
            lift = np.array([0, round(0.35 * radius * thick * 8)], np.int32)
            for start, end in _runs(seen):
                part = pixels[start:end, None]
                cv2.polylines(rims, [part], False, 255, max(1, round(2 * radius * thick)), cv2.LINE_AA, 3)
                cv2.polylines(sheen, [part - lift], False, 255, max(1, round(0.5 * radius * thick)), cv2.LINE_AA, 3)
            if closed:
                cv2.fillPoly(lenses, [pixels[:, None]], 255, cv2.LINE_AA, 3)
        rim, shine, lens = (
            functional.avg_pool2d(torch.from_numpy(one).to(device)[None, None].to(picture.dtype) / 255.0, SUBPIXELS)
            for one in (rims, sheen, lenses)
        )
        # A rim's shade falls a little below it.
        reach = max(1, size // 96)
        shade = functional.avg_pool2d(functional.pad(rim, (0, 0, 2 * reach, 0))[..., :size, :], 2 * reach + 1, 1, reach)
        there = min(1.0, self.strength)
        picture = (picture + 1.0) * (1.0 - there * SHADE * shade.clamp(max=1.0)) - 1.0
        picture = picture + there * LENS * lens * (1.0 - picture)
        acetate, sheer = (picture.new_tensor(one)[:, None, None] for one in (self.dark, self.sheen))
        colour = acetate + (sheer - acetate) * shine
        rim = there * rim
        return picture * (1.0 - rim) + colour * rim, torch.maximum(alpha, rim)

    def tubes(self, sides: int = 6) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """Rims, bridge and temples as closed tubes: vertices (V, 3), triangles (F, 3), outward unit normals (V, 3)."""
        vertices, faces, normals, start = [], [], [], 0
        for path, radius, closed in self._paths():
            path = path[:-1] if closed else path
            along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
            along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
            first = np.cross(along, [0.31, 0.42, 0.85] if closed else [0.05, 1.0, 0.1])
            first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-12
            second = np.cross(along, first)
            turn = np.arange(sides) * (2 * np.pi / sides)
            ring = first[:, None] * np.cos(turn)[:, None] + second[:, None] * np.sin(turn)[:, None]
            count = len(path)
            i, j = np.meshgrid(np.arange(count if closed else count - 1), np.arange(sides), indexing="ij")
            a, b = i * sides + j, i * sides + (j + 1) % sides
            c, d = (i + 1) % count * sides + j, (i + 1) % count * sides + (j + 1) % sides
            part = [np.stack((a, b, c), -1).reshape(-1, 3), np.stack((b, d, c), -1).reshape(-1, 3)]
            if not closed:
                last = (count - 1) * sides
                part.append(np.array([(0, k + 1, k) for k in range(1, sides - 1)]))
                part.append(np.array([(last, last + k, last + k + 1) for k in range(1, sides - 1)]))
            vertices.append((path[:, None] + radius * ring).reshape(-1, 3))
            normals.append(ring.reshape(-1, 3))
            faces.append(np.concatenate(part) + start)
            start += count * sides
        return (
            np.concatenate(vertices).astype(np.float32),
            np.concatenate(faces).astype(np.int32),
            np.concatenate(normals).astype(np.float32),
        )

    def _paths(self) -> list[tuple[Array, float, bool]]:
        return [(rim, RIM, True) for rim in self.rims] + [(arm, self.arm, False) for arm in self.arms]


def eyewear_on(landmarks: Mapping[int, Array], distance: Callable[[Any], Any], strength: float) -> Eyewear:
    """Glasses that fit a head.

    Args:
        landmarks: Of the head, by MediaPipe's number: (3,) each, world units.
        distance: Signed distances (n,) of the head at places (n, 3); says how wide it is at the temples.
        strength: How much of the glasses is there, 0..1.
    """
    eyes = [0.5 * (landmarks[outer] + landmarks[inner]) for outer, inner in EYES]
    ridge = [landmarks[number] for number in RIDGE]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    front = max(float(point[2]) for point in ridge) + STAND_OFF
    middle = 0.5 * (eyes[0] + eyes[1])
    level = float(middle[1]) - LOWER * apart
    turn = np.linspace(0.0, 2.0 * np.pi, POINTS)
    cosine, sine = np.cos(turn), np.sin(turn)
    x = np.sign(cosine) * np.abs(cosine) ** (2.0 / ROUND) * HALF_WIDTH * apart
    y = np.sign(sine) * np.abs(sine) ** (2.0 / ROUND) * HALF_HEIGHT * apart
    # Narrower below, as lenses are.
    x = x * (1.0 + 0.06 * y / (HALF_HEIGHT * apart))

    def placed(side: Array, height: Array) -> Array:
        """Places on the bent and leaning plane of the lenses, from x beside the middle of the face and y."""
        back = WRAP * np.maximum(np.abs(side) - 0.1 * apart, 0.0) ** 2 / apart
        return np.stack((middle[0] + side, height, front - back + LEAN * (height - level)), axis=1)

    centre = (0.5 + OUTWARD) * apart
    rims = tuple(placed(sign * (centre + x), level + y) for sign in (-1.0, 1.0))
    inner = centre - HALF_WIDTH * apart
    arc = np.linspace(-1.0, 1.0, POINTS // 4)
    bridge = placed(arc * inner, level + apart * (0.1 + 0.05 * (1.0 - arc**2)))
    temples = tuple(_temple(rims, sign, distance) for sign in (-1.0, 1.0))
    return Eyewear(rims, (bridge, *temples), strength)


def _temple(rims: tuple[Array, ...], sign: float, distance: Callable[[Any], Any]) -> Array:
    """From the upper outer part of a rim past the head's side to behind the ear."""
    rim = rims[0] if sign < 0 else rims[1]
    height = rim[:, 1].mean() + 0.45 * (rim[:, 1].max() - rim[:, 1].mean())
    hinge = rim[np.argmax(sign * rim[:, 0] - 10.0 * np.abs(rim[:, 1] - height))]
    # The least spread that passes the temples: hair that covers an ear covers the temple as well.
    depths, reach = np.linspace(0.022, 0.05, 8), np.linspace(0.0, 0.03, 31)
    places = np.stack(
        [
            hinge[0] + sign * reach[None].repeat(len(depths), 0),
            np.full((len(depths), len(reach)), hinge[1]),
            depths[:, None].repeat(len(reach), 1),
        ],
        axis=-1,
    )
    free = np.asarray(distance(places.reshape(-1, 3))).reshape(len(depths), len(reach)) > 2.0 * TEMPLE
    least = np.where(free.any(axis=1), reach[free.argmax(axis=1)], reach[-1])
    spread = float(np.clip((least / np.maximum(hinge[2] - depths, 1e-3)).max(), *SPREAD))
    along = np.linspace(0.0, hinge[2] - EAR, POINTS // 2)
    # They spread to the head's side and go straight back from there.
    out = np.minimum(along * spread, least.max() + 0.001 + 0.04 * along)
    back = hinge + np.stack((sign * out, -0.02 * along, -along), axis=1)
    fall = np.linspace(0.0, DROP, 8)[1:, None]
    return np.concatenate((back, back[-1] + fall * np.array([[-0.2 * sign, -1.0, -0.8]])))


def _seen(path: Array, depth: Tensor, hit: Tensor, angles: Tensor, half_fov: float) -> tuple[Array, NDArray[np.bool_]]:
    """Where a camera sees the points of a path (n, 2), in [-1, 1], v down, and which of them it does see."""
    points = torch.from_numpy(path).to(depth)[None]
    places, away = project(points, angles, half_fov)
    grid = places[:, :, None]
    before = functional.grid_sample(depth, grid, mode="nearest", padding_mode="border", align_corners=False)
    solid = functional.grid_sample(hit, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    seen = (away[0] < before[0, 0, :, 0] + HIDDEN) | (solid[0, 0, :, 0] < 0.5)
    return places[0].double().cpu().numpy(), seen.cpu().numpy()


def _runs(seen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last but one of all stretches of True, those of a single point left out."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], seen.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a > 1]
