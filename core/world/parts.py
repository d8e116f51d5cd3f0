"""The parts a scene is made of: one drawable mesh each, with what the shader needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.world import head, light
from core.world.assets import Pack
from core.world.identity import SceneParameters
from core.world.masks import MEAN_EYE_DISTANCE, MEAN_EYES

Colour = tuple[float, float, float]
PARTS = ("none", "skin", "eyes", "teeth", "mouth", "hair", "brows", "lashes", "beard", "glasses", "neck_end", "lens")


def rgb(colour: np.ndarray) -> Colour:
    """A colour as plain floats."""
    return float(colour[0]), float(colour[1]), float(colour[2])


@dataclass(frozen=True)
class Material:
    """What the shader needs beside the mesh; colours are linear."""

    tone: Colour = (1.0, 1.0, 1.0)
    hair: Colour = (0.0, 0.0, 0.0)  # of scalp and stubble, skin only
    amounts: tuple[float, float, float, float] = (
        0.3,
        0.0,
        0.0,
        1.0,
    )  # skin: scalp, stubble, lips, contrast; eyes: pupil
    shine: tuple[float, float] = (0.0, 1.0)  # strength and sharpness of the highlight
    cover: float = 1.0  # opacity of what has holes or is transparent


@dataclass(frozen=True, eq=False)
class Part:
    """One drawable mesh."""

    name: str  # of `PARTS`
    vertices: np.ndarray  # (n, 3) float32 world
    normals: np.ndarray  # (n, 3) float32
    triangles: np.ndarray  # (f, 3) int32
    uv: np.ndarray  # (n, 2) float32
    paint: np.ndarray  # (n, 4) float32: openness, scalp, stubble, lips (skin) | openness, height, density, - (shell)
    texture: str  # key of the pack, "" for none
    material: Material
    ids: np.ndarray | None = None  # (n,) int32 pack vertex under each vertex, skin only
    key: str = ""  # same key + same vertex count = same material points


class Stage:
    """What the makers of parts share while one scene is built."""

    def __init__(
        self, pack: Pack, parameters: SceneParameters, raw: np.ndarray, vertices: np.ndarray,
        world: Callable[[np.ndarray], np.ndarray], scale: float, origin: np.ndarray,
    ) -> None:  # fmt: skip
        self.pack, self.parameters, self.raw, self.vertices, self.world, self.scale, self.origin = (
            pack, parameters, raw, vertices, world, scale, origin,
        )  # fmt: skip
        arrays = pack.arrays
        self.skin_of = arrays["skin/vertex"]
        self.skin_triangles = arrays["skin/triangles"]
        base = np.concatenate([self.skin_of[self.skin_triangles], arrays["inner/vertex"][arrays["inner/triangles"]]])
        self.normals = head.vertex_normals(vertices, base)
        self.hair = light.hair_colour(parameters)
        self.skin = light.skin_colour(parameters)


def plain(name: str, points: np.ndarray, normals: np.ndarray, triangles: np.ndarray, colour: np.ndarray,
           shine: tuple[float, float] = (0.0, 1.0), cover: float = 1.0) -> Part:  # fmt: skip
    """A part of one colour without texture."""
    count = len(points)
    paint = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    return Part(name, points.astype(np.float32), normals.astype(np.float32), triangles.astype(np.int32),
                np.zeros((count, 2), np.float32), paint, "", Material(tone=rgb(colour), shine=shine, cover=cover), None,
                name)  # fmt: skip


def fitted(stage: Stage, kind: str, name: str, part: str, texture: str, material: Material) -> Part:
    """A proxy of the pack fitted to this head."""
    proxy = stage.pack.proxy(kind, name)
    points = stage.world(proxy.fit(stage.raw))
    welded = proxy.weld[proxy.triangles]
    whole = np.zeros((int(proxy.weld.max()) + 1, 3), np.float32)
    whole[proxy.weld] = points
    normals = head.vertex_normals(whole, welded)[proxy.weld]
    paint = np.tile(np.array([1, 0, 0, 0], np.float32), (len(points), 1))
    return Part(part, points, normals, proxy.triangles, proxy.uv, paint, texture, material, None, f"{kind}/{name}")


def placed(stage: Stage, points: np.ndarray) -> np.ndarray:
    """Decimetres of this head -> the frame of the mean head that `core.world.masks` speaks of."""
    eyes = head.eye_centres(stage.pack, stage.raw)[:, :3]
    return (points - eyes.mean(0)) * (MEAN_EYE_DISTANCE / abs(eyes[0, 0] - eyes[1, 0])) + MEAN_EYES
