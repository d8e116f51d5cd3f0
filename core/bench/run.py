"""All rows of the library, one after the other, in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch

from core.bench import cameo, head, official
from core.bench.rows import Row
from core.job import Job
from core.kernels import Chain, build, look_again
from core.models.configuration import (
    CAMEO_256,
    OFFICIAL_1024,
    AlignerConfig,
    DecoderConfig,
    FieldConfig,
    GeneratorConfig,
    LocalConfig,
)

__all__ = ["library_rows"]

logger = logging.getLogger(__name__)

REPEATS = 5
# The released layout at a size that is done in a second: to see that everything runs, not how fast.
SMALL = replace(
    OFFICIAL_1024,
    name="released-small",
    generator=GeneratorConfig(
        FieldConfig(width=32, depth=3),
        decoder=DecoderConfig(in_channels=32, channels=((64, 16), (128, 16), (256, 8)), style_dim=64),
    ),
    local=LocalConfig(stem=8, entry=16, middle=16, channels=32, stacks=1, groups=4),
    aligner=AlignerConfig(channels=(8, 8, 8, 8), units=2),
)


def compile_layers(*configs: FieldConfig) -> None:
    """What ``python -m core kernels`` does, for both families: rows are those of a machine that has had its minute."""
    for config in configs:
        for low in (False, True):
            try:
                build(Chain(config.width, config.depth, low))
            except (OSError, RuntimeError) as error:
                logger.warning("measured without compiled layers: %s", error)
    look_again()


def library_rows(quick: bool, job: Job, person: int = 0) -> Iterator[Row]:
    """The rows in order; the released family first.

    Args:
        quick: Once each, at small sizes.
        job: Where fitting the head reports, which the first run does.
        person: Whose head the released family holds; of others than the mean there are its rows only.
    """
    if not quick:
        compile_layers(OFFICIAL_1024.generator.field, CAMEO_256.generator.field)
    plan = head.Plan(SMALL, 60, 1024, 6000, person) if quick else head.Plan(OFFICIAL_1024, person=person)
    repeats = 1 if quick else REPEATS
    generator = head.fitted_generator(plan, job)
    with torch.inference_mode():
        yield official.surface_row(generator, plan.config, 32 if quick else 128, quick)
        yield from official.official_rows(generator, plan.config, repeats, quick, person)
    if person:
        return
    del generator
    yield from cameo.cameo_rows(head.mean_head(), repeats, quick)
