"""Ears of a generator's latents: a regression that knows more of unseen heads than the mean head does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.job import Job
from core.models.bundle import read_networks
from core.training.auricles import auricle_frames, auricle_misfit
from core.weights import Registry
from core.world.assets import load_pack
from core.world.auricles import ear_chart, ear_frames, neutral_head

PACK = Path(__file__).parents[2] / "runs" / "world" / "pack.npz"


@pytest.mark.skipif(not PACK.exists(), reason="no pack; build it with `python -m core.world pack MAKEHUMAN_FOLDER`")
def test_latents_say_where_ears_are() -> None:
    networks, pack = read_networks(Registry().locate("cameo-256").values()), load_pack(PACK)
    found, misfit = auricle_frames(networks.generator, pack, 2000, Job.quiet())
    codes = np.random.default_rng(7).standard_normal((100, 256)).astype(np.float32)
    chart = ear_chart(pack)
    true = torch.from_numpy(np.stack([ear_frames(chart, neutral_head(pack, code)) for code in codes])).float()
    with torch.no_grad():
        w = networks.generator.mapping(torch.from_numpy(codes))
    off, mean = auricle_misfit(found, w, true), auricle_misfit(found, found.w_mean.expand(100, -1), true)
    assert off < 0.7 * mean
    assert abs(off - misfit) < 0.001
    # What is shipped was found on more heads.
    assert networks.auricles is not None
    assert auricle_misfit(networks.auricles, w, true) < off + 0.0002
