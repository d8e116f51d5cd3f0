"""A yes-or-no attribute that the mapping network ignores gets an offset of its own in w; hardly anything else moves.

Training the field alone lets rare attributes vanish: glasses take a few pixels of one head in five, so w hardly knew of
them, and no direction can move what w does not hold. Three hidden units, those that matter least, are given to a step
of the attribute's coordinate of z; the other weights are fitted again, in closed form, to what the network said before.
The field can then be taught what the offset means.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, linear

from core.models.generator import Generator, MappingLayer
from core.models.reader import Reader

logger = logging.getLogger(__name__)

SLOPE = 0.2  # of the mapping's leaky ReLU
RAMP, STEEP = 0.2, 10.0
"""Width of the step along the coordinate, and the slope of the two units whose difference makes it."""
STEADY = 0.99
"""Share of codes for which an output keeps its sign: only such outputs take part, so that the offset is one vector."""
STRENGTH = 1.5
"""What having the attribute adds to each of them, in its own standard deviations."""


def _refit(layer: MappingLayer, inputs: Tensor, wanted: Tensor) -> None:
    """Weights and bias of a layer by ridge regression onto what it should say before its nonlinearity."""
    design = torch.cat((inputs, torch.ones(len(inputs), 1)), dim=1).double()
    gram = design.T @ design + 1e-4 * len(inputs) * torch.eye(design.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(gram, design.T @ wanted.double()).T
    layer.weight.copy_(solution[:, :-1])
    layer.bias.copy_(solution[:, -1])


@torch.no_grad()
def step_of(generator: Generator, coordinate: int, threshold: float, codes: int = 512) -> Tensor:
    """The offset (style_dim,) that a mapping was taught, read off it; arguments as in ``teach_step``.

    What crossing the threshold adds to w, less what an interval of the same length beyond it adds.
    """
    z = torch.randn(codes, generator.config.z_dim, generator=torch.Generator().manual_seed(2))
    reach = 0.55 * RAMP
    places = []
    for at in (threshold - reach, threshold + reach, threshold + 3 * reach):
        moved = z.clone()
        moved[:, coordinate] = at
        places.append(generator.mapping(moved))
    before, after, beyond = places
    return (2 * after - before - beyond).mean(dim=0)


@torch.no_grad()
def teach_step(
    generator: Generator, coordinate: int, threshold: float, *, codes: int = 20_000, seed: int = 0
) -> Tensor:
    """Changes the mapping in place; returns what having the attribute adds to w (style_dim,).

    Args:
        generator: On the CPU, with a mapping of three layers.
        coordinate: Of z; the attribute is there where it exceeds the threshold.
        threshold: Middle of the step.
        codes: Random codes that the fits go over.
        seed: Of the codes.
    """
    first, second, third = generator.style
    assert isinstance(first, MappingLayer)
    assert isinstance(second, MappingLayer)
    assert isinstance(third, MappingLayer)
    z = torch.randn(codes, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
    one = first(z)
    before_two = linear(one, second.weight, second.bias)
    two = leaky_relu(before_two, SLOPE)
    before_three = linear(two, third.weight, third.bias)
    low, high = (one.std(0) * second.weight.norm(dim=0)).argsort()[:2].tolist()
    unit = int((two.std(0) * third.weight.norm(dim=0)).argmin())
    first.weight[[low, high]] = 0.0
    first.weight[[low, high], coordinate] = STEEP
    first.bias[low], first.bias[high] = -STEEP * (threshold - RAMP / 2), -STEEP * (threshold + RAMP / 2)
    one = first(z)
    kept = before_two.clone()
    # Both units rise by STEEP above their ramps and by SLOPE of it below: their difference is flat on both sides.
    floor, rise = SLOPE * STEEP * RAMP, (1 - SLOPE) * STEEP * RAMP
    kept[:, unit] = (one[:, low] - one[:, high] - floor) / rise
    _refit(second, one, kept)
    second.weight[unit] = 0.0
    second.weight[unit, low], second.weight[unit, high], second.bias[unit] = 1 / rise, -1 / rise, -floor / rise
    two = second(one)
    step = two[:, unit].clone()
    others = two.clone()
    others[:, unit] = 0.0
    _refit(third, others, before_three)
    positive = (before_three > 0).float().mean(0)
    sign = (positive > STEADY).float() - (positive < 1 - STEADY).float()
    old = leaky_relu(before_three, SLOPE)
    offset = sign * STRENGTH * old.std(0)
    third.weight[:, unit] = offset / torch.where(sign < 0, SLOPE, 1.0)
    new = generator.mapping(z) - step[:, None] * offset
    moved = float((new - old).norm(dim=1).mean() / (old - old.mean(0)).norm(dim=1).mean())
    outputs = int(sign.abs().sum())
    logger.info("z[%d]: an offset in %d outputs; w moved elsewhere by %.3f of its spread", coordinate, outputs, moved)
    return offset


@torch.no_grad()
def without_offset(reader: Reader, offset: Tensor, share: float) -> None:
    """Makes a reader blind to an attribute, in place: its latents stay where heads without it lie.

    The photo shows glasses better than the field draws them, and heads that were read with them came out swollen around
    the eyes. The last layer is linear, so the projection is exact.

    Args:
        reader: Trained.
        offset: What the attribute adds to w (style_dim,).
        share: How many heads have it; where the mean without it lies.
    """
    dim = len(offset)
    away = torch.eye(dim) - torch.outer(offset, offset) / offset.square().sum()
    without = reader.w_mean - share * offset
    for part in (slice(0, dim), slice(dim, 2 * dim)):
        rows = reader.w_std[:, None] * reader.answer.weight[part]
        bias = reader.w_std * reader.answer.bias[part] + reader.w_mean - without
        reader.answer.weight[part] = away @ rows / reader.w_std[:, None]
        reader.answer.bias[part] = (away @ bias + without - reader.w_mean) / reader.w_std
