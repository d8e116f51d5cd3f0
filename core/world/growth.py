"""What grows on a head: brows, lashes, hair and beard."""

from __future__ import annotations

import numpy as np

from core.world.identity import phi
from core.world.masks import ramp
from core.world.parts import Material, Part, Stage, fitted, placed, rgb
from core.world.shell import shells

HAIR_ENDS = (-0.045, -0.125)  # world y where medium and the longest hair ends: the scene ends with the neck
LONG_FROM = 0.55  # hair length from which it grows from one to the other


def brows(stage: Stage) -> list[Part]:
    """Both eyebrows; "brow" of the parameters is their opacity."""
    parameters = stage.parameters
    names = stage.pack.names("eyebrows")
    name = names[int(phi(float(parameters.brow_style[0])) * 0.999 * len(names))]
    colour = stage.hair * 0.6 * (1 - 0.4 * parameters.hair_grey)
    colour = np.minimum(colour, 0.16 + 0.2 * parameters.hair_grey)
    return [
        fitted(
            stage,
            "eyebrows",
            name,
            "brows",
            f"eyebrows/{name}",
            Material(tone=rgb(colour), cover=0.35 + 0.65 * parameters.brow),
        )
    ]


def lashes(stage: Stage) -> list[Part]:
    """Upper and lower lashes."""
    name = "eyelashes01" if stage.parameters.phenotypes["gender"] > 0.5 else "eyelashes02"
    cover = 0.45 + 0.45 * (1 - stage.parameters.phenotypes["gender"])
    return [
        fitted(
            stage,
            "eyelashes",
            name,
            "lashes",
            f"eyelashes/{name}",
            Material(tone=(0.015, 0.012, 0.01), cover=cover),
        )
    ]


def _fringe(stage: Stage, points: np.ndarray) -> np.ndarray:
    """1 where hair before the forehead hangs below the line that "bangs" allows, 0 where it stays, (n,)."""
    at = placed(stage, points)
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    front = ramp(z, 0.75, 0.95) * ramp(x, 0.68, 0.56)
    lowest = 7.62 - 0.42 * stage.parameters.bangs - 0.55 * x * x
    return front * ramp(y, lowest + 0.08, lowest - 0.08)


def hair(stage: Stage) -> list[Part]:
    """A hair mesh cut to its length and fringe, or shells, or nothing."""
    parameters = stage.parameters
    name = parameters.hair_style
    if name in ("crop", "afro"):
        return _shell_hair(stage, name)
    if not name:
        return []
    texture = f"hair/{name}" if name in stage.pack.texture_names("hair") else ""
    material = Material(tone=rgb(stage.hair), shine=(0.03, 20.0))
    part = fitted(stage, "hair", name, "hair", texture, material)
    reach = np.clip((parameters.hair_length - LONG_FROM) / (1 - LONG_FROM), 0, 1)
    end = HAIR_ENDS[0] + (HAIR_ENDS[1] - HAIR_ENDS[0]) * reach  # long hair ends where the coordinate says
    ended = ramp(part.vertices[:, 1], end + 0.005, end - 0.005)
    part.paint[:, 1] = np.maximum(_fringe(stage, part.vertices / stage.scale + stage.origin), ended)
    return [part]


def _shell_hair(stage: Stage, name: str) -> list[Part]:
    parameters, of = stage.parameters, stage.skin_of
    density = stage.pack.masks["scalp"][of]
    long = 0.10 + 0.25 * parameters.hair_length if name == "crop" else 0.35 + 0.55 * parameters.hair_length
    at = placed(stage, stage.raw[of])
    top = ramp(at[:, 1], 6.9, 7.7) * (0.75 + 0.25 * ramp(at[:, 2], -0.2, 0.8))
    low = ramp(at[:, 1], 6.2, 7.0)
    length = long * low * (0.35 + 0.65 * top) if name == "crop" else long * low * (0.55 + 0.45 * top)
    side = np.sign(parameters.hair_look[3])
    comb = np.stack([0.5 * side * top, -0.4 * (1 - top), -0.5 * top], 1) if name == "crop" else np.zeros((len(of), 3))
    layers = 12 if name == "crop" else 16
    return [
        _shell_part(
            stage,
            "hair",
            f"hair/{name}",
            density,
            length,
            layers,
            comb,
            stage.hair,
            1.15,
            1.0 if name == "crop" else 0.6,
        )
    ]


def _shell_part(
    stage: Stage, part: str, key: str, density: np.ndarray, length: np.ndarray, layers: int, comb: np.ndarray,
    colour: np.ndarray, cover: float, fineness: float,
) -> Part:  # fmt: skip
    of = stage.skin_of
    points, source, triangles, height = shells(
        stage.vertices[of], stage.normals[of], stage.skin_triangles, density, length * stage.scale, layers, comb
    )
    paint = np.stack(
        [stage.pack.masks["occlusion"][of][source], height, density[source], np.full(len(height), fineness)], 1
    )
    material = Material(tone=rgb(colour), shine=(0.015, 16.0), cover=cover)
    return Part(part, points, stage.normals[of][source], triangles, stage.pack.arrays["skin/uv"][source],
                paint.astype(np.float32), "", material, None, key)  # fmt: skip


def beard(stage: Stage) -> list[Part]:
    """Beard and moustache as shells; less than 0.4 is stubble and drawn by the skin."""
    parameters = stage.parameters
    amount = (parameters.beard - 0.4) / 0.6
    if amount <= 0.02:
        return []
    masks, of = stage.pack.masks, stage.skin_of
    style = parameters.beard_style
    whole = float(1 / (1 + np.exp(-3 * (style[0] + 0.7))))
    at = placed(stage, stage.raw[of])
    chin = np.exp(-((at[:, 0] / 0.3) ** 4))  # of the skin's own vertices
    cheeks = float(1 / (1 + np.exp(-3 * (style[1] + 0.5))))
    density = np.maximum(masks["beard"][of] * whole * (chin + (1 - chin) * cheeks), masks["moustache"][of])
    above = ramp(at[:, 1], 6.24, 6.30) * ramp(np.abs(at[:, 0]), 0.40, 0.30)
    lip = np.maximum(masks["moustache"][of], above)  # kept short and forward, so that it does not hang over the teeth
    length = (0.03 + 0.15 * amount) * (0.45 + 0.55 * chin) * (1 - 0.55 * lip)
    comb = np.array([[0.0, -0.9, 0.0]]) * (1 - 0.8 * lip[:, None])
    return [_shell_part(stage, "beard", "beard", density, length, 9, comb, stage.hair * 0.85, 0.85 + 0.3 * amount, 2.2)]
