"""The reader's last layer in closed form, over what its trunk sees.

What the trunk's maps say of a head is more than what came through 512 numbers and a last layer that knows its heads by
heart. So the maps themselves are handed to the answer beside what was made of them, and the answer is what a ridge
regression on many heads finds (Hoerl & Kennard 1970). Training goes on from there as it would have.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.job import Job
from core.models.reader import SIZE, Reader
from core.training import augmentation
from core.training.data import shrink
from core.training.portrait_heads import PortraitHeads
from core.training.reader_task import ReaderTaskConfig, disturbed, on_grey
from core.training.snapshots import Snapshots
from core.training.views import crop

RIDGE = 0.34
"""Ridge a picture, of features of deviation 1. Errors of distances on 576 heads of which nothing was seen (the mean
head's 1.309, before 1.039): .928 with a thirtieth of it, .918 with a third, .914, .918 with three times as much."""
TINY = 1e-4
PORTRAIT, REPEATS, GAIN = 3.0, 4, 0.06
"""What a portrait weighs against a head of the world, how often it is looked at, and how its colours vary."""
BATCH = 128


@torch.no_grad()
def widened(reader: Reader) -> Reader:
    """The same reader, whose answer may also read the trunk's maps themselves; it does not yet.

    Maps of a residual unit are never negative, so a unit that adds nothing hands them through its ReLU as they are.
    """
    linear, answer = reader.gather[0], reader.answer
    assert isinstance(linear, torch.nn.Linear)
    maps, before = linear.in_features, linear.out_features
    with torch.random.fork_rng(devices=[]):
        wide = Reader(answer.out_features // 2, reader.widths, before + maps)
    state = reader.state_dict()
    state["gather.0.weight"] = torch.cat((linear.weight, torch.eye(maps)))
    state["gather.0.bias"] = torch.cat((linear.bias, torch.zeros(maps)))
    state["answer.weight"] = torch.cat((answer.weight, torch.zeros(answer.out_features, maps)), 1)
    wide.load_state_dict(state)
    return wide.train(reader.training)


@torch.no_grad()
def answered(
    reader: Reader,
    data: Snapshots,
    w: Tensor,
    config: ReaderTaskConfig,
    job: Job,
    portraits: PortraitHeads | None = None,
) -> None:
    """Replaces the reader's last layer, in place.

    Args:
        reader: Whose trunk is kept.
        data: Pictures of heads, each read as it is and disturbed as in training.
        w: Their latents (N, style_dim).
        config: How they are disturbed.
        job: Reports and cancels.
        portraits: Read as well: geometry as it was fitted, colour as this reader says already.
    """
    was = reader.training
    reader.eval()
    rows: list[Tensor] = []
    batches = [index for _ in range(2) for index in torch.arange(len(data)).split(BATCH)]
    for number, index in enumerate(batches):
        job.report(number / len(batches), "reading heads")
        if number < len(batches) // 2:
            picture, angles = shrink(data.picture(index), SIZE), data.camera[index, :2]
        else:
            picture, angles = disturbed(data, index, config)
        rows.append(reader.gathered(on_grey(picture), angles))
    features = torch.cat(rows)
    target = ((w - reader.w_mean) / reader.w_std).repeat(2, 2)  # geometry and colour are latents of one head
    weights = torch.ones(len(features))
    if portraits is not None:
        seen, said = _portraits(reader, portraits, config)
        features, target = torch.cat((features, seen)), torch.cat((target, said))
        weights = torch.cat((weights, torch.full((len(seen),), PORTRAIT)))
    weight, bias = ridge(features, target, weights)
    reader.answer.weight.copy_(weight)
    reader.answer.bias.copy_(bias)
    reader.train(was)


def ridge(features: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (targets, features) and bias (targets,) of a ridge regression, as a linear layer has them.

    Shape:
        features (N, F), target (N, T), weights (N,).
    """
    share = (weights / weights.sum())[:, None]
    mean, middle = (features * share).sum(0), (target * share).sum(0)
    deviation = ((features - mean).square() * share).sum(0).sqrt() + TINY
    x, y = ((features - mean) / deviation).double(), (target - middle).double()
    normal = (x * share).T @ x + RIDGE * torch.eye(x.shape[1], dtype=torch.double)
    weight = torch.linalg.solve(normal, (x * share).T @ y).float().T / deviation
    return weight, middle - weight @ mean


def _portraits(reader: Reader, portraits: PortraitHeads, config: ReaderTaskConfig) -> tuple[Tensor, Tensor]:
    """Features of portraits, each disturbed ``REPEATS`` times, and what the answer should be."""
    sharp = portraits.picture.float() / 255.0
    geometry = (portraits.geometry - reader.w_mean) / reader.w_std
    colour = reader(on_grey(shrink(sharp, SIZE)), portraits.angles).colour
    rows = []
    for _ in range(REPEATS):
        framing = augmentation.jittered_framing(len(sharp), sharp.device, config.framing_noise)
        gain = (torch.randn(len(sharp), 3, 1, 1) * GAIN).exp()
        seen = crop(sharp, framing)
        seen = shrink(torch.cat([(seen[:, :3] * gain).minimum(seen[:, 3:]), seen[:, 3:]], 1), SIZE)
        angles = portraits.angles + torch.randn_like(portraits.angles) * config.pose_noise
        rows.append(
            torch.cat([reader.gathered(on_grey(s), a) for s, a in zip(seen.split(128), angles.split(128), strict=True)])
        )
    return torch.cat(rows), torch.cat((geometry, colour), 1).repeat(REPEATS, 1)
