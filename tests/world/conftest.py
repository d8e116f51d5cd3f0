"""The world's tests draw real heads: without the pack or without EGL they say so and are skipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.world import assets
from core.world.assets import Pack
from core.world.rasteriser import Renderer

PACK = Path(__file__).parents[2] / "runs" / "world" / "pack.npz"


@pytest.fixture(scope="session")
def pack() -> Pack:
    if not PACK.exists():
        pytest.skip("no pack; build it with `python -m core.world pack MAKEHUMAN_FOLDER`")
    return assets.load_pack(PACK)


@pytest.fixture(scope="session")
def renderer(pack: Pack) -> Iterator[Renderer]:
    try:
        drawn = Renderer(pack, 128)
    except Exception as error:  # noqa: BLE001 -- moderngl raises bare Exception where there is no EGL
        pytest.skip(f"no off-screen OpenGL: {error}")
    yield drawn
    drawn.close()
