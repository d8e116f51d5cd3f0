"""The world's ears: a chart that is found again on any head, and a relief of rim, folds and bowl."""

from __future__ import annotations

import numpy as np
import pytest

from core.world.assets import Pack
from core.world.auricles import EarChart, ear_chart, ear_frames, ear_relief, neutral_head


@pytest.fixture(scope="module")
def chart(pack: Pack) -> EarChart:
    return ear_chart(pack)


def placed(chart: EarChart, frame: np.ndarray) -> np.ndarray:
    return chart.places @ frame[:3] + frame[3]


def test_the_mean_head_has_its_own_chart(pack: Pack, chart: EarChart) -> None:
    vertices = neutral_head(pack, np.zeros(256))
    frames = ear_frames(chart, vertices)
    np.testing.assert_allclose(placed(chart, frames[0]), vertices[chart.vertices[0]], atol=1e-5)
    np.testing.assert_allclose(frames[0], frames[1], atol=1e-4)  # it is symmetric
    assert np.linalg.det(chart.axes) > 0.0
    assert chart.axes[2, 0] > 0.8  # outwards


def test_an_affine_frame_holds_any_ear_to_a_millimetre(pack: Pack, chart: EarChart) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        vertices = neutral_head(pack, rng.standard_normal(256))
        for number, frame in enumerate(ear_frames(chart, vertices)):
            true = vertices[chart.vertices[number]] * ((1, 1, 1), (-1, 1, 1))[number]
            assert np.linalg.norm(placed(chart, frame) - true, axis=1).mean() < 0.0012


@pytest.mark.long
def test_the_bowl_is_deep_and_dark_and_the_rim_light(pack: Pack, chart: EarChart) -> None:
    relief = ear_relief(pack, chart)
    auricle = relief.auricle > 0.9
    assert 0.1 < auricle.mean() < 0.4
    assert (relief.near[auricle] > 0.9).all()
    dark, light = (np.quantile(relief.shade[auricle], share) for share in (0.02, 0.9))
    assert dark < -0.7
    assert light > -0.15
    low = relief.shade < dark
    assert relief.height[low & auricle].mean() < relief.height[auricle].mean() - 0.05
