"""What the reader learns from: snapshots of the world, and portraits settled into the canonical frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.models.landmarks import LandmarkRegressor
from core.refinement.landmarks import polish
from core.training.data import DataMissing, shrink
from core.training.views import frame_points


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshots:
    """Small pictures of many heads. Shape: colour (N, S, S, 4) uint8 straight; z (N, 256); camera (N, 3)."""

    colour: Tensor
    z: Tensor
    camera: Tensor
    landmarks: Tensor

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def load(cls, folder: Path) -> Snapshots:
        """Reads all finished files of ``python -m core.world snapshots``, and of ``glances`` the views from in front.

        Raises:
            DataMissing: if there are none.
        """
        files = sorted((*folder.glob("snapshots_*.npz"), *folder.glob("glances_*.npz")))
        if not files:
            raise DataMissing(f"No snapshots in {folder}.", hint="Run `python -m core.world snapshots FOLDER` first.")
        parts: dict[str, list[NDArray[np.generic]]] = {}
        for path in files:
            with np.load(path, allow_pickle=False) as file:
                # A glance's first view is a photo's; it is the coloured one of three in four.
                kept = file["coloured"] == 0 if "coloured" in file else np.ones(len(file["z"]), bool)
                for field in dataclasses.fields(cls):
                    values = file[field.name][kept]
                    if field.name == "camera" and "coloured" in file:
                        values = values[:, 0]
                    parts.setdefault(field.name, []).append(values)
        return cls(**{name: torch.from_numpy(np.concatenate(values)) for name, values in parts.items()})

    def picture(self, index: Tensor) -> Tensor:
        """Premultiplied pictures (N, 4, S, S) in [0, 1]."""
        straight = self.colour[index].permute(0, 3, 1, 2).float() / 255
        return torch.cat([straight[:, :3] * straight[:, 3:], straight[:, 3:]], 1)


@dataclasses.dataclass(frozen=True, eq=False)
class SettledPortraits:
    """Portraits in their canonical frame.

    Shape:
        picture (N, 4, 96, 96) uint8 premultiplied; angles (N, 2) yaw and pitch; landmarks (N, L, 2) unit coordinates
        of that picture, in the order of the world's.
    """

    picture: Tensor
    angles: Tensor
    landmarks: Tensor

    def __len__(self) -> int:
        return len(self.picture)


def settle(
    regressor: LandmarkRegressor,
    latents: tuple[Tensor, Tensor],
    colour: Tensor,
    matte: Tensor,
    landmarks: Tensor,
    pose: Tensor,
) -> SettledPortraits:
    """Portraits cut again so that each is the picture of the canonical camera, by landmarks alone.

    Args:
        regressor: Latent to 3D landmarks.
        latents: Where they start (style_dim,), and what heads differ by (``core.models.spread``).
        colour: (N, 3, 256, 256) uint8.
        matte: (N, 256, 256) uint8.
        landmarks: (N, L, 2) unit coordinates, in the regressor's order.
        pose: (N, 2) first yaw and pitch.
    """
    mean, spread = latents
    pictures, angles, places = [], [], []
    for i in range(len(colour)):
        start = torch.cat([pose[i], torch.zeros(4)])
        found = polish(regressor, spread, mean.expand(1, 2, -1), start, landmarks[i]).pose
        rgb, alpha = colour[i : i + 1].float() / 255, matte[i : i + 1, None].float() / 255
        # The canonical picture of a crop: read the crop where the framing puts each of its pixels.
        whole = torch.cat([rgb * alpha, alpha], 1)
        side = 96
        line = (torch.arange(side) + 0.5) / side
        v, u = torch.meshgrid(line, line, indexing="ij")
        grid = frame_points(found[None, 2:], torch.stack([u, v], -1).reshape(1, -1, 2)) * 2 - 1
        small = shrink(whole, 128)
        canonical = F.grid_sample(small, grid.reshape(1, side, side, 2), align_corners=False)
        pictures.append((canonical[0] * 255).round().clamp(0, 255).byte())
        angles.append(found[:2])
        centred = (landmarks[i] - 0.5 - found[4:6]) / found[2].exp()
        c, s = found[3].cos(), found[3].sin()
        places.append(
            torch.stack([c * centred[:, 0] + s * centred[:, 1], c * centred[:, 1] - s * centred[:, 0]], 1) + 0.5
        )
    return SettledPortraits(torch.stack(pictures), torch.stack(angles), torch.stack(places))
