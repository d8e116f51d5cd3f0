"""The two upper tiers of every head at hand: networks tuned to it, what its photo gives, what its edits make of that.

A frame needs all three and makes only what is missing. Entries are kept when they are complete, so a cancelled job
leaves nothing half-made. Refuses to know photos, jobs and progress.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from core.camera import Camera
from core.edit import LatentEdit
from core.inversion import Inversion, photo_tier
from core.models.networks import Networks
from core.recent import Recent
from core.refinement.delta import tuned_networks
from core.rendering.edited import EditedHead, edited_head
from core.rendering.frames import render_layer, to_pixels
from core.rendering.hands import Pause, resting
from core.rendering.source import SourceHead

__all__ = ["CACHED", "Tiers"]

# Entries of each tier's cache: the photo or edit at hand, and the one before (a switch back and forth costs nothing).
CACHED = 2

Pixels = NDArray[np.uint8]


class Tiers:
    """Heads as far as they are made.

    Args:
        networks: A model, on its device.
    """

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self._tuned: Recent[Networks] = Recent(CACHED)
        self.sources: Recent[SourceHead] = Recent(CACHED)
        self.heads: Recent[EditedHead] = Recent(CACHED)
        self._drafts: Recent[EditedHead] = Recent(CACHED)

    def networks_of(self, inversion: Inversion, pause: Pause = resting) -> Networks:
        """The networks that draw an inversion: the loaded ones, or a tuned copy of its own."""
        refinement = inversion.refinement
        if refinement is None:
            return self.networks
        return self._tuned.get(refinement.delta, lambda: tuned_networks(self.networks, refinement.delta, pause))

    def source(self, inversion: Inversion, pause: Pause = resting) -> SourceHead:
        """The photo tier of a head; pauses while it is made."""
        return self.sources.get(inversion, lambda: photo_tier(self.networks_of(inversion), inversion, pause))

    def head(
        self, inversion: Inversion, edit: LatentEdit, *, draft: bool = False, pause: Pause = resting
    ) -> EditedHead:
        """The edit tier of a head; a draft is coarser and sooner there, for small pictures."""
        networks = self.networks_of(inversion)

        def make() -> EditedHead:
            source = self.source(inversion, pause)
            with torch.inference_mode():
                return edited_head(networks, source, edit, draft=draft, pause=pause)

        # An empty edit is the photo tier as it is: there is nothing to draft.
        if draft and not edit.is_empty:
            return self._drafts.get((inversion, edit), make)
        return self.heads.get((inversion, edit), make)

    def picture(
        self,
        networks: Networks,
        head: EditedHead,
        camera: Camera,
        size: int,
        layer: str,
        pause: Pause = resting,
    ) -> tuple[Pixels, Pixels]:
        """Pixels (size, size, 3) and alpha (size, size), uint8, of a layer of a head."""
        with torch.inference_mode():
            return to_pixels(*render_layer(networks, head, camera, size, layer, pause=pause))

    def forget(self) -> None:
        """Lets go of everything that is made of photos and edits; it is made again when it is asked for."""
        self.sources = Recent(CACHED)
        self.forget_heads()

    def forget_heads(self) -> None:
        """Lets go of edited heads, which are large and can be made again."""
        self._drafts, self.heads = Recent(CACHED), Recent(CACHED)
