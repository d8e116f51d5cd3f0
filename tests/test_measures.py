"""Windows that run along rows, then along columns, against the same windows at once."""

import time

import pytest
import torch
from torch.nn import functional

from core.rendering.measures import boxed, widest


@pytest.mark.parametrize("reach", [1, 6, 20])
def test_windows_are_those_of_the_plain_way(reach: int) -> None:
    values = torch.randn(1, 3, 70, 90, generator=torch.Generator().manual_seed(reach))
    window = 2 * reach + 1
    torch.testing.assert_close(boxed(values, reach), functional.avg_pool2d(values, window, 1, reach))
    assert torch.equal(widest(values, reach), functional.max_pool2d(values, window, 1, reach))


def test_a_wide_window_costs_little() -> None:
    values, reach = torch.rand(1, 1, 512, 512), 20
    times = []
    for way in (lambda: boxed(values, reach), lambda: functional.avg_pool2d(values, 2 * reach + 1, 1, reach)):
        way()
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    assert times[0] < 0.5 * times[1]  # a tenth, measured
