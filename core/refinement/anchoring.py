"""A head whose shape was moved, brought back onto its photo: its outline stays where the photo shows it.

Latents that were moved towards a photo's colours are another head beneath the deformation that was fitted to the first
one. So the deformation is fitted anew, and whatever stands on the shape is made again.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.edit import LatentEdit
from core.models.generator import Generator
from core.models.networks import Networks
from core.refinement.contour import fit_contour
from core.refinement.passes import Body
from core.rendering.deformation import Deformation
from core.rendering.edited import EditedHead, edited_head
from core.rendering.folded import FoldedField
from core.rendering.hands import Pause
from core.rendering.source import SourceHead, source_head
from core.rendering.strays import strays

__all__ = ["head_of", "refitted"]


def refitted(
    networks: Networks, generator: Generator, styles: Tensor, angles: Tensor, source: SourceHead, pause: Pause
) -> Body:
    """The body of a moved head: its deformation fitted to the photo anew, and what floats beside it.

    Args:
        networks: As loaded.
        generator: As it is now.
        styles: As they are now.
        angles: The photo's camera.
        source: The photo tier of the head as it was.
        pause: Called between steps.

    Returns:
        The body; the one it had where nothing could be fitted.

    Shape:
        styles (1, rows, style_dim), angles (1, 2).
    """
    if networks.landmarks is None or networks.landmark_indices is None or source.marks is None:
        return Body.of(source)
    now = replace(networks, generator=generator)
    styles, angles = styles.detach().clone(), angles.detach().clone()
    matte, marks = source.matte.clone(), source.marks.clone()
    pause()
    found = fit_contour(now, styles, angles, matte, marks[networks.landmark_indices], pause, pinned=False)
    if found is None:
        return Body.of(source)
    with torch.no_grad():
        deformation = Deformation(torch.from_numpy(found).to(styles))
        light = FoldedField(generator.field, styles, deformation).light

        def distances(points: Tensor) -> Tensor:
            pause()
            return light.sdf(points[None])[0, :, 0]

        return Body(strays(distances, styles.device), deformation)


def head_of(
    networks: Networks,
    generator: Generator,
    rows: tuple[Tensor, Tensor],
    angles: Tensor,
    body: Body,
    source: SourceHead,
    pause: Pause,
) -> EditedHead:
    """The unedited head of moved latents, as the product draws it.

    Args:
        networks: As loaded.
        generator: As it is now.
        rows: Latents as they are now.
        angles: The photo's camera.
        body: Of the head as it is now.
        source: The photo tier of the head as it was.
        pause: Called between steps.
    """
    now = replace(networks, generator=generator)
    styles, decoder = (row.detach() for row in rows)
    # Copies: tensors that were made in inference mode can take no part in a gradient.
    photo, large, matte = (part.clone() for part in (source.photo, source.photo_large, source.matte))
    with torch.no_grad():
        made = source_head(
            now,
            photo,
            large,
            matte,
            styles,
            decoder,
            angles.clone(),
            pause,
            deformation=body.deformation,
            marks=source.marks,
        )
        pause()
        return edited_head(now, made, LatentEdit.none)
