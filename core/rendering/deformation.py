"""A head's own deformation: how a photo's head differs from the nearest one that the latents can make.

Free-form deformation (Sederberg & Parry 1986) read backwards: the displacement says, for a place of the deformed head,
where to ask the field. Latents know a few thousand heads of the synthetic world; hair that stands off, an ear, a jaw of
a real person lie some millimetres elsewhere. What was fitted to the photo (``core.refinement.contour``) is kept as a
small grid, so every picture, edit and mesh of the head has it. Refuses to know photos and networks.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from core.models.generator import GeometryPass
from core.models.volume import RaySamples, composite
from core.rendering.precision import Sdf
from core.rendering.solids import EXTENT

__all__ = ["Deformation"]


class Deformation:
    """Where to ask the field for a place of the deformed head.

    Args:
        displacement: Of the field's place from the head's (world units), on a grid over ``|x| <= EXTENT``.

    Shape:
        displacement (G, G, G, 3), axes x, y, z, and the vector last.
    """

    def __init__(self, displacement: Tensor) -> None:
        # The volume's last axis is x: what grid_sample calls x.
        self._grid = displacement.permute(3, 2, 1, 0)[None].contiguous()

    @property
    def displacement(self) -> Tensor:
        """What it was made of (G, G, G, 3)."""
        return self._grid[0].permute(3, 2, 1, 0)

    def clone(self) -> Deformation:
        """The same in tensors of its own: those made in inference mode can take no part in a gradient."""
        return Deformation(self.displacement.clone())

    def source(self, points: Tensor) -> Tensor:
        """Places of the undeformed head. Shape: points (..., 3) world units; returns (..., 3)."""
        grid = (points / EXTENT).reshape(1, -1, 1, 1, 3)
        moved = functional.grid_sample(self._grid, grid, padding_mode="border", align_corners=True)
        return points + moved[0, :, :, 0, 0].T.reshape(points.shape)

    def placed_back(self, points: Tensor) -> Tensor:
        """Where places of the undeformed head lie on the deformed one: a few fixed-point steps, for it bends little.

        Shape:
            points (..., 3), world units; returns (..., 3).
        """
        found = points
        for _ in range(4):
            found = found + points - self.source(found)
        return found

    def sdf(self, undeformed: Sdf) -> Sdf:
        """The deformed head's distances, to first order: nearly as steep as the field's own where it bends little."""
        return lambda points: undeformed(self.source(points))

    def samples(self, samples: RaySamples) -> RaySamples:
        """Samples whose points lie where the field is to be asked."""
        return samples._replace(points=self.source(samples.points))

    @staticmethod
    def placed(geometry: GeometryPass, samples: RaySamples) -> GeometryPass:
        """A geometry pass of :meth:`samples`, with its places back on the deformed head."""
        return geometry._replace(samples=samples, xyz=composite(geometry.weights, samples.points))
