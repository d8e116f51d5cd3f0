"""Another haircut, where a head has hair that its photo does not show, or none where it does.

A reading is the middle of what heads of such a picture are like, and hair has none: between a bald head and a short cut
lies a cap. Landmarks know no hair, and the outline's fit takes small steps. So a few steps along the model's own
directions are looked at before the outline is fitted, and the one that is least wrong is taken: shorter ones where most
of what is wrong is hair that the photo does not show, longer ones where it is hair that the head lacks.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from core.models.networks import Networks
from core.refinement.resemblance import Resemblance
from core.rendering.hands import Pause, resting

__all__ = ["CUTS", "cut"]

CUTS = (("Hair length", -0.7), ("Bangs", -0.7), ("Hair length", 0.7))
"""Steps of directions that may be tried; -.7 of *Hair length* are bald heads, and steps up are more hair."""
# Share of a head whose hair may be wrong before others are tried.
ALIKE = 0.05
# What a cut must win, of what is wrong: small differences are the parser's.
GAIN = 0.1


def cut(
    networks: Networks, judge: Callable[[Tensor, Pause], Resemblance], styles: Tensor, pause: Pause = resting
) -> Tensor:
    """The latents with the haircut that is least wrong about the photo: their own, mostly.

    Args:
        networks: With directions; without them nothing is tried.
        judge: Of the photo (``core.refinement.resemblance``).
        styles: Latent rows, one latent in all geometry rows.
        pause: Called between steps.

    Shape:
        styles (1, rows, style_dim), and returns the same.
    """
    known = [(networks.directions[name].renderer, far) for name, far in CUTS if name in networks.directions]
    if not known:
        return styles
    own = judge(styles, pause)
    if own.hair < ALIKE:
        return styles
    longer = own.missing > 0.5 * own.hair
    best, found = (1.0 - GAIN) * own.wrong, styles
    for direction, far in known:
        if (far > 0.0) != longer:
            continue
        other = styles.clone()
        other[:, :-1] += far * direction[:-1]
        wrong = judge(other, pause).wrong
        if wrong < best:
            best, found = wrong, other
    return found
