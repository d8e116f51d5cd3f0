"""Contact sheets of samples, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from core.world import assets
from core.world.identity import Z_SIZE, scene_parameters
from core.world.parts import PARTS
from core.world.rasteriser import Buffers, Renderer
from core.world.scene import build

BACKGROUND = np.array([172, 178, 184], np.float32)


def on_background(colour: np.ndarray, background: np.ndarray = BACKGROUND) -> np.ndarray:
    """Straight-alpha RGBA over a flat colour, (S, S, 3) uint8."""
    alpha = colour[..., 3:].astype(np.float32) / 255.0
    return (colour[..., :3] * alpha + background * (1 - alpha)).round().astype(np.uint8)


def layer_picture(buffers: Buffers, layer: str) -> np.ndarray:
    """One layer as an RGB picture."""
    if layer == "normal":
        shown = buffers.part[..., None] > 0
        return np.where(shown, buffers.normal.astype(np.int16) + 128, 0).clip(0, 255).astype(np.uint8)
    if layer == "part":
        palette = np.random.default_rng(3).integers(40, 255, (len(PARTS), 3)).astype(np.uint8)
        palette[0] = 0
        return palette[buffers.part]
    return on_background(buffers.colour)


def save_page(
    pack_path: Path, out: Path, *, count: int = 64, seed: int = 1, cell: int = 192, yaw: float | None = None,
    layer: str = "colour", columns: int = 8,
) -> None:  # fmt: skip
    """Write a sheet of samples; yaw None = poses as in photographs."""
    pack = assets.load_pack(pack_path)
    renderer = Renderer(pack, 256)
    sheet = Image.new("RGB", (columns * cell, -(-count // columns) * cell))
    for k in range(count):
        random = np.random.default_rng((seed, k))
        scene = build(pack, scene_parameters(random.normal(size=Z_SIZE)))
        turn = float(random.normal() * 0.3) if yaw is None else yaw
        tilt = float(random.normal() * 0.12) if yaw is None else 0.0
        picture = Image.fromarray(layer_picture(renderer.render(scene, turn, tilt), layer))
        picture = picture.resize((cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(picture, (k % columns * cell, k // columns * cell))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
    renderer.close()
