"""Heads of another origin with known geometry: ICT-FaceKit (Li et al. 2020, MIT), lit and drawn like the world.

A scan-based model that the world has never borrowed from: what a model trained on the world makes of these heads says
how far its shapes carry. For evaluation only, never trained on. Skin, brows, lips, eyes, teeth and a close-cropped
scalp have one colour each; the drawing is the world's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.camera import HALF_FOV
from core.errors import CameoError
from core.evaluation.people import People, Person
from core.evaluation.shape import Subject, cropped
from core.world import head, light
from core.world.identity import scene_parameters
from core.world.parts import Part, plain
from core.world.scene import Scene

Array = NDArray[np.float64]

MODEL = Path(__file__).resolve().parents[3] / "shared" / "assets" / "ict-facekit" / "model.npz"
SEED = 90_002
IDENTITIES = 100
MM = 10.0
"""Millimetres in a unit of the model."""
# Of the 68 landmarks: outer and inner eye corners, base of the nose, mouth corners; the head's right comes first.
KEYPOINTS = (36, 39, 42, 45, 33, 48, 54)
NOSE_TIP = 30
BROWS = (range(17, 22), range(22, 27))
LIPS = ((*range(48, 60), 48), (*range(60, 68), 60))  # outer and inner edge
# In the model's own units, centimetres.
BROW_WIDTH, LIP_WIDTH, IRIS_DEPTH = 0.3, 0.3, 0.16
HAIRLINE, HAIRLINE_LEAN = 2.5, 0.6  # above the brows, and how much lower for each one further back
EARS = 1.06  # what stands out further than so many half-widths of the face is an ear
EXPRESSIONS = ("mouthSmile_L", "mouthSmile_R")
# Standard deviations of the photo's camera [rad].
YAW, PITCH = 0.2, 0.1
EYE_DEPTH = 0.058  # z of the eye corners, as the world has it


class IctHeads:
    """Random heads of the model.

    Args:
        people: Who draws, and whose light and skin tones are used.
        file: ``model.npz`` of the model.

    Raises:
        CameoError: The model is not there.
    """

    def __init__(self, people: People, file: Path = MODEL) -> None:
        if not file.is_file():
            raise CameoError(
                f"The heads of ICT-FaceKit are not at {file}.",
                hint="Name the model with --ict, or measure scans of your own with --scans.",
            )
        with np.load(file) as arrays:
            self._neutral = arrays["neutral"].astype(np.float64)
            self._names = [str(name) for name in arrays["delta_names"]]
            self._deltas = arrays["deltas"]
            self._triangles = arrays["triangles"].astype(np.int32)
            materials = [str(name) for name in arrays["material_names"]]
            self._material = np.array(materials)[arrays["material"]]
            indices: dict[str, Any] = json.loads(str(arrays["vertex_indices"]))
        self.landmarks = np.array(indices["idx_to_landmark_verts"])
        self._people = people

    def vertices(self, index: int) -> Array:
        """Vertices (V, 3) of a head in the model's units: normal identity, half of them smiling."""
        random = np.random.default_rng((SEED, index))
        amounts = np.zeros(len(self._names))
        amounts[:IDENTITIES] = random.normal(size=IDENTITIES)
        amounts[[self._names.index(name) for name in EXPRESSIONS]] = max(0.0, random.uniform(-0.7, 0.7))
        used = np.flatnonzero(amounts)
        return self._neutral + np.tensordot(amounts[used], self._deltas[used].astype(np.float64), axes=1)

    def subject(self, name: str) -> Subject:
        """The head ``ict_NUMBER``, photographed from a little to the side."""
        index = int(name.removeprefix("ict_"))
        vertices = self.vertices(index) * MM
        face = np.unique(self._triangles[self._material == "M_Face"])
        (camera,) = self._people.cameras(index, 1, YAW, PITCH)
        photo = self._people.photo(Person(index, self.scene(index), {}), camera)
        scan = cropped(vertices[face], vertices[self.landmarks[NOSE_TIP]])
        return Subject(name, photo, scan, vertices[self.landmarks[list(KEYPOINTS)]])

    def scene(self, index: int) -> Scene:
        """The head in the world frame, where the aligner puts faces, under the light of one of the people."""
        own = self.vertices(index)
        marks = own[self.landmarks]
        eyes, mouth = marks[[36, 39, 42, 45]].mean(axis=0), marks[[48, 54]].mean(axis=0)
        across = np.linalg.norm(marks[[42, 45]].mean(axis=0) - marks[[36, 39]].mean(axis=0))
        # FFHQ's frame (core.alignment.framing): half its width, and its middle.
        half = max(2.0 * across, 1.8 * float(np.linalg.norm(eyes - mouth)))
        scale = np.tan(HALF_FOV) * (1.0 - EYE_DEPTH) / half
        middle = eyes + 0.1 * (mouth - eyes)
        world = ((own - (*middle[:2], eyes[2])) * scale + (0.0, 0.0, EYE_DEPTH)).astype(np.float32)
        parameters = scene_parameters(self._people.code(index))
        return Scene(
            tuple(self._parts(own, world, parameters)), light.light_of(parameters), world, marks, parameters, scale
        )

    def _parts(self, own: Array, world: NDArray[np.float32], parameters: Any) -> list[Part]:
        triangles, material = self._triangles, self._material
        skin = np.isin(material, ("M_Face", "M_BackHead"))
        normals = head.vertex_normals(world, triangles[skin])
        middles = own[triangles].mean(axis=1)
        marks = own[self.landmarks]
        front = material == "M_Face"
        brow = front & (_distance(middles, np.concatenate([_line(marks[list(side)]) for side in BROWS])) < BROW_WIDTH)
        lip = front & (_distance(middles, np.concatenate([_line(marks[list(edge)]) for edge in LIPS])) < LIP_WIDTH)
        top = marks[[*BROWS[0], *BROWS[1]], 1].max()
        scalp = skin & (middles[:, 1] > top + HAIRLINE - HAIRLINE_LEAN * (marks[27, 2] - middles[:, 2]))
        scalp &= np.abs(middles[:, 0]) < EARS * np.abs(marks[[0, 16], 0]).max()
        tone, hair = light.skin_colour(parameters), light.hair_colour(parameters)
        sclera = np.char.startswith(material, "M_Sclera")
        front_of_eyes = np.where(
            middles[:, 0] > 0, *(middles[sclera & (side * middles[:, 0] > 0), 2].max() for side in (1, -1))
        )
        iris = sclera & (middles[:, 2] > front_of_eyes - IRIS_DEPTH)
        colours = {
            "skin": (skin & ~brow & ~lip & ~scalp, tone, (0.04, 16.0)),
            "brows": (brow & ~lip, 0.3 * hair + 0.1 * tone, (0.0, 1.0)),
            "lips": (lip, tone * (0.85, 0.55, 0.55), (0.05, 20.0)),
            "scalp": (scalp & ~brow, 0.6 * hair + 0.15 * tone, (0.02, 10.0)),
            "eyes": (sclera & ~iris, np.array([0.6, 0.58, 0.55]), (0.3, 120.0)),
            "iris": (iris, np.array([0.05, 0.03, 0.02]), (0.5, 180.0)),
            "teeth": (material == "M_Teeth", np.array([0.7, 0.66, 0.58]), (0.1, 40.0)),
            "gums": (material == "M_GumsTongue", np.array([0.25, 0.06, 0.06]), (0.05, 20.0)),
        }
        parts = []
        for key, (chosen, colour, shine) in colours.items():
            used, faces = np.unique(triangles[chosen], return_inverse=True)
            smooth = (
                normals if key in ("skin", "brows", "lips", "scalp") else head.vertex_normals(world, triangles[chosen])
            )
            # "neck_end" is the shader's plain opaque surface.
            part = plain("neck_end", world[used], smooth[used], faces.reshape(-1, 3), np.asarray(colour), shine)
            parts.append(part)
        return parts


def _line(points: Array, steps: int = 8) -> Array:
    """Points along a line through others (M, 3), so many between neighbours."""
    shares = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    between = points[:-1, None] * (1.0 - shares) + points[1:, None] * shares
    return np.concatenate([between.reshape(-1, 3), points[-1:]])


def _distance(points: Array, to: Array) -> Array:
    """Distance of each point (N, 3) to the nearest of others (M, 3)."""
    return np.asarray(cKDTree(to).query(points)[0])
