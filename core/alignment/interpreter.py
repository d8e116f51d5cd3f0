"""Runs the small TensorFlow Lite networks that are shipped in ``weights/helpers``.

Loading one takes a few milliseconds, so nothing is kept between calls: an interpreter is not thread-safe, and a cache
would be the only global of this room.
"""

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from core.weights import Registry

WEIGHTS = "mediapipe-face"


class HelperNetwork:
    """One ``.tflite`` file with one input, on one thread (the networks are too small to share).

    Args:
        role: "detector", "mesh" or "person".

    Raises:
        WeightsMissing, WeightsCorrupt: the file is not there, or not what it should be.
    """

    def __init__(self, role: str) -> None:
        self._interpreter = Interpreter(model_path=str(Registry().locate(WEIGHTS)[role]), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [(d["name"], d["index"]) for d in self._interpreter.get_output_details()]

    def __call__(self, picture: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run on (H, W, 3) float32 of the network's own size; outputs by name."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(picture[None], dtype=np.float32))
        self._interpreter.invoke()
        return {name: np.asarray(self._interpreter.get_tensor(index)) for name, index in self._outputs}
