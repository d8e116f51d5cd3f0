"""People of the synthetic world whose every view is known: the truth that photographs cannot give.

They come from a random stream of their own: training draws heads by index from the stream of ``core.world.dataset``,
so none of these was ever trained on. Drawing needs the world's pack and off-screen OpenGL; this is the only room of
evaluation that knows either.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.camera import Camera
from core.errors import CameoError
from core.evaluation.likeness import PHOTO_HALF_FOV, PHOTO_SIZE, over
from core.world import assets
from core.world.fullness import fullness
from core.world.identity import LABELS, Z_SIZE, SceneParameters, labels, scene_parameters
from core.world.rasteriser import Buffers, Renderer
from core.world.scene import Scene, build

SEED = 90_001
"""First word of the streams of evaluation; training's is ``core.world.dataset.SEED``."""
PACK = Path(__file__).resolve().parents[2] / "runs" / "world" / "pack.npz"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Person:
    """One head of the world."""

    index: int
    scene: Scene
    labels: dict[str, float]
    """Of the world; ``Weight`` is how full the face is (``core.world.fullness``)."""


class People:
    """Draws the people of evaluation; owns an off-screen context until closed.

    Args:
        pack: The world's pack.
        stream: Which stream of people; suites that fit something use another one than those that measure it.

    Raises:
        CameoError: There is no pack, or no off-screen OpenGL.
    """

    def __init__(self, pack: Path = PACK, stream: int = 0) -> None:
        if not pack.is_file():
            raise CameoError(
                f"The world's pack {pack} is not there, so no people can be drawn.",
                hint="Make it with `python -m core world pack MAKEHUMAN_FOLDER`, or name it with --pack.",
            )
        self._pack = assets.load_pack(pack)
        self._stream = stream
        self._renderers: dict[int, Renderer] = {}
        # Another pack, or other code that draws it, makes other people: rows of theirs are not mixed in.
        digest = hashlib.sha256(pack.read_bytes())
        for source in sorted(Path(assets.__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
        self.mark = digest.hexdigest()[:12]
        """What makes these people who they are; part of the stamp of every row about them."""

    def code(self, index: int) -> NDArray[np.float32]:
        """The code z (256,) of a person."""
        return np.random.default_rng((SEED, self._stream, index)).normal(size=Z_SIZE).astype(np.float32)

    def person(self, index: int) -> Person:
        """The person of that number; the same one on every machine."""
        parameters = scene_parameters(self.code(index))
        known = {**labels(parameters), "Weight": fullness(parameters)}
        return Person(index, build(self._pack, parameters), {name: float(known[name]) for name in LABELS})

    def cameras(self, index: int, count: int, yaw: float = 0.3, pitch: float = 0.15) -> list[Camera]:
        """Random cameras of a person as StyleSDF draws them: normal, cut at two standard deviations.

        Args:
            index: The person.
            count: How many.
            yaw: Standard deviation of the yaw [rad].
            pitch: Standard deviation of the pitch [rad].
        """
        random = np.random.default_rng((SEED, self._stream, index, 1))
        found = np.clip(random.normal(size=(count, 2)), -2.0, 2.0) * (yaw, pitch)
        return [Camera(float(a), float(b)) for a, b in found]

    def view(self, person: Person, camera: Camera, size: int = 256) -> Buffers:
        """What one camera sees; geometry buffers have half the side."""
        return self._renderer(size).render(person.scene, camera.yaw, camera.pitch, camera.half_fov)

    def drawn(self, parameters: SceneParameters, camera: Camera, size: int = 256) -> Pixels:
        """Any head of the world, (S, S, 4) with straight alpha."""
        scene = build(self._pack, parameters)
        return self._renderer(size).render(scene, camera.yaw, camera.pitch, camera.half_fov).colour

    def photo(self, person: Person, camera: Camera) -> Pixels:
        """The person as a photograph of 512 px, before a plain wall: what goes into the engine."""
        random = np.random.default_rng((SEED, self._stream, person.index, 2))
        wall = random.uniform(70, 210) + random.normal(size=3) * 10
        shade = np.linspace(1.06, 0.92, PHOTO_SIZE)[:, None, None]
        return over(self.wide(person, camera), wall * shade)

    def wide(self, person: Person, camera: Camera) -> Pixels:
        """What the photo shows of the person, (512, 512, 4) with straight alpha."""
        return self.view(person, Camera(camera.yaw, camera.pitch, PHOTO_HALF_FOV), PHOTO_SIZE).colour

    def close(self) -> None:
        """Give the contexts back."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def _renderer(self, size: int) -> Renderer:
        if size not in self._renderers:
            # Torch's compiler brings an LLVM of its own and Mesa another: loaded second, the compiler's ends the
            # process the first time that an optimiser asks for it (Linux, torch 2.14, Mesa's software rasteriser).
            importlib.import_module("torch._dynamo")
            try:
                self._renderers[size] = Renderer(self._pack, size)
            except Exception as error:  # moderngl raises bare Exception where there is no EGL
                raise CameoError(
                    "There is no off-screen OpenGL, so no people can be drawn.",
                    hint="Install Mesa's EGL (Debian: libegl1, libgl1-mesa-dri), which needs no graphics card.",
                ) from error
        return self._renderers[size]


__all__ = ["PACK", "SEED", "People", "Person"]
