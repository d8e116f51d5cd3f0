"""What an encoder says by itself: errors are those of the surface, in millimetres and degrees."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from core.__main__ import app
from core.evaluation import encoding, people
from core.evaluation.encoding import Truth, surface_errors
from core.evaluation.shape import MM_PER_UNIT
from tests.toy_head import toy_networks


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
