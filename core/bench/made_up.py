"""The made-up weights of the goldens: a deterministic rule from a salt, a part's name and a tensor's key.

Written from the README beside the goldens; first matching line wins. The goldens' tests fill networks with it, and so
does the benchmark, whose timings need weights of the released sizes and no others. Nothing here knows any golden
number.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
BLUR = np.outer([1.0, 3.0, 3.0, 1.0], [1.0, 3.0, 3.0, 1.0]) / 64


def draw(salt: str, part: str, key: str, shape: Sequence[int]) -> Array:
    """Standard normal numbers that belong to a key."""
    key = key.replace(".bn4.", ".downsample.0.")  # two names of one tensor
    seed = zlib.crc32(f"{salt}|{part}|{key}".encode())
    count = math.prod(shape)
    # The rule names this generator; a newer one would draw other numbers.
    return np.random.RandomState(seed).standard_normal(count).reshape(shape)


def _field(key: str) -> float | None:
    """Line 9: tensors of the field."""
    if not key.startswith("renderer.network."):
        return None
    if key.endswith(".bias"):
        return 0.03
    if key.endswith((".gamma.weight", ".beta.weight")):
        return 0.02
    if key.endswith("pts_linears.0.weight"):
        return 0.19
    return 0.06 if key.endswith("rgb_linear.weight") else 0.0035


def _generator(key: str, dimensions: int) -> tuple[float, float] | None:
    """Lines 9 to 14, the generator's own: offset and factor of the draw."""
    factor = _field(key)
    if factor is not None:
        return 0.0, factor
    if re.fullmatch(r"style\.\d+\.weight", key):
        return 0.0, 1.4 / 16
    if re.fullmatch(r"decoder\.style\.\d+\.weight", key):
        return 0.0, 100.0
    if re.fullmatch(r"decoder\.style\.\d+\.bias", key):
        return 0.0, 10.0
    if key.endswith("modulation.bias"):
        return 1.0, 0.1
    if key.startswith("decoder.") and dimensions >= 2 and key.endswith("weight"):
        return 0.0, 1.0
    return None


def _common(part: str, key: str, dimensions: int, fan: int) -> tuple[float, float]:
    """Lines 13 and 15 to 22."""
    if key.endswith("modulation.bias"):
        return 1.0, 0.1
    if part == "disc" and dimensions >= 2 and key.endswith("weight"):
        return 0.0, 1.0
    if part == "vol_d" and key == "final_conv.conv.weight":
        return 0.0, 0.1 / math.sqrt(fan)
    if part == "encoder" and re.fullmatch(r"styles_\w+\.\d+\.convs\.\d+\.weight", key):
        return 0.0, math.sqrt(2 / fan)
    if part == "encoder" and re.fullmatch(r"styles_\w+\.\d+\.linear\.weight", key):
        return 0.0, 0.3
    slopes = ("res_layer.2.weight", "input_layer.2.weight", "conv_layer1.2.weight")
    if dimensions == 1 and key.endswith(slopes):
        return 0.25, 0.05
    if dimensions == 1 and key.endswith("weight"):
        return 1.0, 0.1
    if key.endswith("bias"):
        return 0.0, 0.1
    return 0.0, 0.7 / math.sqrt(fan)


def idle(part: str, key: str) -> bool:
    """Line 4: E0's unused heads."""
    return part == "encoder" and re.match(r"styles_stylegan\.[1-9]\.", key) is not None


def value(salt: str, part: str, key: str, shape: Sequence[int]) -> Array:
    """The value of a tensor, in float64."""
    if key.endswith("num_batches_tracked") or idle(part, key):
        return np.zeros(shape)
    if key.endswith(".kernel"):
        return BLUR * (4 if part == "g_ema" else 1)
    if key.endswith("sigmoid_beta"):
        return np.full(shape, 0.1)
    numbers = draw(salt, part, key, shape)
    if key.endswith("running_mean"):
        return 0.1 * numbers
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(numbers)
    if re.fullmatch(r"decoder\.noises\.noise_\d+", key):
        return numbers
    if key.endswith("noise.weight"):
        return 0.1 * numbers
    fan = math.prod(shape[1:])
    found = _generator(key, len(shape)) if part == "g_ema" else None
    offset, factor = found or _common(part, key, len(shape), fan)
    return offset + factor * numbers


def filled(make: Callable[[], nn.Module], salt: str, part: str, keys: Mapping[str, str] | None = None) -> nn.Module:
    """A network with the rule's weights, in evaluation mode and without gradients.

    Args:
        make: Builds the network; called on the meta device, so that nothing is initialised twice.
        salt: Of the folder.
        part: Name of the part in the rule.
        keys: Our key → the part's key, where they differ.
    """
    with torch.device("meta"):
        network = make()
    state: dict[str, Tensor] = {}
    for key, blank in network.state_dict().items():
        if idle(part, key):
            state[key] = torch.zeros(blank.shape)  # never touched, so never really allocated
            continue
        numbers = value(salt, part, (keys or {}).get(key, key), blank.shape)
        state[key] = torch.from_numpy(np.asarray(numbers)).to(blank.dtype)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)
