"""Scene parameters to meshes: the head, what grows on it and what it wears, in the world frame.

World frame: y up, +z towards the camera at yaw 0, unit = the camera's distance. Every part keeps its vertex order for
given parameters, so the same material point can be found in another state of the same head.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.world import eyes as eyeballs
from core.world import glasses, head, light
from core.world.assets import Pack
from core.world.identity import SceneParameters
from core.world.masks import MEAN_EYE_DISTANCE, MEAN_EYES, ramp
from core.world.shell import shells

PARTS = ("none", "skin", "eyes", "teeth", "mouth", "hair", "brows", "lashes", "beard", "glasses", "neck_end", "lens")
LANDMARKS_FILE = Path(__file__).parents[2] / "resources" / "landmark_vertices.json"
HAIR_ENDS = (-0.045, -0.125)  # world y where medium and the longest hair ends: the scene ends with the neck
LONG_FROM = 0.55  # hair length from which it grows from one to the other
NECK_EXTRA = 0.12  # decimetres the neck is lengthened by, so that the picture's lower edge cuts it
UPPER_TEETH = np.arange(15060, 15128)  # base mesh helper vertices
SHAPE_SPREAD = 0.26  # standard deviation of a local change; its targets are made for 1
STRONG = {
    "ear-shape": 0.3,
    "ear-trans": 0.6,
    "ear-scale": 0.8,
    "mouth-lowerlip-volume": 0.6,
    "mouth-upperlip-volume": 0.6,
    "mouth-lowerlip-height": 0.6,
    "mouth-upperlip-height": 0.6,
    "nose-scale-depth": 0.8,
    "head-age": 0.4,
    "ear-wing": 0.7,
    "neck-double": 0.6,
    "head-fat": 0.6,
}


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
    material: dict[str, tuple[float, ...] | float] = field(default_factory=dict)  # uniforms of the shader
    ids: np.ndarray | None = None  # (n,) int32 pack vertex under each vertex, skin only
    key: str = ""  # same key + same vertex count = same material points


@dataclass(frozen=True, eq=False)
class Scene:
    """A built head."""

    parts: tuple[Part, ...]
    light: light.Light
    vertices: np.ndarray  # (V, 3) float32 base head, world
    landmarks: np.ndarray  # (L, 3) float32 world
    parameters: SceneParameters
    scale: float  # world units a decimetre


def shape_pairs(pack: Pack) -> list[tuple[str, list[str]]]:
    """Symmetric shape coordinates: name without side -> the local changes it drives, in the pack's order."""
    groups: dict[str, list[str]] = {}
    for label in pack.local_labels:
        groups.setdefault(label[2:] if label[:2] in ("l-", "r-") else label, []).append(label)
    return list(groups.items())


def local_changes(pack: Pack, parameters: SceneParameters) -> dict[str, float]:
    """Local change -> amount in -1..1."""
    changes: dict[str, float] = {}
    pairs = shape_pairs(pack)
    for k, (name, members) in enumerate(pairs):
        factor = next((value for key, value in STRONG.items() if name.startswith(key)), 1.0)
        amount = SHAPE_SPREAD * factor * float(parameters.shape[k % len(parameters.shape)])
        for label in members:
            changes[label] = float(np.clip(amount, -0.95, 0.95))
    sided = [members for _, members in pairs if len(members) == 2]
    for k, value in enumerate(parameters.asymmetry):
        left, right = sided[(5 * k) % len(sided)]
        changes[left] = float(np.clip(changes[left] + 0.06 * value, -1, 1))
        changes[right] = float(np.clip(changes[right] - 0.06 * value, -1, 1))
    return changes


def build(pack: Pack, parameters: SceneParameters) -> Scene:
    """Build the scene of a head."""
    changes = local_changes(pack, parameters)
    neutral = head.evaluate(pack, parameters.phenotypes, changes, {})
    scale, origin = head.framing(pack, neutral)
    raw = head.act(pack, neutral, parameters.actions)
    _level_neck(pack, raw)
    origin = origin.astype(np.float32)

    def world(points: np.ndarray) -> np.ndarray:
        return ((points - origin) * scale).astype(np.float32)

    vertices = world(raw)
    makers = (_skin, _inside, _eyes, _teeth, _brows, _lashes, _hair, _beard, _glasses)
    stage = _Stage(pack, parameters, raw, vertices, world, scale, origin)
    parts = tuple(part for maker in makers for part in maker(stage))
    marks = vertices[landmark_vertices(pack)]
    return Scene(parts, light.light_of(parameters), vertices, marks, parameters, scale)


def _level_neck(pack: Pack, raw: np.ndarray) -> None:
    """Lay the neck's ragged edge on one plane, a little lower, in place."""
    loop = pack.arrays["neck_loop"]
    x, y, z = raw[loop].T
    plane = np.stack([np.ones_like(z), z, x], 1)
    fitted = plane @ np.linalg.lstsq(plane, y, rcond=None)[0]
    raw[loop, 1] = fitted - max(0.0, float((fitted - y).max())) - NECK_EXTRA


@lru_cache(maxsize=1)
def landmark_table() -> tuple[tuple[int, int], ...]:
    """(MediaPipe index, base mesh vertex) of each landmark, in the order of `Scene.landmarks`."""
    table = json.loads(LANDMARKS_FILE.read_text())["landmarks"]
    return tuple((int(row["mediapipe"]), int(row["vertex"])) for row in table)


def landmark_vertices(pack: Pack) -> np.ndarray:
    """Pack vertices of the landmarks (L,)."""
    return head.pack_vertices(pack, [vertex for _, vertex in landmark_table()])


class _Stage:
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


def _skin(stage: _Stage) -> list[Part]:
    pack, parameters = stage.pack, stage.parameters
    arrays, masks, of = pack.arrays, pack.masks, stage.skin_of
    paint = np.stack([masks["occlusion"][of], masks["scalp"][of], np.maximum(masks["beard"], masks["moustache"])[of],
                      masks["lips"][of] - masks["plain"][of]], 1)  # fmt: skip
    names = pack.texture_names("skin")
    gender, age = parameters.phenotypes["gender"], parameters.phenotypes["age"]

    def fits(name: str) -> float:
        score = 0.0
        score += 2.0 * (("female" in name) == (gender < 0.5))
        score += 1.2 * (
            {"young": age < 0.72, "middleage": 0.65 < age < 0.85, "old": age > 0.8}.get(name.split("_")[0], True)
        )
        score += 1.5 * (("dark" in name or "african" in name) == (parameters.skin_tone > 0.6))
        return score

    best = max(fits(name) for name in names)
    chosen = [name for name in names if fits(name) > best - 0.1]
    name = chosen[int(light.phi(float(parameters.skin[0])) * 0.999 * len(chosen))]
    stubble = min(1.0, parameters.beard / 0.4)
    material = {
        "tone": tuple(stage.skin),
        "hair": tuple(stage.hair),
        "amounts": (
            parameters.scalp if parameters.hair_style == "" else 0.75,
            0.75 * stubble,
            0.5 + 0.5 * light.phi(float(parameters.skin[4])),
            0.75 + 0.35 * float(np.tanh(parameters.skin[5])),
        ),
        "shine": (
            0.032 + 0.03 * light.phi(float(parameters.skin[6])),
            14.0 + 10.0 * light.phi(float(parameters.skin[7])),
        ),
    }
    skin = Part("skin", stage.vertices[of], stage.normals[of], stage.skin_triangles, arrays["skin/uv"],
                paint.astype(np.float32), f"skin/{name}", material, of, "skin")  # fmt: skip
    loop = arrays["neck_loop"]
    ring = stage.vertices[loop]
    points = np.concatenate([ring, ring.mean(0, keepdims=True)])
    count = len(loop)
    fan = np.stack([np.roll(np.arange(count), -1), np.arange(count), np.full(count, count)], 1)
    down = np.tile(np.float32([[0, -1, 0]]), (len(points), 1))
    end = _plain("neck_end", points, down, fan, stage.skin * 0.8)
    return [skin, end]


def _plain(name: str, points: np.ndarray, normals: np.ndarray, triangles: np.ndarray, colour: np.ndarray,
           shine: tuple[float, float] = (0.0, 1.0), key: str = "") -> Part:  # fmt: skip
    count = len(points)
    paint = np.tile(np.float32([[1, 0, 0, 0]]), (count, 1))
    return Part(name, points.astype(np.float32), normals.astype(np.float32), triangles.astype(np.int32),
                np.zeros((count, 2), np.float32), paint, "", {"tone": tuple(colour), "shine": shine}, None,
                key or name)  # fmt: skip


def _inside(stage: _Stage) -> list[Part]:
    arrays = stage.pack.arrays
    of = arrays["inner/vertex"]
    part = _plain(
        "mouth", stage.vertices[of], stage.normals[of], arrays["inner/triangles"], np.array([0.10, 0.02, 0.02])
    )
    part.paint[:, 0] = 0.2
    return [part]


def _eyes(stage: _Stage) -> list[Part]:
    unit, triangles, uv = eyeballs.eyeball()
    rotation = eyeballs.gaze_rotation(*stage.parameters.gaze)
    parts = []
    colour = light.iris_colour(stage.parameters)
    for side, centre in enumerate(head.eye_centres(stage.pack, stage.raw)):
        turned = unit @ rotation.T.astype(np.float32)
        points = stage.world(centre[:3] + centre[3] * turned)
        openness = np.ones(len(points))
        part = Part("eyes", points, turned, triangles, uv, np.stack([openness, turned[:, 1], 0 * openness, 0 * openness], 1).astype(np.float32),
                    "", {"tone": tuple(colour), "shine": (0.5, 180.0)}, None, f"eye{side}")  # fmt: skip
        parts.append(part)
    return parts


def _proxy(
    stage: _Stage, kind: str, name: str, part: str, texture: str, material: dict[str, tuple[float, ...] | float]
) -> Part:
    proxy = stage.pack.proxy(kind, name)
    points = stage.world(proxy.fit(stage.raw))
    welded = proxy.weld[proxy.triangles]
    whole = np.zeros((int(proxy.weld.max()) + 1, 3), np.float32)
    whole[proxy.weld] = points
    normals = head.vertex_normals(whole, welded)[proxy.weld]
    paint = np.tile(np.float32([[1, 0, 0, 0]]), (len(points), 1))
    return Part(part, points, normals, proxy.triangles, proxy.uv, paint, texture, material, None, f"{kind}/{name}")


def _teeth(stage: _Stage) -> list[Part]:
    names = stage.pack.names("teeth")
    name = names[int(light.phi(float(stage.parameters.skin[8])) * 0.999 * len(names))]
    part = _proxy(stage, "teeth", name, "teeth", "teeth/teeth", {"tone": (0.8, 0.78, 0.72), "shine": (0.1, 40.0)})
    middle = part.vertices[:, 0] / stage.scale
    part.paint[:, 0] = 0.95 - 0.8 * ramp(np.abs(middle), 0.11, 0.24)  # the cheeks shade the molars
    proxy = stage.pack.proxy("teeth", name)
    upper = np.isin(stage.pack.arrays["index"][proxy.refs[:, 0]], UPPER_TEETH)
    part.vertices[:, 1] += np.where(upper, -0.035, 0.012).astype(np.float32) * stage.scale
    return [part]


def _brows(stage: _Stage) -> list[Part]:
    parameters = stage.parameters
    names = stage.pack.names("eyebrows")
    name = names[int(light.phi(float(parameters.brow_style[0])) * 0.999 * len(names))]
    colour = stage.hair * 0.6 * (1 - 0.4 * parameters.hair_grey)
    colour = np.minimum(colour, 0.16 + 0.2 * parameters.hair_grey)
    return [
        _proxy(
            stage,
            "eyebrows",
            name,
            "brows",
            f"eyebrows/{name}",
            {"tone": tuple(colour), "shine": (0.0, 1.0), "cover": 0.35 + 0.65 * parameters.brow},
        )
    ]


def _lashes(stage: _Stage) -> list[Part]:
    name = "eyelashes01" if stage.parameters.phenotypes["gender"] > 0.5 else "eyelashes02"
    cover = 0.45 + 0.45 * (1 - stage.parameters.phenotypes["gender"])
    return [
        _proxy(
            stage,
            "eyelashes",
            name,
            "lashes",
            f"eyelashes/{name}",
            {"tone": (0.015, 0.012, 0.01), "shine": (0.0, 1.0), "cover": cover},
        )
    ]


def placed(stage: _Stage, points: np.ndarray) -> np.ndarray:
    """Decimetres of this head -> the frame of the mean head that `core.world.masks` speaks of."""
    eyes = head.eye_centres(stage.pack, stage.raw)[:, :3]
    return (points - eyes.mean(0)) * (MEAN_EYE_DISTANCE / abs(eyes[0, 0] - eyes[1, 0])) + MEAN_EYES


def _fringe(stage: _Stage, points: np.ndarray) -> np.ndarray:
    """1 where hair before the forehead hangs below the line that "bangs" allows, 0 where it stays, (n,)."""
    at = placed(stage, points)
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    front = ramp(z, 0.75, 0.95) * ramp(x, 0.68, 0.56)
    lowest = 7.62 - 0.42 * stage.parameters.bangs - 0.55 * x * x
    return front * ramp(y, lowest + 0.08, lowest - 0.08)


def _hair(stage: _Stage) -> list[Part]:
    parameters = stage.parameters
    name = parameters.hair_style
    if name in ("crop", "afro"):
        return _shell_hair(stage, name)
    if not name:
        return []
    texture = f"hair/{name}" if name in stage.pack.texture_names("hair") else ""
    material = {"tone": tuple(stage.hair), "shine": (0.03, 20.0), "cover": 1.0}
    part = _proxy(stage, "hair", name, "hair", texture, material)
    reach = np.clip((parameters.hair_length - LONG_FROM) / (1 - LONG_FROM), 0, 1)
    end = HAIR_ENDS[0] + (HAIR_ENDS[1] - HAIR_ENDS[0]) * reach  # long hair ends where the coordinate says
    ended = ramp(part.vertices[:, 1], end + 0.005, end - 0.005)
    part.paint[:, 1] = np.maximum(_fringe(stage, part.vertices / stage.scale + stage.origin), ended)
    return [part]


def _shell_hair(stage: _Stage, name: str) -> list[Part]:
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
    stage: _Stage, part: str, key: str, density: np.ndarray, length: np.ndarray, layers: int, comb: np.ndarray,
    colour: np.ndarray, cover: float, fineness: float,
) -> Part:  # fmt: skip
    of = stage.skin_of
    points, source, triangles, height = shells(
        stage.vertices[of], stage.normals[of], stage.skin_triangles, density, length * stage.scale, layers, comb
    )
    paint = np.stack(
        [stage.pack.masks["occlusion"][of][source], height, density[source], np.full(len(height), fineness)], 1
    )
    material = {"tone": tuple(colour), "shine": (0.015, 16.0), "cover": cover}
    return Part(part, points, stage.normals[of][source], triangles, stage.pack.arrays["skin/uv"][source],
                paint.astype(np.float32), "", material, None, key)  # fmt: skip


def _beard(stage: _Stage) -> list[Part]:
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


def _glasses(stage: _Stage) -> list[Part]:
    parameters = stage.parameters
    if parameters.glasses < 0.5:
        return []
    eye = head.eye_centres(stage.pack, stage.raw)
    front = float(eye[:, 2].mean() + eye[:, 3].mean() + 0.16)
    side = float(np.abs(stage.raw[stage.skin_of][:, 0]).max())
    ears = np.array(
        [[side - 0.1, eye[0, 1] + 0.02, eye[0, 2] - 0.74], [-(side - 0.1), eye[1, 1] + 0.02, eye[1, 2] - 0.74]]
    )
    bridge = np.array([0.0, eye[:, 1].mean(), front])
    (frame, frame_faces), (lens, lens_faces) = glasses.build(eye[:, :3], bridge, ears, front, parameters.glasses_style)
    shade = light.phi(float(parameters.glasses_style[4]))
    colour = (
        np.array([0.02, 0.018, 0.018])
        if shade < 0.5
        else np.array([0.10, 0.05, 0.025])
        if shade < 0.7
        else np.array([0.35, 0.33, 0.30])
    )
    sun = parameters.glasses_style[5] > 2.0
    lens_part = _plain(
        "lens",
        stage.world(lens),
        np.tile(np.float32([[0, 0, 1]]), (len(lens), 1)),
        lens_faces,
        np.array([0.02, 0.02, 0.02]),
        (0.5, 60.0),
    )
    lens_part.material["cover"] = 0.85 if sun else 0.06
    frame_part = _plain(
        "glasses",
        stage.world(frame),
        head.vertex_normals(stage.world(frame), frame_faces),
        frame_faces,
        colour,
        (0.25, 40.0),
    )
    return [frame_part, lens_part]
