"""Builds this folder's files from the packages they come from; never needed at run time.

The helper networks are other people's, taken unchanged (the three ``.tflite`` files) or converted to safetensors (the
dlib face embedding, which ``face-api`` publishes as uint8 with a scale and a minimum a tensor). Run it with the
unpacked wheel ``mediapipe==0.10.14``, the unpacked npm package ``@vladmandic/face-api@1.7.15`` and MediaPipe's
``canonical_face_model.obj``::

    python -m weights.helpers.build MEDIAPIPE_FOLDER FACE_API_FOLDER CANONICAL_OBJ
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from core.weights import Registry

HERE = Path(__file__).resolve().parent
MEDIAPIPE = {
    "face_detection_short_range.tflite": "face_detection/face_detection_short_range.tflite",
    "face_landmark.tflite": "face_landmark/face_landmark.tflite",
    "selfie_segmentation.tflite": "selfie_segmentation/selfie_segmentation.tflite",
}


def convert_embedding(folder: Path) -> dict[str, np.ndarray]:
    """Read face-api's ``face_recognition_model`` into PyTorch layout (filters out, in, height, width).

    The published bytes are kept: a uint8 tensor ``key`` means ``key * scale + minimum`` with the two numbers of
    ``key:range``.
    """
    manifest = json.loads((folder / "model/face_recognition_model-weights_manifest.json").read_text())[0]["weights"]
    blob = (folder / "model/face_recognition_model.bin").read_bytes()
    tensors: dict[str, np.ndarray] = {}
    offset = 0
    for entry in manifest:
        count = int(np.prod(entry["shape"]))
        quantised = entry.get("quantization")
        if quantised:
            values = np.frombuffer(blob, np.uint8, count, offset)
            offset += count
        else:
            values = np.frombuffer(blob, "<f4", count, offset)
            offset += 4 * count
        values = values.reshape(entry["shape"])
        key = entry["name"]
        if key == "fc":
            key, values = "fc.weight", values.T
        elif key.endswith("/conv/filters"):
            key, values = key.replace("/conv/filters", ".weight"), values.transpose(3, 2, 0, 1)
        elif key.endswith("/conv/bias"):
            key = key.replace("/conv/bias", ".bias")
        elif key.endswith("/scale/weights"):
            key = key.replace("/scale/weights", ".scale")
        elif key.endswith("/scale/biases"):
            key = key.replace("/scale/biases", ".shift")
        key = key.replace("/", ".")
        tensors[key] = np.ascontiguousarray(values)
        if quantised:
            tensors[f"{key}:range"] = np.array([quantised["scale"], quantised["min"]], np.float32)
    if offset != len(blob):
        raise ValueError(f"{len(blob) - offset} bytes of the embedding are left over")
    return tensors


def canonical_vertices(path: Path) -> np.ndarray:
    """Vertices (468, 3) float32 of the canonical face, centimetres, x to the subject's left, y up, z forwards."""
    rows = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
    return np.array(rows, dtype=np.float32)


def main(mediapipe: Path, face_api: Path, canonical: Path) -> None:
    """Write every file, and its size and hash into the manifest of all weights."""
    for name, source in MEDIAPIPE.items():
        shutil.copyfile(mediapipe / "mediapipe/modules" / source, HERE / name)
    shutil.copyfile(next(mediapipe.glob("mediapipe-*.dist-info/LICENSE")), HERE / "LICENSE-mediapipe.txt")
    shutil.copyfile(face_api / "LICENSE", HERE / "LICENSE-face-api.txt")
    save_file(convert_embedding(face_api), HERE / "dlib_face_embedding.safetensors")
    np.save(HERE / "canonical_face.npy", canonical_vertices(canonical))
    registry = Registry(HERE.parent)
    registry.add(
        "mediapipe-face",
        {
            "detector": "helpers/face_detection_short_range.tflite",
            "mesh": "helpers/face_landmark.tflite",
            "person": "helpers/selfie_segmentation.tflite",
            "canonical": "helpers/canonical_face.npy",
            "licence": "helpers/LICENSE-mediapipe.txt",
        },
        purpose="alignment",
        licence="Apache-2.0",
        origin="PyPI mediapipe==0.10.14 (Google); canonical_face_model.obj of MediaPipe",
    )
    registry.add(
        "dlib-face-embedding",
        {"network": "helpers/dlib_face_embedding.safetensors", "licence": "helpers/LICENSE-face-api.txt"},
        purpose="identity",
        licence="MIT AND CC0-1.0",
        origin="npm @vladmandic/face-api@1.7.15, converted from dlib_face_recognition_resnet_model_v1 (D. King)",
    )


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
