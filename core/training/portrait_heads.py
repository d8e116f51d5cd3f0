"""Which heads portraits are read as, once landmarks, hair and outline have had their say: what a reader may learn from.

Renders and portraits look different to a reader, however renders are disturbed. What the program ends with for a
portrait is a better answer than the one it began with: the better of two heads, with the haircut that is the photo's,
moved onto landmarks and outline. So the fits teach the reading that they begin from. No colour takes part.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.alignment import AlignedFace, DetectedFace, Framing
from core.camera import Camera
from core.job import Job
from core.models.networks import Networks
from core.reading import read_face
from core.training.data import RealPortraits

SIDE = 96


@dataclasses.dataclass(frozen=True, eq=False)
class PortraitHeads:
    """Canonical pictures of portraits and the geometry that they were fitted with.

    Shape:
        picture (N, 4, 96, 96) uint8 premultiplied; angles (N, 2); geometry (N, style_dim), w; wrong (N,), what is left
        of outline and hair (``core.refinement.resemblance``).
    """

    picture: Tensor
    angles: Tensor
    geometry: Tensor
    wrong: Tensor

    def __len__(self) -> int:
        return len(self.picture)

    def write(self, path: Path) -> None:
        """Into a file that :meth:`load` reads."""
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name).numpy() for field in dataclasses.fields(self)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> PortraitHeads:
        """What :meth:`write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(*(torch.from_numpy(file[field.name]) for field in dataclasses.fields(cls)))


def read_portraits(networks: Networks, portraits: RealPortraits, job: Job) -> PortraitHeads:
    """Reads all portraits as the program reads photos; two seconds each on one core.

    Args:
        networks: Of the weights, on the CPU.
        portraits: Aligned.
        job: Reports and cancels.
    """
    pictures, angles, geometry, wrong = [], [], [], []
    for number in range(len(portraits)):
        job.report(number / len(portraits), "reading portraits")
        fit = read_face(networks, as_aligned(portraits, number))
        if fit.placed is None:
            continue
        small = F.interpolate(fit.placed.canonical, size=SIDE, mode="area")
        matte = small[:, 3:]
        premultiplied = torch.cat(((small[:, :3] + 1.0) * 0.5 * matte, matte), 1)
        pictures.append((premultiplied[0] * 255.0).round().clamp(0.0, 255.0).byte())
        angles.append(fit.placed.pose[:2])
        geometry.append(fit.reading.styles[0])
        wrong.append(fit.resemblance.wrong)
    return PortraitHeads(torch.stack(pictures), torch.stack(angles), torch.stack(geometry), torch.tensor(wrong))


def as_aligned(portraits: RealPortraits, number: int) -> AlignedFace:
    """A portrait as an aligned face whose photo is its crop."""
    crop: NDArray[np.uint8] = portraits.colour[number].permute(1, 2, 0).contiguous().cpu().numpy()
    matte = (portraits.matte[number].float() / 255.0).cpu().numpy()
    side = float(len(crop))
    whole = np.array([[side, 0.0, 0.0], [0.0, side, 0.0]])
    unit = np.array([[1.0 / side, 0.0, 0.0], [0.0, 1.0 / side, 0.0]])
    marks = portraits.landmarks[number].double().cpu().numpy()
    # Nobody asks for the detection any more; its points stand where the face is.
    middle = marks.mean(axis=0) * side
    face = DetectedFace(np.array([0.0, 0.0, side, side]), *(middle,) * 5, landmarks=marks * side, score=1.0)
    size = (len(crop), len(crop))
    return AlignedFace(crop, crop, matte, matte, unit, whole, marks, Camera(), Framing(), face, size)
