"""How full a face is, as it shows: the exact label behind the slider "Weight".

The world's coordinate of weight is the body model's, and a head hardly shows it: half of its whole range
moves the face by 0.13 mm (root mean square). What does make heads look heavy are four local changes, which other
coordinates of z rule. Their mean is the label; the map from z to the scene stays as it is.
"""

from __future__ import annotations

from core.world.identity import SceneParameters, phi

FULL = (1, 45, 72, 74)
"""Of ``SceneParameters.shape``: cheek-volume, head-fat, neck-double (a double chin), neck-scale-horiz."""


def fullness(parameters: SceneParameters) -> float:
    """0 (lean) .. 1 (full); evenly distributed, as the mean of four normal coordinates is normal itself."""
    return phi(sum(float(parameters.shape[number]) for number in FULL) / len(FULL) ** 0.5)
