"""Every stage takes steps on a toy through the public command, and what they leave becomes weights that open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.job import Job
from core.models.bundle import read_networks
from core.models.configuration import TOY_256
from core.training.__main__ import main
from core.training.data import WorldHeads
from core.training.directions import IDLE, STEPS
from core.training.encoder_task import EncoderTaskConfig, UnknownLoss
from core.training.stages import STAGES, run_stage
from core.training.trainer import TrainingFailed
from core.training.workshop import OFFSET, StageOptions, Workshop
from core.weights import Registry
from tests.training.toy_world import write_glances, write_landmarks, write_snapshots


def options(world: Path, run: Path, **more: object) -> StageOptions:
    fields = {"device": "cpu", "batch": 2, "compiled": False, "max_steps": 2, "minutes": 5.0, "model": TOY_256} | more
    return StageOptions(world, run, landmarks=world / "landmark_vertices.json", **fields)  # type: ignore[arg-type]


def test_a_stage_without_its_predecessor_says_what_to_train_first(world: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"field\.pt"):
        run_stage("decoder", options(world, tmp_path), Job.quiet())


def test_missing_worlds_are_an_exit_code_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["field", "--world", str(tmp_path), "--run", str(tmp_path), "--model", "toy-256"]) == 1
    assert "No world shards" in capsys.readouterr().err


def test_the_field_reaches_mapping_and_field_and_nothing_else(world: Path, tmp_path: Path) -> None:
    shop = Workshop(options(world, tmp_path), torch.device("cpu"), WorldHeads.load(world, torch.device("cpu")))
    task = STAGES["field"](shop)
    loss, parts = task.losses(0.9)
    loss.backward()
    assert {"surface", "off", "free", "bound", "core", "normal", "colour", "thumb", "alpha", "labels"} == set(parts)
    for group in task.parameter_groups(1e-3):
        parameters = group["params"]
        assert isinstance(parameters, list)
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in parameters)
    generator = task.modules["generator"]
    assert all(p.grad is None for name, p in generator.named_parameters() if name.startswith("decoder"))


@pytest.mark.slow
def test_a_loss_that_is_left_out_pulls_on_nothing(world: Path, tmp_path: Path) -> None:
    """Rows of the ablation: each of L_geo's parts alone moves E0; without any loss nothing does."""
    device, data = torch.device("cpu"), WorldHeads.load(world, torch.device("cpu"))
    run_stage("field", options(world, tmp_path), Job.quiet())
    for kept in ((), ("surface",), ("off_surface",), ("normal",)):
        left_out = tuple(EncoderTaskConfig.WEIGHTS - set(kept))
        task = STAGES["encoder"](Workshop(options(world, tmp_path, without=left_out), device, data))
        loss, parts = task.losses(0.9)
        loss.backward()
        moved = sum(float(p.grad.abs().sum()) for p in task.modules["encoder"].parameters() if p.grad is not None)
        assert (moved > 0) == bool(kept)
        assert {"surface", "off", "normal", "code"} <= set(parts)


def test_only_losses_of_e0_can_be_left_out(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert EncoderTaskConfig().without(("normal",)).normal == 0.0
    with pytest.raises(UnknownLoss, match="farthest_yaw"):
        EncoderTaskConfig().without(("farthest_yaw",))
    with pytest.raises(TrainingFailed, match="field"):
        run_stage("field", options(world, tmp_path, without=("normal",)), Job.quiet())
    common = ["--world", str(world), "--run", str(tmp_path), "--model", "toy-256", "--without", "normal"]
    assert main(["field", *common]) == 1
    assert "cannot be left out" in capsys.readouterr().err


@pytest.mark.slow
def test_four_stages_and_a_bundle_through_the_public_command(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    common = ["--run", str(run), "--model", "toy-256", "--landmarks", str(world / "landmark_vertices.json")]
    run.mkdir()
    torch.save(torch.ones(8), run / OFFSET)
    snapshots = ["--snapshots", str(write_snapshots(tmp_path / "snapshots"))]
    snapshots += ["--glances", str(write_glances(tmp_path / "glances"))]
    for stage in ("field", "lesson", "practice", "encoder", "decoder", "hybrid", "reader", "parser"):
        steps = ["--world", str(world), "--max-steps", "2", "--batch", "2", "--minutes", "5", "--eager"]
        assert main([stage, *common, *steps, *snapshots, "--device", "cpu"]) == 0
        assert {f"{stage}.pt", f"{stage}.jsonl", f"{stage}.png"} <= {path.name for path in run.iterdir()}
        rows = [json.loads(line) for line in (run / f"{stage}.jsonl").read_text().splitlines()]
        assert rows[0]["step"] == 1
    heads = str(write_landmarks(tmp_path / "landmarks"))
    fitted = (run / "landmarks.pt").read_bytes()
    assert main(["landmarks", *common, "--data", heads, "--steps", "3"]) == 0
    assert (run / "landmarks.pt").read_bytes() != fitted
    weights = tmp_path / "weights"
    weights.mkdir()
    assert main(["bundle", *common, "--samples", "120", "--out", str(weights), "--name", "toy-trained"]) == 0
    registry = Registry(weights)
    registry.verify("toy-trained")
    networks = read_networks(registry.locate("toy-trained").values())
    assert networks.config == TOY_256
    assert set(networks.modules) == {
        "generator", "encoder", "local", "modulation", "fusion", "aligner", "landmarks", "reader", "parser"
    }  # fmt: skip
    assert set(networks.directions) == set(STEPS) - set(IDLE)
    whole = read_networks(registry.locate("toy-trained").values())
    assert main(["encoder", *common, *steps, *snapshots, "--device", "cpu", "--max-steps", "4"]) == 0
    assert main(["bundle", *common, "--only", "encoder", "--out", str(weights), "--name", "toy-trained"]) == 0
    registry.verify("toy-trained")
    partly = read_networks(registry.locate("toy-trained").values())
    for part, module in whole.modules.items():
        same = [torch.equal(a, b) for a, b in zip(module.parameters(), partly.modules[part].parameters(), strict=True)]
        assert all(same) != (part == "encoder"), part
    assert main(["parser", *common, *steps, "--device", "cpu", "--max-steps", "4"]) == 0
    before = (weights / "toy-trained" / "model.safetensors").read_bytes()
    assert main(["bundle", *common, "--only", "parser", "--out", str(weights), "--name", "toy-trained"]) == 0
    registry.verify("toy-trained")
    again = read_networks(registry.locate("toy-trained").values()).modules
    assert not all(map(torch.equal, again["parser"].parameters(), partly.modules["parser"].parameters()))
    assert (weights / "toy-trained" / "model.safetensors").read_bytes() == before
    assert all(torch.equal(partly.directions[k].renderer, one.renderer) for k, one in whole.directions.items())
    before = (weights / "toy-trained" / "model.safetensors").read_bytes()
    assert main(["directions", *common, "--weights", "toy-trained", "--samples", "200", "--out", str(weights)]) == 0
    registry.verify("toy-trained")
    assert (weights / "toy-trained" / "model.safetensors").read_bytes() == before


@pytest.mark.slow
def test_late_losses_are_finite_and_reach_what_is_trained(world: Path, tmp_path: Path) -> None:
    torch.save(torch.ones(8), tmp_path / OFFSET)
    snapshots, glances = write_snapshots(tmp_path / "snapshots"), write_glances(tmp_path / "glances")
    cpu = torch.device("cpu")
    more = {"max_steps": 1, "snapshots": snapshots, "glances": glances}
    shop = Workshop(options(world, tmp_path, **more), cpu, WorldHeads.load(world, cpu))
    for stage in STAGES:
        task = STAGES[stage](shop)
        loss, parts = task.losses(0.95)
        loss.backward()
        assert torch.isfinite(loss), (stage, parts)
        for group in task.parameter_groups(1e-3):
            parameters = group["params"]
            assert isinstance(parameters, list)
            assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), stage
        run_state = {name: module.state_dict() for name, module in task.modules.items()}
        torch.save({"task": stage, "averaged": run_state}, tmp_path / f"{stage}.pt")


@pytest.mark.slow
def test_an_encoder_that_goes_on_keeps_its_units_and_learns_from_pictures_at_both_sizes(
    world: Path, tmp_path: Path
) -> None:
    cpu = torch.device("cpu")
    data = WorldHeads.load(world, cpu)
    for stage in ("field", "encoder", "decoder"):
        run_stage(stage, options(world, tmp_path, max_steps=1), Job.quiet())
    before = {name: (tmp_path / name).read_bytes() for name in ("landmarks.pt", "latents.pt")}
    task = STAGES["encoder"](Workshop(options(world, tmp_path, settled=True), cpu, data))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    rendered = [parts for _, parts in (task.losses(0.0) for _ in range(3)) if "thumb" in parts]
    assert rendered, "no step drew what E0 read"
    assert {"thumb", "large", "identity"} <= set(rendered[0])
    (gradient,) = torch.autograd.grad(rendered[0]["large"], next(task.modules["encoder"].parameters()))
    assert gradient.abs().sum() > 0
