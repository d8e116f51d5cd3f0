"""What an encoder says by itself: errors are those of the surface, in millimetres and degrees."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from core.__main__ import app
from core.camera import Camera
from core.evaluation import encoding, people
from core.evaluation.encoding import Truth, surface_errors
from core.evaluation.shape import MM_PER_UNIT
from core.tensor_camera import rays
from tests.toy_head import toy_networks

RADIUS = 0.08


def test_errors_are_distances_and_angles() -> None:
    networks = toy_networks()
    styles = networks.renderer_mean[None]
    points = 0.1 * torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    distance, gradient = networks.generator.field.sdf_with_gradient(points[None], styles)
    normals = functional.normalize(gradient[0], dim=-1).detach()
    found = surface_errors(networks, styles, Truth(points, normals))
    assert found["surface"] == pytest.approx(float(distance.abs().mean()) * MM_PER_UNIT, rel=1e-5)
    assert found["turned"] < 0.1
    assert surface_errors(networks, styles, Truth(points, -normals))["turned"] > 179.9
    # Normals that are turned by thirty degrees about any axis across them.
    across = functional.normalize(torch.linalg.cross(normals, normals.roll(1, dims=-1)), dim=-1)
    turned = normals * math.cos(math.pi / 6) + torch.linalg.cross(across, normals) * math.sin(math.pi / 6)
    assert surface_errors(networks, styles, Truth(points, turned))["turned"] == pytest.approx(30.0, abs=0.1)


class Ball:
    """People who are balls, drawn as the world draws its people."""

    def person(self, index: int) -> int:
        return index

    def view(self, person: int, camera: Camera) -> SimpleNamespace:
        origin, directions = rays(torch.tensor([[camera.yaw, camera.pitch]]), 32)
        a, b = directions[0].square().sum(-1), (directions[0] * origin).sum(-1)
        root = b.square() - a * (origin.square().sum() - RADIUS**2)
        depth = torch.where(root > 0.0, (-b - root.clamp(min=0.0).sqrt()) / a, 0.0)
        normals = (origin + directions[0] * depth[:, None]) / RADIUS * (depth > 0.0)[:, None]
        return SimpleNamespace(
            depth=depth.reshape(32, 32).numpy(), normal=(127.0 * normals).round().reshape(32, 32, 3).numpy()
        )


def test_points_of_the_truth_lie_on_the_surface_from_three_sides_and_normals_point_outwards() -> None:
    points, normals = encoding.truth_of(cast(people.People, Ball()), 0)
    assert len(points) > 500
    assert torch.allclose(points.norm(dim=-1), torch.full((len(points),), RADIUS), atol=1e-5)
    assert float((normals * points / RADIUS).sum(dim=-1).min()) > 0.999
    # The outermost views see what the middle one does not.
    turn = torch.atan2(points[:, 0], points[:, 2])
    assert float(turn.max()) > 1.7
    assert float(turn.min()) < -1.7


def test_the_table_names_whose_figures_they_are() -> None:
    spread = {"mean": 2.0, "std": 0.5, "n": 3}
    summary = {
        "weights": "mine@0",
        "heads": 3,
        "figures": {who: dict.fromkeys(encoding.FIGURES, spread) for who in encoding.WHO},
        "off": {"latent": spread},
    }
    text = encoding.table(summary)
    assert "| the mean head | 2.00 ± 0.50 | 2.00 ± 0.50 |" in text
    assert "– degrees of yaw" in text


@pytest.mark.slow
def test_people_can_be_drawn_and_something_optimised_in_one_process() -> None:
    """Two copies of LLVM ended it, in a process of its own or in a suite that was run in parts."""
    if not people.PACK.exists():
        pytest.skip("no pack; build it with `python -m core world pack MAKEHUMAN_FOLDER`")
    code = (
        "import torch; from core.evaluation.people import People; from core.camera import Camera\n"
        "drawn = People(); drawn.view(drawn.person(0), Camera(), 64)\n"
        "torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]); print('alive')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "no off-screen OpenGL" in result.stderr:
        pytest.skip(result.stderr)
    assert result.stdout.split() == ["alive"]


@pytest.mark.slow
def test_the_weights_of_the_repository_better_the_mean_head(tmp_path: Path) -> None:
    if not people.PACK.exists():
        pytest.skip("no pack; build it with `python -m core world pack MAKEHUMAN_FOLDER`")
    command = ["evaluate", "encoder", "--people", "4", "--out", str(tmp_path), "--threads", "1", "--json"]
    result = CliRunner().invoke(app, command)
    if "no off-screen OpenGL" in result.stderr:
        pytest.skip(result.stderr)
    assert result.exit_code == 0, result.output
    figures = {who: row["surface"]["mean"] for who, row in json.loads(result.stdout)["figures"].items()}
    assert figures["encoder"] < figures["mean"]
