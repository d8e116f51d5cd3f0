"""Scene parameters to meshes: the head, what grows on it and what it wears, in the world frame.

World frame: y up, +z towards the camera at yaw 0, unit = the camera's distance. Every part keeps its vertex order for
given parameters, so the same material point can be found in another state of the same head.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.world import eyes as eyeballs
from core.world import glasses, growth, head, light
from core.world.assets import Pack
from core.world.identity import SceneParameters, phi
from core.world.masks import ramp
from core.world.parts import Material, Part, Stage, fitted, plain, rgb

LANDMARKS_FILE = Path(__file__).parents[2] / "resources" / "landmark_vertices.json"
NECK_EXTRA = 0.12  # decimetres the neck is lengthened by, so that the picture's lower edge cuts it
UPPER_TEETH = np.arange(15060, 15128)  # base mesh helper vertices
SHAPE_SPREAD = 0.26  # standard deviation of a local change; its targets are made for 1
AMPLITUDES = {
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
        factor = next((value for key, value in AMPLITUDES.items() if name.startswith(key)), 1.0)
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
    makers = (_skin, _inside, _eyes, _teeth, growth.brows, growth.lashes, growth.hair, growth.beard, _glasses)
    stage = Stage(pack, parameters, raw, vertices, world, scale, origin)
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


def _skin(stage: Stage) -> list[Part]:
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
    name = chosen[int(phi(float(parameters.skin[0])) * 0.999 * len(chosen))]
    stubble = min(1.0, parameters.beard / 0.4)
    material = Material(
        tone=rgb(stage.skin),
        hair=rgb(stage.hair),
        amounts=(
            parameters.scalp if parameters.hair_style == "" else 0.75,
            0.75 * stubble,
            0.5 + 0.5 * phi(float(parameters.skin[4])),
            0.75 + 0.35 * float(np.tanh(parameters.skin[5])),
        ),
        shine=(
            0.032 + 0.03 * phi(float(parameters.skin[6])),
            14.0 + 10.0 * phi(float(parameters.skin[7])),
        ),
    )
    skin = Part("skin", stage.vertices[of], stage.normals[of], stage.skin_triangles, arrays["skin/uv"],
                paint.astype(np.float32), f"skin/{name}", material, of, "skin")  # fmt: skip
    loop = arrays["neck_loop"]
    ring = stage.vertices[loop]
    points = np.concatenate([ring, ring.mean(0, keepdims=True)])
    count = len(loop)
    fan = np.stack([np.roll(np.arange(count), -1), np.arange(count), np.full(count, count)], 1)
    down = np.tile(np.array([0, -1, 0], np.float32), (len(points), 1))
    end = plain("neck_end", points, down, fan, stage.skin * 0.8)
    return [skin, end]


def _inside(stage: Stage) -> list[Part]:
    arrays = stage.pack.arrays
    of = arrays["inner/vertex"]
    part = plain(
        "mouth", stage.vertices[of], stage.normals[of], arrays["inner/triangles"], np.array([0.10, 0.02, 0.02])
    )
    part.paint[:, 0] = 0.2
    return [part]


def _eyes(stage: Stage) -> list[Part]:
    unit, triangles, uv = eyeballs.eyeball()
    rotation = eyeballs.gaze_rotation(*stage.parameters.gaze)
    parts = []
    pupil = 0.30 + 0.07 * float(np.tanh(stage.parameters.iris[2]))
    material = Material(
        tone=rgb(light.iris_colour(stage.parameters)), amounts=(pupil, 0.0, 0.0, 1.0), shine=(0.5, 180.0)
    )
    for side, centre in enumerate(head.eye_centres(stage.pack, stage.raw)):
        turned = unit @ rotation.T.astype(np.float32)
        points = stage.world(centre[:3] + centre[3] * turned)
        paint = np.zeros((len(points), 4), np.float32)
        paint[:, 0], paint[:, 1] = 1.0, turned[:, 1]
        part = Part("eyes", points, turned, triangles, uv, paint, "", material, None, f"eye{side}")
        parts.append(part)
    return parts


def _teeth(stage: Stage) -> list[Part]:
    names = stage.pack.names("teeth")
    name = names[int(phi(float(stage.parameters.skin[8])) * 0.999 * len(names))]
    part = fitted(stage, "teeth", name, "teeth", "teeth/teeth", Material(shine=(0.1, 40.0)))
    middle = part.vertices[:, 0] / stage.scale
    part.paint[:, 0] = 0.95 - 0.8 * ramp(np.abs(middle), 0.11, 0.24)  # the cheeks shade the molars
    proxy = stage.pack.proxy("teeth", name)
    upper = np.isin(stage.pack.arrays["index"][proxy.refs[:, 0]], UPPER_TEETH)
    part.vertices[:, 1] += np.where(upper, -0.035, 0.012).astype(np.float32) * stage.scale
    return [part]


def _glasses(stage: Stage) -> list[Part]:
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
    shade = phi(float(parameters.glasses_style[4]))
    kind = 0 if shade < 0.5 else 1 if shade < 0.7 else 2  # black, tortoise, metal
    colour = np.array([(0.02, 0.018, 0.018), (0.10, 0.05, 0.025), (0.35, 0.33, 0.30)])[kind]
    sun = parameters.glasses_style[5] > 2.0
    lens_part = plain(
        "lens",
        stage.world(lens),
        np.tile(np.array([0, 0, 1], np.float32), (len(lens), 1)),
        lens_faces,
        np.array([0.02, 0.02, 0.02]),
        (0.5, 60.0),
        cover=0.85 if sun else 0.06,
    )
    frame_part = plain(
        "glasses",
        stage.world(frame),
        head.vertex_normals(stage.world(frame), frame_faces),
        frame_faces,
        colour,
        (0.25, 40.0),
    )
    return [frame_part, lens_part]
