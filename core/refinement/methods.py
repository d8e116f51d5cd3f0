"""The methods of refinement as data: which variables move, how fast, by which losses, on which views, when to stop.

The papers' methods keep their published steps, rates and schedules (specification §1, §2 and §11); where they ask for
LPIPS, ``structure`` stands in, and its stop rule (LPIPS ≤ 0.06) has no counterpart. ``fast`` and ``best`` are ours:
they leave the geometry, which encoder, landmarks and outline agreed upon, as it is, and move appearance only; but where
latents explain the photo, ``best`` takes their shape first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import CameoError

LATENTS = ("w", "w+", "appearance", "light")
"""Latent variables: one offset for all rows; an offset a row; the rows that shape does not depend on; these rows along
the directions of the world's light."""
WEIGHTS = ("geometry", "colour", "decoder", "mapping", "beta")
"""Groups of the generator's parameters."""
MOVES_SHAPE = frozenset({"w", "w+", "geometry", "beta", "camera"})
"""Variables under which kept rays and activations do not hold."""
SHAPE_ONLY = frozenset({"outline", "shape", "offset"})
"""Losses that need no picture."""
SHAPE_WORK = 0.3
"""What a step costs that draws nothing, in passes over a surface that stands still."""
MOVING_WORK = 2.5
"""What a pass costs whose surface moves, in the same."""


@dataclass(frozen=True)
class Stage:
    """One stretch of optimisation."""

    name: str
    """For a person."""
    steps: int
    rates: Mapping[str, float]
    """Variable → Adam's rate: of ``LATENTS`` ("light" in standard deviations of the world's), ``WEIGHTS``, or "camera"
    [rad]."""
    losses: Mapping[str, float]
    """Loss → weight: squared, pixels, structure, thumb, matte, offset, locality, shape, outline."""
    schedule: str = "constant"
    views: str = "photo"
    """"photo"; "alternating" photo and pseudo-view; "favoured", three steps for the photo and one for a pseudo-view;
    "both" in every step."""
    jitter: float = 0.0
    """Standard deviation of the latents' noise at the first step; it falls linearly to 0."""
    restart: bool = False
    """Begin with the weights as they were loaded, latents kept (HFGI3D's last stage)."""
    palette: bool = False
    """Begin with the colour head fitted to the stage's views in closed form."""
    refits: bool = False
    """End with the deformation fitted anew: the moved shape is brought back onto the photo's outline (see
    ``core.refinement.anchoring``)."""
    proof: tuple[int, float] | None = None
    """Step at which, and similarity (SSIM) from which on, the photo counts as explained; else the stage, which may move
    latents of one kind only, is undone and left. So it is if it ends worse than it began."""

    @property
    def moves_shape(self) -> bool:
        """Whether the surface may change."""
        return bool(MOVES_SHAPE & set(self.rates))

    @property
    def draws(self) -> bool:
        """Whether its steps draw pictures; what only looks at the surface costs next to nothing."""
        return bool(set(self.losses) - SHAPE_ONLY)

    @property
    def work(self) -> float:
        """What a step costs, in passes over a surface that stands still."""
        if not self.draws:
            return SHAPE_WORK
        return (2.0 if self.views == "both" else 1.0) * (MOVING_WORK if self.moves_shape else 1.0)

    @property
    def passes(self) -> int:
        """Guided passes with gradients."""
        return self.steps * (2 if self.views == "both" else 1) if self.draws else 0


@dataclass(frozen=True)
class Method:
    """A configuration of the one loop."""

    name: str
    label: str
    stages: tuple[Stage, ...]
    views: int = 0
    """Pseudo-views."""
    wide: int = 0
    """More of them, from far to the sides: what the photo cannot see there must stay as it was."""
    fill: str = "generator"
    """What pseudo-views show where the photo cannot: "generator" as tuned so far, or the unrefined head's "picture"."""
    border: int = 51
    """Erosion at the relief's border, at 512 px."""
    centred: bool = False
    """The ellipse lies around the photo's camera instead of the front."""
    honest: bool = False
    """Stop at the knee, and go back to the best step; else the schedule runs out and the end is kept."""
    measures: int = 12
    """Points of the curve."""
    mean_start: bool = False
    """Begin with the mean latents instead of the encoder's."""

    @property
    def passes(self) -> int:
        """Guided passes with gradients, of all stages."""
        return sum(stage.passes for stage in self.stages)

    @property
    def moves_shape(self) -> bool:
        """Whether the surface moves on every photo."""
        return any(stage.moves_shape and stage.proof is None for stage in self.stages)

    def polished(self, what: Sequence[str]) -> Method:
        """The same method after a polish of camera or light, or both: little steps by the photo, nothing else moves.

        They count as passes, and become fewer with all others when the method is limited.
        """
        rates = {name: POLISHES[name] for name in what}
        stage = Stage(f"polishing {' and '.join(what)}", POLISH_STEPS, rates, _POLISH, "fading")
        return replace(self, name="+".join((*what, self.name)), stages=(stage, *self.stages))

    def limited(self, passes: int) -> Method:
        """The same method with its steps shortened in proportion, for comparisons at equal cost."""
        share = min(1.0, passes / max(1, self.passes))

        def shorter(stage: Stage) -> Stage:
            steps = max(1, round(stage.steps * share))
            # What is asked was found for so many steps; it does not come sooner.
            return replace(stage, steps=steps, proof=stage.proof and (min(stage.proof[0], steps), stage.proof[1]))

        return replace(self, stages=tuple(shorter(stage) for stage in self.stages))


POLISHES: Mapping[str, float] = {"camera": 2e-3, "light": 3e-2}
"""What may be polished before a method, and at which rate."""
POLISH_STEPS = 40
_POLISH = {"pixels": 1.0, "structure": 0.5, "thumb": 0.5}
_PAPER = {"squared": 1.0, "structure": 1.0, "thumb": 0.1}
_OURS = {"pixels": 1.0, "structure": 0.5, "thumb": 0.5, "matte": 0.2}
_ALL = dict.fromkeys(WEIGHTS, 5e-5)
_SPLIT = {"decoder": 1e-4, "colour": 2e-5, "geometry": 2e-5}
_SG2 = Stage("projecting", 450, {"w": 5e-3}, _PAPER, schedule="step", jitter=0.03)
_SG2PLUS = Stage("projecting", 500, {"w+": 5e-3}, {**_PAPER, "offset": 2e-4}, schedule="step", jitter=0.03)
_STAGE_A = Stage("projecting", 500, {"w+": 1e-2}, {**_PAPER, "offset": 2e-4}, schedule="cosine", jitter=0.03)
_FOUND = Stage("finding the shape", 120, {"w": 1e-2}, _PAPER, schedule="cosine", refits=True, proof=(30, 0.55))
_QUICK = {"appearance": 1e-2, "colour": 1.5e-3, "decoder": 1.6e-2}
_APPEARANCE = {"appearance": 1e-2, "colour": 2e-3, "decoder": 1.2e-2}

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "fast",
            "Fast",
            (Stage("tuning", 160, _QUICK, _OURS, "fading", "favoured", palette=True),),
            views=3,
            fill="picture",
            border=11,
            centred=True,
            honest=True,
            measures=2,
        ),
        Method(
            "best",
            "Best",
            (
                _FOUND,
                Stage("tuning on all sides", 800, _APPEARANCE, _OURS, "fading", "favoured", palette=True),
            ),
            views=12,
            wide=8,
            fill="picture",
            border=11,
            centred=True,
            honest=True,
            measures=10,
        ),
        Method("sg2", "SG2 (W)", (_SG2,)),
        Method("sg2plus", "SG2+ (W+)", (_SG2PLUS,)),
        Method("pti", "PTI", (_SG2, Stage("tuning", 100, _ALL, _PAPER))),
        Method("pti-split", "PTI, split rates", (_SG2, Stage("tuning", 100, _SPLIT, {**_PAPER, "locality": 0.1}))),
        Method(
            "pti-appearance",
            "PTI, appearance only",
            (Stage("tuning", 200, {"decoder": 1e-4, "colour": 1e-4}, _PAPER),),
        ),
        Method(
            "hfgi3d",
            "HFGI3D",
            (
                _STAGE_A,
                Stage("tuning", 500, _SPLIT, _PAPER),
                Stage(
                    "tuning on all sides",
                    1000,
                    {"decoder": 5e-5, "colour": 5e-5, "geometry": 1e-5},
                    {**_PAPER, "shape": 0.1},
                    views="both",
                    restart=True,
                ),
            ),
            views=30,
        ),
        Method(
            "density",
            "Shape held (HFGI3D, D)",
            (_STAGE_A, Stage("tuning", 1000, _SPLIT, {**_PAPER, "shape": 1.0})),
        ),
    )
}
"""All methods by name, as ``--refine`` takes them."""


MEAN = "mean"
"""Before a method: it begins with the mean latents."""


def method_of(name: str) -> Method:
    """A method by its name: one of ``METHODS``; "mean+sg2" from the mean latents; "camera+light+best" after a polish.

    Raises:
        CameoError: There is no such method.
    """
    *first, last = name.split("+")
    if last not in METHODS or not set(first) <= {MEAN, *POLISHES} or len(set(first)) < len(first):
        before = ", ".join(f"{one}+" for one in (MEAN, *POLISHES))
        hint = f"Use one of {', '.join(METHODS)}; before it, if wanted, {before}."
        raise CameoError(f"There is no refinement “{name}”.", hint=hint)
    if MEAN in first and not METHODS[last].moves_shape:
        able = [name for name, method in METHODS.items() if method.moves_shape]
        hint = f"From the mean head only those lead to the photo that move the shape: {', '.join(able)}."
        raise CameoError(f"The refinement “{last}” keeps the shape that it begins with.", hint=hint)
    polishes = [one for one in POLISHES if one in first]
    found = METHODS[last].polished(polishes) if polishes else METHODS[last]
    return replace(found, name=f"{MEAN}+{found.name}", mean_start=True) if MEAN in first else found


__all__ = ["LATENTS", "MEAN", "METHODS", "MOVES_SHAPE", "POLISHES", "WEIGHTS", "Method", "Stage", "method_of"]
