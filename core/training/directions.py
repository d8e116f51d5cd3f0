"""Attribute directions in the latent spaces (InterfaceGAN, Shen et al. 2020), on exactly labelled samples.

For each attribute the samples with the highest and lowest scores train a linear SVM in each latent space; its normal is
the direction, made conditional (orthogonal to the other attributes' normals). The labels come from the world's own
parameters, so no scorer has to be trusted.

Two things differ from the paper. Latents are whitened first: a normal of the plain latents says how to *tell* heads
apart, and moving along it leaves the latents that heads have; whitened, it is what heads that differ in the attribute
differ by. And an attribute moves the blocks of latents that it belongs to: shape lives in the field's geometry rows,
skin and hair colour in its colour row and in the decoder's latent.
"""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import torch
from torch import Tensor

from core.models.generator import Generator
from core.models.networks import Direction
from core.world.fullness import fullness
from core.world.identity import Z_SIZE, labels, scene_parameters

logger = logging.getLogger(__name__)

SAMPLES = 40_000
"""Labelled heads; 10,000 do, but a quarter of the noise costs seconds."""
ENDS = 0.3
"""Share of the samples at each end of the score that trains the SVM."""
TRAINED = 0.7
"""Share of those for training; the rest measures the accuracy."""
MASCULINE = 0.75
"""Label from which on the world grows beards as their coordinate asks; below it the label says nothing of the beard."""
FLOOR = 1e-4
"""Share of the largest variance that counts as one of w in every direction: what heads hardly differ in is no way."""


@dataclasses.dataclass(frozen=True)
class Step:
    """What +1 of an attribute means, and which latents it moves."""

    label: str
    """Of the world, or ``Weight``, see ``core.world.fullness``."""
    amount: float
    """What +1 adds to the label."""
    geometry: bool = True
    colour: bool = True
    among_men: bool = False
    """Whether only masculine heads say anything about it."""


STEPS: dict[str, Step] = {
    "Smile": Step("Smile", 0.8),
    "Mouth open": Step("Mouth open", 0.35),
    "Eyes open": Step("Eyes open", 0.4),
    "Brows": Step("Brows", 0.6),
    "Age": Step("Age", 0.6),
    "Gender": Step("Gender", 0.9),
    "Weight": Step("Weight", 1.6, colour=False),
    "Skin tone": Step("Skin tone", 0.25, geometry=False),
    "Hair length": Step("Hair length", 0.7),
    "Hair colour": Step("Hair colour", 0.5, geometry=False),
    "Bangs": Step("Bangs", 1.4),
    "Beard": Step("Beard", 1.6, among_men=True),  # from nothing: most faces are far from growing one
    "Eyeglasses": Step("Eyeglasses", 1.2),  # the field draws rims weakly: beyond what its label asks for
}
"""Attribute of the product → what a step of it is (labels lie in 0..1)."""
IDLE = ("Eyes open", "Brows")
"""Attributes that the mapping does not pass on to the field (``python -m core evaluate attributes``): they are searched
for, so that the others stay clear of them, but a slider for them would move nothing."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """A direction, the test accuracy of its SVMs in w and in the decoder's latent, and what a step changes.

    ``leakage`` says for every attribute how much of its own step one step of this one brings along, by linear
    regression of all labels on w.
    """

    direction: Direction
    accuracy: tuple[float, float]
    leakage: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Labelled heads. Shape: w (N, style_dim), decoder (N, D), scores (N, A) in the order of ``STEPS``, men (N,)."""

    w: Tensor
    decoder: Tensor
    scores: Tensor
    men: Tensor


def labelled_samples(generator: Generator, count: int, seed: int) -> Samples:
    """Random heads with their exact labels."""
    z = np.random.default_rng(seed).standard_normal((count, Z_SIZE)).astype(np.float32)
    rows, men = [], []
    for row in z:
        parameters = scene_parameters(row)
        known = {**labels(parameters), "Weight": fullness(parameters)}
        rows.append([known[step.label] for step in STEPS.values()])
        men.append(known["Gender"] > MASCULINE)
    with torch.no_grad():
        w = generator.mapping(torch.from_numpy(z))
        s = generator.decoder_latent(w)
    return Samples(w, s, torch.tensor(rows, dtype=torch.float32), torch.tensor(men))


def linear_svm(x: Tensor, y: Tensor, *, weight_decay: float = 1e-3, steps: int = 300) -> tuple[Tensor, Tensor]:
    """Normal (dim,) and offset of a linear SVM (squared hinge, L2) on x (N, dim) with y in {-1, 1}."""
    normal = torch.zeros(x.shape[1], requires_grad=True)
    offset = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([normal, offset], max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        margin = torch.relu(1 - y * (x @ normal + offset))
        loss = margin.square().mean() + weight_decay * normal.square().sum()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)
    return normal.detach(), offset.detach()


def whitening(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (dim,) and matrix (dim, dim) whose product with whitened vectors gives latents back; symmetric.

    Shape:
        latents (N, dim).
    """
    mean = latents.mean(0)
    values, vectors = torch.linalg.eigh((latents - mean).double().T @ (latents - mean).double() / len(latents))
    values = values.clamp(min=float(values.max()) * FLOOR)
    return mean, ((vectors * values.sqrt()) @ vectors.T).to(latents.dtype)


def separation(x: Tensor, score: Tensor, seed: int) -> tuple[Tensor, float]:
    """Unit normal (dim,) of the SVM between both ends of a score, and its accuracy on the ends held out.

    Shape:
        x (N, dim), score (N,).
    """
    order = score.argsort()
    k = int(len(order) * ENDS)
    if len(score.unique()) == 2:  # a yes or no: as many of each
        positive = int((score > 0.5).sum())
        k = min(positive, len(order) - positive)
    both = torch.cat([order[:k], order[-k:]])
    sign = torch.cat([-torch.ones(k), torch.ones(k)])
    shuffle = torch.randperm(2 * k, generator=torch.Generator().manual_seed(seed))
    train, test = shuffle.tensor_split([int(2 * k * TRAINED)])
    normal, offset = linear_svm(x[both[train]], sign[train])
    right = (x[both[test]] @ normal + offset).sign() == sign[test]
    return torch.nn.functional.normalize(normal, dim=0), float(right.float().mean())


def conditional(normals: Tensor) -> Tensor:
    """Each unit normal (A, dim) without its part in the span of the others (InterfaceGAN, Section 3.3)."""
    out = []
    for i in range(len(normals)):
        others = torch.cat([normals[:i], normals[i + 1 :]])
        basis, _ = torch.linalg.qr(others.T)
        out.append(torch.nn.functional.normalize(normals[i] - basis @ (basis.T @ normals[i]), dim=0))
    return torch.stack(out)


@dataclasses.dataclass(frozen=True, eq=False)
class _Space:
    """Directions of one latent space. Shape: moves (A, dim), one step each; accuracy (A); leakage (A, A)."""

    moves: Tensor
    accuracy: list[float]
    leakage: Tensor


def _search(latents: Tensor, samples: Samples, seed: int) -> _Space:
    mean, back = whitening(latents)
    x = torch.linalg.solve(back, (latents - mean).T).T
    normals, accuracy = [], []
    for column, step in enumerate(STEPS.values()):
        asked = samples.men if step.among_men and samples.men.sum() > 50 else torch.ones_like(samples.men)
        normal, right = separation(x[asked], samples.scores[asked, column], seed)
        normals.append(normal)
        accuracy.append(right)
    found = conditional(torch.stack(normals))
    centred = samples.scores - samples.scores.mean(0)
    together = x.T @ centred / len(x)  # (dim, A): as x is white, also the slopes of the regression of labels on x
    amounts = torch.tensor([step.amount for step in STEPS.values()])
    lengths = []
    for column, step in enumerate(STEPS.values()):
        asked = samples.men if step.among_men and samples.men.sum() > 50 else torch.ones_like(samples.men)
        score = samples.scores[asked, column]
        centred_score = score - score.mean()
        # What heads differ by whose labels differ by a step: the regression of latents on the label.
        slope = (x[asked].T @ centred_score) / (centred_score @ centred_score)
        lengths.append(float(found[column] @ slope) * step.amount)
    moves = torch.tensor(lengths)[:, None] * found
    leakage = (moves @ together) / amounts
    return _Space(moves @ back, accuracy, leakage / leakage.diag()[:, None])


def find_directions(generator: Generator, count: int = SAMPLES, seed: int = 0) -> dict[str, Found]:
    """Directions of all attributes in ``STEPS``.

    Args:
        generator: The trained generator, on the CPU.
        count: Labelled samples.
        seed: Of the samples and the split.
    """
    samples = labelled_samples(generator, count, seed)
    field, decoder = (_search(latents, samples, seed) for latents in (samples.w, samples.decoder))
    rows, decoder_rows = generator.config.field.rows, generator.config.decoder.rows
    found = {}
    for i, (name, step) in enumerate(STEPS.items()):
        renderer = field.moves[i].expand(rows, -1).clone()
        renderer[:-1] *= step.geometry
        renderer[-1] *= step.colour
        direction = Direction(renderer, decoder.moves[i].expand(decoder_rows, -1) * float(step.colour))
        leakage = dict(zip(STEPS, field.leakage[i].tolist(), strict=True))
        found[name] = Found(direction, (field.accuracy[i], decoder.accuracy[i]), leakage)
        logger.debug("%s: accuracy %.3f / %.3f", name, *found[name].accuracy)
    return found
