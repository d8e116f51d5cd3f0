"""One world head as a photograph: soft background, a plain garment, grain. For the sample that a first start shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from core.camera import Camera
from core.world import assets
from core.world.identity import (
    AGE,
    BANGS,
    EYEGLASSES,
    EYES_OPEN,
    IDENTITY_BLOCKS,
    MOUTH_OPEN,
    SMILE,
    Z_SIZE,
    scene_parameters,
)
from core.world.rasteriser import Renderer
from core.world.scene import build

HALF_FOV = float(np.radians(8.2))  # room around the head, as a portrait has
NECK_LINE = -0.104  # world y of the garment's lowest point at the throat
DETAIL = 2  # drawn at this multiple of the size


def calm_z(seed: int) -> np.ndarray:
    """A friendly, unexaggerated head: shape near the mean, a smile, open eyes, no glasses."""
    z = np.random.default_rng((101, seed)).normal(size=Z_SIZE)
    for block, factor in (("shape", 0.55), ("expression", 0.2), ("gaze", 0.1), ("light", 0.5), ("asymmetry", 0.3)):
        z[IDENTITY_BLOCKS[block]] *= factor
    z[IDENTITY_BLOCKS["gaze"].start] = 1.6  # into the camera, which stands a little to the side
    z[IDENTITY_BLOCKS["light"].start + 11] = 0.8  # well exposed
    fixed = {SMILE: 0.75, MOUTH_OPEN: -0.5, EYES_OPEN: 0.5, EYEGLASSES: -1.0, BANGS: 0.2}
    for index, value in fixed.items():
        z[index] = value
    z[AGE] = np.clip(z[AGE], -1.2, 0.3)
    return z.astype(np.float32)


def backdrop(size: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    """A lit studio wall, brighter behind the head, (size, size) RGB."""
    down, across = np.mgrid[0:size, 0:size] / size
    mix = down[..., None]
    wall = np.array(top) * (1 - mix) + np.array(bottom) * mix
    glow = np.exp(-(((across - 0.55) / 0.45) ** 2) - ((down - 0.4) / 0.5) ** 2)[..., None]
    return Image.fromarray((wall * (0.82 + 0.3 * glow)).clip(0, 255).astype(np.uint8))


def garment(camera: Camera, size: int, colour: tuple[int, int, int], *, front: bool) -> Image.Image:
    """Shoulders behind the neck, or the collar that lies before its end, RGBA."""
    layer = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(layer)
    x = np.linspace(-0.24, 0.24, 97)
    if front:
        y = NECK_LINE + 0.022 * (1 - np.exp(-((x / 0.052) ** 4))) - 0.35 * np.clip(np.abs(x) - 0.055, 0, None) ** 1.2
    else:
        y = NECK_LINE + 0.028 - 1.5 * np.clip(np.abs(x) - 0.045, 0, None)
    seen, _ = camera.project(np.stack([x, y, np.zeros_like(x) + (0.02 if front else -0.02)], 1))
    outline = [(float((u + 1) / 2 * size), float((v + 1) / 2 * size)) for u, v in np.asarray(seen)]
    draw.polygon([*outline, (float(size), float(size)), (0.0, float(size))], fill=(*colour, 255))
    return layer.filter(ImageFilter.GaussianBlur(size / 500))


def save_portrait(pack_path: Path, out: Path, *, seed: int, size: int = 512, yaw: float = 0.18) -> None:
    """Render the portrait of a seed and write it as PNG."""
    camera = Camera(yaw=yaw, pitch=0.02, half_fov=HALF_FOV)
    large = size * DETAIL
    renderer = Renderer(assets.load_pack(pack_path), large)
    scene = build(renderer.pack, scene_parameters(calm_z(seed)))
    head = Image.fromarray(renderer.render(scene, camera.yaw, camera.pitch, camera.half_fov).colour)
    renderer.close()
    facing = Camera(yaw=0.5 * yaw, pitch=camera.pitch, half_fov=HALF_FOV)
    picture = backdrop(large, (128, 142, 156), (86, 98, 112)).convert("RGBA")
    picture.alpha_composite(garment(facing, large, (34, 44, 66), front=False))
    picture.alpha_composite(head)
    cloth = garment(facing, large, (44, 56, 82), front=True)
    shade = Image.new("RGBA", (large, large), (10, 14, 24, 0))
    shade.putalpha(cloth.getchannel("A").filter(ImageFilter.GaussianBlur(large / 60)).point(lambda a: a * 0.35))
    picture.alpha_composite(shade)
    picture.alpha_composite(cloth)
    pixels = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS), np.float32)
    grain = np.random.default_rng(seed).normal(size=(size, size, 1)) * 2.0
    down, across = np.mgrid[0:size, 0:size] / size - 0.5
    vignette = 1 - 0.25 * (down**2 + across**2)[..., None]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((pixels + grain) * vignette).clip(0, 255).astype(np.uint8)).save(out, optimize=True)
