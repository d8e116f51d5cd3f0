"""Mattes without clothes: what the parser sees of collars and shoulders belongs to no head.

A graph cut by colour parts neck and clothes where their colours differ; white collars on fair necks, and jackets as
dark as the hair above them, it leaves on the head. Refuses to know how mattes are made, and what lies above a chin.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from core.alignment import AlignedFace
from core.models.networks import Networks
from core.models.parsing import CLOTHES
from core.rendering.hands import Pause, resting, stepping
from core.tensors import alpha_tensor, picture_tensor

__all__ = ["undressed"]

SURE = (0.2, 0.5)
"""Share from which a pixel may be clothes, and is."""
EDGE = 3
"""Pixels of the parser's that clothes reach over: their edge has some of a collar's colour, and would dye a neck."""
LEAST = 28
"""Pixels of the parser's, edge and all, that make a piece of clothing; a shade on a neck is smaller."""
CHIN = 0.02
"""How far above the lowest landmark collars may reach, share of the crop."""
FACE = 0.62
"""Where a face ends in an FFHQ crop, for detectors that find no chin."""


@torch.inference_mode()
def undressed(networks: Networks, aligned: AlignedFace, pause: Pause = resting) -> AlignedFace:
    """The same face, its mattes without clothes; itself where the parser sees none, or knows none.

    Args:
        networks: The model.
        aligned: The face.
        pause: Called between steps.
    """
    parser = networks.parser
    if parser is None or parser.parts <= CLOTHES:
        return aligned
    picture, matte = picture_tensor(aligned.crop256, networks.device), alpha_tensor(aligned.matte256, networks.device)
    with stepping(parser, pause):
        share = parser.shares(picture, matte)[:, CLOTHES : CLOTHES + 1]
    worn = functional.max_pool2d(((share - SURE[0]) / (SURE[1] - SURE[0])).clamp(0.0, 1.0), EDGE, 1, EDGE // 2)
    rows = (torch.arange(worn.shape[-1], device=worn.device) + 0.5) / worn.shape[-1]
    chin = FACE if aligned.landmarks is None else float(aligned.landmarks[:, 1].max()) - CHIN
    worn = worn * (rows > chin).to(worn)[:, None]
    pieces, count = ndimage.label(worn[0, 0].cpu().numpy() > 0.5)
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= LEAST
    large[0] = False
    if not large.any():
        return aligned
    # What is softer around a piece goes with it.
    near = ndimage.binary_dilation(large[pieces], iterations=2)
    worn = worn * torch.from_numpy(near).to(worn)

    def without(mask: NDArray[np.float32]) -> NDArray[np.float32]:
        gone = functional.interpolate(worn, size=mask.shape, mode="bilinear", align_corners=False)[0, 0]
        pause()
        return (mask * (1.0 - gone.cpu().numpy())).astype(np.float32)

    return dataclasses.replace(aligned, matte256=without(aligned.matte256), matte1024=without(aligned.matte1024))
