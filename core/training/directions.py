"""Attribute directions in the latent spaces (InterfaceGAN, Shen et al. 2020), on exactly labelled samples.

For each attribute the samples with the highest and lowest scores train a linear SVM in each latent space (field and
decoder); its normal is the direction. Directions are made conditional (orthogonal to the other attributes' normals)
and scaled so that +1 is a natural step of the label. The labels come from the world's own parameters, so no scorer
has to be trusted.
"""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import torch
from torch import Tensor

from core.models.generator import Generator
from core.models.networks import Direction
from core.world.identity import LABELS, Z_SIZE, labels, scene_parameters

logger = logging.getLogger(__name__)

STEPS: dict[str, tuple[str, float]] = {
    "Smile": ("Smile", 0.4),
    "Age": ("Age", 0.3),
    "Gender": ("Gender", 0.6),
    "Beard": ("Beard", 0.45),
    "Hair": ("Hair length", 0.3),
    "Eyeglasses": ("Eyeglasses", 1.35),  # the field draws rims weakly: beyond what its label asks for
}
"""Attribute of the product → label of the world, and what +1 adds to it (labels lie in 0..1)."""
ENDS = 0.3
"""Share of the samples at each end of the score that trains the SVM."""
TRAINED = 0.7
"""Share of those for training; the rest measures the accuracy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """A direction, the test accuracy of its two SVMs, and what one unit changes of every label, in steps."""

    direction: Direction
    accuracy: tuple[float, float]
    leakage: dict[str, float]


def labelled_samples(generator: Generator, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Latents w (count, style_dim), decoder latents (count, D) and labels (count, len(LABELS)) of random heads."""
    z = np.random.default_rng(seed).standard_normal((count, Z_SIZE)).astype(np.float32)
    rows = []
    for row in z:
        known = labels(scene_parameters(row))
        rows.append([known[name] for name in LABELS])
    with torch.no_grad():
        w = generator.mapping(torch.from_numpy(z))
        s = generator.decoder_latent(w)
    return w, s, torch.tensor(rows, dtype=torch.float32)


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


def _normals(x: Tensor, scores: Tensor, seed: int) -> tuple[Tensor, list[float]]:
    """Unit normals (A, dim) in standardised space, and test accuracies, of every attribute's SVM."""
    normals, accuracies = [], []
    generator = torch.Generator().manual_seed(seed)
    for column in range(scores.shape[1]):
        order = scores[:, column].argsort()
        k = int(len(order) * ENDS)
        positive = int((scores[:, column] > 0.5).sum())
        if len(scores[:, column].unique()) == 2:  # a yes or no: as many of each
            k = min(positive, len(order) - positive)
        both = torch.cat([order[:k], order[-k:]])
        sign = torch.cat([-torch.ones(k), torch.ones(k)])
        shuffle = torch.randperm(2 * k, generator=generator)
        split = int(2 * k * TRAINED)
        train, test = both[shuffle[:split]], both[shuffle[split:]]
        normal, offset = linear_svm(x[train], sign[shuffle[:split]])
        right = (x[test] @ normal + offset).sign() == sign[shuffle[split:]]
        normals.append(torch.nn.functional.normalize(normal, dim=0))
        accuracies.append(float(right.float().mean()))
    return torch.stack(normals), accuracies


def conditional(normals: Tensor) -> Tensor:
    """Each unit normal (A, dim) without its part in the span of the others (InterfaceGAN, Section 3.3)."""
    out = []
    for i in range(len(normals)):
        others = torch.cat([normals[:i], normals[i + 1 :]])
        basis, _ = torch.linalg.qr(others.T)
        out.append(torch.nn.functional.normalize(normals[i] - basis @ (basis.T @ normals[i]), dim=0))
    return torch.stack(out)


def find_directions(generator: Generator, count: int = 10_000, seed: int = 0) -> dict[str, Found]:
    """Directions of all attributes in ``STEPS``.

    Args:
        generator: The trained generator, on the CPU.
        count: Labelled samples.
        seed: Of the samples and the split.
    """
    w, s, all_labels = labelled_samples(generator, count, seed)
    columns = [LABELS.index(label) for label, _ in STEPS.values()]
    scores = all_labels[:, columns]
    spaces = []
    for latent in (w, s):
        mean, deviation = latent.mean(0), latent.std(0) + 1e-4
        x = (latent - mean) / deviation
        normals, accuracy = _normals(x, scores, seed)
        normals = conditional(normals)
        # What a move along each direction does to every label, by linear regression on all samples.
        design = torch.cat([x, torch.ones(len(x), 1)], 1)
        slopes = torch.linalg.lstsq(design, scores).solution[:-1]  # (dim, A)
        spaces.append((normals, accuracy, slopes, deviation))
    rows, decoder_rows = generator.config.field.rows, generator.config.decoder.rows
    found = {}
    for i, (name, (_, step)) in enumerate(STEPS.items()):
        moves = []
        for normals, _, slopes, deviation in spaces:
            amount = step / float(normals[i] @ slopes[:, i])
            moves.append((amount * normals[i] * deviation, amount * (normals[i] @ slopes)))
        direction = Direction(moves[0][0].expand(rows, -1).clone(), moves[1][0].expand(decoder_rows, -1).clone())
        steps = torch.tensor([value for _, value in STEPS.values()])
        leakage = {other: float(v) for other, v in zip(STEPS, moves[0][1] / steps, strict=True)}
        found[name] = Found(direction, (spaces[0][1][i], spaces[1][1][i]), leakage)
        logger.debug("%s: accuracy %.3f / %.3f", name, *found[name].accuracy)
    return found
