"""Write a second folder of goldens, with another salt, image phase and mesh view, from our own networks.

What it proves: nothing in the tests or networks is hard-coded to the first folder. What it does not prove: correctness.
The numbers are ours, so only the first folder, made by the reference's own code, can show that they are right.

    python -m tests.golden.make_second_folder OUT [SALT]
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.golden import flows
from tests.golden.inputs import EDITED, FILES, Arrays, Folder, seeded
from tests.golden.manifest import our_manifest

RANDOM_INPUTS = {  # name: shape, spread
    "ops_x": ((1, 2, 7, 9), 1.0),
    "ops_flrelu_bias": ((2,), 1.0),
    "ops_asym_kernel": ((3, 3), 1.0),
    "modconv_x": ((2, 4, 5, 5), 1.0),
    "modconv_style": ((2, 6), 1.0),
    "modconv_weight_k3": ((1, 3, 4, 3, 3), 1.0),
    "modconv_weight_k1": ((1, 3, 4, 1, 1), 1.0),
    "modconv_mod_weight": ((4, 6), 1.0),
    "modconv_mod_bias": ((4,), 0.3),
}
SEEDED = {
    "generator": ("z", "mean_z", "wplus_renderer", "wplus_decoder", "query_pts"),
    "e3dge": (
        "mean_latent_renderer",
        "mean_latent_decoder",
        *(f"boundary_{space}_{name}" for name in EDITED for space in ("renderer", "decoder")),
    ),
    "mesh32": (),
    "misc": (),
}


def free_inputs(salt: str, name: str, phase: float) -> Arrays:
    """Inputs that follow no rule, drawn anew for every salt."""
    rng = np.random.default_rng(zlib.crc32(f"{salt}|{name}".encode()))
    if name == "generator":
        views = rng.uniform(-1, 1, (3, 2)) * (0.5, 0.25)
        views[0] = 0
        return {"locations": views.astype(np.float32)}
    if name == "e3dge":
        location = (rng.uniform(-1, 1, (1, 2)) * (0.5, 0.25)).astype(np.float32)
        strengths = np.append(rng.uniform(-1.5, 1.5, 4), 0).astype(np.float32)
        return {"image_phase": np.array([phase]), "b_location": location, "c_scales": strengths}
    if name == "misc":
        arrays: Arrays = {
            key: (spread * rng.standard_normal(shape)).astype(np.float32)
            for key, (shape, spread) in RANDOM_INPUTS.items()
        }
        row = np.array([1.0, 3.0, 3.0, 1.0])
        return {**arrays, "ops_kernel": (np.outer(row, row) / 64).astype(np.float32)}
    return {}


def write_folder(out: Path, salt: str, files: Sequence[str] = FILES) -> None:
    """Write parameters, manifest and the named files."""
    rng = np.random.default_rng(zlib.crc32(salt.encode()))
    phase = float(rng.uniform(0.2, 3))
    parameters = {
        "salt": salt,
        "image_phase": phase,
        "misc_image_phases": [float(p) for p in rng.uniform(0, 3, 2)],
        "mesh_view": [float(v) for v in rng.uniform(-0.3, 0.3, 2)],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "parameters.json").write_text(json.dumps(parameters), "utf-8")
    (out / "state_dict_manifest.json").write_text(json.dumps(our_manifest()), "utf-8")
    folder = Folder.open(out)
    runs = {
        "generator": flows.generator_arrays,
        "e3dge": flows.e3dge_arrays,
        "mesh32": flows.mesh_arrays,
        "misc": flows.misc_arrays,
    }
    ruled = seeded(salt)
    for name in files:
        given = free_inputs(salt, name, phase)
        stored: Arrays = {**given, **{key: ruled[key] for key in SEEDED[name]}}
        inputs: Arrays = {**ruled, **given}
        for key, value in runs[name](folder, inputs):
            inputs[key] = stored[key] = value.numpy()  # later runs read the stored means
        np.savez_compressed(out / f"{name}.npz", **stored)


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "second")
