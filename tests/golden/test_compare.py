"""The comparison itself notices what it is there for; needs no goldens."""

from __future__ import annotations

import numpy as np
import torch

from tests.golden.compare import complaint, complaints, mesh_complaint, tolerance

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float32)
FACES = np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6]], dtype=np.int32)


def test_an_error_above_the_tolerance_is_named() -> None:
    stored = np.array([1.0, -2.0])
    assert complaint("v0_thumb", stored + 0.0005, stored) is None
    assert "v0_thumb" in (complaint("v0_thumb", stored + 0.002, stored) or "")


def test_tolerances_are_those_of_the_readme() -> None:
    assert tolerance("trajectory_azim_9") == 0
    assert {tolerance(n) for n in ("w_renderer", "cam_poses", "E0_p32_s8", "ops_asym", "metric_mae")} == {1e-5}
    assert {tolerance(n) for n in ("v0_thumb", "a_mod_s16", "b_image_crops", "query_sdf", "wplus_thumb")} == {5e-4}


def test_three_pixels_of_a_mask_may_flip_and_no_more() -> None:
    mask = np.zeros((4, 4))
    flipped = mask.copy()
    flipped.ravel()[:3] = 1
    assert complaint("v0_mask_s2", flipped, mask) is None
    flipped.ravel()[3] = 1
    assert complaint("v0_mask_s2", flipped, mask) is not None


def test_missing_and_unknown_arrays_are_named() -> None:
    stored = {"thumb": np.ones(2), "given": np.ones(1), "forgotten": np.ones(1)}
    problems = complaints([("thumb", torch.ones(2)), ("extra", torch.ones(1))], stored, ["given"])
    assert problems == ["extra: not stored", "forgotten: never computed"]


def test_a_mesh_in_another_order_is_the_same_mesh_and_a_moved_one_is_not() -> None:
    order = np.random.default_rng(0).permutation(8)
    shuffled = {"mesh_vertices": CUBE[order], "mesh_faces": np.argsort(order)[FACES][::-1, [1, 2, 0]]}
    stored = {"mesh_vertices": CUBE, "mesh_faces": FACES}
    assert mesh_complaint(shuffled, stored) is None
    assert mesh_complaint({**shuffled, "mesh_vertices": CUBE[order] + 0.1}, stored) is not None
    assert mesh_complaint({**shuffled, "mesh_faces": FACES}, stored) is not None
